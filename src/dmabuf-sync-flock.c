// SPDX-License-Identifier: MIT
/* The locks of dmabuf-sync-single.c in the terms of flock(2), on a buffer's descriptor. */
#include <errno.h>
#include <sys/file.h>

#include "dmabuf-sync-single.h"
#include "error.h"
#include "export.h"

static int flock_handle(struct dma_buf *dmabuf, int operation, long timeout_ms)
{
	unsigned int type = operation == LOCK_EX ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_R;
	bool held;
	unsigned int has = sync_single_type(dmabuf, &held);

	if (operation == LOCK_UN)
		return has ? dmabuf_sync_single_unlock(dmabuf) : 0;
	if (has == type && held)
		return 0;
	/* flock(2) too gives back and takes anew; a hold that was lost meanwhile is no error here.
	 */
	if (has)
		(void)dmabuf_sync_single_unlock(dmabuf);
	return sync_single_lock(dmabuf, type, timeout_ms, true);
}

DMABUF_PUBLIC int dma_buf_flock_timeout(int fd, int operation, long timeout_ms)
{
	struct dma_buf *dmabuf;
	int ret;

	if (operation != LOCK_SH && operation != LOCK_EX && operation != LOCK_UN)
		return dmabuf_fail(EINVAL, "operation %d is none of LOCK_SH, LOCK_EX, LOCK_UN",
				   operation);
	if (timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms", timeout_ms);
	dmabuf = dma_buf_get(fd);
	if (!dmabuf)
		return -errno;
	ret = flock_handle(dmabuf, operation, timeout_ms);
	dma_buf_put(dmabuf);
	return ret;
}

DMABUF_PUBLIC int dma_buf_flock(int fd, int operation)
{
	int ret = dma_buf_flock_timeout(fd, operation & ~LOCK_NB,
					operation & LOCK_NB ? 0 : DMABUF_SYNC_TIMEOUT_MS);

	return ret == -EBUSY ? -EWOULDBLOCK : ret;
}
