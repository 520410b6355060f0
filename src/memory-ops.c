// SPDX-License-Identifier: MIT
/*
 * Ready-made ops for exporters of the library's own memory: one virtually contiguous piece, split
 * by the device's limits and translated by its map_sg. For devices that know physical addresses
 * only, the pieces are those that memory really lies in.
 */
#include <errno.h>
#include <stdlib.h>

#include "attachment.h"
#include "buffer.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "page-frames.h"
#include "sg-table.h"

/* What dma_buf_memory_map() gives out. */
struct memory_table {
	struct dma_buf_sg_table base;
	struct page_hold hold; /* only of those with physical addresses */
	bool held;
};

/* Frames are looked at once they cannot change any more. */
static int build_physical(struct memory_table *table, struct buffer *b,
			  const struct dma_buf_device_parameters *needs)
{
	int err = page_hold_begin(&table->hold, b);

	if (err)
		return err;
	err = sg_table_build_physical(&table->base, b->storage.kept, b->base.size, needs);
	if (err)
		page_hold_end(&table->hold, b);
	table->held = !err;
	return err;
}

static void table_free(struct memory_table *table, struct buffer *b)
{
	dma_buf_sg_free_table(&table->base);
	if (table->held)
		page_hold_end(&table->hold, b);
	free(table);
}

static int build(struct memory_table *table, struct dma_buf_attachment *attach,
		 enum dma_data_direction direction)
{
	const struct dma_buf_device_parameters *needs = &((struct attachment *)attach)->needs;
	struct buffer *b = to_buffer(attach->dmabuf);
	struct dma_buf_device *dev = attach->dev;
	int err;

	err = needs->physical ? build_physical(table, b, needs)
			      : sg_table_build(&table->base, b->storage.kept, b->base.size, needs);
	if (!err && dev->ops->map_sg)
		err = dev->ops->map_sg(dev, &table->base, direction);
	return err;
}

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_memory_map(struct dma_buf_attachment *attach,
							  enum dma_data_direction direction)
{
	struct memory_table *table;
	struct buffer *b;
	int err;

	if (!attach)
		return dmabuf_fail_ptr(EINVAL, "no attachment (NULL) to map for");
	b = to_buffer(attach->dmabuf);
	if (b->storage.ops->keep(&b->storage) < 0)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a scatter table");
	err = build(table, attach, direction);
	if (!err)
		return &table->base;
	table_free(table, b);
	errno = -err;
	return NULL;
}

DMABUF_PUBLIC void dma_buf_memory_unmap(struct dma_buf_attachment *attach,
					struct dma_buf_sg_table *table,
					enum dma_data_direction direction)
{
	if (!attach || !table)
		return;
	if (attach->dev->ops->unmap_sg)
		attach->dev->ops->unmap_sg(attach->dev, table, direction);
	table_free((struct memory_table *)table, to_buffer(attach->dmabuf));
}

DMABUF_PUBLIC void *dma_buf_memory_kmap(struct dma_buf *dmabuf, unsigned long page)
{
	char *base;

	if (!dmabuf)
		return dmabuf_fail_ptr(EINVAL, "no buffer (NULL) to map a page of");
	base = to_buffer(dmabuf)->storage.cpu;
	return base ? base + page * page_size() : NULL;
}
