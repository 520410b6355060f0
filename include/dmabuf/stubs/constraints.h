/* SPDX-License-Identifier: MIT */
/* <dmabuf/constraints.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_CONSTRAINTS_H
#define DMABUF_STUBS_CONSTRAINTS_H

#include <errno.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dma_buf_negotiate(const struct dma_buf_request *request,
				    struct dma_buf_negotiation *answer)
{
	return -ENODEV;
}

static inline int dma_buf_explain(const struct dma_buf_request *request,
				  const struct dma_buf_negotiation *answer, char *text, size_t size)
{
	return -ENODEV;
}

static inline const char *dma_buf_parameter_name(unsigned int parameter)
{
	return "";
}

static inline int dma_buf_negotiation_alloc(const struct dma_buf_negotiation *answer,
					    const char *name, struct dma_buf_allocation *allocation)
{
	return -ENODEV;
}

static inline int dma_buf_test_plan(const struct dma_buf_request *request,
				    const struct dma_buf_negotiation *answer)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
