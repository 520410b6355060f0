/* SPDX-License-Identifier: MIT */
/* A block device that is one: a loop device, which needs root. */
#ifndef DMABUF_TEST_LOOP_DISK_H
#define DMABUF_TEST_LOOP_DISK_H

#include <linux/loop.h>
#include <sys/ioctl.h>

#include "block-util.h"

/* A loop device on @backing, O_RDWR, that goes with its last descriptor; -1 where there is none. */
static inline int loop_open(int backing, unsigned int sector)
{
	struct loop_config config = {
		.fd = (unsigned int)backing,
		.block_size = sector,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	int tries, number, fd = -1, control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char path[32];

	if (control < 0)
		return -1;
	for (tries = 0; tries < 50 && fd < 0; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			break;
		/* EBUSY: somebody else was faster. */
		if (!ioctl(fd, LOOP_CONFIGURE, &config))
			break;
		close(fd);
		fd = -1;
		if (errno != EBUSY)
			break;
	}
	close(control);
	return fd;
}

#endif
