// SPDX-License-Identifier: MIT
/*
 * Row D4: how many others are granted between the moment one queues and its own grant. Counted, not
 * timed: one process asks step by step, while seven others lock and unlock without a pause. Each of
 * the seven can be before it in a queue once, with what it had or had asked for when it joined; all
 * that they ask for later comes behind.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "resv/resv.h"
#include "ww-shared.h"

#define OTHERS 7
#define BUFFERS 4
#define GROUP 3

struct scene {
	struct dma_buf *b[BUFFERS];
	int fd[BUFFERS];
	/* What the watcher and the others ask for; each in groups of so many. */
	unsigned int mine;
	unsigned int theirs;
	unsigned int group;
	atomic_bool stop;
	atomic_uint inside; /* of readers */
	atomic_ulong reads[BUFFERS];
	atomic_ulong writes[BUFFERS];
};

struct role {
	struct scene *scene;
	unsigned int number;
};

static int by_order(const void *a, const void *b)
{
	return buffer_before(*(struct buffer *const *)a, *(struct buffer *const *)b) ? -1 : 1;
}

static struct scene *scene_new(void)
{
	struct scene *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	ASSERT(s != MAP_FAILED);
	for (i = 0; i < BUFFERS; i++)
		ASSERT((s->b[i] = dma_buf_alloc("x", 4096, O_RDWR)));
	qsort(s->b, BUFFERS, sizeof(s->b[0]), by_order);
	for (i = 0; i < BUFFERS; i++)
		ASSERT_OK(s->fd[i] = dma_buf_fd(s->b[i], O_CLOEXEC));
	return s;
}

static void scene_free(struct scene *s)
{
	struct dma_buf_counters counters;
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		ASSERT_OK(dma_buf_get_counters(s->b[i], &counters));
		ASSERT_EQ(counters.leases_lost, 0);
		close(s->fd[i]);
		dma_buf_put(s->b[i]);
	}
	munmap(s, sizeof(*s));
}

/* The number-th member of a group: half of the others name them the other way round. */
static unsigned int member(const struct scene *s, const struct role *r, unsigned int i,
			   unsigned int round)
{
	unsigned int first = s->group > 1 ? (r->number + round) % BUFFERS : 0;

	return (r->number % 2 ? first + s->group - 1 - i : first + i) % BUFFERS;
}

static void count(struct scene *s, unsigned int buffer)
{
	atomic_fetch_add(s->theirs & DMA_BUF_ACCESS_W ? &s->writes[buffer] : &s->reads[buffer], 1);
}

/* Those that ask for it asynchronously have a place in the queue at once, whatever their turn. */
static void lock(struct dmabuf_sync *sync, bool async)
{
	struct dma_fence *fence;

	if (!async) {
		ASSERT_OK(dmabuf_sync_lock(sync));
		return;
	}
	ASSERT_OK(dmabuf_sync_lock_async(sync, 20000, &fence));
	ASSERT_OK(dma_fence_wait(fence, false));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	dma_fence_put(fence);
}

/* So that the others come to ask meanwhile; readers hand on to each other, if they can. */
static void stay(struct scene *s)
{
	int64_t end = now_ms() + 5;

	sched_yield();
	if (s->theirs & DMA_BUF_ACCESS_W)
		return;
	atomic_fetch_add(&s->inside, 1);
	while (atomic_load(&s->inside) == 1 && now_ms() < end)
		sched_yield();
	atomic_fetch_sub(&s->inside, 1);
}

/* Locks and unlocks until it is told to stop. */
static int stream(void *arg)
{
	const struct role *r = arg;
	struct scene *s = r->scene;
	struct dmabuf_sync *sync[BUFFERS];
	struct dma_buf *b[BUFFERS];
	unsigned int i, round;

	for (i = 0; i < BUFFERS; i++)
		ASSERT((b[i] = dma_buf_get(s->fd[i])));
	for (round = 0; round < BUFFERS; round++) {
		ASSERT((sync[round] = dmabuf_sync_init(NULL, "stream")));
		for (i = 0; i < s->group; i++)
			ASSERT_OK(
				dmabuf_sync_get(sync[round], b[member(s, r, i, round)], s->theirs));
	}
	for (round = 0; !atomic_load(&s->stop); round++) {
		struct dmabuf_sync *now = sync[round % BUFFERS];

		lock(now, r->number % 2);
		for (i = 0; i < s->group; i++)
			count(s, member(s, r, i, round % BUFFERS));
		stay(s);
		ASSERT_OK(dmabuf_sync_unlock(now));
	}
	for (i = 0; i < BUFFERS; i++) {
		dmabuf_sync_fini(sync[i]);
		dma_buf_put(b[i]);
		close(s->fd[i]);
	}
	return 0;
}

/* Grants that excluded the watcher. */
static unsigned long grants(const struct scene *s, unsigned int buffer)
{
	unsigned long all = atomic_load(&s->writes[buffer]);

	return s->mine & DMA_BUF_ACCESS_W ? all + atomic_load(&s->reads[buffer]) : all;
}

/* Returns how many came first; -1: nobody was waited for. */
static long take(struct scene *s, struct resv_hold *h, unsigned int buffer)
{
	uint64_t kind = s->mine & DMA_BUF_ACCESS_W ? RESV_WRITE : 0;
	int ret = resv_enqueue(h, kind);
	unsigned long before = grants(s, buffer);
	struct resv_waiter w;

	if (!ret)
		return -1;
	ASSERT_ERR(ret, EAGAIN);
	resv_waiter_init(&w, h, FUTEX_FOREVER);
	ASSERT_OK(resv_wait(&w, false));
	return (long)(grants(s, buffer) - before);
}

static void watch(struct scene *s, unsigned int waits)
{
	struct resv_hold holds[BUFFERS] = { { .lease_ms = 0 } };
	unsigned int waited = 0, rounds, i;
	long came_first, most = 0;

	for (i = 0; i < s->group; i++)
		ASSERT_OK(resv_claim(&holds[i], to_buffer(s->b[i]), 0, "watcher"));
	for (rounds = 0; waited < waits; rounds++) {
		/* In the order that groups have. */
		for (i = 0; i < s->group; i++) {
			came_first = take(s, &holds[i], i);
			waited += came_first >= 0;
			most = came_first > most ? came_first : most;
			if (came_first > OTHERS)
				FAIL("%ld others were granted first", came_first);
		}
		while (i > 0)
			ASSERT_OK(resv_unlock(&holds[--i]));
		sched_yield();
	}
	for (i = 0; i < s->group; i++)
		resv_unclaim(&holds[i]);
	test_note("waited %u times in %u rounds, for %ld others at most", waited, rounds, most);
}

static void play(unsigned int mine, unsigned int theirs, unsigned int group)
{
	struct scene *s = scene_new();
	struct role role[OTHERS];
	pid_t pid[OTHERS];
	unsigned int i;

	s->mine = mine;
	s->theirs = theirs;
	s->group = group;
	for (i = 0; i < OTHERS; i++) {
		role[i] = (struct role){ s, i };
		pid[i] = spawn(stream, &role[i]);
	}
	watch(s, test_is_slow() ? 50 : 300);
	atomic_store(&s->stop, true);
	for (i = 0; i < OTHERS; i++)
		ASSERT_EQ(reap_within(pid[i], 60000), 0);
	scene_free(s);
}

TEST_TIMEOUT(D4_a_reader_waits_for_each_of_a_stream_of_writers_once_at_most, 300)
{
	play(DMA_BUF_ACCESS_R, DMA_BUF_ACCESS_W, 1);
}

TEST_TIMEOUT(D4_a_writer_waits_for_each_of_a_stream_of_readers_once_at_most, 300)
{
	play(DMA_BUF_ACCESS_W, DMA_BUF_ACCESS_R, 1);
}

TEST_TIMEOUT(D4_a_writer_waits_for_each_of_a_stream_of_writers_once_at_most, 300)
{
	play(DMA_BUF_ACCESS_W, DMA_BUF_ACCESS_W, 1);
}

TEST_TIMEOUT(D4_a_group_waits_at_each_member_for_each_of_overlapping_groups_once_at_most, 300)
{
	play(DMA_BUF_ACCESS_W, DMA_BUF_ACCESS_W, GROUP);
}

static void unlock_all(struct dma_buf **set, bool *has)
{
	unsigned int i;

	for (i = 0; i < GROUP; i++) {
		if (has[i])
			ASSERT_OK(dma_resv_unlock(set[i]->resv));
		has[i] = false;
	}
}

/* One context that takes them in the order of @set, as drivers do. Returns its back-offs. */
static unsigned int take_context(struct dma_buf **set)
{
	struct dmabuf_ww_acquire_ctx ctx;
	unsigned int i = 0, back_offs = 0;
	bool has[GROUP] = { false };
	int ret;

	dmabuf_ww_acquire_init(&ctx, dma_resv_ww_class());
	while (i < GROUP) {
		ret = dma_resv_lock(set[i]->resv, &ctx);
		if (ret == -EDEADLK) {
			unlock_all(set, has);
			back_offs++;
			ASSERT_OK(dma_resv_lock_slow(set[i]->resv, &ctx));
			has[i] = true;
			i = 0;
			continue;
		}
		if (ret != -EALREADY)
			ASSERT_OK(ret);
		has[i++] = true;
		/* So that others hold what comes next. */
		sched_yield();
	}
	ASSERT_OK(dmabuf_ww_acquire_done(&ctx));
	unlock_all(set, has);
	ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
	return back_offs;
}

static int take_contexts(void *arg)
{
	const struct role *r = arg;
	struct scene *s = r->scene;
	struct dma_buf *b[BUFFERS], *set[GROUP];
	unsigned int i, most = 0, back_offs;

	for (i = 0; i < BUFFERS; i++)
		ASSERT((b[i] = dma_buf_get(s->fd[i])));
	for (i = 0; i < GROUP; i++)
		set[i] = b[(r->number % 2 ? r->number + GROUP - i : r->number + i) % BUFFERS];
	while (!atomic_load(&s->stop)) {
		back_offs = take_context(set);
		most = back_offs > most ? back_offs : most;
		atomic_fetch_add(&s->writes[r->number % BUFFERS], 1);
		/* Then what was asked for comes in ascending order; each other one can be new once.
		 */
		if (back_offs > BACK_OFFS + GROUP)
			FAIL("a context had to back off %u times", back_offs);
	}
	test_note("a context backed off %u times at most", most);
	for (i = 0; i < BUFFERS; i++) {
		dma_buf_put(b[i]);
		close(s->fd[i]);
	}
	return 0;
}

static bool enough(void *arg)
{
	const struct scene *s = arg;

	return atomic_load(&s->writes[0]) > (test_is_slow() ? 100 : 3000);
}

TEST_TIMEOUT(E1_contexts_in_opposite_orders_back_off_a_few_times_at_most, 300)
{
	struct scene *s = scene_new();
	struct role role[OTHERS + 1];
	pid_t pid[OTHERS + 1];
	unsigned int i;

	for (i = 0; i <= OTHERS; i++) {
		role[i] = (struct role){ s, i };
		pid[i] = spawn(take_contexts, &role[i]);
	}
	ASSERT(eventually(enough, s, 60000));
	atomic_store(&s->stop, true);
	for (i = 0; i <= OTHERS; i++)
		ASSERT_EQ(reap_within(pid[i], 60000), 0);
	scene_free(s);
}
