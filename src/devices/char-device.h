/* SPDX-License-Identifier: MIT */
/* What video and graphics devices have in common: a descriptor of a character device, and sysfs. */
#ifndef DMABUF_SRC_DEVICES_CHAR_DEVICE_H
#define DMABUF_SRC_DEVICES_CHAR_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <dmabuf/device-parameters.h>

/*
 * A copy of @fd, close-on-exec, if it is open for reading and writing, with its status flags in
 * *@flags; or -errno with words that call it @name.
 */
int char_device_take(int fd, const char *name, int *flags);

/* The last name of the file's path, or @otherwise. */
void char_device_name(int fd, const char *otherwise, char *name, size_t room);

/* An attribute's text, cut to @room. False: it is not there or empty. */
bool sysfs_read(const char *path, char *text, size_t room);

/*
 * Which addresses the device reaches: dma_mask, and that an IOMMU makes memory contiguous. @sysfs
 * is "/sys", or a test's. DMA_BUF_FROM_KERNEL if it says anything of that, else 0.
 */
unsigned int char_device_reach(dev_t number, const char *sysfs,
			       struct dma_buf_device_parameters *p);

#endif
