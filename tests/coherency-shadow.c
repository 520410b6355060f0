// SPDX-License-Identifier: MIT
/*
 * Long random runs over a cache that holds real copies of real bytes, and prefetches, writes back
 * and evicts as it likes. Processes and devices keep to the rules of coherency.h and no more, with
 * overlapping brackets, several devices, and partial writes. A missing operation shows as a wrong
 * byte; one without a reason is counted, and must come from a set that had to be widened.
 */
#include <stdlib.h>
#include <string.h>

#include "coherency.h"
#include "harness.h"

#define LINES 40
#define BYTES 4
#define BRACKETS 5
#define MAPPINGS 3

enum adversary {
	AT_RANDOM,
	PREFETCHES_ALL,
	WRITES_BACK_ALL,
	EVICTS_ALL,
	EVICTS_THEN_PREFETCHES_ALL,
	ADVERSARIES,
};

struct bracket {
	unsigned int start, end;
	enum coherency_access access;
	uint64_t fresh;	   /* lines no device wrote since it began */
	uint64_t unshared; /* lines that it wrote last */
};

static struct coherency_state state;
static uint8_t truth[LINES][BYTES], memory[LINES][BYTES], cache[LINES][BYTES];
static uint64_t valid, dirty; /* the cache's lines */
static struct bracket brackets[BRACKETS];
static unsigned int readers, writers;
static uint64_t may_be_dirty, may_be_stale; /* what the state has to know, exactly */
static bool dirty_wide, stale_wide;	    /* it had no room for that */
static uint64_t operations, needless;
static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static uint64_t bit(unsigned int line)
{
	return (uint64_t)1 << line;
}

static uint64_t bits_between(uint64_t start, uint64_t end)
{
	return (bit((unsigned int)end) - 1) & ~(bit((unsigned int)start) - 1);
}

static uint64_t bits_of_set(const struct coherency_set *set)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < set->count; i++)
		bits |= bits_between(set->range[i].start, set->range[i].end);
	return bits;
}

static int ranges_in(uint64_t bits)
{
	return __builtin_popcountll(bits & ~(bits << 1));
}

static void copy(uint8_t *to, const uint8_t *from)
{
	for (unsigned int i = 0; i < BYTES; i++)
		to[i] = from[i];
}

static void prefetch(unsigned int line)
{
	if (valid & bit(line))
		return;
	copy(cache[line], memory[line]);
	valid |= bit(line);
}

static void write_back(unsigned int line)
{
	if (dirty & bit(line))
		copy(memory[line], cache[line]);
	dirty &= ~bit(line);
}

static void drop(unsigned int line)
{
	valid &= ~bit(line);
	dirty &= ~bit(line);
}

static void evict(unsigned int line)
{
	write_back(line);
	drop(line);
}

static void disturb(enum adversary who)
{
	if (who == AT_RANDOM) {
		void (*const act[])(unsigned int) = { prefetch, write_back, evict };

		act[random_below(3)](random_below(LINES));
		return;
	}
	for (unsigned int line = 0; line < LINES; line++) {
		if (who == WRITES_BACK_ALL)
			write_back(line);
		if (who == EVICTS_ALL || who == EVICTS_THEN_PREFETCHES_ALL)
			evict(line);
		if (who == PREFETCHES_ALL || who == EVICTS_THEN_PREFETCHES_ALL)
			prefetch(line);
	}
}

static bool writer_is_open(void)
{
	for (unsigned int i = 0; i < BRACKETS; i++) {
		if (brackets[i].access & COHERENCY_WRITE)
			return true;
	}
	return false;
}

static void note_width(void)
{
	dirty_wide |= ranges_in(may_be_dirty) > COHERENCY_RANGES;
	stale_wide |= ranges_in(may_be_stale) > COHERENCY_RANGES;
}

static void justify(enum coherency_op op, uint64_t lines)
{
	operations++;
	if (op == COHERENCY_CLEAN && lines & ~may_be_dirty) {
		needless++;
		ASSERT(dirty_wide);
	}
	if (op != COHERENCY_CLEAN && !writers && lines & ~may_be_stale) {
		needless++;
		ASSERT(stale_wide);
	}
	if (op == COHERENCY_FLUSH && !writer_is_open() && !dirty_wide)
		ASSERT(lines & may_be_dirty);
}

static void run(const struct coherency_plan *plan)
{
	ASSERT(plan->count <= COHERENCY_RANGES);
	for (uint32_t i = 0; i < plan->count; i++) {
		enum coherency_op op = plan->step[i].op;
		const struct coherency_range *r = &plan->step[i].range;
		uint64_t lines = bits_between(r->start, r->end);

		ASSERT(r->start < r->end && r->end <= LINES);
		justify(op, lines);
		for (unsigned int line = 0; line < LINES; line++) {
			if (!(lines & bit(line)))
				continue;
			if (op != COHERENCY_INVALIDATE)
				write_back(line);
			if (op != COHERENCY_CLEAN)
				drop(line);
		}
		if (op != COHERENCY_INVALIDATE)
			may_be_dirty &= ~lines;
		if (op != COHERENCY_CLEAN)
			may_be_stale &= ~lines;
		note_width();
	}
	if (!dirty_wide)
		ASSERT(bits_of_set(&state.dirty) == may_be_dirty);
	if (!stale_wide && !writers)
		ASSERT(bits_of_set(&state.stale) == may_be_stale);
}

static void device_begins(void)
{
	enum coherency_access access = 1 + random_below(3);
	unsigned int *count = access & COHERENCY_WRITE ? &writers : &readers;
	struct coherency_plan plan;

	if (*count == MAPPINGS)
		return;
	coherency_device_begin(&state, LINES, access, &plan);
	++*count;
	run(&plan);
	ASSERT_EQ(may_be_dirty, 0);
	ASSERT_EQ(state.dirty.count, 0);
	dirty_wide = false;
}

static void device_ends(void)
{
	enum coherency_access access = 1 + random_below(3);
	unsigned int *count = access & COHERENCY_WRITE ? &writers : &readers;
	struct coherency_plan plan;

	if (!*count)
		return;
	coherency_device_end(&state, LINES, access, &plan);
	--*count;
	if (access & COHERENCY_WRITE) {
		may_be_stale = bits_between(0, LINES);
		stale_wide = false;
	}
	run(&plan);
}

static void bracket_begins(struct bracket *b)
{
	enum coherency_access access = 1 + random_below(3);
	struct coherency_plan plan;

	if (b->access)
		return;
	b->start = random_below(LINES);
	b->end = b->start + 1 + random_below(random_below(4) ? 3 : LINES);
	if (b->end > LINES)
		b->end = LINES;
	coherency_cpu_begin(&state, b->start, b->end, access, &plan);
	run(&plan);
	b->access = access;
	b->fresh = bits_between(b->start, b->end);
}

static void bracket_ends(struct bracket *b)
{
	struct coherency_plan plan;

	if (!b->access)
		return;
	if (b->access & COHERENCY_WRITE)
		may_be_dirty |= bits_between(b->start, b->end);
	if (!readers && !writers)
		note_width();
	coherency_cpu_end(&state, b->start, b->end, b->access, &plan);
	memset(b, 0, sizeof(*b));
	run(&plan);
}

static void expect_truth(const uint8_t *got, unsigned int line, const char *who)
{
	if (memcmp(got, truth[line], BYTES) != 0)
		FAIL("%s gets wrong bytes in line %u", who, line);
}

static void cpu_touches(struct bracket *b)
{
	unsigned int line = random_below(LINES);
	unsigned int byte = random_below(BYTES);

	if (!(b->fresh & bit(line)))
		return;
	prefetch(line);
	expect_truth(cache[line], line, "the CPU");
	if (!(b->access & COHERENCY_WRITE) || random_below(2))
		return;
	truth[line][byte] = cache[line][byte] = (uint8_t)random_below(256);
	dirty |= bit(line);
	for (unsigned int i = 0; i < BRACKETS; i++)
		brackets[i].unshared &= ~bit(line);
	b->unshared |= bit(line);
}

static void device_touches(void)
{
	unsigned int line = random_below(LINES);
	unsigned int byte = random_below(BYTES);
	uint64_t unshared = 0;

	for (unsigned int i = 0; i < BRACKETS; i++)
		unshared |= brackets[i].unshared;
	if ((!readers && !writers) || unshared & bit(line))
		return;
	expect_truth(memory[line], line, "the device");
	if (!writers || random_below(2))
		return;
	truth[line][byte] = memory[line][byte] = (uint8_t)random_below(256);
	for (unsigned int i = 0; i < BRACKETS; i++)
		brackets[i].fresh &= ~bit(line);
}

static void step(enum adversary who)
{
	struct bracket *b = &brackets[random_below(BRACKETS)];

	switch (random_below(16)) {
	case 0:
		device_begins();
		break;
	case 1:
		device_ends();
		break;
	case 2:
	case 3:
		bracket_begins(b);
		break;
	case 4:
	case 5:
		bracket_ends(b);
		break;
	case 6:
	case 7:
	case 8:
		device_touches();
		break;
	default:
		cpu_touches(b);
		break;
	}
	disturb(who);
}

/* Now and then everybody leaves, so that all mixtures of owners come about. */
static void all_leave(void)
{
	for (unsigned int i = 0; i < BRACKETS; i++)
		bracket_ends(&brackets[i]);
	while (readers || writers)
		device_ends();
}

static void start(void)
{
	coherency_init(&state);
	memset(truth, 0, sizeof(truth));
	memset(memory, 0, sizeof(memory));
	memset(brackets, 0, sizeof(brackets));
	valid = dirty = may_be_dirty = may_be_stale = 0;
	readers = writers = 0;
	dirty_wide = stale_wide = false;
}

static void run_long(enum adversary who)
{
	unsigned int steps = test_is_slow() ? 20000 : 2000000;

	seed = 0x9e3779b97f4a7c15u + who;
	test_note("seed %#jx, %u steps", (uintmax_t)seed, steps);
	start();
	for (unsigned int i = 0; i < steps; i++) {
		step(who);
		if (random_below(200) == 0)
			all_leave();
	}
	test_note("%ju operations, %ju of them for nothing, all from widened sets",
		  (uintmax_t)operations, (uintmax_t)needless);
	ASSERT(operations > steps / 100);
}

TEST_TIMEOUT(C3_no_wrong_byte_with_a_cache_that_acts_at_random, 300)
{
	run_long(AT_RANDOM);
}

TEST_TIMEOUT(C3_no_wrong_byte_with_a_cache_that_prefetches_all, 300)
{
	run_long(PREFETCHES_ALL);
}

TEST_TIMEOUT(C3_no_wrong_byte_with_a_cache_that_writes_back_all, 300)
{
	run_long(WRITES_BACK_ALL);
}

TEST_TIMEOUT(C3_no_wrong_byte_with_a_cache_that_evicts_all, 300)
{
	run_long(EVICTS_ALL);
}

TEST_TIMEOUT(C3_no_wrong_byte_with_a_cache_that_evicts_and_prefetches_all, 300)
{
	run_long(EVICTS_THEN_PREFETCHES_ALL);
}
