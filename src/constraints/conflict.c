// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * Minimal sets of needs that cannot hold together. Whatever can be dropped while it stays
 * impossible is dropped, whole participants first, so that few are named; what remains is minimal,
 * because dropping never makes a problem harder.
 */
#include "constraints.h"

#define EVERYTHING UINT32_MAX

static bool is_before(const struct constraints_problem *p, unsigned int a, unsigned int b)
{
	if (constraints_name_before(p->names[a], p->names[b]))
		return true;
	if (constraints_name_before(p->names[b], p->names[a]))
		return false;
	for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++) {
		uint64_t one = constraints_value(p->participants[a], k);
		uint64_t other = constraints_value(p->participants[b], k);

		if (one != other)
			return one < other;
	}
	return false;
}

void constraints_order(const struct constraints_problem *p, unsigned int *order)
{
	for (unsigned int i = 0; i < p->count; i++) {
		unsigned int at = i;

		for (; at > 0 && is_before(p, i, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

static bool need_is_there(const struct constraints_problem *p, unsigned int i, unsigned int k)
{
	return constraints_is_need(k) && !constraints_is_neutral(p->participants[i], k);
}

/* @dropped may have bits already; @p looks at it. */
static void shrink(const struct constraints_problem *p, const unsigned int *order,
		   uint32_t *dropped)
{
	for (unsigned int n = 0; n < p->count; n++) {
		uint32_t *d = &dropped[order[n]], before = *d;

		*d = EVERYTHING;
		if (constraints_feasible(p))
			*d = before;
	}
	for (unsigned int n = 0; n < p->count; n++) {
		uint32_t *d = &dropped[order[n]];

		for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++) {
			uint32_t before = *d;

			if (before == EVERYTHING || (before >> k & 1))
				continue;
			*d |= UINT32_C(1) << k;
			if (need_is_there(p, order[n], k) && constraints_feasible(p))
				*d = before;
		}
	}
}

static void collect(const struct constraints_problem *p, const unsigned int *order,
		    const uint32_t *dropped, struct dma_buf_conflict *conflict)
{
	conflict->count = 0;
	for (unsigned int n = 0; n < p->count; n++) {
		for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++) {
			struct dma_buf_conflict_member *m = &conflict->members[conflict->count];
			unsigned int i = order[n];

			if ((dropped[i] >> k & 1) || !need_is_there(p, i, k))
				continue;
			if (conflict->count == DMA_BUF_MAX_PARTICIPANTS)
				return;
			conflict->count++;
			m->participant = i;
			m->parameter = k;
			m->value = constraints_value(p->participants[i], k);
		}
	}
}

static bool is_same(const struct dma_buf_conflict *a, const struct dma_buf_conflict *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned int n = 0; n < a->count; n++)
		if (a->members[n].participant != b->members[n].participant ||
		    a->members[n].parameter != b->members[n].parameter)
			return false;
	return true;
}

static void keep_if_new(struct dma_buf_negotiation *answer)
{
	struct dma_buf_conflict *fresh = &answer->conflicts[answer->conflict_count];

	for (unsigned int n = 0; n < answer->conflict_count; n++)
		if (is_same(&answer->conflicts[n], fresh))
			return;
	answer->conflict_count++;
}

void constraints_conflicts(const struct constraints_problem *p, const unsigned int *order,
			   struct dma_buf_negotiation *answer)
{
	uint32_t dropped[DMA_BUF_MAX_PARTICIPANTS] = { 0 };
	struct constraints_problem trial = *p;

	trial.dropped = dropped;
	shrink(&trial, order, dropped);
	collect(&trial, order, dropped, &answer->conflicts[0]);
	answer->conflict_count = 1;
	/* Without one member of a known conflict: is there another one? */
	for (unsigned int c = 0; c < answer->conflict_count; c++) {
		for (unsigned int n = 0; n < answer->conflicts[c].count; n++) {
			const struct dma_buf_conflict_member *m = &answer->conflicts[c].members[n];

			if (answer->conflict_count == DMA_BUF_MAX_CONFLICTS)
				return;
			for (unsigned int i = 0; i < p->count; i++)
				dropped[i] = 0;
			dropped[m->participant] = UINT32_C(1) << m->parameter;
			if (constraints_feasible(&trial))
				continue;
			shrink(&trial, order, dropped);
			collect(&trial, order, dropped, &answer->conflicts[answer->conflict_count]);
			keep_if_new(answer);
		}
	}
}
