// SPDX-License-Identifier: MIT
/* Descriptors that a video driver takes: kernel dma-bufs, made of a buffer's memory if need be. */
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "heaps/kernel-alloc.h"
#include "kernel/dmabuf.h"

bool v4l2_identify(int fd, struct v4l2_identity *identity)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*identity = (struct v4l2_identity){ st.st_dev, st.st_ino };
	return true;
}

static int no_udmabuf(const struct v4l2_device *v, int err)
{
	if (err == -ENODEV)
		return dmabuf_fail(EOPNOTSUPP,
				   "%s: this kernel has no /dev/udmabuf (CONFIG_UDMABUF), so its "
				   "drivers cannot use ordinary memory: give it buffers that are "
				   "kernel dma-bufs, such as those that a camera exports",
				   v->name);
	if (err == -EACCES || err == -EPERM)
		return dmabuf_fail(EOPNOTSUPP,
				   "%s: /dev/udmabuf may not be opened, so drivers cannot use "
				   "ordinary memory: have its permissions extended",
				   v->name);
	return err;
}

static int make_udmabufs(const struct v4l2_device *v, struct v4l2_place *place, int memfd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), offset = 0, size;

	for (uint32_t i = 0; i < v->answer.memory_planes; i++) {
		size = (v->answer.memory[i].size + page - 1) / page * page;
		place->fds[i] = kernel_udmabuf(memfd, offset, size, O_CLOEXEC);
		if (place->fds[i] < 0)
			return no_udmabuf(v, place->fds[i]);
		offset += v4l2_aligned(v->answer.memory[i].size);
	}
	return 0;
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
	else if (!kernel_is_dmabuf(fd))
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
