/* SPDX-License-Identifier: MIT */
/* What tests on real kernels look for. */
#ifndef DMABUF_TEST_KERNEL_UTIL_H
#define DMABUF_TEST_KERNEL_UTIL_H

#include <dmabuf.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many dma-bufs the kernel has, by its own count; it needs root and debugfs. -1: not known. */
static inline long kernel_count(void)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[256];
	long count = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Total ", 6) && strstr(line, " objects,"))
			count = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return count;
}

/* The card of @driver, or NULL. */
static inline struct dma_buf_device *find_card(const char *driver)
{
	for (int number = 0; number < 8; number++) {
		struct dma_buf_drm_info info = { .size = sizeof(info) };
		struct dma_buf_device *dev;
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		dev = dma_buf_drm_open(fd, NULL);
		close(fd);
		if (dev && dma_buf_drm_get_info(dev, &info) == 0 && !strcmp(info.driver, driver))
			return dev;
		dma_buf_device_put(dev);
	}
	return NULL;
}

#endif
