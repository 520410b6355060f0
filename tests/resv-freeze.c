// SPDX-License-Identifier: MIT
/* Freezing the state word with a late look: nobody is announced by it. */
#include "buffer.h"
#include "harness.h"
#include "resv/fast.h"

#include <fcntl.h>

TEST(D8_who_freezes_a_word_too_late_announces_nobody)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", 4096, O_RDWR);
	struct resv_hold idle = { 0 }, holds = { 0 }, waits = { 0 };
	struct buffer *b = to_buffer(dmabuf);
	struct resv_sweep sweep;
	uint64_t word;

	ASSERT_OK(resv_claim(&idle, b, 0, "idle"));
	ASSERT_OK(resv_claim(&holds, b, 0, "holds"));
	ASSERT_OK(resv_claim(&waits, b, 0, "waits"));
	ASSERT_EQ(idle.entry, 0);
	/* It took and gave back, so its entry is armed. */
	ASSERT(resv_take(&idle, RESV_WRITE) && resv_put(&idle));
	ASSERT(resv_take(&holds, RESV_WRITE));
	ASSERT_ERR(resv_enqueue(&waits, RESV_WRITE), EAGAIN);
	word = resv_settle(&b->control, 0);
	ASSERT_EQ(resv_word_mode(word), RESV_SLOW);
	/* One who had read the word before it became slow. */
	atomic_fetch_or(&resv_state_line(&b->control, 0)->word, RESV_QUEUED);
	resv_advance(&b->control, 0, &sweep);
	ASSERT_EQ(resv_state(resv_load(&idle.shared->word)), RESV_ARMED);
	ASSERT_OK(resv_unlock(&holds));
	ASSERT(resv_held(&waits));
	ASSERT_OK(resv_unlock(&waits));
	ASSERT_EQ(resv_word_mode(resv_settle(&b->control, 0)), RESV_FREE);
	resv_unclaim(&idle);
	resv_unclaim(&holds);
	resv_unclaim(&waits);
	dma_buf_put(dmabuf);
}
