// SPDX-License-Identifier: MIT
/*
 * Each allocation and system call of asynchronous locks and unlocks fails in turn: the call says
 * so, nothing has changed, and it works afterwards. Each step is a process of its own, because the
 * library's thread is made once.
 */
#include "async.h"
#include "faults.h"

#define STEPS_MAX 100
/* How a process says that its step was there, and went well. */
#define STEP_FAILED 42

struct stage {
	struct dma_buf *dmabuf;
	struct dmabuf_sync *holder;
	struct dmabuf_sync *sync;
	struct dma_fence *after;
	struct dma_fence *fence;
};

struct scenario {
	const char *name;
	int (*call)(struct stage *s);
	bool waits;  /* somebody else has the buffer */
	bool locked; /* the object has it */
	int step;
};

static int call_async(struct stage *s)
{
	return dmabuf_sync_lock_async(s->sync, 20000, &s->fence);
}

static int call_after(struct stage *s)
{
	return dmabuf_sync_lock_after(s->sync, &s->after, 1, 20000, &s->fence);
}

static int call_unlock_fence(struct stage *s)
{
	return dmabuf_sync_unlock_fence(s->sync, s->after);
}

static int run_step(void *arg)
{
	const struct scenario *sc = arg;
	struct stage s = { .dmabuf = buffer_new("frame"), .after = fence_new() };
	const char *failed;
	long before;
	int err;

	s.holder = sync_of("holder", s.dmabuf, DMA_BUF_ACCESS_W);
	s.sync = sync_of("test", s.dmabuf, DMA_BUF_ACCESS_W);
	if (sc->waits)
		ASSERT_OK(dmabuf_sync_lock(s.holder));
	if (sc->locked)
		ASSERT_OK(dmabuf_sync_lock(s.sync));
	before = faults_allocations();
	faults_arm(sc->step);
	err = sc->call(&s);
	failed = faults_disarm();
	if (err) {
		ASSERT(failed);
		ASSERT(err == -ENOMEM || err == -EAGAIN);
		ASSERT(!s.fence && *dmabuf_last_error());
		ASSERT_EQ(faults_allocations(), before);
		ASSERT_EQ(dmabuf_sync_is_locked(s.sync), sc->locked);
		ASSERT_EQ(accesses_in(s.dmabuf, DMA_BUF_ACCESS_WAITING), 0);
		if (!sc->locked)
			ASSERT_OK(dmabuf_sync_set_lease(s.sync, DMABUF_SYNC_LEASE_MS));
		/* It works if it may. */
		ASSERT_OK(sc->call(&s));
	}
	if (sc->waits)
		ASSERT_OK(dmabuf_sync_unlock(s.holder));
	ASSERT_OK(dma_fence_signal(s.after));
	if (!sc->locked) {
		take(s.sync, s.fence);
		ASSERT_OK(dmabuf_sync_unlock(s.sync));
	}
	ASSERT_OK(dmabuf_sync_trylock(s.holder));
	dmabuf_sync_fini(s.holder);
	dmabuf_sync_fini(s.sync);
	dma_fence_put(s.after);
	dma_buf_put(s.dmabuf);
	_exit(failed ? STEP_FAILED : 0);
}

/* How many steps it has. */
static int run_steps(struct scenario sc)
{
	int status;

	for (sc.step = 1; sc.step < STEPS_MAX; sc.step++) {
		status = reap(spawn(run_step, &sc));
		if (!status)
			break;
		ASSERT_EQ(status, STEP_FAILED);
	}
	test_note("%s: %d steps", sc.name, sc.step - 1);
	return sc.step - 1;
}

TEST(D7_an_asynchronous_lock_that_cannot_be_begun_changes_nothing)
{
	/* What an attempt needs, its fence, and a thread. */
	ASSERT(run_steps((struct scenario){ "free", call_async }) >= 2);
	ASSERT(run_steps((struct scenario){ "waits", call_async, .waits = true }) >= 3);
	ASSERT(run_steps((struct scenario){ "behind a fence", call_after }) >= 3);
	ASSERT(run_steps((struct scenario){ "both", call_after, .waits = true }) >= 3);
}

TEST(E4_an_unlock_that_cannot_be_left_to_a_fence_changes_nothing)
{
	/* The unlock, its list, its member, and a thread. */
	ASSERT(run_steps((struct scenario){ "unlock", call_unlock_fence, .locked = true }) >= 4);
}
