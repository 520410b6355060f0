// SPDX-License-Identifier: MIT
/* The entry that a handle keeps for its next lock of its own, as the reservation shows it. */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "buffer.h"
#include "harness.h"
#include "resv/resv.h"

static struct dma_buf *new_buffer(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);

	ASSERT(dmabuf);
	return dmabuf;
}

/* How many are somebody's. */
static unsigned int entries(struct dma_buf *dmabuf)
{
	const struct control *c = &to_buffer(dmabuf)->control;
	unsigned int count = 0;
	uint32_t e;

	for (e = 0; e < SHM_RESV_ENTRIES; e++)
		count += resv_state(resv_load(&resv_entry_line(c, e)->word)) != RESV_GONE;
	return count;
}

static void lock_and_unlock(struct dma_buf *dmabuf, unsigned int type)
{
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, type, true));
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
}

TEST(D7_one_entry_does_for_all_locks_of_a_handle_one_after_the_other)
{
	static const unsigned int types[] = { DMA_BUF_ACCESS_R, DMA_BUF_ACCESS_W,
					      DMA_BUF_ACCESS_DMA_R, DMA_BUF_ACCESS_DMA_RW,
					      DMA_BUF_ACCESS_R };
	struct dma_buf *dmabuf = new_buffer();
	uint64_t word;
	unsigned int i;

	ASSERT_EQ(entries(dmabuf), 0);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ASSERT_OK(dmabuf_sync_single_lock(dmabuf, types[i], false));
		word = resv_load(&resv_entry_line(&to_buffer(dmabuf)->control, 0)->word);
		ASSERT_EQ(resv_is_write(word), !!(types[i] & DMA_BUF_ACCESS_W));
		ASSERT_EQ(!!(word & RESV_DEVICE), !!(types[i] & DMA_BUF_ACCESS_DMA));
		ASSERT_EQ(entries(dmabuf), 1);
		ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, types[i], false), EDEADLK);
		ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
		ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
		ASSERT_EQ(entries(dmabuf), 1);
	}
	dma_buf_put(dmabuf);
}

static void *read_beside(void *arg)
{
	struct dma_buf *dmabuf = arg;

	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false), EBUSY);
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false));
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), EDEADLK);
	ASSERT_EQ(entries(dmabuf), 2);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_EQ(entries(dmabuf), 1);
	return NULL;
}

TEST(D7_threads_beside_each_other_have_entries_of_their_own)
{
	struct dma_buf *dmabuf = new_buffer();
	pthread_t thread;

	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	ASSERT_EQ(pthread_create(&thread, NULL, read_beside, dmabuf), 0);
	pthread_join(thread, NULL);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_EQ(entries(dmabuf), 1);
	dma_buf_put(dmabuf);
}

TEST(D7_kept_entries_leave_half_of_them_to_others)
{
	struct dmabuf_sync *syncs[SHM_RESV_ENTRIES];
	struct dma_buf *dmabuf = new_buffer();
	unsigned int i;

	for (i = 0; i < SHM_RESV_ENTRIES; i++) {
		syncs[i] = dmabuf_sync_init(NULL, "one of many");
		ASSERT(syncs[i]);
	}
	for (i = 0; i < SHM_RESV_ENTRIES / 2; i++)
		ASSERT_OK(dmabuf_sync_get(syncs[i], dmabuf, DMA_BUF_ACCESS_R));
	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_EQ(entries(dmabuf), SHM_RESV_ENTRIES / 2);
	for (; i < SHM_RESV_ENTRIES; i++)
		ASSERT_OK(dmabuf_sync_get(syncs[i], dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), ENOSPC);
	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
	dmabuf_sync_put_all(syncs[3]);
	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_R);
	for (i = 0; i < SHM_RESV_ENTRIES; i++)
		dmabuf_sync_fini(syncs[i]);
	dma_buf_put(dmabuf);
}

static int lock_once(void *arg)
{
	struct dma_buf *dmabuf = dma_buf_get(*(int *)arg);

	ASSERT(dmabuf);
	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_EQ(entries(dmabuf), 1);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(D7_a_kept_entry_goes_with_its_handle)
{
	struct dma_buf *dmabuf = new_buffer();
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(fd);
	ASSERT_EQ(reap(spawn(lock_once, &fd)), 0);
	ASSERT_EQ(entries(dmabuf), 0);
	close(fd);
	/* A lock keeps the handle, what it leaves behind does not. */
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	get_dma_buf(dmabuf);
	dma_buf_put(dmabuf);
	dma_buf_put(dmabuf);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
}

static int drop(void *arg)
{
	struct dma_buf *dmabuf = arg;

	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), ECHILD);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(D7_a_child_leaves_the_entry_that_its_parent_kept)
{
	struct dma_buf *dmabuf = new_buffer();

	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_EQ(reap(spawn(drop, dmabuf)), 0);
	ASSERT_EQ(entries(dmabuf), 1);
	lock_and_unlock(dmabuf, DMA_BUF_ACCESS_W);
	dma_buf_put(dmabuf);
}
