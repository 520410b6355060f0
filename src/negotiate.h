/* SPDX-License-Identifier: MIT */
/* A question to the solver, as a program asked it. */
#ifndef DMABUF_SRC_NEGOTIATE_H
#define DMABUF_SRC_NEGOTIATE_H

#include "constraints/constraints.h"

/* A private copy of everything. */
struct negotiation_question {
	struct dma_buf_request request;
	struct dma_buf_device_parameters parameters[DMA_BUF_MAX_PARTICIPANTS];
	const struct dma_buf_device_parameters *participants[DMA_BUF_MAX_PARTICIPANTS];
	const char *names[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS];
	const struct dma_buf_heap_info *heap_list[DMA_BUF_MAX_HEAPS];
	struct dma_buf_plane planes[DMA_BUF_MAX_PLANES];
	struct constraints_problem problem;
};

/* From the heap; NULL with @err: -errno, with words. */
struct negotiation_question *negotiation_ask(const struct dma_buf_request *request, int *err);

/* Can @a be an answer to that? Its indexes may be followed then. */
bool negotiation_belongs(const struct constraints_problem *p, const struct dma_buf_negotiation *a);

#endif
