// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* What all participants together need. */
#include "constraints.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

bool constraints_name_is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool constraints_name_before(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a < (unsigned char)*b;
}

uint64_t constraints_value(const struct dma_buf_device_parameters *p, unsigned int parameter)
{
	if (parameter >= DMA_BUF_PARAMETER_NAMED)
		return p->named[parameter - DMA_BUF_PARAMETER_NAMED].value;
	switch (parameter) {
	case DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE:
		return p->max_segment_size;
	case DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT:
		return p->max_segment_count;
	case DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK:
		return p->segment_boundary_mask;
	case DMA_BUF_PARAMETER_DMA_MASK:
		return p->dma_mask;
	case DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT:
		return p->address_alignment;
	case DMA_BUF_PARAMETER_LENGTH_GRANULARITY:
		return p->length_granularity;
	case DMA_BUF_PARAMETER_CONTIGUOUS:
		return p->contiguous;
	case DMA_BUF_PARAMETER_PAGE_BACKED:
		return p->page_backed;
	case DMA_BUF_PARAMETER_CPU_NEEDED:
		return p->cpu_needed;
	case DMA_BUF_PARAMETER_CPU_FORBIDDEN:
		return p->cpu_forbidden;
	case DMA_BUF_PARAMETER_TRUST_DOMAIN:
		return p->trust_domain;
	case DMA_BUF_PARAMETER_PROTECTED_MEMORY:
		return p->protected_memory;
	case DMA_BUF_PARAMETER_MIN_BUFFERS:
		return p->min_buffers;
	default:
		return p->physical;
	}
}

/* Whoever is in no trust domain needs ordinary memory. */
bool constraints_is_neutral(const struct dma_buf_device_parameters *p, unsigned int parameter)
{
	if (parameter == DMA_BUF_PARAMETER_TRUST_DOMAIN)
		return false;
	if (parameter >= DMA_BUF_PARAMETER_NAMED)
		return !p->named[parameter - DMA_BUF_PARAMETER_NAMED].rule;
	return !constraints_value(p, parameter);
}

static uint64_t limit(const struct constraints_problem *p, unsigned int i, unsigned int parameter,
		      uint64_t value, uint64_t otherwise)
{
	return value && !constraints_dropped(p, i, parameter) ? value : otherwise;
}

void constraints_limits_of(const struct constraints_problem *p, unsigned int i,
			   struct constraints_limits *limits)
{
	const struct dma_buf_device_parameters *d = p->participants[i];

	limits->max_segment_size =
		limit(p, i, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE, d->max_segment_size, UINT64_MAX);
	limits->max_segment_count =
		limit(p, i, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT, d->max_segment_count, UINT64_MAX);
	limits->segment_boundary_mask = limit(p, i, DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK,
					      d->segment_boundary_mask, UINT64_MAX);
	limits->address_alignment =
		limit(p, i, DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT, d->address_alignment, 1);
	limits->length_granularity =
		limit(p, i, DMA_BUF_PARAMETER_LENGTH_GRANULARITY, d->length_granularity, 1);
}

static void merge_limits(struct constraints_limits *all, const struct constraints_limits *one)
{
	all->max_segment_size = MIN(all->max_segment_size, one->max_segment_size);
	all->max_segment_count = MIN(all->max_segment_count, one->max_segment_count);
	all->segment_boundary_mask &= one->segment_boundary_mask;
	all->address_alignment = MAX(all->address_alignment, one->address_alignment);
	if (all->length_granularity != one->length_granularity)
		all->length_granularity = constraints_common_multiple(all->length_granularity,
								      one->length_granularity);
}

static void impossible(struct constraints_needs *needs, uint32_t parameter)
{
	/* Which one is told must not depend on who came first. */
	if (needs->impossible > parameter)
		needs->impossible = parameter;
}

static void merge_value(struct constraints_needs *needs, struct dma_buf_named_parameter *n,
			uint64_t value)
{
	if (n->rule == DMA_BUF_MERGE_MAX)
		n->value = MAX(n->value, value);
	else if (n->rule == DMA_BUF_MERGE_MIN)
		n->value = MIN(n->value, value);
	else if (n->rule == DMA_BUF_MERGE_OR)
		n->value |= value;
	else if (n->rule == DMA_BUF_MERGE_SUM)
		n->value = n->value > UINT64_MAX - value ? UINT64_MAX : n->value + value;
	else if (n->rule == DMA_BUF_MERGE_MASK_AND)
		n->value &= value;
	else if (n->value != value)
		impossible(needs, DMA_BUF_PARAMETER_NAMED);
}

static void merge_named(const struct constraints_problem *p, unsigned int i,
			struct constraints_needs *needs)
{
	unsigned int slot, k;

	for (slot = 0; slot < DMA_BUF_NAMED_PARAMETERS; slot++) {
		const struct dma_buf_named_parameter *one = &p->participants[i]->named[slot];

		if (!one->rule || constraints_dropped(p, i, DMA_BUF_PARAMETER_NAMED + slot))
			continue;
		for (k = 0; k < needs->named_count; k++)
			if (constraints_name_is(needs->named[k].name, one->name))
				break;
		if (k == needs->named_count)
			needs->named[needs->named_count++] = *one;
		else
			merge_value(needs, &needs->named[k], one->value);
		if (one->rule == DMA_BUF_MERGE_MASK_AND && !needs->named[k].value)
			impossible(needs, DMA_BUF_PARAMETER_NAMED);
	}
}

static void merge_domain(const struct constraints_problem *p, unsigned int i,
			 struct constraints_needs *needs)
{
	uint64_t domain = p->participants[i]->trust_domain;

	if (!p->participants[i]->protected_memory ||
	    constraints_dropped(p, i, DMA_BUF_PARAMETER_PROTECTED_MEMORY))
		return;
	if (needs->trust_domain && needs->trust_domain != domain)
		impossible(needs, DMA_BUF_PARAMETER_PROTECTED_MEMORY);
	needs->trust_domain = domain;
}

static bool wants(const struct constraints_problem *p, unsigned int i, unsigned int parameter,
		  bool set)
{
	return set && !constraints_dropped(p, i, parameter);
}

static void merge_one(const struct constraints_problem *p, unsigned int i,
		      struct constraints_needs *needs)
{
	const struct dma_buf_device_parameters *d = p->participants[i];
	struct constraints_limits own;
	uint64_t mask, least;
	bool physical, lines;

	constraints_limits_of(p, i, &own);
	merge_limits(&needs->limits, &own);
	physical = wants(p, i, DMA_BUF_PARAMETER_PHYSICAL, d->physical);
	lines = d->line_by_line && p->plane_count;
	needs->kind[physical << 1 | lines] = true;
	if (lines)
		needs->line_alignment = MAX(needs->line_alignment, own.address_alignment);
	mask = limit(p, i, DMA_BUF_PARAMETER_DMA_MASK, d->dma_mask, UINT64_MAX);
	if (physical)
		needs->physical_mask &= mask;
	else
		needs->virtual_mask &= mask;
	least = wants(p, i, DMA_BUF_PARAMETER_MIN_BUFFERS, true) ? d->min_buffers : 0;
	needs->min_buffers += least;
	needs->preferred_buffers += MAX(least, d->preferred_buffers);
	needs->contiguous |= wants(p, i, DMA_BUF_PARAMETER_CONTIGUOUS, d->contiguous);
	needs->page_backed |= wants(p, i, DMA_BUF_PARAMETER_PAGE_BACKED, d->page_backed);
	needs->cpu_needed |= wants(p, i, DMA_BUF_PARAMETER_CPU_NEEDED, d->cpu_needed);
	needs->cpu_forbidden |= wants(p, i, DMA_BUF_PARAMETER_CPU_FORBIDDEN, d->cpu_forbidden);
	merge_domain(p, i, needs);
	merge_named(p, i, needs);
}

static uint64_t named_value(const struct constraints_needs *needs, const char *name)
{
	for (unsigned int k = 0; k < needs->named_count; k++)
		if (constraints_name_is(needs->named[k].name, name))
			return needs->named[k].value;
	return 1;
}

uint64_t constraints_line_start(const struct dma_buf_plane *plane)
{
	uint64_t above = constraints_power_above(plane->bytes_per_line);

	return MIN(above, CONSTRAINTS_PAGE);
}

/* Lines and planes where the participants want them. */
static void lay_out(const struct constraints_problem *p, struct constraints_needs *needs)
{
	uint64_t stride_alignment = named_value(needs, "stride_alignment");
	uint64_t plane_alignment = named_value(needs, "plane_alignment");
	uint64_t end = 0, bytes, start;

	needs->size = p->size;
	for (unsigned int k = 0; k < p->plane_count; k++) {
		const struct dma_buf_plane *plane = &p->planes[k];

		start = needs->line_alignment;
		if (start)
			start = MAX(start, constraints_line_start(plane));
		end = constraints_round_up(end, MAX(plane_alignment, start));
		needs->offsets[k] = end;
		needs->strides[k] =
			constraints_round_up(plane->bytes_per_line, MAX(stride_alignment, start));
		if (__builtin_mul_overflow(needs->strides[k], plane->lines, &bytes) ||
		    end > CONSTRAINTS_MAX_SIZE / 2 || bytes > CONSTRAINTS_MAX_SIZE / 2 - end) {
			impossible(needs, DMA_BUF_PARAMETER_SIZE);
			bytes = 1;
			end = 0;
		}
		end += bytes;
		needs->size = end;
	}
}

void constraints_merge(const struct constraints_problem *p, struct constraints_needs *needs)
{
	unsigned int i;

	needs->limits = (struct constraints_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, 1 };
	needs->physical_mask = needs->virtual_mask = UINT64_MAX;
	needs->min_buffers = needs->preferred_buffers = 0;
	needs->trust_domain = needs->line_alignment = 0;
	needs->contiguous = needs->page_backed = false;
	needs->cpu_needed = needs->cpu_forbidden = false;
	needs->impossible = DMA_BUF_NOBODY;
	needs->named_count = 0;
	for (i = 0; i < 4; i++)
		needs->kind[i] = false;
	for (i = 0; i < p->count; i++)
		merge_one(p, i, needs);
	if (needs->line_alignment && !p->own_tables)
		needs->line_alignment = needs->limits.address_alignment;
	lay_out(p, needs);
	if (needs->cpu_needed && needs->cpu_forbidden)
		impossible(needs, DMA_BUF_PARAMETER_CPU_FORBIDDEN);
	if (p->max_buffers && needs->min_buffers > p->max_buffers)
		impossible(needs, DMA_BUF_PARAMETER_MIN_BUFFERS);
}

static uint64_t or_zero(uint64_t value, uint64_t no_limit)
{
	return value == no_limit ? 0 : value;
}

static uint32_t clip(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void constraints_tell(const struct constraints_problem *p, const struct constraints_needs *needs,
		      struct dma_buf_device_parameters *merged)
{
	const struct constraints_limits *l = &needs->limits;
	uint64_t mask = needs->physical_mask & needs->virtual_mask;

	*merged = (struct dma_buf_device_parameters){
		.size = sizeof(*merged),
		.max_segment_size = or_zero(l->max_segment_size, UINT64_MAX),
		.max_segment_count = or_zero(l->max_segment_count, UINT64_MAX),
		.segment_boundary_mask = or_zero(l->segment_boundary_mask, UINT64_MAX),
		.dma_mask = or_zero(mask, UINT64_MAX),
		.address_alignment = or_zero(l->address_alignment, 1),
		.length_granularity = or_zero(l->length_granularity, 1),
		.trust_domain = needs->trust_domain,
		.min_buffers = clip(needs->min_buffers),
		.preferred_buffers = clip(needs->preferred_buffers),
		.contiguous = needs->contiguous,
		.page_backed = needs->page_backed,
		.cpu_needed = needs->cpu_needed,
		.cpu_forbidden = needs->cpu_forbidden,
		.protected_memory = needs->trust_domain != 0,
		.physical = needs->kind[2] || needs->kind[3],
		.line_by_line = needs->kind[1] || needs->kind[3],
	};
	for (unsigned int i = 0; i < p->count; i++) {
		const struct dma_buf_device_parameters *d = p->participants[i];

		merged->noncoherent |= d->noncoherent;
		if (merged->preferred_segment_size < d->preferred_segment_size)
			merged->preferred_segment_size = d->preferred_segment_size;
	}
	for (unsigned int k = 0; k < needs->named_count && k < DMA_BUF_NAMED_PARAMETERS; k++)
		merged->named[k] = needs->named[k];
}
