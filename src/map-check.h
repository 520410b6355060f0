/* SPDX-License-Identifier: MIT */
/* May a table be mapped like that? */
#ifndef DMABUF_SRC_MAP_CHECK_H
#define DMABUF_SRC_MAP_CHECK_H

#include "attachment.h"

/* What can be said before there is a table. 0 or -errno with words. */
int map_check(struct dma_buf_attachment *attach, enum dma_data_direction direction,
	      unsigned int attrs);

/* Is a mapping with @attrs non-coherent? */
bool map_noncoherent(const struct attachment *a, unsigned int attrs);

/* Will the device transfer to and from this memory itself? 0, or -errno with words if not. */
int map_check_zero_copy(struct attachment *a, struct dma_buf_sg_table *table,
			enum dma_data_direction direction);

#endif
