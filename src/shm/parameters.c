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
	*to = (struct dma_buf_device_parameters){
		.size = sizeof(*to),
		.max_segment_size = from->max_segment_size,
		.max_segment_count = from->max_segment_count,
		.segment_boundary_mask = from->segment_boundary_mask,
		.dma_mask = from->dma_mask,
		.address_alignment = from->address_alignment,
		.length_granularity = from->length_granularity,
		.noncoherent = from->flags & SHM_NEEDS_NONCOHERENT,
		.trust_domain = from->trust_domain,
		.preferred_segment_size = from->preferred_segment_size,
		.min_buffers = from->min_buffers,
		.preferred_buffers = from->preferred_buffers,
		.contiguous = from->flags & SHM_NEEDS_CONTIGUOUS,
		.page_backed = from->flags & SHM_NEEDS_PAGE_BACKED,
		.cpu_needed = from->flags & SHM_NEEDS_CPU,
		.cpu_forbidden = from->flags & SHM_NEEDS_NO_CPU,
		.protected_memory = from->flags & SHM_NEEDS_PROTECTED,
		.physical = from->flags & SHM_NEEDS_PHYSICAL,
		.line_by_line = from->flags & SHM_NEEDS_LINES,
	};
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
	*to = (struct dma_buf_device_parameters){ .size = sizeof(*to) };
	return false;
}
