// SPDX-License-Identifier: MIT
/* Content that somebody did not finish: who is told of it, and who answers for it. */
#include "sync.h"

TEST(D5_readers_are_told_one_at_a_time_and_do_not_answer)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct dmabuf_sync *writer = sync_of("writer", dmabuf, DMA_BUF_ACCESS_W);
	struct dma_buf_access_info torn;
	struct remote r;
	int i;

	remote_dies_with(dmabuf, "writer", DMA_BUF_ACCESS_W);
	remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
	for (i = 0; i < 3; i++) {
		ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
		ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, &torn, 1), 1);
		ASSERT_EQ(remote_lock(&r, 0), -EBUSY);
		remote_queue(&r, dmabuf, 1);
		ASSERT_OK(dmabuf_sync_unlock(mine));
		ASSERT_EQ(remote_answer(&r).ret, -EOWNERDEAD);
		ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
		ASSERT_OK(remote_unlock(&r));
	}
	/* A writer's unlock does. */
	ASSERT_ERR(dmabuf_sync_lock(writer), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(writer));
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_OK(remote_unlock(&r));
	remote_end(&r);
	dmabuf_sync_fini(writer);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_one_who_was_not_told_repairs_nothing)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *next = sync_of("next", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;

	ASSERT_OK(dmabuf_sync_set_lease(mine, 1));
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
	/* Ours is lost: what we say of the content does not count. */
	ASSERT_OK(dmabuf_sync_repaired(mine, dmabuf));
	ASSERT_ERR(dmabuf_sync_unlock(mine), ETIMEDOUT);
	ASSERT_OK(remote_unlock(&r));
	ASSERT_ERR(dmabuf_sync_lock(next), EOWNERDEAD);
	remote_end(&r);
	dmabuf_sync_fini(next);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_the_one_who_was_told_dies_and_the_next_is_told)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct dma_buf_access_info torn[4];
	struct remote r;
	int i;

	remote_dies_with(dmabuf, "first", DMA_BUF_ACCESS_W);
	for (i = 0; i < 3; i++) {
		remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
		ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
		remote_kill(&r);
	}
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, torn, 4), 1);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	for (i = 0; i < 2; i++) {
		remote_with(&r, "second", dmabuf, DMA_BUF_ACCESS_W);
		ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
		remote_kill(&r);
	}
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, torn, 4), 3);
	ASSERT_OK(dmabuf_sync_repaired(mine, dmabuf));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(dmabuf_sync_lock(mine));
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_group_tells_of_any_torn_member_and_says_which)
{
	struct dmabuf_sync *group = sync_of("group", NULL, 0);
	struct dma_buf_access_info torn;
	struct dma_buf *dmabuf[2];
	int i;

	ordered_buffers(dmabuf);
	for (i = 0; i < 2; i++)
		ASSERT_OK(dmabuf_sync_get(group, dmabuf[i], DMA_BUF_ACCESS_R));
	for (i = 0; i < 2; i++) {
		remote_dies_with(dmabuf[i], "writer", DMA_BUF_ACCESS_W);
		ASSERT_ERR(dmabuf_sync_lock(group), EOWNERDEAD);
		ASSERT_EQ(dmabuf_sync_get_torn(group, dmabuf[i], &torn, 1), 1);
		ASSERT_EQ(dmabuf_sync_get_torn(group, dmabuf[!i], &torn, 1), 0);
		ASSERT_OK(dmabuf_sync_repaired(group, dmabuf[!i]));
		ASSERT_EQ(dmabuf_sync_get_torn(group, dmabuf[i], &torn, 1), 1);
		ASSERT_OK(dmabuf_sync_repaired(group, dmabuf[i]));
		ASSERT_OK(dmabuf_sync_unlock(group));
	}
	ASSERT_OK(dmabuf_sync_lock(group));
	dmabuf_sync_fini(group);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

/* Losing again and again leaves an entry each time: there is an end, and an error. */
TEST(D5_writers_that_lose_for_ever_fill_the_reservation_and_are_told)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *reader = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);
	struct dma_buf_access_info torn;
	struct remote r;
	int lost, ret = 0;

	ASSERT_OK(dmabuf_sync_set_lease(mine, 1));
	remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
	for (lost = 0; lost < DMA_BUF_MAX_ACCESSES + 4; lost++) {
		ret = dmabuf_sync_lock(mine);
		if (ret && ret != -EOWNERDEAD)
			break;
		ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
		ASSERT_OK(remote_unlock(&r));
		ASSERT_ERR(dmabuf_sync_unlock(mine), ETIMEDOUT);
	}
	ASSERT_EQ(ret, -ENOSPC);
	ASSERT_EQ(lost, DMA_BUF_MAX_ACCESSES - 2);
	ASSERT_ERR(dmabuf_sync_lock(reader), EOWNERDEAD);
	ASSERT_EQ(dmabuf_sync_get_torn(reader, dmabuf, &torn, 1), lost);
	ASSERT_OK(dmabuf_sync_repaired(reader, dmabuf));
	ASSERT_OK(dmabuf_sync_unlock(reader));
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_end(&r);
	dmabuf_sync_fini(reader);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_group_that_fails_answers_for_nothing)
{
	struct dmabuf_sync *group = sync_of("group", NULL, 0), *low;
	struct dma_buf *dmabuf[2];
	struct remote r;
	int i;

	ordered_buffers(dmabuf);
	for (i = 0; i < 2; i++)
		ASSERT_OK(dmabuf_sync_get(group, dmabuf[i], DMA_BUF_ACCESS_W));
	low = sync_of("low", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_dies_with(dmabuf[0], "writer", DMA_BUF_ACCESS_W);
	remote_with(&r, "other", dmabuf[1], DMA_BUF_ACCESS_R);
	ASSERT_OK(remote_lock(&r, 0));
	/* It had the torn one for a moment, and nobody was told. */
	ASSERT_ERR(dmabuf_sync_lock_timeout(group, 50), ETIMEDOUT);
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_TORN), 1);
	ASSERT_ERR(dmabuf_sync_trylock(group), EBUSY);
	ASSERT_ERR(dmabuf_sync_lock(low), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(low));
	ASSERT_OK(dmabuf_sync_lock(low));
	ASSERT_OK(dmabuf_sync_unlock(low));
	remote_end(&r);
	dmabuf_sync_fini(low);
	dmabuf_sync_fini(group);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D5_a_reader_may_say_that_the_content_is_whole_and_lets_the_others_in)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct dma_buf_access_info torn;
	struct remote r;

	remote_dies_with(dmabuf, "writer", DMA_BUF_ACCESS_W);
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
	remote_queue(&r, dmabuf, 1);
	/* It cannot look for itself. */
	remote_stop(&r);
	ASSERT_OK(dmabuf_sync_repaired(mine, dmabuf));
	ASSERT_EQ(dmabuf_sync_get_torn(mine, dmabuf, &torn, 1), 0);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 2);
	remote_go_on(&r);
	ASSERT_OK(remote_answer(&r).ret);
	ASSERT(dmabuf_sync_is_locked(mine));
	ASSERT_OK(remote_unlock(&r));
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_one_who_was_told_and_lost_it_since_repairs_nothing)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;

	remote_dies_with(dmabuf, "writer", DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_set_lease(mine, 1));
	ASSERT_ERR(dmabuf_sync_lock(mine), EOWNERDEAD);
	remote_with(&r, "reader", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_EQ(remote_lock(&r, 20000), -EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_repaired(mine, dmabuf));
	ASSERT_EQ(remote_do(&r, (struct order){ .kind = ORDER_GET_TORN }), 1);
	ASSERT_ERR(dmabuf_sync_unlock(mine), ETIMEDOUT);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}
