// SPDX-License-Identifier: MIT
/* What a block device found, in numbers and in words. */
#include "block.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include "device.h"
#include "error.h"
#include "export.h"

static bool is_registered(const struct block_device *b)
{
	return b->engine->method == DMA_BUF_BLOCK_URING && !atomic_load(&b->register_errno);
}

DMABUF_PUBLIC int dma_buf_block_get_info(struct dma_buf_device *dev,
					 struct dma_buf_block_info *info)
{
	struct block_device *b = block_of(dev);

	if (!b)
		return -EINVAL;
	if (!info || info->size != sizeof(*info))
		return dmabuf_fail(EINVAL, "block info: size must be %zu", sizeof(*info));
	info->method = b->engine->method;
	info->direct = atomic_load(&b->direct);
	info->registered = is_registered(b);
	info->file_size = b->file_size;
	info->memory_alignment = info->direct ? b->limits.memory_alignment : 1;
	info->offset_alignment = info->direct ? b->limits.offset_alignment : 1;
	info->max_segments = b->limits.max_segments;
	info->bounced = atomic_load_explicit(&b->bounced, memory_order_relaxed);
	info->requests = atomic_load_explicit(&b->requests, memory_order_relaxed);
	return 0;
}

DMABUF_PUBLIC int dma_buf_block_get_parameters(dev_t device,
					       struct dma_buf_device_parameters *parameters)
{
	struct block_limits limits;

	if (!parameters || parameters->size != sizeof(*parameters))
		return dmabuf_fail(EINVAL, "block parameters: size must be %zu",
				   sizeof(*parameters));
	if (!block_limits_of_disk(&limits, device, "/sys"))
		return dmabuf_fail(ENOENT, "block device %u:%u has no queue in sysfs",
				   major(device), minor(device));
	block_limits_parameters(&limits, parameters);
	return 0;
}

static void method_words(const struct block_device *b, char *text, size_t size)
{
	if (b->engine->method == DMA_BUF_BLOCK_URING)
		snprintf(text, size, "io_uring");
	else if (b->uring_errno)
		snprintf(text, size, "%u threads (io_uring: %s)", b->workers,
			 strerror(b->uring_errno));
	else
		snprintf(text, size, "%u threads", b->workers);
}

void block_direct_words(const struct block_device *b, char *text, size_t size)
{
	if (atomic_load(&b->direct))
		snprintf(text, size, "O_DIRECT%s",
			 atomic_load(&b->unpinnable)
				 ? " (memory of a driver that cannot be pinned: page cache)"
				 : "");
	else if (b->wants_buffered)
		snprintf(text, size, "page cache (as asked)");
	else if (b->reopen_errno)
		snprintf(text, size, "page cache (the file cannot be opened anew: %s)",
			 strerror(b->reopen_errno));
	else if (b->limits.direct_refused)
		snprintf(text, size, "page cache (the file system has no O_DIRECT for this file)");
	else if (atomic_load(&b->direct_failed))
		snprintf(text, size, "page cache (O_DIRECT was refused by a transfer)");
	else
		snprintf(text, size, "page cache (O_DIRECT was refused: %s)",
			 strerror(b->direct_errno));
}

static void register_words(const struct block_device *b, char *text, size_t size)
{
	int err = atomic_load(&b->register_errno);
	struct rlimit limit;

	if (b->engine->method != DMA_BUF_BLOCK_URING)
		text[0] = '\0';
	else if (!err)
		snprintf(text, size, ", registered buffers");
	else if (err == ENOMEM && !getrlimit(RLIMIT_MEMLOCK, &limit))
		snprintf(text, size, ", buffers not registered (beyond RLIMIT_MEMLOCK, %llu bytes)",
			 (unsigned long long)limit.rlim_cur);
	else if (err == EFBIG)
		snprintf(text, size, ", buffers not all registered (larger than 1 GiB)");
	else if (err == ENOSPC)
		snprintf(text, size, ", buffers not all registered (too many)");
	else
		snprintf(text, size, ", buffers not registered (%s)", strerror(err));
}

DMABUF_PUBLIC int dma_buf_block_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	struct block_device *b = block_of(dev);
	char method[96], direct[96], registered[96];
	int n;

	if (!b)
		return -EINVAL;
	if (!text || !size)
		return dmabuf_fail(EINVAL, "block describe: no room for the words");
	method_words(b, method, sizeof(method));
	block_direct_words(b, direct, sizeof(direct));
	register_words(b, registered, sizeof(registered));
	n = snprintf(text, size, "%s, %s%s%s%s", method, direct, registered,
		     b->limits.source[0] ? "; " : "", b->limits.source);
	if (n < 0 || (size_t)n >= size)
		return dmabuf_fail(ENOSPC, "block describe: %d bytes needed, %zu given", n + 1,
				   size);
	return 0;
}
