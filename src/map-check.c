// SPDX-License-Identifier: MIT
#include "map-check.h"

#include <errno.h>
#include <string.h>

#include "device.h"
#include "error.h"
#include "text.h"

#define MAP_COHERENCY (DMA_BUF_MAP_COHERENT | DMA_BUF_MAP_NONCOHERENT)
#define MAP_ATTRS (MAP_COHERENCY | DMA_BUF_MAP_ZERO_COPY)

static int check_usage(const struct attachment *a, enum dma_data_direction direction)
{
	if (a->usage == DMA_BIDIRECTIONAL || a->usage == direction)
		return 0;
	return dmabuf_fail(EINVAL, "device %s is attached to %s only", a->base.dev->name,
			   a->usage == DMA_TO_DEVICE ? "read" : "write");
}

int map_check(struct dma_buf_attachment *attach, enum dma_data_direction direction,
	      unsigned int attrs)
{
	struct buffer *b;
	int err = attachment_check(attach);

	if (!err)
		err = direction_check(direction);
	if (!err)
		err = check_usage((struct attachment *)attach, direction);
	if (err)
		return err;
	if ((attrs & ~MAP_ATTRS) || (attrs & MAP_COHERENCY) == MAP_COHERENCY)
		return dmabuf_fail(EINVAL,
				   "map attrs 0x%x: give DMA_BUF_MAP_COHERENT or "
				   "DMA_BUF_MAP_NONCOHERENT or neither, and DMA_BUF_MAP_ZERO_COPY "
				   "or not",
				   attrs);
	b = to_buffer(attach->dmabuf);
	if (direction != DMA_TO_DEVICE && b->storage.read_only && !b->storage.may_write)
		return dmabuf_fail(EACCES, "device %s would write a read-only share",
				   attach->dev->name);
	return 0;
}

bool map_noncoherent(const struct attachment *a, unsigned int attrs)
{
	if (attrs & MAP_COHERENCY)
		return attrs & DMA_BUF_MAP_NONCOHERENT;
	return a->needs.noncoherent;
}

/* Who keeps other memory in step has such memory. */
int map_check_zero_copy(struct attachment *a, struct dma_buf_sg_table *table,
			enum dma_data_direction direction)
{
	struct dma_buf_device *dev = a->base.dev;
	const struct dma_buf_map_ops *ops = dev->ops;
	unsigned long failures = dmabuf_failures();
	char why[512];
	int err;

	if (!ops->zero_copy && (ops->sync_sg_for_cpu || ops->sync_sg_for_device))
		return dmabuf_fail(EOPNOTSUPP,
				   "device %s cannot do without a copy: it keeps memory of its own "
				   "in step, and does not say that this is none",
				   dev->name);
	err = ops->zero_copy ? ops->zero_copy(dev, table, direction) : 0;
	if (!err)
		return 0;
	err = err < 0 ? -err : EOPNOTSUPP;
	text_copy(why, sizeof(why),
		  failures != dmabuf_failures() ? dmabuf_last_error() : strerror(err));
	return dmabuf_fail(err, "device %s cannot do without a copy: %s", dev->name, why);
}
