/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_SG_TABLE_H
#define DMABUF_SRC_SG_TABLE_H

#include <dmabuf/device.h>
#include <dmabuf/sg-table.h>

#define SG_MAX_NENTS (1u << 20)

/*
 * Describe [0, size) at @vaddr as one memory piece and split its device side by @limits:
 * max_segment_size, segment_boundary_mask, length_granularity, address_alignment. Device addresses
 * are virtual. -EINVAL, -ENOMEM, -E2BIG with the limit that cannot be met.
 */
int sg_table_build(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
		   const struct dma_buf_device_parameters *limits);

/*
 * The same with physical addresses: @vaddr is page-aligned, mapped, and its pages stay where they
 * are (page-frames.h). Pages that touch become one segment as far as @limits allow, contiguous is
 * looked at too. -EAGAIN, -EPERM as page_frames_read().
 */
int sg_table_build_physical(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
			    const struct dma_buf_device_parameters *limits);

/*
 * The device side in the making. Pieces of memory are added in the buffer's order; those that touch
 * are joined. 0 or -errno with words.
 */
struct sg_builder {
	const struct dma_buf_device_parameters *limits;
	uint64_t unit;	     /* what segments' lengths are multiples of where another follows */
	uint64_t size, done; /* bytes of the buffer; of them in segments */
	uint64_t address, length; /* the piece that may still grow */
	uint64_t pieces;
	uint64_t count; /* segments, also those that are too many to be kept */
	struct dma_buf_scatterlist *sgl;
	unsigned int room;
};
void sg_builder_init(struct sg_builder *b, uint64_t size,
		     const struct dma_buf_device_parameters *limits);
int sg_builder_add(struct sg_builder *b, uint64_t address, uint64_t length);
/* All was added, or something failed (@err): the table, or nothing. */
int sg_builder_end(struct sg_builder *b, int err, void *vaddr, struct dma_buf_sg_table *table);

#endif
