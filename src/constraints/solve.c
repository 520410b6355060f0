// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* The plan: which heaps suit, the best first, and what that means for each participant. */
#include "constraints.h"

bool constraints_feasible(const struct constraints_problem *p)
{
	struct constraints_needs needs;

	constraints_merge(p, &needs);
	for (unsigned int h = 0; h < p->heap_count; h++)
		if (constraints_fit(p, &needs, p->heaps[h], NULL))
			return true;
	return false;
}

static uint32_t count_unmet(const struct constraints_problem *p,
			    const struct constraints_needs *needs,
			    const struct dma_buf_heap_info *heap)
{
	uint32_t unmet = 0;

	for (unsigned int i = 0; i < p->count; i++)
		unmet += constraints_wants_larger(p, needs, i, heap);
	return unmet;
}

static uint64_t count_buffers(const struct constraints_problem *p,
			      const struct constraints_needs *needs,
			      const struct dma_buf_heap_info *heap, uint64_t size)
{
	uint64_t count = needs->preferred_buffers ? needs->preferred_buffers : 1;

	if (p->max_buffers && count > p->max_buffers)
		count = p->max_buffers;
	if (heap->capacity && count > heap->capacity / size)
		count = heap->capacity / size;
	return count;
}

static void describe(const struct constraints_problem *p, const struct constraints_needs *needs,
		     unsigned int h, struct dma_buf_alternative *a)
{
	const struct dma_buf_heap_info *heap = p->heaps[h];

	a->heap = h;
	a->unmet = count_unmet(p, needs, heap);
	a->size = constraints_round_up(needs->size, heap->granule ? heap->granule : 1);
	a->alignment = heap->alignment;
	a->chunk = heap->chunk && heap->chunk < a->size ? heap->chunk : a->size;
	a->buffers = count_buffers(p, needs, heap, a->size);
}

static bool is_better(const struct constraints_problem *p, const struct dma_buf_alternative *a,
		      const struct dma_buf_alternative *b)
{
	if (a->unmet != b->unmet)
		return a->unmet < b->unmet;
	return p->heaps[a->heap]->cost < p->heaps[b->heap]->cost;
}

/* What suits as well as others comes after them, so that heaps stay in the order given. */
static void insert(const struct constraints_problem *p, const struct dma_buf_alternative *a,
		   struct dma_buf_negotiation *answer)
{
	uint32_t at = answer->alternative_count++;

	for (; at > 0 && is_better(p, a, &answer->alternatives[at - 1]); at--)
		answer->alternatives[at] = answer->alternatives[at - 1];
	answer->alternatives[at] = *a;
}

static void tell_merged(const struct constraints_problem *p, const struct constraints_needs *needs,
			struct dma_buf_negotiation *answer)
{
	constraints_tell(p, needs, &answer->merged);
	answer->named_count = needs->named_count;
	for (unsigned int k = 0; k < needs->named_count; k++)
		answer->named[k] = needs->named[k];
	for (unsigned int k = 0; k < DMA_BUF_MAX_PLANES; k++) {
		answer->strides[k] = k < p->plane_count ? needs->strides[k] : 0;
		answer->offsets[k] = k < p->plane_count ? needs->offsets[k] : 0;
	}
	answer->size = needs->size;
	answer->min_buffers = needs->min_buffers;
	answer->preferred_buffers = needs->preferred_buffers;
}

static void plan_for(const struct constraints_problem *p, const struct constraints_needs *needs,
		     const struct dma_buf_heap_info *heap,
		     struct dma_buf_plan_participant *participants)
{
	for (unsigned int i = 0; i < p->count; i++) {
		struct dma_buf_plan_participant *one = &participants[i];

		constraints_table_of(p, needs, i, heap, &one->segments, &one->max_segment_size);
		one->cache_maintenance = p->participants[i]->noncoherent && !heap->coherent;
		one->preference_met = !constraints_wants_larger(p, needs, i, heap);
	}
}

void constraints_plan_for(const struct constraints_problem *p, unsigned int heap,
			  struct dma_buf_plan_participant *participants)
{
	struct constraints_needs needs;

	constraints_merge(p, &needs);
	plan_for(p, &needs, p->heaps[heap], participants);
}

/* Told are those that heaps were rejected for; as many times, the first by name. */
static uint32_t find_exporter(const struct constraints_problem *p,
			      const struct dma_buf_negotiation *answer)
{
	uint32_t count[DMA_BUF_MAX_PARTICIPANTS] = { 0 }, best = DMA_BUF_NOBODY;

	for (unsigned int n = 0; n < answer->rejection_count; n++) {
		uint32_t i = answer->rejections[n].participant;

		if (i == DMA_BUF_NOBODY)
			continue;
		count[i]++;
		if (best == DMA_BUF_NOBODY || count[i] > count[best] ||
		    (count[i] == count[best] &&
		     constraints_name_before(p->names[i], p->names[best])))
			best = i;
	}
	return best;
}

void constraints_solve(const struct constraints_problem *p, struct dma_buf_negotiation *answer)
{
	unsigned int order[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_alternative alternative;
	struct constraints_needs needs;

	answer->alternative_count = answer->rejection_count = 0;
	answer->conflict_count = answer->relaxation_count = 0;
	constraints_merge(p, &needs);
	tell_merged(p, &needs, answer);
	for (unsigned int h = 0; h < p->heap_count; h++) {
		struct dma_buf_rejection *why = &answer->rejections[answer->rejection_count];

		if (constraints_fit(p, &needs, p->heaps[h], why)) {
			describe(p, &needs, h, &alternative);
			insert(p, &alternative, answer);
		} else {
			why->heap = h;
			answer->rejection_count++;
		}
	}
	answer->exporter = find_exporter(p, answer);
	if (answer->alternative_count) {
		plan_for(p, &needs, p->heaps[answer->alternatives[0].heap], answer->participants);
		return;
	}
	constraints_order(p, order);
	constraints_conflicts(p, order, answer);
	constraints_relaxations(p, order, answer);
}
