// SPDX-License-Identifier: MIT
#include "constraints-oracle.h"

#include <stdlib.h>
#include <string.h>

static bool may_be_segment(uint64_t start, uint64_t length, uint64_t end,
			   const struct constraints_limits *l, uint64_t chunk)
{
	uint64_t last = start + length - 1, boundary = l->segment_boundary_mask + 1;

	return length <= l->max_segment_size &&
	       (!boundary || start / boundary == last / boundary) &&
	       (!chunk || start / chunk == last / chunk) && start % l->address_alignment == 0 &&
	       (last + 1 == end || length % l->length_granularity == 0);
}

static unsigned int fewest(uint64_t address, uint64_t size, const struct constraints_limits *l,
			   uint64_t chunk)
{
	unsigned int best[ORACLE_SIZE * 2 + 1];

	best[size] = 0;
	for (uint64_t from = size; from-- > 0;) {
		best[from] = ORACLE_NEVER;
		for (uint64_t n = 1; n <= size - from; n++)
			if (best[from + n] + 1 < best[from] &&
			    may_be_segment(address + from, n, address + size, l, chunk))
				best[from] = best[from + n] + 1;
	}
	return best[0];
}

static unsigned int search(uint64_t size, const struct constraints_limits *l, uint64_t chunk,
			   uint64_t alignment)
{
	unsigned int worst = 0, count;

	for (uint64_t start = 0; start < 64; start += alignment) {
		count = fewest(start, size, l, chunk);
		if (count > worst)
			worst = count;
	}
	return worst;
}

/* Everything above 31 is the same as no limit to buffers this small. */
static unsigned int clip(uint64_t value)
{
	return value > 31 ? 31 : (unsigned int)value;
}

/* Asked for millions of times, so that answers are kept. */
unsigned int oracle_worst(uint64_t size, const struct constraints_limits *l, uint64_t chunk,
			  uint64_t alignment)
{
	static struct {
		uint64_t key;
		unsigned int worst;
	} * kept;
	uint64_t key, at;

	if (!kept)
		kept = calloc(1u << 20, sizeof(*kept));
	if (!kept)
		abort();
	key = size << 1 | 1;
	key = key << 5 | clip(l->max_segment_size);
	key = key << 5 | clip(l->segment_boundary_mask);
	key = key << 5 | clip(l->address_alignment);
	key = key << 5 | clip(l->length_granularity);
	key = key << 5 | clip(chunk);
	key = key << 6 | alignment;
	at = key * UINT64_C(0x9e3779b97f4a7c15) >> 44;
	while (kept[at].key && kept[at].key != key)
		at = (at + 1) & ((1u << 20) - 1);
	if (!kept[at].key) {
		kept[at].key = key;
		kept[at].worst = search(size, l, chunk, alignment);
	}
	return kept[at].worst;
}

static bool has(const struct constraints_problem *p, unsigned int i, unsigned int parameter)
{
	return !(p->dropped && (p->dropped[i] >> parameter & 1));
}

static bool need(const struct constraints_problem *p, unsigned int i, unsigned int parameter,
		 bool wanted, bool met)
{
	return !wanted || !has(p, i, parameter) || met;
}

/* What concerns one participant and one heap. */
static bool suits_one(const struct constraints_problem *p, unsigned int i,
		      const struct dma_buf_heap_info *h)
{
	const struct dma_buf_device_parameters *d = p->participants[i];
	uint64_t highest = h->highest_address ? h->highest_address : UINT64_MAX;
	bool physical = d->physical && has(p, i, DMA_BUF_PARAMETER_PHYSICAL);

	if (highest < p->size - 1 || !physical)
		highest = p->size - 1;
	return need(p, i, DMA_BUF_PARAMETER_CONTIGUOUS, d->contiguous,
		    !h->chunk || h->chunk >= p->size) &&
	       need(p, i, DMA_BUF_PARAMETER_PAGE_BACKED, d->page_backed, h->page_backed) &&
	       need(p, i, DMA_BUF_PARAMETER_CPU_NEEDED, d->cpu_needed, h->cpu_mappable) &&
	       need(p, i, DMA_BUF_PARAMETER_CPU_FORBIDDEN, d->cpu_forbidden, !h->cpu_mappable) &&
	       need(p, i, DMA_BUF_PARAMETER_TRUST_DOMAIN, true,
		    !h->trust_domain || h->trust_domain == d->trust_domain) &&
	       need(p, i, DMA_BUF_PARAMETER_PROTECTED_MEMORY, d->protected_memory,
		    h->trust_domain == d->trust_domain) &&
	       need(p, i, DMA_BUF_PARAMETER_DMA_MASK, d->dma_mask, highest <= d->dma_mask);
}

static void stricter(const struct constraints_problem *p, unsigned int i,
		     struct constraints_limits *l)
{
	const struct dma_buf_device_parameters *d = p->participants[i];
	uint64_t multiple;

	if (d->max_segment_size && has(p, i, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE) &&
	    d->max_segment_size < l->max_segment_size)
		l->max_segment_size = d->max_segment_size;
	if (d->max_segment_count && has(p, i, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT) &&
	    d->max_segment_count < l->max_segment_count)
		l->max_segment_count = d->max_segment_count;
	if (d->segment_boundary_mask && has(p, i, DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK))
		l->segment_boundary_mask &= d->segment_boundary_mask;
	if (has(p, i, DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT) &&
	    d->address_alignment > l->address_alignment)
		l->address_alignment = d->address_alignment;
	if (!d->length_granularity || !has(p, i, DMA_BUF_PARAMETER_LENGTH_GRANULARITY))
		return;
	for (multiple = d->length_granularity; multiple % l->length_granularity;)
		multiple += d->length_granularity;
	l->length_granularity = multiple;
}

static bool tables_fit(const struct constraints_problem *p, const struct dma_buf_heap_info *h)
{
	static const struct constraints_limits none = { UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, 1 };
	struct constraints_limits l;

	for (unsigned int i = 0; i < p->count; i++) {
		bool physical =
			p->participants[i]->physical && has(p, i, DMA_BUF_PARAMETER_PHYSICAL);

		l = none;
		for (unsigned int k = 0; k < p->count; k++)
			if (k == i || !p->own_tables)
				stricter(p, k, &l);
		if (oracle_worst(p->size, &l, physical ? h->chunk : 0, h->alignment) >
		    (l.max_segment_count < ORACLE_NEVER ? l.max_segment_count : ORACLE_NEVER - 1))
			return false;
	}
	return true;
}

/* The parameter that two give the same name: do they go together? */
static bool named_fit(const struct constraints_problem *p)
{
	for (unsigned int rule = DMA_BUF_MERGE_MASK_AND; rule <= DMA_BUF_MERGE_EQUAL; rule += 2) {
		uint64_t mask = UINT64_MAX, value = 0;

		for (unsigned int i = 0; i < p->count; i++) {
			const struct dma_buf_named_parameter *n = &p->participants[i]->named[0];

			if (n->rule != rule || !has(p, i, DMA_BUF_PARAMETER_NAMED))
				continue;
			mask &= n->value;
			if (rule == DMA_BUF_MERGE_EQUAL && value && value != n->value)
				return false;
			value = n->value;
		}
		if (rule == DMA_BUF_MERGE_MASK_AND && !mask)
			return false;
	}
	return true;
}

bool oracle_fits(const struct constraints_problem *p, const struct dma_buf_heap_info *h)
{
	uint64_t size = p->size, buffers = 0;

	while (h->granule && size % h->granule)
		size++;
	for (unsigned int i = 0; i < p->count; i++) {
		if (!suits_one(p, i, h))
			return false;
		if (has(p, i, DMA_BUF_PARAMETER_MIN_BUFFERS))
			buffers += p->participants[i]->min_buffers;
	}
	if (p->max_buffers && buffers > p->max_buffers)
		return false;
	if (!h->available || (h->max_size && size > h->max_size) ||
	    (h->capacity && size * (buffers ? buffers : 1) > h->capacity))
		return false;
	for (unsigned int i = 0; i < p->count; i++)
		for (unsigned int k = 0; k < p->count; k++)
			if (p->participants[i]->cpu_needed && p->participants[k]->cpu_forbidden &&
			    has(p, i, DMA_BUF_PARAMETER_CPU_NEEDED) &&
			    has(p, k, DMA_BUF_PARAMETER_CPU_FORBIDDEN))
				return false;
	return named_fit(p) && tables_fit(p, h);
}

bool oracle_feasible(const struct constraints_problem *p)
{
	for (unsigned int h = 0; h < p->heap_count; h++)
		if (oracle_fits(p, p->heaps[h]))
			return true;
	return false;
}
