/* SPDX-License-Identifier: MIT */
/* <dmabuf/sync-file.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_SYNC_FILE_H
#define DMABUF_STUBS_SYNC_FILE_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dmabuf_sync_file_create(struct dma_fence *fence,
					  const struct dmabuf_sync_file_options *options)
{
	return -ENODEV;
}

static inline struct dma_fence *dmabuf_sync_file_get_fence(int fd)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_sync_file_check(int fd)
{
	return -ENODEV;
}

static inline int dmabuf_sync_file_merge(int fd1, int fd2,
					 const struct dmabuf_sync_file_options *options)
{
	return -ENODEV;
}

static inline int dmabuf_sync_file_get_info(int fd, struct dmabuf_sync_file_info *info)
{
	return -ENODEV;
}

static inline long dmabuf_sync_file_wait(int fd, long timeout, int *status)
{
	return -ENODEV;
}

static inline long dmabuf_sync_file_wait_any(const int *fds, unsigned int count, long timeout,
					     unsigned int *index)
{
	return -ENODEV;
}

static inline long dmabuf_sync_file_wait_all(const int *fds, unsigned int count, long timeout)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
