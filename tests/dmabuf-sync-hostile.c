// SPDX-License-Identifier: MIT
/* Asynchronous locks on a buffer over whose reservation somebody writes. */
#include <dmabuf.h>

#include "buffer.h"
#include "harness.h"
#include "resv/resv.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

struct spoiler {
	struct control *control;
	atomic_bool stop;
};

/* All words, again and again, with whatever a word can be. */
static void *scribble(void *arg)
{
	struct spoiler *s = arg;
	uint64_t seed = 88172645463325252ull;
	uint32_t e;

	while (!atomic_load(&s->stop)) {
		for (e = 0; e < 8; e++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			atomic_store(&resv_entry_line(s->control, e)->word, seed);
		}
		atomic_store(&resv_state_line(s->control, 0)->word, seed * 3);
		sched_yield();
	}
	return NULL;
}

TEST_TIMEOUT(D7_scribbling_ends_asynchronous_locks_and_hangs_nobody, 300)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct spoiler s = { .control = &to_buffer(dmabuf)->control };
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "victim");
	unsigned int i, granted = 0, failed = 0;
	pthread_t thread;
	int ret;

	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	ASSERT_EQ(pthread_create(&thread, NULL, scribble, &s), 0);
	for (i = 0; i < 200; i++) {
		ret = dmabuf_sync_lock_async(sync, 20, NULL);
		if (!ret) {
			do {
				ret = dmabuf_sync_lock_finish(sync);
				sched_yield();
			} while (ret == -EAGAIN);
		}
		if (ret && ret != -EOWNERDEAD) {
			ASSERT(*dmabuf_last_error());
			failed++;
			continue;
		}
		granted++;
		(void)dmabuf_sync_unlock(sync);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	test_note("%u granted, %u failed", granted, failed);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
