// SPDX-License-Identifier: MIT
/*
 * Reservation objects of buffers: this process's fences as others meet them, and what others have
 * as fences here. Rows E2 and E3.
 */
#include <dmabuf.h>

#include <sys/syscall.h>

#include "resv-remote.h"

#define KERNEL DMA_RESV_USAGE_KERNEL
#define WRITE DMA_RESV_USAGE_WRITE
#define READ DMA_RESV_USAGE_READ
#define BOOKKEEP DMA_RESV_USAGE_BOOKKEEP

struct pair {
	struct dma_buf *b;
	struct remote remote;
};

static struct dma_resv *pair_begin(struct pair *p)
{
	ASSERT((p->b = dma_buf_alloc("x", 4096, O_RDWR)));
	remote_start(&p->remote, &p->b, 1);
	return p->b->resv;
}

static void pair_end(struct pair *p)
{
	remote_end(&p->remote);
	dma_buf_put(p->b);
}

static void add(struct dma_resv *obj, struct dma_fence *fence, enum dma_resv_usage usage)
{
	ASSERT_OK(dma_resv_lock(obj, NULL));
	ASSERT_OK(dma_resv_reserve_fences(obj, 1));
	ASSERT_OK(dma_resv_add_fence(obj, fence, usage));
	ASSERT_OK(dma_resv_unlock(obj));
}

/* Does the remote's lock of @type wait for @fence, and only for that? */
static void remote_waits_for(struct pair *p, long type, struct dma_fence *fence)
{
	remote_send(&p->remote, (struct command){ ORDER_SYNC_LOCK, 0, type, 0 });
	remote_waits(&p->remote, p->b, false);
	ASSERT(!remote_answered(&p->remote));
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(remote_answer(&p->remote));
	ASSERT_OK(remote_call(&p->remote, ORDER_SYNC_UNLOCK, 0, 0));
}

/* The only fence that is not signalled, with a reference. */
static struct dma_fence *only_fence(struct dma_resv *obj, enum dma_resv_usage usage)
{
	struct dma_fence **fences, *fence;
	unsigned int count;

	ASSERT_OK(dma_resv_get_fences(obj, usage, &count, &fences));
	ASSERT_EQ(count, 1);
	fence = fences[0];
	free(fences);
	return fence;
}

TEST(E2_a_write_fence_keeps_other_processes_away_until_it_is_signalled)
{
	struct dma_fence *fence = fence_new();
	struct pair p;

	add(pair_begin(&p), fence, WRITE);
	ASSERT_EQ(accesses(p.b, getpid(), false, DMA_BUF_ACCESS_HELD), 1);
	remote_waits_for(&p, DMA_BUF_ACCESS_R, fence);
	ASSERT_EQ(accesses(p.b, getpid(), false, DMA_BUF_ACCESS_HELD), 0);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_a_kernel_fence_is_for_everybody)
{
	struct dma_fence *fence = fence_new();
	struct pair p;

	add(pair_begin(&p), fence, KERNEL);
	remote_waits_for(&p, DMA_BUF_ACCESS_R, fence);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_a_read_fence_keeps_writers_away_only)
{
	struct dma_fence *fence = fence_new();
	struct pair p;

	add(pair_begin(&p), fence, READ);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_R));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	remote_waits_for(&p, DMA_BUF_ACCESS_W, fence);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_bookkeeping_is_no_business_of_others)
{
	struct dma_fence *fence = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	add(obj, fence, BOOKKEEP);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT(dma_resv_test_signaled(obj, READ));
	ASSERT(!dma_resv_test_signaled(obj, BOOKKEEP));
	ASSERT_OK(dma_fence_signal(fence));
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_fences_queue_in_the_order_in_which_they_were_added)
{
	struct dma_fence *first = fence_new(), *second = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	add(obj, first, WRITE);
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	remote_waits(&p.remote, p.b, false);
	add(obj, second, WRITE);
	/* The second one can end before it has its turn. */
	ASSERT_EQ(accesses(p.b, getpid(), false, DMA_BUF_ACCESS_WAITING), 1);
	ASSERT_OK(dma_fence_signal(second));
	ASSERT_EQ(accesses(p.b, getpid(), false, DMA_BUF_ACCESS_WAITING), 0);
	ASSERT(!remote_answered(&p.remote));
	ASSERT_OK(dma_fence_signal(first));
	ASSERT_OK(remote_answer(&p.remote));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dma_fence_put(first);
	dma_fence_put(second);
	pair_end(&p);
}

TEST(E2_room_is_reserved_with_the_object_locked)
{
	struct dma_fence *fence = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_ERR(dma_resv_reserve_fences(obj, 1), EPERM);
	ASSERT_ERR(dma_resv_add_fence(obj, fence, WRITE), EPERM);
	/* Another process's lock is not this one's. */
	ASSERT_OK(remote_call(&p.remote, ORDER_LOCK_PLAIN, 0, 0));
	ASSERT_ERR(dma_resv_reserve_fences(obj, 1), EPERM);
	ASSERT_OK(remote_call(&p.remote, ORDER_UNLOCK, 0, 0));
	ASSERT_OK(dma_resv_lock(obj, NULL));
	ASSERT_ERR(dma_resv_reserve_fences(obj, 0), EINVAL);
	ASSERT_ERR(dma_resv_add_fence(obj, fence, WRITE), ENOSPC);
	/* More than the buffer's reservation has room for. */
	ASSERT_ERR(dma_resv_reserve_fences(obj, DMA_BUF_MAX_ACCESSES + 1), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "entries");
	ASSERT_OK(dma_resv_unlock(obj));
	/* What was had of it went back with the lock. */
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT_OK(dma_fence_signal(fence));
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_a_lock_of_another_process_is_a_fence_here)
{
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT(dma_resv_test_signaled(obj, BOOKKEEP));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT(!dma_resv_test_signaled(obj, WRITE));
	ASSERT(dma_resv_test_signaled(obj, KERNEL));
	ASSERT_EQ(dma_resv_wait_timeout(obj, WRITE, false, 0), 0);
	ASSERT_EQ(dma_resv_wait_timeout(obj, WRITE, true, 20), 0);
	fence = only_fence(obj, WRITE);
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	ASSERT_STR_EQ(fence->ops->get_driver_name(fence), "remote");
	remote_send(&p.remote, (struct command){ ORDER_SYNC_UNLOCK, 0, 0, 0 });
	ASSERT(dma_resv_wait_timeout(obj, WRITE, false, 20000) > 0);
	ASSERT_OK(remote_answer(&p.remote));
	ASSERT_EQ(dma_fence_get_status(fence), 1);
	ASSERT(dma_resv_test_signaled(obj, BOOKKEEP));
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_a_reader_of_another_process_matters_to_writers)
{
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_R));
	ASSERT(dma_resv_test_signaled(obj, dma_resv_usage_rw(false)));
	ASSERT(!dma_resv_test_signaled(obj, dma_resv_usage_rw(true)));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT(dma_resv_test_signaled(obj, dma_resv_usage_rw(true)));
	pair_end(&p);
}

TEST(E2_a_fence_of_another_process_keeps_its_usage)
{
	static const enum dma_resv_usage usages[] = { KERNEL, WRITE, READ };
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_OK(remote_call(&p.remote, ORDER_ADD_FENCE, 0, usages[i]));
		ASSERT(!dma_resv_test_signaled(obj, usages[i]));
		ASSERT(!i || dma_resv_test_signaled(obj, usages[i] - 1));
		fence = only_fence(obj, BOOKKEEP);
		ASSERT_STR_EQ(fence->ops->get_driver_name(fence), "camera");
		ASSERT_OK(remote_call(&p.remote, ORDER_SIGNAL, 0, 0));
		ASSERT_EQ(dma_fence_wait_timeout(fence, false, 20000) > 0, 1);
		ASSERT_EQ(dma_fence_get_status(fence), 1);
		dma_fence_put(fence);
	}
	pair_end(&p);
}

TEST(E2_a_fence_stands_for_one_hold_and_not_for_the_next)
{
	struct dma_fence *first, *second;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	first = only_fence(obj, READ);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_EQ(dma_fence_get_status(first), 1);
	second = only_fence(obj, READ);
	ASSERT(second != first);
	ASSERT_EQ(dma_fence_get_status(second), 0);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT_EQ(dma_fence_get_status(second), 1);
	dma_fence_put(first);
	dma_fence_put(second);
	pair_end(&p);
}

static bool was_called(void *arg)
{
	return ((struct counting_cb *)arg)->calls == 1;
}

TEST(E2_callbacks_for_other_processes_are_called_without_anybody_waiting)
{
	struct counting_cb cb = { .calls = 0 };
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	fence = only_fence(obj, READ);
	ASSERT_OK(dma_fence_add_callback(fence, &cb.base, counting_call));
	ASSERT_EQ(cb.calls, 0);
	/* Nobody else keeps it. */
	dma_fence_put(fence);
	ASSERT_EQ(cb.calls, 0);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT(eventually(was_called, &cb, 20000));
	pair_end(&p);
}

TEST(E3_a_fence_of_the_dead_ends_with_EOWNERDEAD)
{
	struct dma_fence *fence, *other;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	fence = only_fence(obj, READ);
	other = only_fence(obj, READ);
	remote_kill(&p.remote);
	ASSERT(dma_fence_wait_timeout(fence, false, 20000) > 0);
	ASSERT_ERR(dma_fence_get_status(fence), EOWNERDEAD);
	/* Somebody else cleaned up, which tells as much. */
	ASSERT_ERR(dma_fence_get_status(other), EOWNERDEAD);
	ASSERT(dma_resv_test_signaled(obj, BOOKKEEP));
	dma_fence_put(fence);
	dma_fence_put(other);
	dma_buf_put(p.b);
}

TEST(E3_a_fence_of_the_dead_ends_also_if_it_is_only_asked)
{
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_ADD_FENCE, 0, READ));
	fence = only_fence(obj, READ);
	remote_kill(&p.remote);
	while (!dma_fence_is_signaled(fence))
		usleep(1000);
	ASSERT_ERR(dma_fence_get_status(fence), EOWNERDEAD);
	dma_fence_put(fence);
	dma_buf_put(p.b);
}

TEST(E3_a_stopped_holder_s_fence_ends_with_its_lease)
{
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(dma_buf_set_max_lease(p.b, 50));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	fence = only_fence(obj, READ);
	kill(p.remote.pid, SIGSTOP);
	ASSERT(dma_fence_wait_timeout(fence, false, 20000) > 0);
	ASSERT_ERR(dma_fence_get_status(fence), ETIMEDOUT);
	kill(p.remote.pid, SIGCONT);
	ASSERT_ERR(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0), ETIMEDOUT);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E3_a_job_that_outlives_its_lease_blocks_until_it_is_done)
{
	struct dma_fence *fence = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(dma_buf_set_max_lease(p.b, 20));
	add(obj, fence, WRITE);
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	while (!accesses(p.b, getpid(), false, DMA_BUF_ACCESS_DRAINING))
		usleep(1000);
	ASSERT(!remote_answered(&p.remote));
	ASSERT_OK(dma_fence_signal(fence));
	/* The next one is told that it came late. */
	ASSERT_ERR(remote_answer(&p.remote), EOWNERDEAD);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E3_a_job_that_failed_leaves_torn_content)
{
	struct dma_fence *fence;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_ADD_FENCE, 0, WRITE));
	fence = only_fence(obj, WRITE);
	ASSERT_OK(remote_call(&p.remote, ORDER_SIGNAL, 0, -ENODATA));
	ASSERT(dma_fence_wait_timeout(fence, false, 20000) > 0);
	ASSERT_ERR(dma_fence_get_status(fence), EIO);
	ASSERT_ERR(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W), EOWNERDEAD);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_a_locked_look_needs_no_references)
{
	struct dma_fence *fence, *own = fence_new(), *seen = NULL;
	struct dma_resv_iter cursor;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);
	unsigned int round, count;

	add(obj, own, READ);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_R));
	ASSERT_OK(dma_resv_lock(obj, NULL));
	for (round = 0; round < 2; round++) {
		count = 0;
		dma_resv_for_each_fence(&cursor, obj, READ, fence) {
			ASSERT_EQ(dma_resv_iter_usage(&cursor), READ);
			ASSERT_EQ(dma_resv_iter_is_restarted(&cursor), count == 0);
			if (count++ == 0)
				ASSERT(fence == own);
			else if (!round)
				seen = fence;
			else
				/* The same hold is the same fence as long as the lock is held. */
				ASSERT(fence == seen);
		}
		ASSERT_EQ(count, 2);
	}
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT_EQ(dma_fence_get_status(seen), 1);
	ASSERT_OK(dma_resv_unlock(obj));
	ASSERT_OK(dma_fence_signal(own));
	dma_fence_put(own);
	pair_end(&p);
}

TEST(E2_all_of_them_can_be_had_as_one_and_copied)
{
	struct dma_fence *own = fence_new(), *one;
	struct dma_resv private;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	dma_resv_init(&private);
	add(obj, own, WRITE);
	ASSERT_OK(dma_resv_get_singleton(obj, READ, &one));
	ASSERT(one == own);
	dma_fence_put(one);
	ASSERT_OK(dma_fence_signal(own));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_OK(dma_resv_lock(&private, NULL));
	ASSERT_OK(dma_resv_copy_fences(&private, obj));
	ASSERT_OK(dma_resv_unlock(&private));
	ASSERT(!dma_resv_test_signaled(&private, WRITE));
	ASSERT_OK(dma_resv_get_singleton(&private, READ, &one));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	ASSERT(dma_resv_wait_timeout(&private, WRITE, false, 20000) > 0);
	ASSERT_EQ(dma_fence_get_status(one), 1);
	dma_fence_put(one);
	dma_resv_fini(&private);
	dma_fence_put(own);
	pair_end(&p);
}

TEST(E2_what_is_copied_into_a_buffer_s_object_keeps_others_away_too)
{
	struct dma_fence *fence = fence_new();
	struct dma_resv private;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	dma_resv_init(&private);
	add(&private, fence, WRITE);
	ASSERT_OK(dma_resv_lock(obj, NULL));
	ASSERT_OK(dma_resv_copy_fences(obj, &private));
	ASSERT_OK(dma_resv_unlock(obj));
	remote_waits_for(&p, DMA_BUF_ACCESS_R, fence);
	dma_resv_fini(&private);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_what_replaces_a_fence_keeps_its_place_in_the_queue)
{
	struct dma_fence *old = fence_new(), *new = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	add(obj, old, WRITE);
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	remote_waits(&p.remote, p.b, false);
	ASSERT_OK(dma_resv_lock(obj, NULL));
	dma_resv_replace_fences(obj, old->context, new, READ);
	ASSERT_OK(dma_resv_unlock(obj));
	ASSERT_OK(dma_fence_signal(old));
	ASSERT_EQ(accesses(p.b, getpid(), false, DMA_BUF_ACCESS_HELD), 1);
	ASSERT(!remote_answered(&p.remote));
	ASSERT_OK(dma_fence_signal(new));
	ASSERT_OK(remote_answer(&p.remote));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dma_fence_put(old);
	dma_fence_put(new);
	pair_end(&p);
}

TEST(E2_a_fence_that_becomes_bookkeeping_lets_others_in)
{
	struct dma_fence *old = fence_new(), *new = fence_new();
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	add(obj, old, WRITE);
	ASSERT_OK(dma_resv_lock(obj, NULL));
	dma_resv_replace_fences(obj, old->context, new, BOOKKEEP);
	ASSERT_OK(dma_resv_unlock(obj));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_OK(dma_fence_signal(old));
	ASSERT_OK(dma_fence_signal(new));
	dma_fence_put(old);
	dma_fence_put(new);
	pair_end(&p);
}

TEST(E2_a_handle_stays_until_its_fences_have_ended)
{
	struct dma_fence *fence = fence_new();
	struct pair p;

	add(pair_begin(&p), fence, WRITE);
	dma_buf_put(p.b);
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	/* Our look needs a handle that we have no more; it is in the queue when it does not answer.
	 */
	usleep(20000);
	ASSERT(!remote_answered(&p.remote));
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(remote_answer(&p.remote));
	dma_fence_put(fence);
	remote_end(&p.remote);
}

static int adopts_and_goes(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_fence *fence = fence_new(), *theirs;

	add(dmabuf->resv, fence, READ);
	theirs = only_fence(dmabuf->resv, WRITE);
	dma_buf_put(dmabuf);
	peer_tell(peer);
	peer_wait(peer);
	ASSERT(dma_fence_wait_timeout(theirs, false, 20000) > 0);
	ASSERT_OK(dma_fence_signal(fence));
	dma_fence_put(fence);
	dma_fence_put(theirs);
	return 0;
}

TEST(E2_an_importer_s_handle_stays_until_its_fences_have_ended)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_fence *fence = fence_new();
	struct peer peer;

	add(dmabuf->resv, fence, WRITE);
	peer_start(&peer, dmabuf, adopts_and_goes, NULL);
	peer_wait(&peer);
	ASSERT(!dma_resv_test_signaled(dmabuf->resv, READ));
	ASSERT_OK(dma_fence_signal(fence));
	peer_tell(&peer);
	ASSERT(dma_resv_wait_timeout(dmabuf->resv, READ, false, 20000) > 0);
	peer_end(&peer);
	dma_fence_put(fence);
	dma_buf_put(dmabuf);
}

TEST(E2_nobody_waits_for_himself)
{
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "self");
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(dmabuf_sync_get(sync, p.b, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_lock(sync));
	/* Own locks are no fences, nor what waits for them; */
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	remote_waits(&p.remote, p.b, false);
	ASSERT(dma_resv_test_signaled(obj, BOOKKEEP));
	ASSERT(dma_resv_wait_timeout(obj, READ, false, 20000) > 0);
	/* and adding a fence meanwhile does not block. */
	add(obj, fence, WRITE);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_OK(remote_answer(&p.remote));
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dmabuf_sync_fini(sync);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_who_holds_the_memory_hands_its_hold_over_to_the_fence)
{
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "self");
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(dmabuf_sync_get(sync, p.b, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_lock(sync));
	remote_send(&p.remote, (struct command){ ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W, 0 });
	remote_waits(&p.remote, p.b, false);
	add(obj, fence, WRITE);
	/* Nobody comes between the hold and what is done in it. */
	ASSERT_OK(dmabuf_sync_unlock_fence(sync, fence));
	ASSERT(!remote_answered(&p.remote));
	ASSERT(!dma_resv_test_signaled(obj, WRITE));
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_OK(remote_answer(&p.remote));
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_UNLOCK, 0, 0));
	dmabuf_sync_fini(sync);
	dma_fence_put(fence);
	pair_end(&p);
}

TEST(E2_fences_of_two_processes_wait_for_each_other_in_turn)
{
	struct dma_fence *fence = fence_new(), *theirs;
	struct pair p;
	struct dma_resv *obj = pair_begin(&p);

	ASSERT_OK(remote_call(&p.remote, ORDER_ADD_FENCE, 0, WRITE));
	/* What our job has to wait for is what is there when it is added. */
	theirs = only_fence(obj, WRITE);
	add(obj, fence, WRITE);
	ASSERT_EQ(remote_call(&p.remote, ORDER_TEST, 0, WRITE), 0);
	ASSERT_EQ(dma_fence_get_status(theirs), 0);
	ASSERT_OK(remote_call(&p.remote, ORDER_SIGNAL, 0, 0));
	ASSERT(dma_fence_wait_timeout(theirs, false, 20000) > 0);
	remote_send(&p.remote, (struct command){ ORDER_WAIT, 0, WRITE, 0 });
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT(remote_answer(&p.remote) > 0);
	dma_fence_put(fence);
	dma_fence_put(theirs);
	pair_end(&p);
}

static int looks_as_child(void *arg)
{
	struct dma_buf *dmabuf = arg;

	ASSERT(dma_resv_test_signaled(dmabuf->resv, BOOKKEEP));
	ASSERT_ERR(dma_resv_assert_held(dmabuf->resv), EPERM);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(E2_a_forked_child_sees_nothing_there)
{
	struct pair p;

	pair_begin(&p);
	ASSERT_OK(remote_call(&p.remote, ORDER_SYNC_LOCK, 0, DMA_BUF_ACCESS_W));
	ASSERT_EQ(reap(spawn(looks_as_child, p.b)), 0);
	pair_end(&p);
}

TEST(D1_a_buffer_without_a_reservation_is_EFAULT)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "x");
	struct dma_resv *resv = dmabuf->resv;

	dmabuf->resv = NULL;
	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R), EFAULT);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true), EFAULT);
	dmabuf->resv = resv;
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
