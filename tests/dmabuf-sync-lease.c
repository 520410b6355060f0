// SPDX-License-Identifier: MIT
/*
 * Leases: a hold of a process that is stopped ends when somebody waits, and its late unlock says so
 * and changes nothing. Time passes in waits that end by their deadline.
 */
#include <pthread.h>

#include "sync.h"

#define SHORT_LEASE 20

static void lease(struct remote *r, long ms)
{
	ASSERT_OK(remote_do(r, (struct order){ .kind = ORDER_LEASE, .value = ms }));
}

/* A remote that has the buffer, and does not run. */
static void hold_and_stop(struct remote *r, struct dma_buf *dmabuf, unsigned int type, long ms)
{
	remote_with(r, "sleeper", dmabuf, type);
	lease(r, ms);
	ASSERT_OK(remote_lock(r, 0));
	remote_stop(r);
}

TEST(D5_a_stopped_writers_hold_goes_to_who_waits_and_its_late_unlock_changes_nothing)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *other = sync_of("other", dmabuf, DMA_BUF_ACCESS_R);
	struct answer answer;
	struct remote r;
	int64_t began;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_W, SHORT_LEASE);
	began = now_ms();
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT(now_ms() - began >= SHORT_LEASE);
	ASSERT_EQ(peer_info(dmabuf).counters.leases_lost, 1);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_LOST), 1);

	remote_go_on(&r);
	ASSERT_EQ(remote_do(&r, (struct order){ .kind = ORDER_IS_LOCKED }), 0);
	remote_ask(&r, (struct order){ .kind = ORDER_UNLOCK });
	answer = remote_answer(&r);
	ASSERT_EQ(answer.ret, -ETIMEDOUT);
	ASSERT_STR_CONTAINS(answer.words, "sleeper");
	ASSERT_STR_CONTAINS(answer.words, "20 ms");
	ASSERT_EQ(remote_unlock(&r), -EAGAIN);

	/* The new holder's is as it was. */
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_ERR(dmabuf_sync_trylock(other), EBUSY);
	ASSERT_EQ(remote_lock(&r, 0), -EBUSY);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	/* It wrote, so it answered for the content. */
	ASSERT_OK(dmabuf_sync_trylock(other));
	ASSERT_OK(dmabuf_sync_unlock(other));
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_OK(remote_unlock(&r));
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	remote_end(&r);
	dmabuf_sync_fini(other);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_stopped_readers_hold_goes_and_leaves_the_content_whole)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_R, SHORT_LEASE);
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_go_on(&r);
	ASSERT_EQ(remote_unlock(&r), -ETIMEDOUT);
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_OK(remote_unlock(&r));
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_late_unlock_after_the_successors_leaves_the_next_hold_alone)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_W, SHORT_LEASE);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	/* By now the fast path is in use again. */
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_go_on(&r);
	ASSERT_EQ(remote_unlock(&r), -ETIMEDOUT);
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_EQ(remote_lock(&r, 0), -EBUSY);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_nobody_waits_so_the_lease_does_not_matter)
{
	struct dma_buf *dmabuf = buffer_new("x"), *other = buffer_new("y");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *second = sync_of("second", other, DMA_BUF_ACCESS_W);
	struct remote r;

	ASSERT_OK(dmabuf_sync_set_lease(mine, 1));
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "other", other, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_ERR(dmabuf_sync_lock_timeout(second, 50), ETIMEDOUT);
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_EQ(peer_info(dmabuf).counters.leases_lost, 0);
	remote_end(&r);
	dmabuf_sync_fini(second);
	dmabuf_sync_fini(mine);
	dma_buf_put(other);
	dma_buf_put(dmabuf);
}

TEST(D5_leases_have_bounds)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_ERR(dmabuf_sync_set_lease(sync, 0), EINVAL);
	ASSERT_ERR(dmabuf_sync_set_lease(sync, DMABUF_SYNC_LEASE_MAX_MS + 1), EINVAL);
	ASSERT_OK(dmabuf_sync_set_lease(sync, 1));
	ASSERT_OK(dmabuf_sync_set_lease(sync, DMABUF_SYNC_LEASE_MAX_MS));
	ASSERT_ERR(dma_buf_set_max_lease(dmabuf, 0), EINVAL);
	ASSERT_ERR(dma_buf_set_max_lease(dmabuf, DMABUF_SYNC_LEASE_MAX_MS + 1), EINVAL);
	ASSERT_OK(dma_buf_set_max_lease(dmabuf, 1));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static int try_to_bound(struct peer *peer, struct dma_buf *dmabuf)
{
	ASSERT_ERR(dma_buf_set_max_lease(dmabuf, 100), EPERM);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(D5_the_exporter_bounds_leases_and_nobody_else)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct peer peer;
	struct remote r;

	peer_start(&peer, dmabuf, try_to_bound, NULL);
	peer_end(&peer);
	ASSERT_OK(dma_buf_set_max_lease(dmabuf, SHORT_LEASE));
	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_W, DMABUF_SYNC_LEASE_MAX_MS);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	remote_go_on(&r);
	ASSERT_EQ(remote_unlock(&r), -ETIMEDOUT);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* What the group that holds the one access to @dmabuf waits for. */
static uint64_t waited_for(struct dma_buf *dmabuf)
{
	struct dma_buf_info info = peer_info(dmabuf);

	ASSERT_EQ(info.access_count, 1);
	return info.accesses[0].waits_for;
}

TEST(D5_a_groups_lease_runs_from_its_last_grant)
{
	struct dmabuf_sync *high;
	struct dma_buf *dmabuf[2];
	struct remote group, waiter;

	ordered_buffers(dmabuf);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(high));
	remote_with(&group, "group", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_add(&group, dmabuf[1], DMA_BUF_ACCESS_W);
	lease(&group, 250);
	remote_queue(&group, dmabuf[1], 1);
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), 1);
	ASSERT(waited_for(dmabuf[0]) != 0);

	/* Two leases long, of the 16 that it may take, it is not complete, and keeps what it has.
	 */
	remote_with(&waiter, "waiter", dmabuf[0], DMA_BUF_ACCESS_W);
	ASSERT_EQ(remote_lock(&waiter, 500), -ETIMEDOUT);
	ASSERT_EQ(peer_info(dmabuf[0]).counters.leases_lost, 0);

	/* Complete, its lease begins. */
	ASSERT_OK(dmabuf_sync_unlock(high));
	ASSERT_OK(remote_answer(&group).ret);
	ASSERT_EQ(waited_for(dmabuf[0]), 0);
	remote_stop(&group);
	ASSERT_EQ(remote_lock(&waiter, 20000), -EOWNERDEAD);
	ASSERT_EQ(peer_info(dmabuf[0]).counters.leases_lost, 1);
	remote_go_on(&group);
	ASSERT_EQ(remote_unlock(&group), -ETIMEDOUT);
	remote_end(&waiter);
	remote_end(&group);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D5_a_group_that_lost_a_member_while_it_waited_for_another_gets_none)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *high;
	struct remote group, waiter;
	struct answer answer;

	ordered_buffers(dmabuf);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(high));
	remote_with(&group, "group", dmabuf[0], DMA_BUF_ACCESS_R);
	remote_add(&group, dmabuf[1], DMA_BUF_ACCESS_R);
	lease(&group, 2);
	remote_queue(&group, dmabuf[1], 1);
	remote_stop(&group);
	/* Not for ever: 16 leases. */
	remote_with(&waiter, "waiter", dmabuf[0], DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&waiter, 20000));
	ASSERT_OK(dmabuf_sync_unlock(high));
	remote_go_on(&group);
	answer = remote_answer(&group);
	ASSERT_EQ(answer.ret, -ETIMEDOUT);
	ASSERT_STR_CONTAINS(answer.words, "lost while another was waited for");
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_HELD), 0);
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), 1);
	ASSERT_EQ(remote_unlock(&group), -EAGAIN);
	ASSERT_OK(remote_unlock(&waiter));
	ASSERT_OK(remote_lock(&group, 0));
	remote_end(&group);
	remote_end(&waiter);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

static bool waited_until_lost(void *sync)
{
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 100), ETIMEDOUT);
	return strstr(dmabuf_last_error(), "lost it, but its device is not done");
}

TEST(D5_a_devices_hold_that_is_lost_still_blocks_until_it_is_given_back)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_DMA_W, SHORT_LEASE);
	ASSERT(eventually(waited_until_lost, mine, 60000));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_DRAINING), 1);
	ASSERT_EQ(peer_info(dmabuf).counters.leases_lost, 1);
	remote_go_on(&r);
	ASSERT_EQ(remote_unlock(&r), -ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_devices_hold_that_is_lost_goes_with_its_process)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_DMA_W, SHORT_LEASE);
	ASSERT(eventually(waited_until_lost, mine, 60000));
	remote_kill(&r);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_lost_hold_of_a_thread_is_noticed_by_a_look)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;

	ASSERT_OK(dmabuf_sync_set_lease(mine, 1));
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT(dmabuf_sync_is_locked(mine));
	remote_with(&r, "next", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
	ASSERT(!dmabuf_sync_is_locked(mine));
	/* Not asked to lock again before it has noticed. */
	ASSERT_ERR(dmabuf_sync_lock(mine), EINVAL);
	ASSERT_ERR(dmabuf_sync_unlock(mine), ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* The reader at the end is hindered by the writer only, who is hindered by the first one. */
TEST(D5_a_chain_of_stopped_processes_is_cleared_by_who_waits_behind_it)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote reader, writer;
	int ret;

	/* Long enough for the writer to be seen waiting, and be stopped, before it is over. */
	hold_and_stop(&reader, dmabuf, DMA_BUF_ACCESS_R, 3000);
	remote_with(&writer, "writer", dmabuf, DMA_BUF_ACCESS_W);
	lease(&writer, SHORT_LEASE);
	remote_ask(&writer, (struct order){ .kind = ORDER_LOCK, .value = 40000 });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	remote_stop(&writer);
	ret = dmabuf_sync_lock_timeout(mine, 20000);
	if (ret != -EOWNERDEAD)
		FAIL("%d: %s", ret, dmabuf_last_error());
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_go_on(&reader);
	remote_go_on(&writer);
	ASSERT_EQ(remote_unlock(&reader), -ETIMEDOUT);
	/* It begins anew, and is told of what it left itself. */
	ret = remote_answer(&writer).ret;
	ASSERT(ret == 0 || ret == -EOWNERDEAD);
	ASSERT_OK(remote_unlock(&writer));
	remote_end(&reader);
	remote_end(&writer);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_the_range_outlives_a_lost_hold)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R), *late;
	struct dma_buf_access_info torn[4];
	struct remote r;
	int i;

	remote_start(&r, "ranger");
	remote_ask(&r,
		   (struct order){
			   .kind = ORDER_ADD, .type = DMA_BUF_ACCESS_W, .start = 128, .len = 64 });
	ASSERT_OK(dma_buf_send(r.peer.socket, dmabuf, 20000));
	ASSERT_OK(remote_answer(&r).ret);
	lease(&r, 1);
	ASSERT_OK(remote_lock(&r, 0));
	for (i = 1; i <= 3; i++) {
		/* It has the buffer, and loses it; then it notices, and takes it again. */
		ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
		ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, torn, 4), i);
		ASSERT_EQ(torn[i - 1].start, 128);
		ASSERT_EQ(torn[i - 1].length, 64);
		ASSERT_STR_EQ(torn[i - 1].label, "ranger");
		ASSERT_OK(dmabuf_sync_unlock(mine));
		ASSERT_EQ(remote_unlock(&r), -ETIMEDOUT);
		ASSERT_EQ(remote_lock(&r, 0), -EOWNERDEAD);
	}
	remote_kill(&r);
	late = sync_of("late", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_ERR(dmabuf_sync_lock_timeout(late, 20000), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(late, dmabuf, torn, 2), 4);
	ASSERT_OK(dmabuf_sync_repaired(late, dmabuf));
	ASSERT_EQ(dmabuf_sync_get_torn(late, dmabuf, torn, 4), 0);
	dmabuf_sync_fini(late);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_short_waits_add_up_to_a_lease)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;
	int ret = 0, i;
	int64_t began;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_W, 100);
	began = now_ms();
	for (i = 0; i < 1000; i++) {
		ret = dmabuf_sync_lock_timeout(mine, 10);
		if (ret != -ETIMEDOUT)
			break;
	}
	ASSERT_EQ(ret, -EOWNERDEAD);
	ASSERT(now_ms() - began >= 100);
	remote_kill(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static bool tried_until_told(void *sync)
{
	return dmabuf_sync_trylock(sync) == -EOWNERDEAD;
}

TEST(D5_one_who_only_tries_gets_what_a_stopped_holder_lost)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;

	hold_and_stop(&r, dmabuf, DMA_BUF_ACCESS_W, SHORT_LEASE);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	ASSERT(eventually(tried_until_told, mine, 20000));
	ASSERT_EQ(peer_info(dmabuf).counters.leases_lost, 1);
	remote_kill(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* Who comes when the group is granted its first member looks at it before it says what it is. */
TEST(D5_a_hold_that_was_seen_before_its_group_waited_on_is_no_older_for_that)
{
	struct dmabuf_sync *sync[2];
	struct dma_buf *dmabuf[2];
	struct remote group, waiter, clock;
	int i;

	ordered_buffers(dmabuf);
	for (i = 0; i < 2; i++) {
		sync[i] = sync_of("first", dmabuf[i], DMA_BUF_ACCESS_W);
		ASSERT_OK(dmabuf_sync_lock(sync[i]));
	}
	remote_with(&group, "group", dmabuf[0], DMA_BUF_ACCESS_R);
	remote_add(&group, dmabuf[1], DMA_BUF_ACCESS_R);
	lease(&group, 3500);
	remote_queue(&group, dmabuf[0], 1);
	remote_with(&waiter, "waiter", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_queue(&waiter, dmabuf[0], 2);
	remote_with(&clock, "clock", dmabuf[1], DMA_BUF_ACCESS_W);
	remote_stop(&group);
	ASSERT_OK(dmabuf_sync_unlock(sync[0]));
	until_accesses(dmabuf[0], DMA_BUF_ACCESS_HELD, 1);
	/* Some of the waiter's looks. */
	ASSERT_EQ(remote_lock(&clock, 100), -ETIMEDOUT);
	remote_go_on(&group);
	ASSERT_EQ(remote_lock(&clock, 3600), -ETIMEDOUT);
	ASSERT_OK(dmabuf_sync_unlock(sync[1]));
	ASSERT_OK(remote_answer(&group).ret);
	ASSERT_EQ(remote_lock(&clock, 200), -ETIMEDOUT);
	ASSERT_EQ(remote_do(&group, (struct order){ .kind = ORDER_IS_LOCKED }), 1);
	ASSERT_OK(remote_unlock(&group));
	ASSERT_OK(remote_answer(&waiter).ret);
	remote_end(&clock);
	remote_end(&waiter);
	remote_end(&group);
	for (i = 0; i < 2; i++) {
		dmabuf_sync_fini(sync[i]);
		dma_buf_put(dmabuf[i]);
	}
}

TEST(D5_each_hold_has_a_lease_of_its_own)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;
	int i;

	remote_with(&r, "again and again", dmabuf, DMA_BUF_ACCESS_W);
	lease(&r, 3500);
	/* Longer than a lease in all, but none of them is. */
	for (i = 0; i < 3; i++) {
		ASSERT_OK(remote_lock(&r, 20000));
		ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 1200), ETIMEDOUT);
		ASSERT_OK(remote_unlock(&r));
	}
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}
