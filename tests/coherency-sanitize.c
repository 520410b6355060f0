// SPDX-License-Identifier: MIT
/* The coherency state lies in shared memory, where anybody may have written anything. */
#include <string.h>

#include "coherency.h"
#include "harness.h"

#define SIZE 4096
#define MAPPINGS 8

static uint64_t seed = 0x853c49e6748fea9bu;

static uint64_t random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1du;
}

/* Two ranges in each set, and everybody there. */
static struct coherency_state good_state(void)
{
	struct coherency_state s;

	coherency_init(&s);
	coherency_set_add(&s.dirty, 64, 128);
	coherency_set_add(&s.dirty, 256, 512);
	coherency_set_add(&s.stale, 0, 64);
	coherency_set_add(&s.stale, 1024, SIZE);
	s.device_readers = 1;
	s.device_writers = MAPPINGS;
	s.cpu_writers = 3;
	return s;
}

static bool is_whole(const struct coherency_set *set)
{
	return set->count == 1 && set->range[0].start == 0 && set->range[0].end == SIZE;
}

static void expect_refused(const struct coherency_state *bad)
{
	struct coherency_state s = *bad;

	ASSERT(!coherency_sanitize(&s, SIZE, MAPPINGS));
	ASSERT(is_whole(&s.dirty));
	ASSERT(is_whole(&s.stale));
	ASSERT(s.device_readers == COHERENCY_UNKNOWN);
	ASSERT(s.device_writers == COHERENCY_UNKNOWN);
	ASSERT(s.cpu_writers == COHERENCY_UNKNOWN);
	/* And that makes sense. */
	ASSERT(coherency_sanitize(&s, SIZE, MAPPINGS));
}

#define REFUSED(field, value)                              \
	do {                                               \
		struct coherency_state bad = good_state(); \
                                                           \
		bad.field = (value);                       \
		expect_refused(&bad);                      \
	} while (0)

TEST(C3_sane_state_is_left_as_it_is)
{
	struct coherency_state s = good_state();
	struct coherency_state before = s;

	ASSERT(coherency_sanitize(&s, SIZE, MAPPINGS));
	ASSERT(!memcmp(&s, &before, sizeof(s)));
	coherency_init(&s);
	ASSERT(coherency_sanitize(&s, SIZE, 0));
}

TEST(C3_state_with_any_field_out_of_range_is_refused)
{
	REFUSED(dirty.count, COHERENCY_RANGES + 1);
	REFUSED(dirty.count, UINT32_MAX);
	REFUSED(stale.count, COHERENCY_RANGES + 1);
	REFUSED(stale.count, 0x80000000u);
	/* A range that was never filled in. */
	REFUSED(dirty.count, 3);
	REFUSED(stale.count, 4);
	/* Empty, reversed, past the end. */
	REFUSED(dirty.range[0].start, 128);
	REFUSED(dirty.range[0].end, 64);
	REFUSED(dirty.range[0].start, UINT64_MAX);
	REFUSED(dirty.range[1].end, SIZE + 1);
	REFUSED(stale.range[1].end, UINT64_MAX);
	/* Touching, overlapping, out of order. */
	REFUSED(dirty.range[0].end, 256);
	REFUSED(dirty.range[0].end, 300);
	REFUSED(stale.range[1].start, 64);
	REFUSED(stale.range[1].start, 0);
	REFUSED(stale.range[0].start, 2048);
	REFUSED(device_readers, MAPPINGS + 1);
	REFUSED(device_readers, UINT32_MAX - 1);
	REFUSED(device_writers, MAPPINGS + 1);
	REFUSED(device_writers, 0x80000000u);
}

/* What would be the fifth range looks right: it is the set that comes next. */
TEST(C3_state_with_a_plausible_range_too_many_is_refused)
{
	const uint64_t size = (uint64_t)1 << 40;
	struct coherency_state s;

	coherency_init(&s);
	for (uint64_t i = 0; i < COHERENCY_RANGES; i++)
		coherency_set_add(&s.dirty, i * 128, i * 128 + 64);
	coherency_set_add(&s.stale, size / 2, size);
	s.stale.pad = 1;
	s.dirty.count++;
	ASSERT(!coherency_sanitize(&s, size, MAPPINGS));
}

/* Brackets have no limit to check against, and the worst a false count does is flush. */
TEST(C3_state_with_any_number_of_open_brackets_is_accepted)
{
	struct coherency_state s = good_state();
	struct coherency_plan plan;

	s.cpu_writers = UINT32_MAX - 1;
	ASSERT(coherency_sanitize(&s, SIZE, MAPPINGS));
	coherency_cpu_begin(&s, 0, 64, COHERENCY_WRITE, &plan);
	coherency_cpu_begin(&s, 0, 64, COHERENCY_WRITE, &plan);
	ASSERT_EQ(s.cpu_writers, COHERENCY_UNKNOWN);
}

TEST(C3_padding_and_unused_ranges_are_cleared)
{
	struct coherency_state s = good_state();
	struct coherency_state clean = s;

	s.pad = s.dirty.pad = s.stale.pad = 0xdeadbeef;
	s.dirty.range[3] = (struct coherency_range){ 7, 5 };
	s.stale.range[2] = (struct coherency_range){ UINT64_MAX, UINT64_MAX };
	ASSERT(coherency_sanitize(&s, SIZE, MAPPINGS));
	ASSERT(!memcmp(&s, &clean, sizeof(s)));
}

TEST(C3_unknown_counts_stay_unknown)
{
	struct coherency_state s = good_state();
	struct coherency_plan plan;

	s.dirty.count = UINT32_MAX;
	ASSERT(!coherency_sanitize(&s, SIZE, MAPPINGS));
	for (unsigned int i = 0; i < 3; i++) {
		coherency_device_begin(&s, SIZE, COHERENCY_WRITE, &plan);
		coherency_device_end(&s, SIZE, COHERENCY_WRITE, &plan);
		coherency_device_end(&s, SIZE, COHERENCY_READ, &plan);
		coherency_cpu_end(&s, 0, 64, COHERENCY_WRITE, &plan);
		ASSERT(coherency_sanitize(&s, SIZE, MAPPINGS));
	}
	ASSERT(s.device_readers == COHERENCY_UNKNOWN);
	ASSERT(s.device_writers == COHERENCY_UNKNOWN);
	ASSERT(s.cpu_writers == COHERENCY_UNKNOWN);
}

/* Spoiled while in doubt who owns it: cleaned bytes are not cleaned again. */
TEST(C3_spoiled_state_still_cleans_only_once)
{
	struct coherency_state s = good_state();
	struct coherency_plan plan;

	s.dirty.count = UINT32_MAX;
	ASSERT(!coherency_sanitize(&s, SIZE, MAPPINGS));
	coherency_cpu_end(&s, 0, 1024, COHERENCY_WRITE, &plan);
	ASSERT_EQ(plan.count, 1);
	coherency_device_begin(&s, SIZE, COHERENCY_READ, &plan);
	ASSERT_EQ(plan.count, 1);
	ASSERT_EQ(plan.step[0].range.start, 1024);
	coherency_device_begin(&s, SIZE, COHERENCY_READ, &plan);
	ASSERT_EQ(plan.count, 0);
}

static void check_plan(const struct coherency_plan *plan)
{
	ASSERT(plan->count <= COHERENCY_RANGES);
	for (uint32_t i = 0; i < plan->count; i++) {
		ASSERT(plan->step[i].op >= COHERENCY_CLEAN && plan->step[i].op <= COHERENCY_FLUSH);
		ASSERT(plan->step[i].range.start < plan->step[i].range.end);
		ASSERT(plan->step[i].range.end <= SIZE);
	}
}

static void use_at_random(struct coherency_state *s)
{
	uint64_t bits = random_bits();
	enum coherency_access access = 1 + (bits >> 8) % 3;
	uint64_t start = (bits >> 16) % SIZE;
	uint64_t end = start + 1 + (bits >> 32) % (SIZE - start);
	struct coherency_plan plan;

	switch (bits & 3) {
	case 0:
		coherency_device_begin(s, SIZE, access, &plan);
		break;
	case 1:
		coherency_device_end(s, SIZE, access, &plan);
		break;
	case 2:
		coherency_cpu_begin(s, start, end, access, &plan);
		break;
	default:
		coherency_cpu_end(s, start, end, access, &plan);
		break;
	}
	check_plan(&plan);
}

/* One field's worth of a state is replaced, by something near what it was or by anything. */
static void mutate(struct coherency_state *s)
{
	uint32_t words[sizeof(*s) / sizeof(uint32_t)];
	uint64_t bits = random_bits();
	uint32_t *word = &words[bits % (sizeof(words) / sizeof(words[0]))];

	memcpy(words, s, sizeof(*s));
	if (bits & 0x100000000u)
		*word = (uint32_t)(bits >> 33);
	else
		*word += (uint32_t)(bits >> 33) % 129 - 64;
	memcpy(s, words, sizeof(*s));
}

TEST(C3_plans_from_mutated_state_stay_in_the_buffer)
{
	struct coherency_state s = good_state();
	unsigned int refused = 0;

	test_note("seed %#jx", (uintmax_t)seed);
	for (unsigned int i = 0; i < 500000; i++) {
		struct coherency_state spoiled = s;

		mutate(&spoiled);
		if (!coherency_sanitize(&spoiled, SIZE, UINT32_MAX - 1))
			refused++;
		for (unsigned int k = 0; k < 4; k++)
			use_at_random(&spoiled);
		use_at_random(&s);
	}
	ASSERT(refused > 1000);
}
