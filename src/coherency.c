// SPDX-License-Identifier: MIT OR GPL-2.0-only
#include "coherency.h"

static void set_clear(struct coherency_set *set)
{
	set->count = 0;
	set->pad = 0;
	for (uint32_t i = 0; i < COHERENCY_RANGES; i++)
		set->range[i] = (struct coherency_range){ 0, 0 };
}

static void set_fill(struct coherency_set *set, uint64_t size)
{
	set_clear(set);
	coherency_set_add(set, 0, size);
}

/* Joins the two neighbours that are closest, so that as few bytes as can be are added. */
static uint32_t close_smallest_gap(struct coherency_range *list, uint32_t count)
{
	uint32_t best = 1;

	for (uint32_t i = 2; i < count; i++) {
		if (list[i].start - list[i - 1].end < list[best].start - list[best - 1].end)
			best = i;
	}
	list[best - 1].end = list[best].end;
	for (uint32_t i = best + 1; i < count; i++)
		list[i - 1] = list[i];
	return count - 1;
}

/* @list is sorted, disjoint and not touching, and at most one longer than a set. */
static void set_store(struct coherency_set *set, struct coherency_range *list, uint32_t count)
{
	if (count > COHERENCY_RANGES)
		count = close_smallest_gap(list, count);
	set_clear(set);
	set->count = count;
	for (uint32_t i = 0; i < count; i++)
		set->range[i] = list[i];
}

void coherency_set_add(struct coherency_set *set, uint64_t start, uint64_t end)
{
	struct coherency_range list[COHERENCY_RANGES + 1];
	uint32_t count = 0;
	uint32_t i = 0;

	if (start >= end)
		return;
	while (i < set->count && set->range[i].end < start)
		list[count++] = set->range[i++];
	for (; i < set->count && set->range[i].start <= end; i++) {
		if (set->range[i].start < start)
			start = set->range[i].start;
		if (set->range[i].end > end)
			end = set->range[i].end;
	}
	list[count++] = (struct coherency_range){ start, end };
	while (i < set->count)
		list[count++] = set->range[i++];
	set_store(set, list, count);
}

void coherency_set_remove(struct coherency_set *set, uint64_t start, uint64_t end)
{
	struct coherency_range list[COHERENCY_RANGES + 1];
	uint32_t count = 0;

	if (start >= end)
		return;
	for (uint32_t i = 0; i < set->count; i++) {
		struct coherency_range r = set->range[i];

		if (r.end <= start || r.start >= end) {
			list[count++] = r;
			continue;
		}
		if (r.start < start)
			list[count++] = (struct coherency_range){ r.start, start };
		if (r.end > end)
			list[count++] = (struct coherency_range){ end, r.end };
	}
	set_store(set, list, count);
}

bool coherency_set_overlaps(const struct coherency_set *set, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < set->count && start < end; i++) {
		if (set->range[i].start < end && start < set->range[i].end)
			return true;
	}
	return false;
}

static bool set_is_sane(const struct coherency_set *set, uint64_t size)
{
	uint64_t free_from = 0;

	if (set->count > COHERENCY_RANGES)
		return false;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct coherency_range *r = &set->range[i];

		/* A range that touches the one before would have been joined with it. */
		if (i > 0 && r->start <= free_from)
			return false;
		if (r->start >= r->end || r->end > size)
			return false;
		free_from = r->end;
	}
	return true;
}

static void set_scrub_unused(struct coherency_set *set)
{
	set->pad = 0;
	for (uint32_t i = set->count; i < COHERENCY_RANGES; i++)
		set->range[i] = (struct coherency_range){ 0, 0 };
}

static void count_up(uint32_t *count)
{
	if (*count != COHERENCY_UNKNOWN)
		(*count)++;
}

/* An end without a begin must not wrap around: recovery may end what was never counted. */
static void count_down(uint32_t *count)
{
	if (*count != COHERENCY_UNKNOWN && *count != 0)
		(*count)--;
}

static bool count_is_sane(uint32_t count, uint32_t max)
{
	return count <= max || count == COHERENCY_UNKNOWN;
}

static bool device_owns(const struct coherency_state *s)
{
	return s->device_readers > 0 || s->device_writers > 0;
}

static void plan_start(struct coherency_plan *plan)
{
	plan->count = 0;
	plan->skipped = 0;
}

static void plan_add(struct coherency_plan *plan, enum coherency_op op, uint64_t start,
		     uint64_t end)
{
	if (start >= end)
		return;
	plan->step[plan->count].op = op;
	plan->step[plan->count].range = (struct coherency_range){ start, end };
	plan->count++;
}

/* An untracked implementation maintains the caches at every begin and every end. */
static void plan_finish(struct coherency_plan *plan)
{
	plan->skipped = plan->count == 0;
}

void coherency_init(struct coherency_state *s)
{
	set_clear(&s->dirty);
	set_clear(&s->stale);
	s->device_readers = 0;
	s->device_writers = 0;
	s->cpu_writers = 0;
	s->pad = 0;
}

bool coherency_sanitize(struct coherency_state *s, uint64_t size, uint32_t max_mappings)
{
	s->pad = 0;
	if (set_is_sane(&s->dirty, size) && set_is_sane(&s->stale, size) &&
	    count_is_sane(s->device_readers, max_mappings) &&
	    count_is_sane(s->device_writers, max_mappings)) {
		set_scrub_unused(&s->dirty);
		set_scrub_unused(&s->stale);
		return true;
	}
	set_fill(&s->dirty, size);
	set_fill(&s->stale, size);
	s->device_readers = COHERENCY_UNKNOWN;
	s->device_writers = COHERENCY_UNKNOWN;
	s->cpu_writers = COHERENCY_UNKNOWN;
	return false;
}

void coherency_assume_dirty(struct coherency_state *s, uint64_t size)
{
	set_fill(&s->dirty, size);
	s->cpu_writers = COHERENCY_UNKNOWN;
}

static void clean_dirty(struct coherency_state *s, struct coherency_plan *plan)
{
	for (uint32_t i = 0; i < s->dirty.count; i++)
		plan_add(plan, COHERENCY_CLEAN, s->dirty.range[i].start, s->dirty.range[i].end);
	set_clear(&s->dirty);
}

void coherency_settle(struct coherency_state *s, struct coherency_plan *plan)
{
	plan_start(plan);
	if (device_owns(s))
		clean_dirty(s, plan);
}

void coherency_device_begin(struct coherency_state *s, uint64_t size, enum coherency_access access,
			    struct coherency_plan *plan)
{
	plan_start(plan);
	clean_dirty(s, plan);
	count_up(access & COHERENCY_WRITE ? &s->device_writers : &s->device_readers);
	plan_finish(plan);
}

void coherency_device_end(struct coherency_state *s, uint64_t size, enum coherency_access access,
			  struct coherency_plan *plan)
{
	plan_start(plan);
	if (access & COHERENCY_WRITE) {
		count_down(&s->device_writers);
		set_fill(&s->stale, size);
	} else {
		count_down(&s->device_readers);
	}
	plan_finish(plan);
}

/* Drops [start, end), but writes it back first if somebody's bytes may be in there. */
static void drop(struct coherency_state *s, uint64_t start, uint64_t end,
		 struct coherency_plan *plan)
{
	if (s->cpu_writers > 0 || coherency_set_overlaps(&s->dirty, start, end)) {
		plan_add(plan, COHERENCY_FLUSH, start, end);
		coherency_set_remove(&s->dirty, start, end);
	} else {
		plan_add(plan, COHERENCY_INVALIDATE, start, end);
	}
}

static void drop_stale(struct coherency_state *s, uint64_t start, uint64_t end,
		       struct coherency_plan *plan)
{
	for (uint32_t i = 0; i < s->stale.count; i++) {
		struct coherency_range r = s->stale.range[i];

		if (r.start < start)
			r.start = start;
		if (r.end > end)
			r.end = end;
		if (r.start < r.end)
			drop(s, r.start, r.end, plan);
	}
	coherency_set_remove(&s->stale, start, end);
}

void coherency_cpu_begin(struct coherency_state *s, uint64_t start, uint64_t end,
			 enum coherency_access access, struct coherency_plan *plan)
{
	plan_start(plan);
	/* What is stale is not tracked while a device may write: anything, at any time. */
	if (s->device_writers > 0)
		drop(s, start, end, plan);
	else
		drop_stale(s, start, end, plan);
	if (access & COHERENCY_WRITE)
		count_up(&s->cpu_writers);
	plan_finish(plan);
}

void coherency_cpu_end(struct coherency_state *s, uint64_t start, uint64_t end,
		       enum coherency_access access, struct coherency_plan *plan)
{
	plan_start(plan);
	if (access & COHERENCY_WRITE) {
		count_down(&s->cpu_writers);
		if (device_owns(s)) {
			plan_add(plan, COHERENCY_CLEAN, start, end);
			coherency_set_remove(&s->dirty, start, end);
		} else {
			coherency_set_add(&s->dirty, start, end);
		}
	}
	plan_finish(plan);
}
