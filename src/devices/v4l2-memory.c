// SPDX-License-Identifier: MIT
/* Descriptors that a video driver takes: kernel dma-bufs, made of a buffer's memory if need be. */
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/udmabuf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "error.h"

#define UDMABUF "/dev/udmabuf"

bool v4l2_identify(int fd, struct v4l2_identity *identity)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*identity = (struct v4l2_identity){ st.st_dev, st.st_ino };
	return true;
}

static bool is_kernel_dma_buf(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type == DMA_BUF_MAGIC;
}

static int no_udmabuf(const struct v4l2_device *v, int err)
{
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return dmabuf_fail(EOPNOTSUPP,
				   "%s: this kernel has no %s (CONFIG_UDMABUF), so its drivers "
				   "cannot use ordinary memory: give it buffers that are kernel "
				   "dma-bufs, such as those that a camera exports",
				   v->name, UDMABUF);
	if (err == EACCES || err == EPERM)
		return dmabuf_fail(EOPNOTSUPP,
				   "%s: %s may not be opened, so drivers cannot use ordinary "
				   "memory: have its permissions extended",
				   v->name, UDMABUF);
	return dmabuf_fail(err, "%s: opening %s: %s", v->name, UDMABUF, strerror(err));
}

static uint64_t page_aligned(uint64_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static int make_udmabufs(const struct v4l2_device *v, struct v4l2_place *place, int memfd)
{
	struct udmabuf_create create = { .memfd = (uint32_t)memfd, .flags = UDMABUF_FLAGS_CLOEXEC };
	int device = open(UDMABUF, O_RDWR | O_CLOEXEC), err = 0;

	if (device < 0)
		return no_udmabuf(v, errno);
	for (uint32_t i = 0; i < v->answer.memory_planes && !err; i++) {
		create.size = page_aligned(v->answer.memory[i].size);
		place->fds[i] = ioctl(device, UDMABUF_CREATE, &create);
		if (place->fds[i] < 0)
			err = dmabuf_fail(errno,
					  "%s: %s refuses %llu bytes of a buffer: %s (its module "
					  "parameter size_limit_mb limits them)",
					  v->name, UDMABUF, (unsigned long long)create.size,
					  strerror(errno));
		create.offset += v4l2_aligned(v->answer.memory[i].size);
	}
	close(device);
	return err;
}

int v4l2_memory_get(const struct v4l2_device *v, struct v4l2_place *place, struct dma_buf *dmabuf)
{
	int fd, err;

	if (dmabuf->size < v->format.buffer_size)
		return dmabuf_fail(EINVAL, "%s: a buffer of %zu bytes, a frame needs %llu", v->name,
				   dmabuf->size, (unsigned long long)v->format.buffer_size);
	fd = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (!v4l2_identify(fd, &place->memory))
		err = dmabuf_fail(errno, "%s: fstat of a buffer: %s", v->name, strerror(errno));
	else if (!is_kernel_dma_buf(fd))
		err = make_udmabufs(v, place, fd);
	else if (v->answer.memory_planes > 1)
		err = dmabuf_fail(
			EOPNOTSUPP,
			"%s wants each plane in memory of its own, and this buffer is one "
			"kernel dma-buf: choose a format in one piece",
			v->name);
	else {
		place->fds[0] = fd;
		return 0;
	}
	close(fd);
	if (err < 0)
		v4l2_memory_put(place);
	return err;
}

void v4l2_memory_put(struct v4l2_place *place)
{
	for (int i = 0; i < DMABUF_FRAME_MAX_PLANES; i++) {
		if (place->fds[i] >= 0)
			close(place->fds[i]);
		place->fds[i] = -1;
	}
}
