// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* Do parameters make sense by themselves? */
#include "constraints.h"

static bool is_mask(uint64_t value)
{
	return (value & (value + 1)) == 0;
}

static bool bad(struct constraints_fault *fault, const char *field, uint64_t value, const char *why)
{
	fault->field = field;
	fault->value = value;
	fault->why = why;
	return false;
}

static bool check_masks(const struct dma_buf_device_parameters *p, struct constraints_fault *f)
{
	if (!is_mask(p->segment_boundary_mask))
		return bad(f, "segment_boundary_mask", p->segment_boundary_mask, "must be 2^n - 1");
	if (!is_mask(p->dma_mask))
		return bad(f, "dma_mask", p->dma_mask, "must be 2^n - 1");
	if (p->address_alignment && !constraints_is_power_of_two(p->address_alignment))
		return bad(f, "address_alignment", p->address_alignment, "must be a power of two");
	if (p->address_alignment > CONSTRAINTS_MAX_SIZE)
		return bad(f, "address_alignment", p->address_alignment, "beyond any buffer");
	if (p->length_granularity > CONSTRAINTS_MAX_SIZE)
		return bad(f, "length_granularity", p->length_granularity, "beyond any buffer");
	if (p->preferred_segment_size && !constraints_is_power_of_two(p->preferred_segment_size))
		return bad(f, "preferred_segment_size", p->preferred_segment_size,
			   "must be a power of two");
	return true;
}

/* Could one segment be what all of these ask for? */
static bool check_segments(const struct dma_buf_device_parameters *p, struct constraints_fault *f)
{
	uint64_t boundary = p->segment_boundary_mask;

	if (p->max_segment_size && p->length_granularity > p->max_segment_size)
		return bad(f, "length_granularity", p->length_granularity,
			   "larger than max_segment_size");
	if (boundary && p->length_granularity > boundary)
		return bad(f, "length_granularity", p->length_granularity,
			   "larger than a segment between two boundaries");
	if (p->max_segment_size && p->address_alignment > p->max_segment_size)
		return bad(f, "address_alignment", p->address_alignment,
			   "larger than max_segment_size, so only one segment could be aligned");
	if (boundary && p->address_alignment > boundary)
		return bad(f, "address_alignment", p->address_alignment,
			   "larger than a segment between two boundaries");
	if (p->dma_mask && p->address_alignment > p->dma_mask)
		return bad(f, "address_alignment", p->address_alignment,
			   "beyond dma_mask: only address 0 would do");
	return true;
}

static bool check_needs(const struct dma_buf_device_parameters *p, struct constraints_fault *f)
{
	if (p->cpu_needed && p->cpu_forbidden)
		return bad(f, "cpu_forbidden", 1, "cpu_needed is set, too");
	if (p->protected_memory && !p->trust_domain)
		return bad(f, "protected_memory", 1,
			   "needs a trust_domain that it is protected in");
	if (p->preferred_buffers && p->preferred_buffers < p->min_buffers)
		return bad(f, "preferred_buffers", p->preferred_buffers, "less than min_buffers");
	return true;
}

static bool is_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < DMA_BUF_PARAMETER_NAME_LEN && name[i]; i++) {
		char c = name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
		    c != '.')
			return false;
	}
	return i > 0 && i < DMA_BUF_PARAMETER_NAME_LEN;
}

bool constraints_knows(const char *name)
{
	return constraints_name_is(name, "stride_alignment") ||
	       constraints_name_is(name, "plane_alignment");
}

static bool check_named(const struct dma_buf_device_parameters *p, unsigned int i,
			struct constraints_fault *f)
{
	const struct dma_buf_named_parameter *n = &p->named[i];
	unsigned int k;

	if (n->rule == DMA_BUF_MERGE_UNUSED && !n->name[0] && !n->value)
		return true;
	if (!is_name(n->name))
		return bad(f, "named[].name", i,
			   "must be 1 to 23 lower-case letters, digits, \"_\", \"-\", \".\"");
	if (!n->rule || n->rule > DMA_BUF_MERGE_SUM)
		return bad(f, n->name, n->rule, "there is no such merge rule");
	for (k = 0; k < i; k++)
		if (constraints_name_is(p->named[k].name, n->name))
			return bad(f, n->name, n->value, "is given twice");
	if (constraints_knows(n->name) && n->rule != DMA_BUF_MERGE_MAX)
		return bad(f, n->name, n->rule, "its merge rule is the maximum");
	if (constraints_knows(n->name) &&
	    (!constraints_is_power_of_two(n->value) || n->value > UINT32_MAX))
		return bad(f, n->name, n->value, "must be a power of two up to 2^31");
	return true;
}

bool constraints_check(const struct dma_buf_device_parameters *p, struct constraints_fault *fault)
{
	unsigned int i;

	if (!check_masks(p, fault) || !check_segments(p, fault) || !check_needs(p, fault))
		return false;
	for (i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++)
		if (!check_named(p, i, fault))
			return false;
	return true;
}

bool constraints_check_heap(const struct dma_buf_heap_info *heap, struct constraints_fault *f)
{
	if (heap->chunk && !constraints_is_power_of_two(heap->chunk))
		return bad(f, "chunk", heap->chunk, "must be a power of two, or 0");
	if (heap->usual_chunk && !constraints_is_power_of_two(heap->usual_chunk))
		return bad(f, "usual_chunk", heap->usual_chunk, "must be a power of two, or 0");
	if (!constraints_is_power_of_two(heap->alignment))
		return bad(f, "alignment", heap->alignment, "must be a power of two");
	if (heap->alignment < heap->chunk)
		return bad(f, "alignment", heap->alignment, "less than chunk");
	if (heap->granule && !constraints_is_power_of_two(heap->granule))
		return bad(f, "granule", heap->granule, "must be a power of two, or 0");
	if (heap->granule > CONSTRAINTS_MAX_SIZE)
		return bad(f, "granule", heap->granule, "beyond any buffer");
	return true;
}

static uint64_t smaller_limit(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool add_named(struct dma_buf_device_parameters *to,
		      const struct dma_buf_named_parameter *more, struct constraints_fault *fault)
{
	struct dma_buf_named_parameter *n = NULL;
	unsigned int i;

	for (i = 0; i < DMA_BUF_NAMED_PARAMETERS && !n; i++)
		if (!to->named[i].rule || constraints_name_is(to->named[i].name, more->name))
			n = &to->named[i];
	if (!n)
		return bad(fault, more->name, more->value, "too many named parameters");
	if (!n->rule) {
		*n = *more;
		return true;
	}
	if (n->rule != more->rule)
		return bad(fault, more->name, more->rule, "its merge rule differs for writing");
	if (n->rule == DMA_BUF_MERGE_MASK_AND)
		n->value &= more->value;
	else if (n->rule == DMA_BUF_MERGE_OR)
		n->value |= more->value;
	else if (n->rule == DMA_BUF_MERGE_EQUAL && n->value != more->value)
		return bad(fault, more->name, more->value, "must be the same for reading");
	else if (n->rule == DMA_BUF_MERGE_MIN)
		n->value = n->value < more->value ? n->value : more->value;
	else if (n->value < more->value)
		n->value = more->value;
	return true;
}

bool constraints_add(struct dma_buf_device_parameters *to,
		     const struct dma_buf_device_parameters *more, struct constraints_fault *fault)
{
	unsigned int i;

	if (to->trust_domain && more->trust_domain && to->trust_domain != more->trust_domain)
		return bad(fault, "trust_domain", more->trust_domain, "is another one for reading");
	to->max_segment_size = smaller_limit(to->max_segment_size, more->max_segment_size);
	to->max_segment_count = smaller_limit(to->max_segment_count, more->max_segment_count);
	to->segment_boundary_mask =
		smaller_limit(to->segment_boundary_mask, more->segment_boundary_mask);
	to->dma_mask = smaller_limit(to->dma_mask, more->dma_mask);
	to->address_alignment = larger(to->address_alignment, more->address_alignment);
	if (more->length_granularity)
		to->length_granularity = constraints_common_multiple(
			to->length_granularity ? to->length_granularity : 1,
			more->length_granularity);
	to->noncoherent |= more->noncoherent;
	to->trust_domain |= more->trust_domain;
	to->preferred_segment_size =
		larger(to->preferred_segment_size, more->preferred_segment_size);
	to->min_buffers = (uint32_t)larger(to->min_buffers, more->min_buffers);
	to->preferred_buffers = (uint32_t)larger(to->preferred_buffers, more->preferred_buffers);
	if (to->preferred_buffers && to->preferred_buffers < to->min_buffers)
		to->preferred_buffers = to->min_buffers;
	to->contiguous |= more->contiguous;
	to->page_backed |= more->page_backed;
	to->cpu_needed |= more->cpu_needed;
	to->cpu_forbidden |= more->cpu_forbidden;
	to->protected_memory |= more->protected_memory;
	to->physical |= more->physical;
	to->line_by_line |= more->line_by_line;
	for (i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++)
		if (more->named[i].rule && !add_named(to, &more->named[i], fault))
			return false;
	return constraints_check(to, fault);
}
