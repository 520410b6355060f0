/* SPDX-License-Identifier: MIT */
/* <dmabuf/ww-mutex.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_WW_MUTEX_H
#define DMABUF_STUBS_WW_MUTEX_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline void dmabuf_ww_mutex_init(struct dmabuf_ww_mutex *lock,
					struct dmabuf_ww_class *ww_class)
{
}

static inline int dmabuf_ww_mutex_destroy(struct dmabuf_ww_mutex *lock)
{
	return -ENODEV;
}

static inline void dmabuf_ww_acquire_init(struct dmabuf_ww_acquire_ctx *ctx,
					  struct dmabuf_ww_class *ww_class)
{
}

static inline int dmabuf_ww_acquire_done(struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_acquire_fini(struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_mutex_lock(struct dmabuf_ww_mutex *lock,
				       struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_mutex_lock_interruptible(struct dmabuf_ww_mutex *lock,
						     struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_mutex_lock_slow(struct dmabuf_ww_mutex *lock,
					    struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_mutex_lock_slow_interruptible(struct dmabuf_ww_mutex *lock,
							  struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dmabuf_ww_mutex_trylock(struct dmabuf_ww_mutex *lock,
					  struct dmabuf_ww_acquire_ctx *ctx)
{
	return 0;
}

static inline int dmabuf_ww_mutex_unlock(struct dmabuf_ww_mutex *lock)
{
	return -ENODEV;
}

static inline bool dmabuf_ww_mutex_is_locked(const struct dmabuf_ww_mutex *lock)
{
	return false;
}

static inline struct dmabuf_ww_acquire_ctx *dmabuf_ww_mutex_ctx(const struct dmabuf_ww_mutex *lock)
{
	errno = ENODEV;
	return NULL;
}

#pragma GCC diagnostic pop
#endif
