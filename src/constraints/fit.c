// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* Needs against what one heap offers. */
#include "constraints.h"

/* A failure on its way to becoming a rejection. */
struct misfit {
	uint32_t parameter;
	uint64_t needs, offers;
	uint64_t blamed; /* the value of whoever is to blame */
	uint32_t participant;
};

static bool misfit(struct misfit *m, uint32_t parameter, uint64_t needs, uint64_t offers,
		   uint64_t blamed)
{
	m->parameter = parameter;
	m->needs = needs;
	m->offers = offers;
	m->blamed = blamed;
	return false;
}

/* Who gives @parameter that value; of several the first by name. */
static uint32_t find_blamed(const struct constraints_problem *p, const struct misfit *m)
{
	uint32_t found = DMA_BUF_NOBODY;

	if (m->participant != DMA_BUF_NOBODY)
		return m->participant;
	if (m->parameter >= DMA_BUF_PARAMETER_NAMED)
		return DMA_BUF_NOBODY;
	for (unsigned int i = 0; i < p->count; i++) {
		if (constraints_dropped(p, i, m->parameter) ||
		    constraints_value(p->participants[i], m->parameter) != m->blamed ||
		    constraints_is_neutral(p->participants[i], m->parameter))
			continue;
		if (found == DMA_BUF_NOBODY ||
		    constraints_name_before(p->names[i], p->names[found]))
			found = i;
	}
	return found;
}

static bool fit_room(const struct constraints_needs *needs, const struct dma_buf_heap_info *heap,
		     struct misfit *m)
{
	uint64_t size = constraints_round_up(needs->size, heap->granule ? heap->granule : 1);
	uint64_t all;

	if (!heap->available)
		return misfit(m, DMA_BUF_PARAMETER_AVAILABLE, 1, 0, 0);
	if (heap->max_size && size > heap->max_size)
		return misfit(m, DMA_BUF_PARAMETER_SIZE, size, heap->max_size, 0);
	if (__builtin_mul_overflow(size, needs->min_buffers ? needs->min_buffers : 1, &all))
		all = UINT64_MAX;
	if (heap->capacity && all > heap->capacity)
		return misfit(m, DMA_BUF_PARAMETER_CAPACITY, all, heap->capacity, 0);
	return true;
}

static bool fit_kind(const struct constraints_needs *needs, const struct dma_buf_heap_info *heap,
		     struct misfit *m)
{
	if (needs->contiguous && heap->chunk && heap->chunk < needs->size)
		return misfit(m, DMA_BUF_PARAMETER_CONTIGUOUS, needs->size, heap->chunk, 1);
	if (needs->page_backed && !heap->page_backed)
		return misfit(m, DMA_BUF_PARAMETER_PAGE_BACKED, 1, 0, 1);
	if (needs->cpu_needed && !heap->cpu_mappable)
		return misfit(m, DMA_BUF_PARAMETER_CPU_NEEDED, 1, 0, 1);
	if (needs->cpu_forbidden && heap->cpu_mappable)
		return misfit(m, DMA_BUF_PARAMETER_CPU_FORBIDDEN, 1, 0, 1);
	return true;
}

/* Of several misfits the first by name is told, whatever the order of the participants. */
static bool is_told_before(const struct constraints_problem *p, const struct misfit *one,
			   const struct misfit *other)
{
	if (other->participant == DMA_BUF_NOBODY ||
	    constraints_name_before(p->names[one->participant], p->names[other->participant]))
		return true;
	if (constraints_name_before(p->names[other->participant], p->names[one->participant]))
		return false;
	if (one->parameter != other->parameter)
		return one->parameter < other->parameter;
	return one->needs < other->needs;
}

static void misfit_domain(const struct constraints_problem *p, unsigned int i,
			  const struct dma_buf_heap_info *heap, struct misfit *m)
{
	uint64_t domain = p->participants[i]->trust_domain;
	struct misfit one = { .participant = i };

	misfit(&one, DMA_BUF_PARAMETER_TRUST_DOMAIN, domain, heap->trust_domain, domain);
	if (is_told_before(p, &one, m))
		*m = one;
}

static bool fit_trust(const struct constraints_problem *p, const struct constraints_needs *needs,
		      const struct dma_buf_heap_info *heap, struct misfit *m)
{
	if (needs->trust_domain && needs->trust_domain != heap->trust_domain)
		return misfit(m, DMA_BUF_PARAMETER_PROTECTED_MEMORY, needs->trust_domain,
			      heap->trust_domain, 1);
	for (unsigned int i = 0; heap->trust_domain && i < p->count; i++)
		if (p->participants[i]->trust_domain != heap->trust_domain &&
		    !constraints_dropped(p, i, DMA_BUF_PARAMETER_TRUST_DOMAIN))
			misfit_domain(p, i, heap, m);
	return m->participant == DMA_BUF_NOBODY;
}

static bool fit_address(const struct constraints_needs *needs, const struct dma_buf_heap_info *heap,
			struct misfit *m)
{
	uint64_t highest = heap->highest_address ? heap->highest_address : UINT64_MAX;
	uint64_t last = needs->size - 1;

	if (highest < last)
		highest = last;
	if (needs->physical_mask != UINT64_MAX && highest > needs->physical_mask)
		return misfit(m, DMA_BUF_PARAMETER_DMA_MASK, needs->physical_mask, highest,
			      needs->physical_mask);
	if (last > needs->virtual_mask)
		return misfit(m, DMA_BUF_PARAMETER_DMA_MASK, needs->virtual_mask, last,
			      needs->virtual_mask);
	return true;
}

/* Each line is a segment or more, where there is a gap after it. */
static uint32_t plane_segments(const struct constraints_problem *p,
			       const struct constraints_needs *needs, unsigned int k,
			       const struct constraints_limits *limits, uint64_t chunk,
			       uint64_t alignment, uint64_t *count, uint64_t *longest)
{
	const struct dma_buf_plane *plane = &p->planes[k];
	uint64_t start = constraints_line_start(plane), size = plane->bytes_per_line;
	bool gaps = needs->strides[k] != size && plane->lines > 1;
	uint32_t parameter;

	if (size > CONSTRAINTS_PAGE && limits->address_alignment > CONSTRAINTS_PAGE)
		return DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT;
	/* Only a table's last segment may be of any length. */
	if ((gaps || k + 1 < p->plane_count) &&
	    (gaps ? size : size * plane->lines) % limits->length_granularity)
		return DMA_BUF_PARAMETER_LENGTH_GRANULARITY;
	if (start < limits->address_alignment)
		start = limits->address_alignment;
	if (start > alignment)
		start = alignment;
	parameter = constraints_segments(gaps ? size : size * plane->lines, limits, chunk, start,
					 count, longest);
	if (parameter == DMA_BUF_NOBODY && gaps &&
	    __builtin_mul_overflow(*count, plane->lines, count))
		*count = UINT64_MAX;
	return parameter;
}

static uint32_t line_segments(const struct constraints_problem *p,
			      const struct constraints_needs *needs,
			      const struct constraints_limits *limits, uint64_t chunk,
			      uint64_t alignment, uint64_t *count, uint64_t *longest)
{
	uint64_t one, length;

	*count = *longest = 0;
	for (unsigned int k = 0; k < p->plane_count; k++) {
		uint32_t parameter =
			plane_segments(p, needs, k, limits, chunk, alignment, &one, &length);

		if (parameter != DMA_BUF_NOBODY)
			return parameter;
		if (__builtin_add_overflow(*count, one, count))
			*count = UINT64_MAX;
		if (*longest < length)
			*longest = length;
	}
	return DMA_BUF_NOBODY;
}

static uint32_t table_segments(const struct constraints_problem *p,
			       const struct constraints_needs *needs, unsigned int kind,
			       const struct constraints_limits *limits,
			       const struct dma_buf_heap_info *heap, uint64_t *count,
			       uint64_t *longest)
{
	uint64_t chunk = kind & 2 ? heap->chunk : 0;

	if (kind & 1)
		return line_segments(p, needs, limits, chunk, heap->alignment, count, longest);
	return constraints_segments(needs->size, limits, chunk, heap->alignment, count, longest);
}

static bool fit_table(const struct constraints_problem *p, const struct constraints_needs *needs,
		      unsigned int kind, const struct constraints_limits *limits,
		      const struct dma_buf_heap_info *heap, struct misfit *m)
{
	uint64_t count, longest;
	uint32_t parameter = table_segments(p, needs, kind, limits, heap, &count, &longest);

	if (parameter == DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT)
		return misfit(m, parameter, limits->address_alignment, heap->alignment,
			      limits->address_alignment);
	if (parameter == DMA_BUF_PARAMETER_LENGTH_GRANULARITY)
		return misfit(m, parameter, limits->length_granularity,
			      limits->segment_boundary_mask + 1 && !heap->chunk
				      ? limits->segment_boundary_mask + 1
				      : heap->chunk,
			      limits->length_granularity);
	if (parameter == DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE)
		return misfit(m, parameter,
			      constraints_common_multiple(limits->length_granularity,
							  limits->address_alignment),
			      limits->max_segment_size, limits->max_segment_size);
	if (count > limits->max_segment_count)
		return misfit(m, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT, count,
			      limits->max_segment_count, limits->max_segment_count);
	return true;
}

static unsigned int kind_of(const struct constraints_problem *p, unsigned int i)
{
	const struct dma_buf_device_parameters *d = p->participants[i];
	bool physical = d->physical && !constraints_dropped(p, i, DMA_BUF_PARAMETER_PHYSICAL);

	return physical << 1 | (d->line_by_line && p->plane_count);
}

static bool fit_tables(const struct constraints_problem *p, const struct constraints_needs *needs,
		       const struct dma_buf_heap_info *heap, struct misfit *m)
{
	struct constraints_limits own;

	for (unsigned int kind = 0; kind < 4 && !p->own_tables; kind++)
		if (needs->kind[kind] && !fit_table(p, needs, kind, &needs->limits, heap, m))
			return false;
	for (unsigned int i = 0; i < p->count && p->own_tables; i++) {
		struct misfit one = { .participant = i };

		constraints_limits_of(p, i, &own);
		if (!fit_table(p, needs, kind_of(p, i), &own, heap, &one) &&
		    is_told_before(p, &one, m))
			*m = one;
	}
	return m->participant == DMA_BUF_NOBODY;
}

bool constraints_fit(const struct constraints_problem *p, const struct constraints_needs *needs,
		     const struct dma_buf_heap_info *heap, struct dma_buf_rejection *why)
{
	struct misfit m = { .participant = DMA_BUF_NOBODY };

	if (needs->impossible != DMA_BUF_NOBODY)
		misfit(&m, needs->impossible, 0, 0, 0);
	else if (fit_room(needs, heap, &m) && fit_kind(needs, heap, &m) &&
		 fit_trust(p, needs, heap, &m) && fit_address(needs, heap, &m) &&
		 fit_tables(p, needs, heap, &m))
		return true;
	if (!why)
		return false;
	why->parameter = m.parameter;
	why->needs = m.needs;
	why->offers = m.offers;
	why->participant = find_blamed(p, &m);
	return false;
}

void constraints_table_of(const struct constraints_problem *p,
			  const struct constraints_needs *needs, unsigned int i,
			  const struct dma_buf_heap_info *heap, uint64_t *segments,
			  uint64_t *longest)
{
	struct constraints_limits own = needs->limits;

	if (p->own_tables)
		constraints_limits_of(p, i, &own);
	table_segments(p, needs, kind_of(p, i), &own, heap, segments, longest);
}

bool constraints_wants_larger(const struct constraints_problem *p,
			      const struct constraints_needs *needs, unsigned int i,
			      const struct dma_buf_heap_info *heap)
{
	uint64_t wanted = p->participants[i]->preferred_segment_size;
	uint64_t usual = heap->chunk;

	if (usual && heap->usual_chunk > usual)
		usual = heap->usual_chunk;
	return usual && wanted > usual && needs->size > usual;
}
