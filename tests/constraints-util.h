/* SPDX-License-Identifier: MIT */
/* Questions for the tests of negotiation, with heaps that do not depend on the machine. */
#ifndef DMABUF_TEST_CONSTRAINTS_UTIL_H
#define DMABUF_TEST_CONSTRAINTS_UTIL_H

#include <string.h>

#include <dmabuf/constraints.h>
#include <dmabuf/error.h>

#include "harness.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)

struct question {
	struct dma_buf_request request;
	struct dma_buf_negotiation answer;
	struct dma_buf_participant participants[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_device_parameters parameters[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_plane planes[DMA_BUF_MAX_PLANES];
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS];
	char text[8192];
};

static inline struct dma_buf_heap_info *add_heap(struct question *q, const char *name,
						 uint64_t chunk, uint32_t cost)
{
	struct dma_buf_heap_info *h = &q->heaps[q->request.heap_count++];

	memset(h, 0, sizeof(*h));
	h->size = sizeof(*h);
	strcpy(h->name, name);
	h->chunk = chunk;
	h->alignment = h->granule = chunk ? chunk : 4 * KIB;
	h->cost = cost;
	h->page_backed = h->cpu_mappable = h->zeroed = h->available = true;
	strcpy(h->where, "made up");
	return h;
}

/* Ordinary pages only. */
static inline void ask_about(struct question *q, uint64_t size)
{
	memset(q, 0, sizeof(*q));
	q->request.struct_size = sizeof(q->request);
	q->answer.struct_size = sizeof(q->answer);
	q->request.size = size;
	q->request.participants = q->participants;
	q->request.heaps = q->heaps;
	add_heap(q, "pages", 4 * KIB, 10);
}

/* A device that both reads and writes; its parameters may be changed. */
static inline struct dma_buf_device_parameters *add_device(struct question *q, const char *name)
{
	unsigned int i = q->request.participant_count++;

	q->parameters[i] = (struct dma_buf_device_parameters){ .size = sizeof(q->parameters[i]) };
	q->participants[i] = (struct dma_buf_participant){
		.name = name,
		.parameters = &q->parameters[i],
		.direction = DMA_BIDIRECTIONAL,
	};
	return &q->parameters[i];
}

static inline int negotiate(struct question *q)
{
	int ret = dma_buf_negotiate(&q->request, &q->answer);

	if (ret >= 0)
		ASSERT_OK(dma_buf_explain(&q->request, &q->answer, q->text, sizeof(q->text)));
	return ret;
}

/* The heap of the n-th alternative. */
static inline const char *heap_name(const struct question *q, unsigned int n)
{
	ASSERT(n < q->answer.alternative_count);
	return q->answer.heap_names[q->answer.alternatives[n].heap];
}

/* Is that a change that is suggested, alone? */
static inline const struct dma_buf_change *suggested(const struct question *q, uint32_t participant,
						     unsigned int parameter)
{
	for (unsigned int n = 0; n < q->answer.relaxation_count; n++) {
		const struct dma_buf_relaxation *r = &q->answer.relaxations[n];

		if (r->count == 1 && r->changes[0].participant == participant &&
		    r->changes[0].parameter == parameter)
			return &r->changes[0];
	}
	return NULL;
}

#endif
