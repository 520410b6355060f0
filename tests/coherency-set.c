// SPDX-License-Identifier: MIT
/* The sets of ranges, against sets of bits. */
#include <string.h>

#include "coherency.h"
#include "harness.h"

#define BITS 48

static uint64_t seed = 0x2545f4914f6cdd1du;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static uint64_t bits_between(uint64_t start, uint64_t end)
{
	return start < end ? (((uint64_t)1 << end) - 1) & ~(((uint64_t)1 << start) - 1) : 0;
}

static int ranges_in(uint64_t bits)
{
	return __builtin_popcountll(bits & ~(bits << 1));
}

static uint64_t bits_of(const struct coherency_set *set)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < set->count; i++)
		bits |= bits_between(set->range[i].start, set->range[i].end);
	return bits;
}

/* Sorted, disjoint, not touching, nothing left in what is unused. */
static void check_shape(const struct coherency_set *set)
{
	ASSERT(set->count <= COHERENCY_RANGES);
	ASSERT_EQ(set->pad, 0);
	for (uint32_t i = 0; i < COHERENCY_RANGES; i++) {
		const struct coherency_range *r = &set->range[i];

		if (i >= set->count) {
			ASSERT(r->start == 0 && r->end == 0);
			continue;
		}
		ASSERT(r->start < r->end && r->end <= BITS);
		if (i > 0)
			ASSERT(r->start > set->range[i - 1].end);
	}
}

/* Fills the narrowest gap between ranges of @bits; the lowest of several. */
static uint64_t fill_smallest_gap(uint64_t bits)
{
	uint64_t best_gap = 0;
	unsigned int best = BITS + 1;
	unsigned int i = 0;

	while (i < BITS && !(bits >> i & 1))
		i++;
	while (i < BITS) {
		unsigned int start;

		while (i < BITS && (bits >> i & 1))
			i++;
		start = i;
		while (i < BITS && !(bits >> i & 1))
			i++;
		if (i < BITS && i - start < best) {
			best = i - start;
			best_gap = bits_between(start, i);
		}
	}
	return bits | best_gap;
}

static void check_result(const struct coherency_set *set, uint64_t exact)
{
	check_shape(set);
	if (ranges_in(exact) > COHERENCY_RANGES)
		exact = fill_smallest_gap(exact);
	ASSERT(bits_of(set) == exact);
}

static void change_at_random(struct coherency_set *set)
{
	uint64_t before = bits_of(set);
	uint64_t start = random_below(BITS + 1);
	uint64_t end = start + random_below(random_below(8) ? 6 : BITS);
	uint64_t change;

	if (end > BITS)
		end = BITS;
	change = bits_between(start, end);
	ASSERT_EQ(coherency_set_overlaps(set, start, end), (before & change) != 0);
	if (random_below(2)) {
		coherency_set_add(set, start, end);
		check_result(set, before | change);
	} else {
		coherency_set_remove(set, start, end);
		check_result(set, before & ~change);
	}
}

TEST(C3_sets_are_exact_until_they_overflow_and_then_widen_least)
{
	struct coherency_state s;

	test_note("seed %#jx", (uintmax_t)seed);
	coherency_init(&s);
	for (unsigned int i = 0; i < 1000000; i++)
		change_at_random(&s.dirty);
}

TEST(C3_sets_hold_offsets_up_to_the_last)
{
	struct coherency_state s;

	coherency_init(&s);
	coherency_set_add(&s.stale, 0, UINT64_MAX);
	coherency_set_remove(&s.stale, 1, UINT64_MAX - 1);
	ASSERT_EQ(s.stale.count, 2);
	ASSERT_EQ(s.stale.range[0].end, 1);
	ASSERT(s.stale.range[1].start == UINT64_MAX - 1);
	ASSERT(s.stale.range[1].end == UINT64_MAX);
	coherency_set_add(&s.stale, 1, UINT64_MAX - 1);
	ASSERT_EQ(s.stale.count, 1);
}

TEST(C3_empty_and_reversed_ranges_change_no_set)
{
	struct coherency_state s;

	coherency_init(&s);
	coherency_set_add(&s.dirty, 4, 8);
	coherency_set_add(&s.dirty, 6, 6);
	coherency_set_add(&s.dirty, 9, 9);
	coherency_set_add(&s.dirty, 20, 10);
	coherency_set_remove(&s.dirty, 6, 6);
	coherency_set_remove(&s.dirty, 8, 4);
	ASSERT_EQ(s.dirty.count, 1);
	ASSERT(s.dirty.range[0].start == 4 && s.dirty.range[0].end == 8);
	ASSERT(!coherency_set_overlaps(&s.dirty, 6, 6));
}
