// SPDX-License-Identifier: MIT
/* Tables for devices that know physical addresses only (mission row F7). */
#include <errno.h>
#include <unistd.h>

#include "page-frames.h"
#include "sg-table.h"

/* Page frames asked for at a time. */
#define FRAMES 512

static int add_frames(struct sg_builder *b, int fd, const char *at, uint64_t size)
{
	uint64_t frames[FRAMES], page = page_size(), left = size;
	int err = 0;

	while (left && !err) {
		size_t count = left > FRAMES * page ? FRAMES : (left + page - 1) / page;

		err = page_frames_read(fd, at, frames, count);
		for (size_t i = 0; i < count && !err; i++) {
			uint64_t length = left < page ? left : page;

			err = sg_builder_add(b, frames[i] * page, length);
			left -= length;
		}
		at += count * page;
	}
	return err;
}

int sg_table_build_physical(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
			    const struct dma_buf_device_parameters *limits)
{
	int fd = page_frames_open(), err;
	struct sg_builder b;

	if (fd < 0)
		return fd;
	sg_builder_init(&b, size, limits);
	err = add_frames(&b, fd, vaddr, size);
	close(fd);
	return sg_builder_end(&b, err, vaddr, table);
}
