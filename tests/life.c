// SPDX-License-Identifier: MIT
/* A waiter hears of a holder's death from the kernel, and not at its next look. */
#include <dmabuf/dmabuf-sync.h>

#include <pthread.h>
#include <stdio.h>

#include "peer.h"
#include "shm/life.h"

#include "buffer.h"

static int hold_until_killed(struct peer *peer, struct dma_buf *dmabuf)
{
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true));
	peer_tell(peer);
	for (;;)
		pause();
	return 0;
}

static int hold_and_leave(struct peer *peer, struct dma_buf *dmabuf)
{
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true));
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dma_buf_put(dmabuf);
	return 0;
}

static bool marked(void *arg)
{
	struct buffer *b = arg;

	return life_ended(&b->control, 1);
}

TEST(D5_the_kernel_marks_the_word_of_a_killed_client)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct buffer *b = to_buffer(dmabuf);
	struct peer peer;

	ASSERT(dmabuf);
	peer_start(&peer, dmabuf, hold_until_killed, NULL);
	peer_wait(&peer);
	ASSERT(!life_ended(&b->control, 1));
	ASSERT(atomic_load(&b->control.header->life[1].word) != 0);
	peer_kill(&peer);
	ASSERT(eventually(marked, b, 20000));
	dma_buf_put(dmabuf);
}

TEST(D5_a_client_that_leaves_is_not_taken_for_dead)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct buffer *b = to_buffer(dmabuf);
	struct peer peer;

	ASSERT(dmabuf);
	peer_start(&peer, dmabuf, hold_and_leave, NULL);
	peer_wait(&peer);
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT(!life_ended(&b->control, 1));
	ASSERT_EQ(atomic_load(&b->control.header->life[1].word), 0);
	dma_buf_put(dmabuf);
}

/* The state of the first thread of this process, as /proc shows it. */
static bool main_thread_sleeps(void *arg)
{
	char text[512] = "";
	FILE *stat;

	snprintf(text, sizeof(text), "/proc/self/task/%d/stat", (int)getpid());
	stat = fopen(text, "re");
	ASSERT(stat && fgets(text, sizeof(text), stat));
	fclose(stat);
	return strstr(text, ") S ") != NULL;
}

static void *kill_when_asleep(void *arg)
{
	struct peer *peer = arg;

	ASSERT(eventually(main_thread_sleeps, NULL, 20000));
	kill(peer->pid, SIGKILL);
	return NULL;
}

/* By looks alone a waiter of this patience would have looked some 20 times, and so often missed it.
 */
TEST(D5_a_sleeping_waiter_is_woken_by_the_death)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct buffer *b = to_buffer(dmabuf);
	struct peer peer;
	pthread_t thread;
	uint32_t word = 7;
	int ret;

	ASSERT(dmabuf);
	peer_start(&peer, dmabuf, hold_until_killed, NULL);
	peer_wait(&peer);
	ASSERT_EQ(pthread_create(&thread, NULL, kill_when_asleep, &peer), 0);
	/* Nobody ever wakes this word: only the death can end the sleep before its time. */
	ret = life_wait(&b->control, 1, (_Atomic(uint32_t) *)&word, 7,
			(uint64_t)(now_ms() + 25000) * 1000000u);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	if (ret == -ETIMEDOUT)
		SKIP("this kernel has no futex_waitv: deaths are noticed at the next look");
	ASSERT_EQ(ret, 0);
	ASSERT(life_ended(&b->control, 1));
	close(peer.socket);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dma_buf_put(dmabuf);
}

TEST(D5_a_forged_word_neither_frees_the_buffer_nor_hangs_who_waits)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct buffer *b = to_buffer(dmabuf);
	static const uint32_t forged[] = { 0, 1, 0x40000000, 0x40000001, 0xffffffff };
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "waits");
	struct peer peer;
	size_t i;

	ASSERT(dmabuf && sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	peer_start(&peer, dmabuf, hold_and_leave, NULL);
	peer_wait(&peer);
	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		atomic_store(&b->control.header->life[1].word, forged[i]);
		ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 30), ETIMEDOUT);
	}
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
