/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DEVICE_H
#define DMABUF_SRC_DEVICE_H

#include <stdatomic.h>

#include <dmabuf/device.h>
#include <dmabuf/dma-direction.h>

struct dma_buf_device {
	atomic_uint refs;
	char name[DMA_BUF_DEVICE_NAME_LEN];
	struct dma_buf_device_parameters parameters; /* zeros were kept: 0 means no limit */
	struct dma_buf_device_parameters write_parameters;
	struct dma_buf_device_parameters both; /* what it needs where it writes */
	const struct dma_buf_map_ops *ops;     /* never NULL */
	void *priv;
	void (*release)(void *priv);
};

/* 0, or -EINVAL with words that name the field and its value. */
int device_parameters_check(const struct dma_buf_device_parameters *p);

/* A checked copy of what a caller gave, who may know fewer fields. The same returns. */
int device_parameters_take(struct dma_buf_device_parameters *to,
			   const struct dma_buf_device_parameters *from);

/* What @dev needs of a buffer that it transfers in @direction: where it writes, for that too. */
void device_needs(struct dma_buf_device_parameters *to, const struct dma_buf_device *dev,
		  enum dma_data_direction direction);

#endif
