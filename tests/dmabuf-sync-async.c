// SPDX-License-Identifier: MIT
/* Locks that are asked for now and taken over later, beside those of other processes. */
#include "async.h"

TEST(D7_what_is_free_is_granted_at_once)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("test", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *fence = ask(sync, 20000);

	ASSERT_EQ(dma_fence_get_status(fence), 1);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 1);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 0);
	dma_fence_put(fence);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D7_a_fence_tells_whose_lock_it_is)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("compositor", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *first = ask(sync, 20000), *second;
	char text[160];

	ASSERT_OK(dmabuf_sync_cancel(sync));
	second = ask(sync, 20000);
	ASSERT_OK(dmabuf_sync_cancel(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	/* It outlives the object. */
	ASSERT_OK(dma_fence_describe(first, text, sizeof(text)));
	ASSERT_STR_CONTAINS(text, "dmabuf-sync compositor seq 1 signalled");
	ASSERT(dma_fence_is_later(second, first));
	dma_fence_put(first);
	dma_fence_put(second);
}

TEST(D7_locks_are_granted_in_the_order_in_which_they_were_asked_for_in_all_processes)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *a, *b;
	struct remote first, third;
	struct dma_fence *second, *fourth;

	remote_with(&first, "first", dmabuf, DMA_BUF_ACCESS_W);
	remote_with(&third, "third", dmabuf, DMA_BUF_ACCESS_R);
	a = sync_of("second", dmabuf, DMA_BUF_ACCESS_W);
	b = sync_of("fourth", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&first, 0));
	second = ask(a, 40000);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 1);
	remote_queue(&third, dmabuf, 2);
	fourth = ask(b, 40000);
	still_waits(second);
	ASSERT_ERR(dmabuf_sync_lock_finish(a), EAGAIN);
	ASSERT_OK(remote_unlock(&first));
	take(a, second);
	ASSERT(!remote_is_done(&third));
	ASSERT_OK(dmabuf_sync_unlock(a));
	ASSERT_OK(remote_answer(&third).ret);
	still_waits(fourth);
	ASSERT_OK(remote_unlock(&third));
	take(b, fourth);
	ASSERT_OK(dmabuf_sync_unlock(b));
	remote_end(&first);
	remote_end(&third);
	dmabuf_sync_fini(a);
	dmabuf_sync_fini(b);
	dma_buf_put(dmabuf);
}

TEST(D7_asynchronous_readers_share)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *a, *b;
	struct dma_fence *fa, *fb;
	struct remote writer, reader;

	remote_with(&writer, "writer", dmabuf, DMA_BUF_ACCESS_W);
	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	a = sync_of("a", dmabuf, DMA_BUF_ACCESS_R);
	b = sync_of("b", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(remote_lock(&writer, 0));
	fa = ask(a, 40000);
	fb = ask(b, 40000);
	remote_queue(&reader, dmabuf, 3);
	ASSERT_OK(remote_unlock(&writer));
	take(a, fa);
	take(b, fb);
	ASSERT_OK(remote_answer(&reader).ret);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 3);
	ASSERT_OK(dmabuf_sync_unlock(a));
	ASSERT_OK(dmabuf_sync_unlock(b));
	remote_end(&writer);
	remote_end(&reader);
	dmabuf_sync_fini(a);
	dmabuf_sync_fini(b);
	dma_buf_put(dmabuf);
}

TEST(D4_a_group_is_taken_one_buffer_at_a_time_in_ascending_order)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *sync, *other;
	struct dma_fence *fence;
	struct remote low, high;

	ordered_buffers(dmabuf);
	remote_with(&low, "low", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_with(&high, "high", dmabuf[1], DMA_BUF_ACCESS_W);
	sync = sync_of("both", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf[0], DMA_BUF_ACCESS_W));
	other = sync_of("other", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&low, 0));
	fence = ask(sync, 40000);
	/* Nothing is wanted of the second yet. */
	ASSERT_OK(dmabuf_sync_trylock(other));
	ASSERT_OK(dmabuf_sync_unlock(other));
	ASSERT_OK(remote_lock(&high, 1000));
	ASSERT_OK(remote_unlock(&low));
	/* Now the first is held and the second waited for. */
	until_accesses(dmabuf[1], DMA_BUF_ACCESS_WAITING, 1);
	ASSERT_ERR(remote_lock(&low, 0), EBUSY);
	still_waits(fence);
	ASSERT_OK(remote_unlock(&high));
	take(sync, fence);
	ASSERT_ERR(dmabuf_sync_trylock(other), EBUSY);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	remote_end(&low);
	remote_end(&high);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D7_a_timeout_says_who_was_in_the_way_and_leaves_nothing_held)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *sync, *other;
	struct remote holder;

	ordered_buffers(dmabuf);
	remote_with(&holder, "camera", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&holder, 0));
	sync = sync_of("both", dmabuf[0], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf[1], DMA_BUF_ACCESS_R));
	ends(ask(sync, slow_ms(50)), -ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "camera (pid");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "has it to write");
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), 0);
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_WAITING), 0);
	/* It is over, and may be asked for again, also without a look at how the last one ended. */
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EINVAL);
	ends(ask(sync, slow_ms(20)), -ETIMEDOUT);
	ends(ask(sync, slow_ms(20)), -ETIMEDOUT);
	other = sync_of("other", dmabuf[0], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_trylock(other));
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	dmabuf_sync_fini(other);
	remote_end(&holder);
	ASSERT_OK(dmabuf_sync_lock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D7_who_withdraws_makes_room_for_the_next)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *a, *b;
	struct dma_fence *fa, *fb;
	struct remote reader;

	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	a = sync_of("writer", dmabuf, DMA_BUF_ACCESS_W);
	b = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(remote_lock(&reader, 0));
	fa = ask(a, 40000);
	fb = ask(b, 40000);
	still_waits(fb);
	ASSERT_OK(dmabuf_sync_cancel(a));
	ends(fa, -ECANCELED);
	ASSERT_ERR(dmabuf_sync_cancel(a), EINVAL);
	take(b, fb);
	/* What was granted is given back as well. */
	ASSERT_OK(dmabuf_sync_unlock(b));
	ends(ask(b, 1000), 1);
	ASSERT_OK(dmabuf_sync_cancel(b));
	ASSERT_OK(remote_unlock(&reader));
	ASSERT_OK(dmabuf_sync_trylock(a));
	ASSERT_OK(dmabuf_sync_unlock(a));
	remote_end(&reader);
	dmabuf_sync_fini(a);
	dmabuf_sync_fini(b);
	dma_buf_put(dmabuf);
}

TEST(D7_an_object_that_goes_withdraws)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *sync = sync_of("waits", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock(holder));
	fence = ask(sync, 40000);
	dmabuf_sync_fini(sync);
	ends(fence, -ECANCELED);
	sync = sync_of("puts", dmabuf, DMA_BUF_ACCESS_W);
	fence = ask(sync, 40000);
	dmabuf_sync_put(sync, dmabuf);
	ends(fence, -ECANCELED);
	ASSERT_ERR(dmabuf_sync_lock(sync), EINVAL);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 0);
	ASSERT_OK(dmabuf_sync_unlock(holder));
	/* Granted, and not taken over. */
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	ends(ask(sync, 20000), 1);
	dmabuf_sync_fini(sync);
	ASSERT_OK(dmabuf_sync_trylock(holder));
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

TEST(D7_an_object_that_waits_refuses_what_would_change_it)
{
	struct dma_buf *dmabuf = buffer_new("frame"), *more = buffer_new("more");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *sync = sync_of("waits", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *empty = sync_of("empty", NULL, 0);
	struct dma_fence *fence = NULL;

	ASSERT_ERR(dmabuf_sync_lock_async(NULL, 1, &fence), EFAULT);
	ASSERT_ERR(dmabuf_sync_lock_async(empty, 1, &fence), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_async(sync, -1, &fence), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_after(sync, NULL, 1, 1, &fence), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_finish(NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EINVAL);
	ASSERT_ERR(dmabuf_sync_cancel(NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_cancel(sync), EINVAL);
	ASSERT_OK(dmabuf_sync_lock(holder));
	ASSERT_ERR(dmabuf_sync_lock_async(holder, 1, &fence), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_async(sync, 0, &fence), ETIMEDOUT);
	ASSERT(!fence);
	/* Without a fence it can be asked as well. */
	ASSERT_OK(dmabuf_sync_lock_async(sync, 40000, NULL));
	ASSERT_ERR(dmabuf_sync_lock_async(sync, 1, NULL), EBUSY);
	ASSERT_ERR(dmabuf_sync_lock(sync), EBUSY);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT_ERR(dmabuf_sync_get(sync, more, DMA_BUF_ACCESS_R), EBUSY);
	ASSERT_ERR(dmabuf_sync_set_lease(sync, 10), EBUSY);
	ASSERT_ERR(dmabuf_sync_set_claim(sync, 10), EBUSY);
	ASSERT_ERR(dmabuf_sync_fd(sync), EBUSY);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_unlock(holder));
	while (dmabuf_sync_lock_finish(sync) == -EAGAIN)
		sched_yield();
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EINVAL);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(holder);
	dmabuf_sync_fini(empty);
	dma_buf_put(dmabuf);
	dma_buf_put(more);
}

TEST(D5_the_dead_keep_no_asynchronous_lock_waiting_and_it_is_told)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dma_buf_access_info torn;
	struct dmabuf_sync *sync;
	struct dma_fence *fence;
	struct remote holder;

	remote_with(&holder, "camera", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&holder, 0));
	sync = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);
	fence = ask(sync, 40000);
	still_waits(fence);
	remote_kill(&holder);
	ends(fence, -EOWNERDEAD);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EOWNERDEAD);
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_EQ(dmabuf_sync_get_torn(sync, dmabuf, &torn, 1), 1);
	ASSERT_STR_EQ(torn.label, "camera");
	ASSERT_OK(dmabuf_sync_repaired(sync, dmabuf));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ends(ask(sync, 20000), 1);
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D5_the_frozen_lose_their_lease_to_an_asynchronous_lock)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync;
	struct remote holder;

	remote_with(&holder, "frozen", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(remote_do(&holder, (struct order){ .kind = ORDER_LEASE, .value = 100 }));
	ASSERT_OK(remote_lock(&holder, 0));
	remote_stop(&holder);
	sync = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);
	take(sync, ask(sync, 40000));
	remote_go_on(&holder);
	ASSERT_ERR(remote_unlock(&holder), ETIMEDOUT);
	ASSERT(dmabuf_sync_is_locked(sync));
	remote_end(&holder);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D5_a_grant_that_is_not_taken_over_ends_with_its_lease)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync;
	struct remote next;

	remote_with(&next, "next", dmabuf, DMA_BUF_ACCESS_W);
	sync = sync_of("late", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_set_lease(sync, 100));
	ends(ask(sync, 20000), 1);
	ASSERT_OK(remote_lock(&next, 20000));
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "lease of 100 ms");
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	remote_end(&next);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D5_torn_content_that_was_granted_and_not_used_stays_torn)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *sync, *reader;
	struct remote dies, holder;

	ordered_buffers(dmabuf);
	remote_with(&dies, "dies", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_with(&holder, "holder", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&dies, 0));
	ASSERT_OK(remote_lock(&holder, 0));
	remote_kill(&dies);
	sync = sync_of("both", dmabuf[0], DMA_BUF_ACCESS_W);
	reader = sync_of("reader", dmabuf[0], DMA_BUF_ACCESS_R);
	/* Cancelled when it was granted, */
	ends(ask(sync, 20000), -EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_cancel(sync));
	ASSERT_ERR(dmabuf_sync_lock(reader), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(reader));
	/* and as a part of a group that was not had, asynchronously or not. */
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf[1], DMA_BUF_ACCESS_W));
	ends(ask(sync, slow_ms(50)), -ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 50), ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	ASSERT_ERR(dmabuf_sync_lock(reader), EOWNERDEAD);
	remote_end(&holder);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(reader);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

static int asks_and_waits(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("dies", dmabuf, DMA_BUF_ACCESS_W);

	ask(sync, 40000);
	peer_tell(peer);
	peer_wait(peer);
	return 1;
}

TEST(D5_a_process_that_dies_while_it_waits_or_was_granted_is_forgotten)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct peer waiting, granted;
	struct dmabuf_sync *sync;

	peer_start(&granted, dmabuf, asks_and_waits, NULL);
	peer_wait(&granted);
	peer_start(&waiting, dmabuf, asks_and_waits, NULL);
	peer_wait(&waiting);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 1);
	sync = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_lock_async(sync, 40000, NULL));
	peer_kill(&waiting);
	peer_kill(&granted);
	while (dmabuf_sync_lock_finish(sync) == -EAGAIN)
		sched_yield();
	ASSERT(dmabuf_sync_is_locked(sync));
	/* A writer may have written as soon as he was granted. */
	ASSERT_EQ(dmabuf_sync_get_torn(sync, dmabuf, NULL, 0), 1);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
