// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * What would make an impossible problem possible: each suggestion was tried. One change is better
 * than several, and the nearest value that works better than none.
 */
#include "constraints.h"

#define EVERYTHING UINT32_MAX
/* Single needs that are suggested, so that there is room for other ways out. */
#define MAX_SINGLE 4

/* A problem that can be changed in one place. */
struct trial {
	struct constraints_problem problem;
	const struct dma_buf_device_parameters *participants[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_device_parameters changed;
	uint32_t dropped[DMA_BUF_MAX_PARTICIPANTS];
};

static void begin(struct trial *t, const struct constraints_problem *p)
{
	t->problem = *p;
	t->problem.participants = t->participants;
	t->problem.dropped = t->dropped;
	for (unsigned int i = 0; i < p->count; i++) {
		t->participants[i] = p->participants[i];
		t->dropped[i] = 0;
	}
}

static void set(struct dma_buf_device_parameters *p, unsigned int parameter, uint64_t value)
{
	if (parameter == DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE)
		p->max_segment_size = value;
	else if (parameter == DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT)
		p->max_segment_count = value;
	else if (parameter == DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK)
		p->segment_boundary_mask = value;
	else if (parameter == DMA_BUF_PARAMETER_DMA_MASK)
		p->dma_mask = value;
	else if (parameter == DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT)
		p->address_alignment = value;
	else if (parameter == DMA_BUF_PARAMETER_MIN_BUFFERS)
		p->min_buffers = (uint32_t)value;
}

static bool works_with(struct trial *t, unsigned int i, unsigned int parameter, uint64_t value)
{
	set(&t->changed, parameter, value);
	t->participants[i] = &t->changed;
	return constraints_feasible(&t->problem);
}

/* Between @bad, which does not work, and @good, which does: the one that works nearest to @bad. */
static uint64_t nearest(struct trial *t, unsigned int i, unsigned int parameter, uint64_t bad,
			uint64_t good)
{
	while (bad + 1 < good || good + 1 < bad) {
		uint64_t middle = bad < good ? bad + (good - bad) / 2 : good + (bad - good) / 2;

		if (works_with(t, i, parameter, middle))
			good = middle;
		else
			bad = middle;
	}
	return good;
}

/* The next weaker value of those that come in powers of two; 0: there is none. */
static uint64_t weaker(unsigned int parameter, uint64_t value)
{
	if (parameter == DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT)
		return value > 2 ? value / 2 : 0;
	return value < UINT64_MAX / 2 ? value * 2 + 1 : 0;
}

/* A weaker value of participant @i's @parameter that works; 0: none but none at all. */
static uint64_t find_value(const struct constraints_problem *p, unsigned int i,
			   unsigned int parameter)
{
	uint64_t value = constraints_value(p->participants[i], parameter);
	struct trial t;

	begin(&t, p);
	t.changed = *p->participants[i];
	switch (parameter) {
	case DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE:
	case DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT:
		if (value >= CONSTRAINTS_MAX_SIZE ||
		    !works_with(&t, i, parameter, CONSTRAINTS_MAX_SIZE))
			return 0;
		return nearest(&t, i, parameter, value, CONSTRAINTS_MAX_SIZE);
	case DMA_BUF_PARAMETER_MIN_BUFFERS:
		return works_with(&t, i, parameter, 1) ? nearest(&t, i, parameter, value, 1) : 0;
	case DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK:
	case DMA_BUF_PARAMETER_DMA_MASK:
	case DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT:
		do {
			value = weaker(parameter, value);
		} while (value && !works_with(&t, i, parameter, value));
		return value;
	default:
		return 0;
	}
}

static struct dma_buf_change *add(struct dma_buf_negotiation *answer, uint32_t participant,
				  uint32_t parameter, uint64_t from, uint64_t to)
{
	struct dma_buf_relaxation *r;

	if (answer->relaxation_count == DMA_BUF_MAX_RELAXATIONS)
		return NULL;
	r = &answer->relaxations[answer->relaxation_count++];
	r->count = 1;
	r->changes[0] = (struct dma_buf_change){ participant, parameter, from, to, false };
	return &r->changes[0];
}

/* One need alone. Such a need is part of every conflict, so of the first. */
static void relax_needs(const struct constraints_problem *p, struct dma_buf_negotiation *answer)
{
	struct trial t;

	begin(&t, p);
	for (unsigned int n = 0; n < answer->conflicts[0].count; n++) {
		const struct dma_buf_conflict_member *m = &answer->conflicts[0].members[n];
		struct dma_buf_change *change = NULL;
		bool works;

		t.dropped[m->participant] = UINT32_C(1) << m->parameter;
		works = constraints_feasible(&t.problem);
		t.dropped[m->participant] = 0;
		if (works && answer->relaxation_count < MAX_SINGLE)
			change = add(answer, m->participant, m->parameter, m->value,
				     find_value(p, m->participant, m->parameter));
		if (change)
			change->drop = !change->to;
	}
}

static void relax_size(const struct constraints_problem *p, struct dma_buf_negotiation *answer)
{
	struct constraints_problem trial = *p;
	uint64_t good = 1, bad = p->size;

	trial.size = good;
	if (p->plane_count || bad == 1 || !constraints_feasible(&trial))
		return;
	while (good + 1 < bad) {
		trial.size = good + (bad - good) / 2;
		if (constraints_feasible(&trial))
			good = trial.size;
		else
			bad = trial.size;
	}
	add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_SIZE, p->size, good);
}

static void relax_request(const struct constraints_problem *p,
			  const struct constraints_needs *needs, struct dma_buf_negotiation *answer)
{
	struct constraints_problem trial = *p;

	if (p->max_buffers && needs->min_buffers > p->max_buffers) {
		trial.max_buffers = needs->min_buffers;
		if (constraints_feasible(&trial))
			add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_MAX_BUFFERS, p->max_buffers,
			    needs->min_buffers);
	}
	trial = *p;
	trial.own_tables = true;
	if (!p->own_tables && constraints_feasible(&trial))
		add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_OWN_TABLES, 0, 1);
}

/* A heap that is there, if it were available or less full. */
static void relax_heaps(const struct constraints_problem *p, const struct constraints_needs *needs,
			struct dma_buf_negotiation *answer)
{
	struct constraints_problem trial = *p;
	struct dma_buf_heap_info heap;
	const struct dma_buf_heap_info *const only = &heap;

	trial.heaps = &only;
	trial.heap_count = 1;
	for (unsigned int h = 0; h < p->heap_count; h++) {
		struct dma_buf_rejection why;

		heap = *p->heaps[h];
		heap.available = true;
		if (constraints_fit(&trial, needs, &heap, &why)) {
			add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_AVAILABLE, h, 1);
			continue;
		}
		heap.capacity = 0;
		if (why.parameter == DMA_BUF_PARAMETER_CAPACITY && p->heaps[h]->available &&
		    constraints_fit(&trial, needs, &heap, NULL))
			add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_CAPACITY, h, why.needs);
	}
}

/* The most modest heap that would do. */
static bool invent_heap(const struct constraints_problem *p, const struct constraints_needs *needs,
			struct dma_buf_heap_info *heap)
{
	static const uint64_t chunks[] = { 1 << 12, 1 << 16, 1 << 21, 0 };

	*heap = (struct dma_buf_heap_info){
		.size = sizeof(*heap),
		.name = "wanted",
		.highest_address = needs->physical_mask == UINT64_MAX ? 0 : needs->physical_mask,
		.trust_domain = needs->trust_domain,
		.page_backed = needs->page_backed,
		.cpu_mappable = needs->cpu_needed,
		.available = true,
	};
	for (unsigned int k = 0; k < 8; k++) {
		heap->chunk = chunks[k % 4];
		heap->alignment = needs->limits.address_alignment;
		if (heap->alignment < heap->chunk)
			heap->alignment = heap->chunk;
		if (k >= 4 && heap->alignment < constraints_power_above(needs->size))
			heap->alignment = constraints_power_above(needs->size);
		if (constraints_fit(p, needs, heap, NULL))
			return true;
	}
	return false;
}

/* As many needs as can hold together stay; the others have to go, all of them. */
static void relax_several(const struct constraints_problem *p, const unsigned int *order,
			  struct dma_buf_negotiation *answer)
{
	struct dma_buf_relaxation found = { 0 };
	struct trial t;

	begin(&t, p);
	for (unsigned int i = 0; i < p->count; i++)
		t.dropped[i] = EVERYTHING;
	if (!constraints_feasible(&t.problem))
		return;
	for (unsigned int n = 0; n < p->count; n++) {
		unsigned int i = order[n];

		t.dropped[i] = 0;
		if (constraints_feasible(&t.problem))
			continue;
		t.dropped[i] = EVERYTHING;
		for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++) {
			t.dropped[i] &= ~(UINT32_C(1) << k);
			if (constraints_feasible(&t.problem))
				continue;
			t.dropped[i] |= UINT32_C(1) << k;
			if (found.count == DMA_BUF_MAX_CHANGES)
				return;
			found.changes[found.count++] = (struct dma_buf_change){
				i, k, constraints_value(p->participants[i], k), 0, true
			};
		}
	}
	if (answer->relaxation_count < DMA_BUF_MAX_RELAXATIONS)
		answer->relaxations[answer->relaxation_count++] = found;
}

void constraints_relaxations(const struct constraints_problem *p, const unsigned int *order,
			     struct dma_buf_negotiation *answer)
{
	struct constraints_needs needs;
	uint32_t single;

	constraints_merge(p, &needs);
	relax_needs(p, answer);
	single = answer->relaxation_count;
	relax_size(p, answer);
	relax_request(p, &needs, answer);
	if (needs.impossible == DMA_BUF_NOBODY) {
		relax_heaps(p, &needs, answer);
		if (invent_heap(p, &needs, &answer->wanted_heap))
			add(answer, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_HEAP, 0, 1);
	}
	if (!single)
		relax_several(p, order, answer);
}
