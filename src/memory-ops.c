// SPDX-License-Identifier: MIT
/*
 * Ready-made ops for exporters of the library's own memory: one virtually contiguous piece, split
 * by the device's limits and translated by its map_sg.
 */
#include <errno.h>
#include <stdlib.h>

#include "attachment.h"
#include "buffer.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "sg-table.h"

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_memory_map(struct dma_buf_attachment *attach,
							  enum dma_data_direction direction)
{
	struct dma_buf_sg_table *table;
	struct dma_buf_device *dev;
	struct buffer *b;
	int err;

	if (!attach)
		return dmabuf_fail_ptr(EINVAL, "no attachment (NULL) to map for");
	b = to_buffer(attach->dmabuf);
	dev = attach->dev;
	if (b->storage.ops->keep(&b->storage) < 0)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a scatter table");
	err = sg_table_build(table, b->storage.kept, b->base.size,
			     &((struct attachment *)attach)->needs);
	if (!err && dev->ops->map_sg) {
		err = dev->ops->map_sg(dev, table, direction);
		if (err)
			dma_buf_sg_free_table(table);
	}
	if (err) {
		free(table);
		errno = -err;
		return NULL;
	}
	return table;
}

DMABUF_PUBLIC void dma_buf_memory_unmap(struct dma_buf_attachment *attach,
					struct dma_buf_sg_table *table,
					enum dma_data_direction direction)
{
	if (!attach || !table)
		return;
	if (attach->dev->ops->unmap_sg)
		attach->dev->ops->unmap_sg(attach->dev, table, direction);
	dma_buf_sg_free_table(table);
	free(table);
}

DMABUF_PUBLIC void *dma_buf_memory_kmap(struct dma_buf *dmabuf, unsigned long page)
{
	char *base;

	if (!dmabuf)
		return dmabuf_fail_ptr(EINVAL, "no buffer (NULL) to map a page of");
	base = to_buffer(dmabuf)->storage.kept;
	return base ? base + page * page_size() : NULL;
}
