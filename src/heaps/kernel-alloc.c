// SPDX-License-Identifier: MIT
/* Memory that is a kernel dma-buf from its beginning: ordinary pages, or what a heap gives. */
#include "heaps/kernel-alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "heaps/heaps.h"
#include "kernel/dmabuf.h"
#include "memfd.h"

#define UDMABUF "/dev/udmabuf"
#define DMA_HEAPS "/dev/"

static int fail_open(const char *path, int err)
{
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return dmabuf_fail(ENODEV, "%s is not there: \"dmabuf doctor\" says what it needs",
				   path);
	return dmabuf_fail(err, "%s cannot be opened: %s%s", path, strerror(err),
			   err == EACCES || err == EPERM ? " (root decides who may)" : "");
}

static int open_device(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? fail_open(path, errno) : fd;
}

static int again(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int kernel_udmabuf(int memfd, uint64_t offset, uint64_t size, int flags)
{
	struct udmabuf_create create = { .memfd = (uint32_t)memfd,
					 .flags = flags & O_CLOEXEC ? UDMABUF_FLAGS_CLOEXEC : 0,
					 .offset = offset,
					 .size = size };
	int device = open_device(UDMABUF, O_RDWR), ret;

	if (device < 0)
		return device;
	ret = again(device, UDMABUF_CREATE, &create);
	close(device);
	if (ret >= 0)
		return ret;
	if (ret == -EINVAL)
		return dmabuf_fail(EINVAL,
				   UDMABUF " takes no %" PRIu64 " bytes of this memory: its limits "
					   "are in /sys/module/udmabuf/parameters",
				   size);
	return dmabuf_fail(-ret, UDMABUF " makes no dma-buf of %" PRIu64 " bytes: %s", size,
			   strerror(-ret));
}

/* A name is for people: memory without one is as good. */
static int named(int fd, const char *name)
{
	if (fd >= 0 && kernel_is_dmabuf(fd))
		(void)kernel_try_set_name(fd, name);
	return fd;
}

static int alloc_udmabuf(const char *name, uint64_t size)
{
	int memfd = memfd_make(name, size), fd;

	if (memfd < 0)
		return memfd;
	fd = memfd_seal(memfd, F_SEAL_SHRINK);
	if (!fd)
		fd = kernel_udmabuf(memfd, 0, size, O_CLOEXEC);
	close(memfd);
	return named(fd, name);
}

static int alloc_dma_heap(const char *heap, const char *name, uint64_t size)
{
	struct dma_heap_allocation_data data = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
	char path[64];
	int device, ret;

	snprintf(path, sizeof(path), DMA_HEAPS "%s", heap);
	device = open_device(path, O_RDONLY);
	if (device < 0)
		return device;
	ret = again(device, DMA_HEAP_IOCTL_ALLOC, &data);
	close(device);
	if (ret < 0)
		return dmabuf_fail(-ret, "heap %s has no %" PRIu64 " bytes: %s", heap, size,
				   strerror(-ret));
	return named((int)data.fd, name);
}

int kernel_heap_alloc(const char *heap, const char *name, uint64_t size)
{
	return strcmp(heap, "udmabuf") ? alloc_dma_heap(heap, name, size)
				       : alloc_udmabuf(name, size);
}
