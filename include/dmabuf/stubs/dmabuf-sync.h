/* SPDX-License-Identifier: MIT */
/* <dmabuf/dmabuf-sync.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMABUF_SYNC_H
#define DMABUF_STUBS_DMABUF_SYNC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline bool is_dmabuf_sync_supported(void)
{
	return false;
}

static inline struct dmabuf_sync *dmabuf_sync_init(void *priv, const char *name)
{
	errno = ENODEV;
	return NULL;
}

static inline void dmabuf_sync_fini(struct dmabuf_sync *sync)
{
}

static inline void *dmabuf_sync_priv(const struct dmabuf_sync *sync)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_sync_get(struct dmabuf_sync *sync, void *sync_buf, unsigned int type)
{
	return -ENODEV;
}

static inline int dmabuf_sync_get_range(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
					unsigned int type, size_t start, size_t len)
{
	return -ENODEV;
}

static inline void dmabuf_sync_put(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
}

static inline void dmabuf_sync_put_all(struct dmabuf_sync *sync)
{
}

static inline int dmabuf_sync_lock(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline int dmabuf_sync_lock_timeout(struct dmabuf_sync *sync, long timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_sync_lock_interruptible(struct dmabuf_sync *sync, long timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_sync_trylock(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline int dmabuf_sync_unlock(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline bool dmabuf_sync_is_locked(const struct dmabuf_sync *sync)
{
	return false;
}

static inline int dmabuf_sync_set_lease(struct dmabuf_sync *sync, unsigned int lease_ms)
{
	return -ENODEV;
}

static inline int dma_buf_set_max_lease(struct dma_buf *dmabuf, unsigned int lease_ms)
{
	return -ENODEV;
}

static inline int dmabuf_sync_get_torn(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
				       struct dma_buf_access_info *info, unsigned int count)
{
	return -ENODEV;
}

static inline int dmabuf_sync_repaired(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
	return -ENODEV;
}

static inline int dmabuf_sync_single_lock(struct dma_buf *dmabuf, unsigned int type, bool wait)
{
	return -ENODEV;
}

static inline int dmabuf_sync_single_unlock(struct dma_buf *dmabuf)
{
	return -ENODEV;
}

static inline int dma_buf_flock(int fd, int operation)
{
	return -ENODEV;
}

static inline int dma_buf_flock_timeout(int fd, int operation, long timeout_ms)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
