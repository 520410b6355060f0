/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_SG_TABLE_H
#define DMABUF_SRC_SG_TABLE_H

#include <dmabuf/device.h>
#include <dmabuf/sg-table.h>

/*
 * Describe [0, size) at @vaddr as one memory piece and split its device side by @limits:
 * max_segment_size, segment_boundary_mask, length_granularity, address_alignment. Device addresses
 * are virtual. -EINVAL, -ENOMEM, -E2BIG with the limit that cannot be met.
 */
int sg_table_build(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
		   const struct dma_buf_device_parameters *limits);

#endif
