// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "export.h"
#include "sync-file.h"

DMABUF_PUBLIC long dmabuf_sync_file_wait(int fd, long timeout, int *status)
{
	struct dma_fence *fence = sync_import(fd);
	long ret;

	if (!fence)
		return -errno;
	ret = dma_fence_wait_timeout(fence, true, timeout);
	if (ret > 0 && status)
		*status = dma_fence_get_status(fence);
	dma_fence_put(fence);
	return ret;
}

static void drop(struct dma_fence **fences, unsigned int count)
{
	while (count)
		dma_fence_put(fences[--count]);
	free(fences);
}

static struct dma_fence **get_all(const int *fds, unsigned int count)
{
	struct dma_fence **fences;
	unsigned int i;
	int err;

	if (!fds || !count)
		return dmabuf_fail_ptr(EINVAL, "there are no fences to wait for");
	fences = calloc(count, sizeof(struct dma_fence *));
	if (!fences)
		return dmabuf_fail_ptr(ENOMEM, "no memory to wait for %u fences", count);
	for (i = 0; i < count; i++) {
		fences[i] = sync_import(fds[i]);
		if (!fences[i]) {
			err = errno;
			drop(fences, i);
			errno = err;
			return NULL;
		}
	}
	return fences;
}

DMABUF_PUBLIC long dmabuf_sync_file_wait_any(const int *fds, unsigned int count, long timeout,
					     unsigned int *index)
{
	struct dma_fence **fences = get_all(fds, count);
	long ret;

	if (!fences)
		return -errno;
	ret = dma_fence_wait_any_timeout(fences, count, true, timeout, index);
	drop(fences, count);
	return ret;
}

DMABUF_PUBLIC long dmabuf_sync_file_wait_all(const int *fds, unsigned int count, long timeout)
{
	uint64_t deadline = futex_deadline(timeout);
	struct dma_fence **fences;
	unsigned int i;
	long ret = 0;

	if (timeout < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms: must be 0 or more", timeout);
	fences = get_all(fds, count);
	if (!fences)
		return -errno;
	for (i = 0; i < count; i++) {
		ret = dma_fence_wait_timeout(fences[i], true, futex_left(deadline));
		if (ret <= 0)
			break;
	}
	drop(fences, count);
	return ret;
}
