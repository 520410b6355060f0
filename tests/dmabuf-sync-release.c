// SPDX-License-Identifier: MIT
/* Unlocks that a fence brings about: work queued on buffers in use (row E4). */
#include "async.h"
#include "seccomp.h"

static struct dma_buf *dmabuf_locked(struct dmabuf_sync **sync, const char *name, unsigned int type)
{
	struct dma_buf *dmabuf = buffer_new("frame");

	*sync = sync_of(name, dmabuf, type);
	ASSERT_OK(dmabuf_sync_lock(*sync));
	return dmabuf;
}

TEST(E4_the_hold_lasts_until_the_fence_is_signalled)
{
	struct dmabuf_sync *job, *other;
	struct dma_buf *dmabuf = dmabuf_locked(&job, "job", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *fence = fence_new();

	other = sync_of("other", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
	ASSERT(!dmabuf_sync_is_locked(job));
	ASSERT_ERR(dmabuf_sync_unlock(job), EAGAIN);
	ASSERT_ERR(dmabuf_sync_trylock(other), EBUSY);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(dmabuf_sync_trylock(other));
	ASSERT_EQ(dmabuf_sync_get_torn(other, dmabuf, NULL, 0), 0);
	dma_fence_put(fence);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf);
}

static int signals_without_system_calls(void *arg)
{
	struct dmabuf_sync *job, *next;
	struct dma_buf *dmabuf = dmabuf_locked(&job, "job", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *fast = fence_new(), *slow = fence_new();

	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fast));
	/* By the queue too, where somebody waited, and does no more. */
	if (arg) {
		ASSERT_ERR(dmabuf_sync_lock_timeout(next, 20), ETIMEDOUT);
		ASSERT_OK(dma_fence_signal(fast));
		ASSERT_OK(dmabuf_sync_lock(job));
		ASSERT_OK(dmabuf_sync_unlock_fence(job, slow));
		ASSERT_ERR(dmabuf_sync_lock_timeout(next, 20), ETIMEDOUT);
	}
	forbid_system_calls();
	if (dma_fence_signal(arg ? slow : fast) || dmabuf_sync_trylock(next))
		_exit(1);
	_exit(0);
}

TEST(E4_a_fence_gives_buffers_back_without_a_system_call_if_nobody_sleeps)
{
	if (TEST_SANITIZED || test_is_slow())
		SKIP("tools make system calls of their own");
	ASSERT_EQ(reap(spawn(signals_without_system_calls, NULL)), 0);
	ASSERT_EQ(reap(spawn(signals_without_system_calls, "queue")), 0);
}

TEST(E4_who_waits_in_another_process_goes_on_when_the_fence_is_signalled)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *job;
	struct remote reader;

	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	job = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_W);
	ASSERT_OK(dmabuf_sync_lock(job));
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
	remote_queue(&reader, dmabuf, 1);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(remote_answer(&reader).ret);
	dma_fence_put(fence);
	remote_end(&reader);
	dmabuf_sync_fini(job);
	dma_buf_put(dmabuf);
}

TEST(E4_the_object_can_be_locked_again_at_once_behind_its_own_job)
{
	struct dmabuf_sync *sync;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *jobs[8], *granted;
	unsigned int i, used;

	for (i = 0; i < 8; i++) {
		jobs[i] = fence_new();
		ASSERT_OK(dmabuf_sync_unlock_fence(sync, jobs[i]));
		granted = ask(sync, 40000);
		still_waits(granted);
		ASSERT_OK(dma_fence_signal(jobs[i]));
		take(sync, granted);
		dma_fence_put(jobs[i]);
	}
	/* What one job leaves the next one uses. */
	ASSERT_OK(dmabuf_sync_unlock(sync));
	used = peer_info(dmabuf).access_count;
	ASSERT_EQ(used, 0);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static void *signal_when_queued(void *arg)
{
	struct dma_buf *dmabuf = ((void **)arg)[0];
	struct dma_fence *fence = ((void **)arg)[1];

	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	ASSERT_OK(dma_fence_signal(fence));
	return NULL;
}

TEST(E4_a_thread_may_wait_for_its_own_job)
{
	struct dmabuf_sync *sync;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *fence = fence_new();
	void *both[2] = { dmabuf, fence };
	pthread_t thread;

	ASSERT_OK(dmabuf_sync_unlock_fence(sync, fence));
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	thread = thread_start(signal_when_queued, both);
	ASSERT_OK(dmabuf_sync_lock_timeout(sync, 20000));
	thread_join(thread);
	dma_fence_put(fence);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(E4_jobs_of_one_object_need_no_more_places_than_are_under_way)
{
	struct dmabuf_sync *sync, *full[DMA_BUF_MAX_ACCESSES];
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_R);
	struct dma_fence *a = fence_new(), *b = fence_new(), *c;
	unsigned int count = 0, i;

	/* Two under way, and the object's own. */
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, a));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, b));
	ASSERT_OK(dmabuf_sync_lock(sync));
	for (;; count++) {
		full[count] = dmabuf_sync_init(NULL, "more");
		if (dmabuf_sync_get(full[count], dmabuf, DMA_BUF_ACCESS_R) == -ENOSPC)
			break;
	}
	ASSERT_EQ(count, DMA_BUF_MAX_ACCESSES - 3);
	/* There is no room for a third, and it is locked still. */
	c = fence_new();
	ASSERT_ERR(dmabuf_sync_unlock_fence(sync, c), ENOSPC);
	ASSERT(dmabuf_sync_is_locked(sync));
	/* When the first is over there is. */
	ASSERT_OK(dma_fence_signal(a));
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, c));
	ASSERT_OK(dma_fence_signal(b));
	ASSERT_OK(dma_fence_signal(c));
	dmabuf_sync_fini(sync);
	for (i = 0; i <= count; i++)
		dmabuf_sync_fini(full[i]);
	dma_fence_put(a);
	dma_fence_put(b);
	dma_fence_put(c);
	dma_buf_put(dmabuf);
}

TEST(E4_members_may_change_while_a_job_is_under_way)
{
	struct dmabuf_sync *sync, *other;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_DMA_W);
	struct dma_buf *more = buffer_new("more");
	struct dma_fence *a = fence_new(), *b = fence_new();

	other = sync_of("other", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, a));
	ASSERT_OK(dma_fence_signal(a));
	ASSERT_OK(dmabuf_sync_get(sync, more, DMA_BUF_ACCESS_DMA_R));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, b));
	dmabuf_sync_put(sync, dmabuf);
	ASSERT_ERR(dmabuf_sync_trylock(other), EBUSY);
	ASSERT_OK(dma_fence_signal(b));
	ASSERT_OK(dmabuf_sync_trylock(other));
	dma_fence_put(a);
	dma_fence_put(b);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf);
	dma_buf_put(more);
}

static bool no_buffers(void *arg)
{
	return buffer_mappings() == 0;
}

TEST(E4_a_job_outlives_object_and_handles)
{
	struct dmabuf_sync *sync;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *fence = fence_new();
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct dma_buf *again;

	ASSERT_OK(dmabuf_sync_unlock_fence(sync, fence));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	again = dma_buf_get(fd);
	sync = sync_of("reader", again, DMA_BUF_ACCESS_R);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(dmabuf_sync_trylock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(again);
	close(fd);
	dma_fence_put(fence);
	/* The library's thread lets the buffer go. */
	ASSERT(eventually(no_buffers, NULL, 20000));
}

TEST(E4_a_fence_that_is_signalled_already_unlocks_now)
{
	struct dmabuf_sync *sync, *other;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "device", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *stub = dma_fence_get_stub(), *failed = fence_new();

	other = sync_of("other", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, stub));
	ASSERT_OK(dmabuf_sync_trylock(other));
	ASSERT_OK(dmabuf_sync_unlock(other));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dma_fence_set_error(failed, -EIO));
	ASSERT_OK(dma_fence_signal(failed));
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, failed));
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT_ERR(dmabuf_sync_trylock(other), EOWNERDEAD);
	dma_fence_put(stub);
	dma_fence_put(failed);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf);
}

static void fail_now(struct dma_fence *fence)
{
	ASSERT_OK(dma_fence_set_error(fence, -EREMOTEIO));
	ASSERT_OK(dma_fence_signal(fence));
}

TEST(E4_a_job_that_fails_leaves_what_it_wrote_torn_and_names_itself)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *job = sync_of("scaler", NULL, 0);
	struct dma_buf_access_info torn;
	struct dmabuf_sync *reader;
	int round;

	ASSERT_OK(dmabuf_sync_get_range(job, dmabuf, DMA_BUF_ACCESS_DMA_W, 256, 1024));
	reader = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);
	/* By the fast path, and by the queue with somebody waiting. */
	for (round = 0; round < 2; round++) {
		ASSERT_OK(dmabuf_sync_lock(job));
		ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
		if (round)
			ASSERT_OK(dmabuf_sync_lock_async(reader, 40000, NULL));
		fail_now(fence);
		if (!round)
			ASSERT_OK(dmabuf_sync_lock_async(reader, 40000, NULL));
		while (dmabuf_sync_lock_finish(reader) == -EAGAIN)
			sched_yield();
		ASSERT_EQ(dmabuf_sync_get_torn(reader, dmabuf, &torn, 1), 1);
		ASSERT_STR_EQ(torn.label, "scaler");
		ASSERT(torn.write);
		ASSERT_EQ(torn.start, 256);
		ASSERT_EQ(torn.length, 1024);
		ASSERT_OK(dmabuf_sync_repaired(reader, dmabuf));
		ASSERT_OK(dmabuf_sync_unlock(reader));
		dma_fence_put(fence);
		fence = fence_new();
	}
	ASSERT_OK(dmabuf_sync_lock(job));
	ASSERT_OK(dmabuf_sync_unlock(job));
	dma_fence_put(fence);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(reader);
	dma_buf_put(dmabuf);
}

struct
try {
	struct dmabuf_sync *sync;
	int ret;
};

static bool was_had(void *arg)
{
	struct try *try = arg;

	try->ret = dmabuf_sync_trylock(try->sync);
	return try->ret != -EBUSY;
}

/* Its caches are seen to before others get it, which is not for a callback to do. */
TEST(E4_what_non_coherent_devices_share_is_given_back_by_the_librarys_thread)
{
	struct dma_buf_device_parameters parameters = { .size = sizeof(parameters),
							.noncoherent = true };
	struct dma_buf_device *dev = device_make("shy", &parameters);
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	struct dmabuf_sync *job = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *next = sync_of("next", dmabuf, DMA_BUF_ACCESS_DMA_R);
	struct dma_fence *fence;
	struct try try = { next, 0 };
	int round;

	ASSERT(table);
	for (round = 0; round < 4; round++) {
		fence = fence_new();
		ASSERT_OK(dmabuf_sync_lock(job));
		ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
		ASSERT_ERR(dmabuf_sync_trylock(next), EBUSY);
		if (round == 3)
			fail_now(fence);
		else
			ASSERT_OK(dma_fence_signal(fence));
		ASSERT(eventually(was_had, &try, 20000));
		ASSERT_EQ(try.ret, round == 3 ? -EOWNERDEAD : 0);
		ASSERT_OK(dmabuf_sync_unlock(next));
		dma_fence_put(fence);
	}
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
}

TEST(E4_a_job_that_fails_leaves_what_it_read_whole)
{
	struct dmabuf_sync *job, *next;
	struct dma_buf *dmabuf = dmabuf_locked(&job, "job", DMA_BUF_ACCESS_DMA_R);
	struct dma_fence *fence = fence_new();

	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
	ASSERT_ERR(dmabuf_sync_trylock(next), EBUSY);
	fail_now(fence);
	ASSERT_OK(dmabuf_sync_trylock(next));
	dma_fence_put(fence);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

TEST(E4_who_was_told_of_torn_content_and_fails_does_not_answer_for_it)
{
	struct dmabuf_sync *job, *next;
	struct dma_buf *dmabuf = dmabuf_locked(&job, "job", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence *a = fence_new(), *b = fence_new(), *c = fence_new();

	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, a));
	fail_now(a);
	ASSERT_ERR(dmabuf_sync_lock(job), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, b));
	fail_now(b);
	ASSERT_ERR(dmabuf_sync_lock(next), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(next, dmabuf, NULL, 0), 2);
	ASSERT_OK(dmabuf_sync_unlock(next));
	/* Who writes to the end does. */
	ASSERT_ERR(dmabuf_sync_lock(job), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, c));
	ASSERT_OK(dma_fence_signal(c));
	ASSERT_OK(dmabuf_sync_lock(next));
	dma_fence_put(a);
	dma_fence_put(b);
	dma_fence_put(c);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

TEST(E4_arrays_of_fences_unlock_with_their_last)
{
	struct dmabuf_sync *job, *next;
	struct dma_buf *dmabuf = dmabuf_locked(&job, "job", DMA_BUF_ACCESS_DMA_W);
	struct dma_fence **fences = calloc(2, sizeof(struct dma_fence *)), *one, *two;
	struct dma_fence_array *array;

	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);
	one = fences[0] = fence_new();
	two = fences[1] = fence_new();
	array = dma_fence_array_create(2, fences, dma_fence_context_alloc(1), 1, false);
	ASSERT_OK(dmabuf_sync_unlock_fence(job, &array->base));
	ASSERT_OK(dma_fence_signal(two));
	ASSERT_ERR(dmabuf_sync_trylock(next), EBUSY);
	fail_now(one);
	ASSERT_ERR(dmabuf_sync_trylock(next), EOWNERDEAD);
	dma_fence_put(&array->base);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

TEST(E4_an_access_by_cpu_that_no_fence_ends_is_lost_to_its_lease)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *job = sync_of("job", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *next = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);

	ASSERT_OK(dmabuf_sync_set_lease(job, 50));
	ASSERT_OK(dmabuf_sync_lock(job));
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
	ASSERT_ERR(dmabuf_sync_lock_timeout(next, 20000), EOWNERDEAD);
	/* Too late: it changes nothing for who has it now. */
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT(dmabuf_sync_is_locked(next));
	ASSERT_OK(dmabuf_sync_repaired(next, dmabuf));
	ASSERT_OK(dmabuf_sync_unlock(next));
	/* What the fence left goes with the next unlock, or with the object. */
	ASSERT_OK(dmabuf_sync_lock(job));
	dma_fence_put(fence);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

TEST(E4_an_access_by_dma_blocks_beyond_its_lease_until_its_fence)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *job = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_R);
	struct dmabuf_sync *next = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_set_lease(job, 10));
	ASSERT_OK(dmabuf_sync_lock(job));
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence));
	ASSERT_OK(dmabuf_sync_lock_async(next, 40000, NULL));
	until_accesses(dmabuf, DMA_BUF_ACCESS_DRAINING, 1);
	ASSERT_ERR(dmabuf_sync_lock_finish(next), EAGAIN);
	ASSERT_OK(dma_fence_signal(fence));
	while (dmabuf_sync_lock_finish(next) == -EAGAIN)
		sched_yield();
	ASSERT(dmabuf_sync_is_locked(next));
	dma_fence_put(fence);
	dmabuf_sync_fini(job);
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

static int starts_a_job(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *job = sync_of("dies", dmabuf, DMA_BUF_ACCESS_DMA_W);

	ASSERT_OK(dmabuf_sync_lock(job));
	ASSERT_OK(dmabuf_sync_unlock_fence(job, fence_new()));
	peer_tell(peer);
	peer_wait(peer);
	return 1;
}

TEST(E4_the_death_of_who_would_signal_is_told)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_buf_access_info torn;
	struct dmabuf_sync *next;
	struct peer peer;

	peer_start(&peer, dmabuf, starts_a_job, NULL);
	peer_wait(&peer);
	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock_async(next, 40000, NULL));
	peer_kill(&peer);
	while (dmabuf_sync_lock_finish(next) == -EAGAIN)
		sched_yield();
	ASSERT_EQ(dmabuf_sync_get_torn(next, dmabuf, &torn, 1), 1);
	ASSERT_STR_EQ(torn.label, "dies");
	dmabuf_sync_fini(next);
	dma_buf_put(dmabuf);
}

TEST(E4_what_cannot_be_left_to_a_fence_is_refused)
{
	struct dmabuf_sync *sync;
	struct dma_buf *dmabuf = dmabuf_locked(&sync, "job", DMA_BUF_ACCESS_W);
	struct dma_fence *fence = fence_new();

	ASSERT_ERR(dmabuf_sync_unlock_fence(NULL, fence), EFAULT);
	ASSERT_ERR(dmabuf_sync_unlock_fence(sync, NULL), EINVAL);
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_ERR(dmabuf_sync_unlock_fence(sync, fence), EAGAIN);
	/* Granted is not yet locked. */
	ASSERT_OK(dmabuf_sync_lock_async(sync, 1000, NULL));
	ASSERT_ERR(dmabuf_sync_unlock_fence(sync, fence), EAGAIN);
	dma_fence_put(fence);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

/* A device of a chain: in the callback of its grant it starts, and leaves its unlock to its fence.
 */
struct stage {
	struct dma_fence_cb cb;
	struct dmabuf_sync *sync;
	struct dma_fence *job;
	atomic_int *order;
	int started_as;
};

static void start_device(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct stage *stage = (struct stage *)cb;

	ASSERT_OK(dmabuf_sync_lock_finish(stage->sync));
	stage->started_as = atomic_fetch_add(stage->order, 1);
	ASSERT_OK(dmabuf_sync_unlock_fence(stage->sync, stage->job));
}

static bool started(void *arg)
{
	return atomic_load((atomic_int *)arg) == 3;
}

TEST(E4_jobs_submitted_before_their_inputs_are_ready_start_one_by_one_without_the_application)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct stage stages[3];
	struct dma_fence *granted[3];
	atomic_int order = 0;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		stages[i] = (struct stage){ .order = &order, .job = fence_new() };
		stages[i].sync = sync_of("device", dmabuf,
					 i == 1 ? DMA_BUF_ACCESS_DMA_RW : DMA_BUF_ACCESS_DMA_W);
		granted[i] = ask(stages[i].sync, 40000);
		if (dma_fence_add_callback(granted[i], &stages[i].cb, start_device))
			start_device(granted[i], &stages[i].cb);
	}
	ASSERT_EQ(order, 1);
	ASSERT_OK(dma_fence_signal(stages[0].job));
	ASSERT_EQ(fence_result(granted[1]), 1);
	still_waits(granted[2]);
	ASSERT_OK(dma_fence_signal(stages[1].job));
	ASSERT_EQ(fence_result(granted[2]), 1);
	ASSERT(eventually(started, &order, 20000));
	ASSERT_OK(dma_fence_signal(stages[2].job));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(stages[i].started_as, i);
		dmabuf_sync_fini(stages[i].sync);
		dma_fence_put(stages[i].job);
		dma_fence_put(granted[i]);
	}
	dma_buf_put(dmabuf);
}
