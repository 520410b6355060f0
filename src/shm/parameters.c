// SPDX-License-Identifier: MIT
#include "shm/parameters.h"

#include <string.h>

#include "constraints/constraints.h"

static uint32_t flags_of(const struct dma_buf_device_parameters *p)
{
	return (p->noncoherent ? SHM_NEEDS_NONCOHERENT : 0) |
	       (p->contiguous ? SHM_NEEDS_CONTIGUOUS : 0) |
	       (p->page_backed ? SHM_NEEDS_PAGE_BACKED : 0) | (p->cpu_needed ? SHM_NEEDS_CPU : 0) |
	       (p->cpu_forbidden ? SHM_NEEDS_NO_CPU : 0) |
	       (p->protected_memory ? SHM_NEEDS_PROTECTED : 0) |
	       (p->physical ? SHM_NEEDS_PHYSICAL : 0) | (p->line_by_line ? SHM_NEEDS_LINES : 0);
}

void shm_parameters_write(struct shm_parameters *to, const struct dma_buf_device_parameters *from)
{
	*to = (struct shm_parameters){
		.max_segment_size = from->max_segment_size,
		.max_segment_count = from->max_segment_count,
		.segment_boundary_mask = from->segment_boundary_mask,
		.dma_mask = from->dma_mask,
		.address_alignment = from->address_alignment,
		.length_granularity = from->length_granularity,
		.trust_domain = from->trust_domain,
		.preferred_segment_size = from->preferred_segment_size,
		.min_buffers = from->min_buffers,
		.preferred_buffers = from->preferred_buffers,
		.flags = flags_of(from),
	};
	for (unsigned int i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++) {
		memcpy(to->named[i].name, from->named[i].name, DMA_BUF_PARAMETER_NAME_LEN);
		to->named[i].rule = from->named[i].rule;
		to->named[i].ignorable = from->named[i].ignorable;
		to->named[i].value = from->named[i].value;
	}
}

static void take(struct dma_buf_device_parameters *to, const struct shm_parameters *from)
{
	memset(to, 0, sizeof(*to));
	to->size = sizeof(*to);
	to->max_segment_size = from->max_segment_size;
	to->max_segment_count = from->max_segment_count;
	to->segment_boundary_mask = from->segment_boundary_mask;
	to->dma_mask = from->dma_mask;
	to->address_alignment = from->address_alignment;
	to->length_granularity = from->length_granularity;
	to->noncoherent = from->flags & SHM_NEEDS_NONCOHERENT;
	to->trust_domain = from->trust_domain;
	to->preferred_segment_size = from->preferred_segment_size;
	to->min_buffers = from->min_buffers;
	to->preferred_buffers = from->preferred_buffers;
	to->contiguous = from->flags & SHM_NEEDS_CONTIGUOUS;
	to->page_backed = from->flags & SHM_NEEDS_PAGE_BACKED;
	to->cpu_needed = from->flags & SHM_NEEDS_CPU;
	to->cpu_forbidden = from->flags & SHM_NEEDS_NO_CPU;
	to->protected_memory = from->flags & SHM_NEEDS_PROTECTED;
	to->physical = from->flags & SHM_NEEDS_PHYSICAL;
	to->line_by_line = from->flags & SHM_NEEDS_LINES;
	for (unsigned int i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++) {
		memcpy(to->named[i].name, from->named[i].name, DMA_BUF_PARAMETER_NAME_LEN);
		to->named[i].rule = from->named[i].rule;
		to->named[i].ignorable = from->named[i].ignorable;
		to->named[i].value = from->named[i].value;
	}
}

bool shm_parameters_read(struct dma_buf_device_parameters *to, const struct shm_parameters *from)
{
	struct constraints_fault fault;

	take(to, from);
	for (unsigned int i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++)
		to->named[i].name[DMA_BUF_PARAMETER_NAME_LEN - 1] = '\0';
	if (constraints_check(to, &fault))
		return true;
	memset(to, 0, sizeof(*to));
	to->size = sizeof(*to);
	return false;
}
