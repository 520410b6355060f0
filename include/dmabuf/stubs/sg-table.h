/* SPDX-License-Identifier: MIT */
/* <dmabuf/sg-table.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_SG_TABLE_H
#define DMABUF_STUBS_SG_TABLE_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dma_buf_sg_alloc_table(struct dma_buf_sg_table *table, unsigned int nents)
{
	return -ENODEV;
}

static inline void dma_buf_sg_free_table(struct dma_buf_sg_table *table)
{
}

static inline void dma_buf_sg_iter_init(struct dma_buf_sg_iter *iter,
					const struct dma_buf_sg_table *table, uint64_t offset)
{
}

static inline int dma_buf_sg_iter_next(struct dma_buf_sg_iter *iter, uint64_t step)
{
	return 0; /* the end at once, as there is nothing to walk */
}

static inline uint64_t dma_buf_sg_length(const struct dma_buf_sg_table *table)
{
	return 0;
}

#pragma GCC diagnostic pop
#endif
