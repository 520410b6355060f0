// SPDX-License-Identifier: MIT
#include "char-device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "error.h"
#include "text.h"

int char_device_take(int fd, const char *name, int *flags)
{
	int own;

	*flags = fcntl(fd, F_GETFL);
	if (*flags < 0 || *flags & O_PATH)
		return dmabuf_fail(EBADF, "descriptor %d is not an open file", fd);
	if ((*flags & O_ACCMODE) != O_RDWR)
		return dmabuf_fail(EBADF, "%s is not open for reading and writing", name);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return dmabuf_fail(errno, "duplicating the descriptor of %s: %s", name,
				   strerror(errno));
	return own;
}

void char_device_name(int fd, const char *otherwise, char *name, size_t room)
{
	char path[64], target[PATH_MAX], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	text_copy(name, room, n <= 0 ? otherwise : slash && slash[1] ? slash + 1 : target);
}

bool sysfs_read(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

unsigned int char_device_reach(dev_t number, const char *sysfs, struct dma_buf_device_parameters *p)
{
	char base[96], path[128], text[32];
	unsigned int from = 0;
	unsigned long bits;

	snprintf(base, sizeof(base), "%s/dev/char/%u:%u/device", sysfs, major(number),
		 minor(number));
	snprintf(path, sizeof(path), "%s/iommu_group", base);
	if (access(path, F_OK) == 0) {
		p->contiguous = false;
		from = DMA_BUF_FROM_KERNEL;
	}
	snprintf(path, sizeof(path), "%s/dma_mask_bits", base);
	if (!sysfs_read(path, text, sizeof(text)))
		return from;
	bits = strtoul(text, NULL, 10);
	if (bits >= 12 && bits < 64)
		p->dma_mask = (UINT64_C(1) << bits) - 1;
	return bits ? DMA_BUF_FROM_KERNEL : from;
}
