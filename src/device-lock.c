// SPDX-License-Identifier: MIT
/* The lock that says that a device is at work, for those who drive devices of their own. */
#include <dmabuf/device-lock.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "buffer.h"
#include "error.h"
#include "export.h"

DMABUF_PUBLIC int dma_buf_device_lock_fd(struct dma_buf *dmabuf, int flags)
{
	int fd, err = buffer_check(dmabuf);

	if (err)
		return err;
	if (flags & ~O_CLOEXEC)
		return dmabuf_fail(EINVAL, "flags 0x%x for a device lock: O_CLOEXEC or 0",
				   (unsigned int)flags);
	fd = buffer_device_fd(to_buffer(dmabuf));
	if (fd < 0)
		return fd;
	fd = fcntl(fd, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (fd < 0)
		return dmabuf_fail(errno, "no descriptor for a device lock: %s", strerror(errno));
	return fd;
}
