// SPDX-License-Identifier: MIT
/* Asynchronous locks by the hundred, in callbacks, behind fences, and given up at bad moments. */
#include "async.h"
#include "seccomp.h"

#define BUFFERS 4
#define MANY 200

/* One of many that lock in a callback, note the order, and let the next one on. */
struct one {
	struct dma_fence_cb cb;
	struct dmabuf_sync *sync;
	struct dma_fence *fence;
	atomic_int *turn; /* of its buffer */
	int place;
	atomic_int *done;
};

static void take_turn(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct one *one = (struct one *)cb;

	ASSERT_OK(dmabuf_sync_lock_finish(one->sync));
	ASSERT_EQ(atomic_fetch_add(one->turn, 1), one->place);
	ASSERT_OK(dmabuf_sync_unlock(one->sync));
	atomic_fetch_add(one->done, 1);
}

static bool all_done(void *arg)
{
	return atomic_load((atomic_int *)arg) == MANY;
}

/* More than fit into one futex_waitv(), all behind another process. */
static void many_at_once(void)
{
	struct dma_buf *dmabuf[BUFFERS];
	atomic_int turn[BUFFERS], done = 0;
	static struct one all[MANY];
	struct remote holder;
	int i;

	remote_start(&holder, "holder");
	for (i = 0; i < BUFFERS; i++) {
		dmabuf[i] = buffer_new("frame");
		turn[i] = 0;
		remote_add(&holder, dmabuf[i], DMA_BUF_ACCESS_W);
	}
	ASSERT_OK(remote_lock(&holder, 0));
	for (i = 0; i < MANY; i++) {
		all[i].sync = sync_of("one", dmabuf[i % BUFFERS], DMA_BUF_ACCESS_W);
		all[i].turn = &turn[i % BUFFERS];
		all[i].place = i / BUFFERS;
		all[i].done = &done;
		all[i].fence = ask(all[i].sync, 60000);
		ASSERT_OK(dma_fence_add_callback(all[i].fence, &all[i].cb, take_turn));
	}
	ASSERT_OK(remote_unlock(&holder));
	if (!eventually(all_done, &done, 30000))
		FAIL("%d of %d", done, MANY);
	for (i = 0; i < MANY; i++) {
		dmabuf_sync_fini(all[i].sync);
		dma_fence_put(all[i].fence);
	}
	for (i = 0; i < BUFFERS; i++)
		dma_buf_put(dmabuf[i]);
	remote_end(&holder);
}

TEST(D7_hundreds_wait_at_once_and_each_queue_keeps_its_order)
{
	many_at_once();
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

TEST(D7_hundreds_wait_at_once_where_the_kernel_has_no_futex_waitv)
{
	deny(SYS_futex_waitv, ENOSYS);
	many_at_once();
}

TEST(D7_hundreds_wait_at_once_where_futex_waitv_is_forbidden)
{
	deny(SYS_futex_waitv, EPERM);
	many_at_once();
}

/* What a callback does with objects, of which the fence's is one. */
struct script {
	struct dma_fence_cb cb;
	struct dmabuf_sync *own;
	struct dmabuf_sync *other;
	atomic_int calls;
	int status;
};

static bool script_called(void *arg)
{
	return atomic_load(&((struct script *)arg)->calls) == 1;
}

static void wait_called(struct script *script)
{
	ASSERT(eventually(script_called, script, 20000));
}

static void asks_again(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct script *s = (struct script *)cb;
	struct dma_fence *next;

	ASSERT_OK(dmabuf_sync_lock_finish(s->own));
	ASSERT_OK(dmabuf_sync_unlock(s->own));
	next = ask(s->own, 40000);
	ASSERT_OK(dmabuf_sync_cancel(s->other));
	dma_fence_put(next);
	atomic_store(&s->calls, 1);
}

TEST(D7_a_callback_may_take_over_unlock_ask_again_and_cancel)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct script s = { .own = sync_of("own", dmabuf, DMA_BUF_ACCESS_W),
			    .other = sync_of("other", dmabuf, DMA_BUF_ACCESS_W) };
	struct dma_fence *fence, *other;

	ASSERT_OK(dmabuf_sync_lock(holder));
	fence = ask(s.own, 40000);
	other = ask(s.other, 40000);
	ASSERT_OK(dma_fence_add_callback(fence, &s.cb, asks_again));
	ASSERT_OK(dmabuf_sync_unlock(holder));
	wait_called(&s);
	ends(other, -ECANCELED);
	ends(fence, 1);
	while (dmabuf_sync_lock_finish(s.own) == -EAGAIN)
		sched_yield();
	ASSERT(dmabuf_sync_is_locked(s.own));
	dmabuf_sync_fini(s.own);
	dmabuf_sync_fini(s.other);
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

static void frees(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct script *s = (struct script *)cb;

	dmabuf_sync_fini(s->own);
	atomic_store(&s->calls, 1);
}

/* Have it called by the library's thread; it frees the object. */
static void call_in_thread(dma_fence_func_t func)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct script s = { .own = sync_of("own", dmabuf, DMA_BUF_ACCESS_W) };
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock(holder));
	fence = ask(s.own, 40000);
	ASSERT_OK(dma_fence_add_callback(fence, &s.cb, func));
	ASSERT_OK(dmabuf_sync_unlock(holder));
	wait_called(&s);
	ends(fence, 1);
	ASSERT_OK(dmabuf_sync_trylock(holder));
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

TEST(D7_a_callback_may_free_the_object)
{
	call_in_thread(frees);
}

/* The library's thread has looked at whatever it was told of before. */
static void thread_turn(void)
{
	struct dma_buf *dmabuf = buffer_new("other");
	struct dmabuf_sync *sync = sync_of("turn", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *stub = dma_fence_get_stub(), *fence;

	ASSERT_OK(dmabuf_sync_lock_after(sync, &stub, 1, 40000, &fence));
	ends(fence, 1);
	dma_fence_put(stub);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(E4_a_lock_behind_fences_keeps_its_place_and_waits_for_them_too)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *after[2] = { fence_new(), fence_new() }, *first, *second;
	struct dmabuf_sync *job = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *reader = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);

	ASSERT_OK(dmabuf_sync_lock_after(job, after, 2, 40000, &first));
	/* Nobody reads before the job has written, though it cannot begin yet. */
	ASSERT_ERR(dmabuf_sync_trylock(reader), EBUSY);
	second = ask(reader, 40000);
	ASSERT_OK(dma_fence_signal(after[1]));
	thread_turn();
	ASSERT_ERR(dmabuf_sync_lock_finish(job), EAGAIN);
	still_waits(first);
	ASSERT_OK(dma_fence_signal(after[0]));
	take(job, first);
	still_waits(second);
	ASSERT_OK(dmabuf_sync_unlock(job));
	take(reader, second);
	/* Fences that were signalled before are nothing to wait for. */
	ASSERT_OK(dmabuf_sync_unlock(reader));
	ASSERT_OK(dmabuf_sync_lock_after(job, after, 2, 40000, &first));
	take(job, first);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(reader);
	dma_fence_put(after[0]);
	dma_fence_put(after[1]);
	dma_buf_put(dmabuf);
}

TEST(E4_a_lock_behind_a_fence_that_fails_fails_with_it)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *after = fence_new(), *fence;
	struct dmabuf_sync *sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_lock_after(sync, &after, 1, 40000, &fence));
	/* The fence has to wake the library's thread. */
	ASSERT(eventually(other_threads_sleep, NULL, 20000));
	ASSERT_OK(dma_fence_set_error(after, -EREMOTEIO));
	ASSERT_OK(dma_fence_signal(after));
	ends(fence, -EREMOTEIO);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EREMOTEIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "job");
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 0);
	dma_fence_put(after);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static bool is_one(void *arg)
{
	return atomic_load((atomic_int *)arg) == 1;
}

TEST(E4_a_lock_behind_a_fence_that_never_ends_has_its_timeout)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *other = sync_of("other", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *after, *fence;
	struct job *never = job_new();
	atomic_int released = 0;

	never->released = &released;
	after = &never->base;
	ASSERT_OK(dmabuf_sync_lock_after(sync, &after, 1, 50, &fence));
	ends(fence, -ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "camera frames seq 1");
	ASSERT_OK(dmabuf_sync_trylock(other));
	/* Nobody is interested in the fence any more. */
	dma_fence_put(after);
	ASSERT(eventually(is_one, &released, 20000));
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf);
}

static void cancels(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct script *s = (struct script *)cb;

	s->status = dmabuf_sync_cancel(s->own);
	dmabuf_sync_fini(s->own);
	atomic_store(&s->calls, 1);
}

TEST(E4_a_callback_of_the_awaited_fence_may_cancel_the_lock)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *after = fence_new(), *fence;
	struct script s = { .own = sync_of("own", dmabuf, DMA_BUF_ACCESS_W) };

	ASSERT_OK(dma_fence_add_callback(after, &s.cb, cancels));
	ASSERT_OK(dmabuf_sync_lock_after(s.own, &after, 1, 40000, &fence));
	ASSERT_OK(dma_fence_signal(after));
	wait_called(&s);
	ASSERT_OK(s.status);
	ends(fence, -ECANCELED);
	dma_fence_put(after);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 0);
	dma_buf_put(dmabuf);
}

struct canceller {
	struct dmabuf_sync *sync;
	pthread_barrier_t *barrier;
	int ret;
};

static void *cancel_it(void *arg)
{
	struct canceller *c = arg;

	pthread_barrier_wait(c->barrier);
	c->ret = dmabuf_sync_cancel(c->sync);
	return NULL;
}

TEST_TIMEOUT(D7_a_cancel_that_races_with_the_grant_leaves_nothing_held, 300)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *sync = sync_of("waits", dmabuf, DMA_BUF_ACCESS_W);
	unsigned int rounds = test_is_slow() ? 50 : 500, cancelled = 0, i;
	pthread_barrier_t barrier;
	struct canceller c = { sync, &barrier, 0 };
	struct dma_fence *fence;
	pthread_t thread;
	int status;

	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < rounds; i++) {
		ASSERT_OK(dmabuf_sync_lock(holder));
		fence = ask(sync, 40000);
		thread = thread_start(cancel_it, &c);
		pthread_barrier_wait(&barrier);
		ASSERT_OK(dmabuf_sync_unlock(holder));
		thread_join(thread);
		ASSERT_OK(c.ret);
		status = fence_result(fence);
		ASSERT(status == 1 || status == -ECANCELED);
		cancelled += status != 1;
		dma_fence_put(fence);
		ASSERT_OK(dmabuf_sync_trylock(holder));
		ASSERT_OK(dmabuf_sync_unlock(holder));
	}
	test_note("%u of %u before the grant", cancelled, rounds);
	pthread_barrier_destroy(&barrier);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

struct signaller {
	struct dma_fence *fence;
	pthread_barrier_t *barrier;
};

static void *signal_it(void *arg)
{
	struct signaller *s = arg;

	pthread_barrier_wait(s->barrier);
	ASSERT_OK(dma_fence_signal(s->fence));
	return NULL;
}

TEST_TIMEOUT(E4_a_fence_that_is_signalled_while_the_lock_is_given_up_hurts_nobody, 300)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	unsigned int rounds = test_is_slow() ? 50 : 500, i;
	pthread_barrier_t barrier;
	struct dma_fence *after, *fence;
	struct signaller s;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < rounds; i++) {
		after = fence_new();
		s = (struct signaller){ dma_fence_get(after), &barrier };
		thread = thread_start(signal_it, &s);
		ASSERT_OK(dmabuf_sync_lock_after(sync, &after, 1, 40000, &fence));
		dma_fence_put(after);
		pthread_barrier_wait(&barrier);
		ASSERT_OK(dmabuf_sync_cancel(sync));
		thread_join(thread);
		dma_fence_put(after);
		ASSERT(fence_result(fence) != 0);
		dma_fence_put(fence);
		ASSERT_OK(dmabuf_sync_trylock(sync));
		ASSERT_OK(dmabuf_sync_unlock(sync));
	}
	pthread_barrier_destroy(&barrier);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static sigset_t seen_mask;

static void notes_mask(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct script *s = (struct script *)cb;

	pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
	dmabuf_sync_fini(s->own);
	atomic_store(&s->calls, 1);
}

TEST(D7_the_thread_blocks_all_signals)
{
	call_in_thread(notes_mask);
	ASSERT(sigismember(&seen_mask, SIGTERM) == 1 && sigismember(&seen_mask, SIGUSR1) == 1 &&
	       sigismember(&seen_mask, SIGALRM) == 1);
}
