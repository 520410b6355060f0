// SPDX-License-Identifier: MIT
/* A kernel dma-buf of a buffer, for drivers that take nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "heaps/kernel-alloc.h"
#include "kernel/dmabuf.h"
#include "kernel/storage.h"

static int duplicate(int fd, int flags)
{
	int copy = fcntl(fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);

	return copy < 0 ? dmabuf_fail(errno, "no descriptor to be had: %s", strerror(errno)) : copy;
}

static int make(struct buffer *b, int flags)
{
	char name[DMA_BUF_NAME_LEN];
	int fd;

	if (b->storage.fd < 0)
		return dmabuf_fail(ENODATA, "the buffer has no storage yet");
	fd = kernel_udmabuf(b->storage.fd, 0, page_round_up(b->base.size), flags);
	if (fd < 0)
		return fd;
	control_get_name(&b->control, name);
	(void)kernel_try_set_name(fd, name[0] ? name : b->exp_name);
	return fd;
}

DMABUF_PUBLIC int dma_buf_kernel_fd(struct dma_buf *dmabuf, int flags)
{
	struct buffer *b = to_buffer(dmabuf);
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	if (flags & ~O_CLOEXEC)
		return dmabuf_fail(EINVAL, "descriptor flags 0x%x: only O_CLOEXEC is known",
				   (unsigned int)flags);
	atomic_store(&b->escaped, true);
	if (storage_is_kernel(&b->storage))
		return duplicate(b->storage.fd, flags);
	if (b->storage.read_only)
		return dmabuf_fail(EACCES,
				   "a kernel dma-buf of a read-only share could be written");
	return make(b, flags);
}
