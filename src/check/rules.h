/* SPDX-License-Identifier: MIT */
/*
 * Where calls break the rules of access, for checking mode (mission row C4): called from where it
 * is found out, with no lock that a program's callback could need. For a buffer that is not checked
 * they do nothing.
 */
#ifndef DMABUF_SRC_CHECK_RULES_H
#define DMABUF_SRC_CHECK_RULES_H

#include "buffer.h"

struct check_access;

/* An end of CPU access that fits no begin. */
void check_bad_end(const struct buffer *b, size_t start, size_t len,
		   enum dma_data_direction direction);

/*
 * The program was to @what ("unmap", ...) a table with @direction that is mapped as @mapped, or not
 * at all: DMA_NONE.
 */
void check_bad_table(const struct dma_buf_attachment *attach, const char *what,
		     enum dma_data_direction direction, enum dma_data_direction mapped);

/* A device gets the whole buffer: is the CPU still at it? */
void check_handed_over(const struct dma_buf_attachment *attach, enum dma_data_direction direction);

/* Between sync for cpu and sync for device, or the unmap, the CPU has the whole buffer. */
void check_cpu_owns(const struct dma_buf_attachment *attach, enum dma_data_direction direction,
		    bool owns);

/* An attachment goes while tables are mapped. */
void check_detach_mapped(const struct dma_buf_attachment *attach);

/*
 * A transfer of [start, start + len) begins, or ends. What begin returned is for end, which may be
 * called with any lock; NULL: nothing is checked.
 */
struct check_access *check_transfer_begin(const struct dma_buf_attachment *attach,
					  enum dma_data_direction direction, size_t start,
					  size_t len);
void check_transfer_end(struct check_access *transfer);

#endif
