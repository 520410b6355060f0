// SPDX-License-Identifier: MIT
/* What each transition between the CPU and non-coherent devices costs: the plans of coherency.c. */
#include <string.h>

#include "coherency.h"
#include "harness.h"

#define LINE ((uint64_t)64)
#define SIZE (16 * LINE)

static struct coherency_state state;
static struct coherency_plan plan;
static unsigned int operations;

static void run(void)
{
	ASSERT(plan.count <= COHERENCY_RANGES);
	ASSERT_EQ(plan.skipped, plan.count == 0);
	operations += plan.count;
}

static void device_begin(enum coherency_access access)
{
	coherency_device_begin(&state, SIZE, access, &plan);
	run();
}

static void device_end(enum coherency_access access)
{
	coherency_device_end(&state, SIZE, access, &plan);
	run();
}

static void cpu_begin(uint64_t start, uint64_t end, enum coherency_access access)
{
	coherency_cpu_begin(&state, start, end, access, &plan);
	run();
}

static void cpu_end(uint64_t start, uint64_t end, enum coherency_access access)
{
	coherency_cpu_end(&state, start, end, access, &plan);
	run();
}

static void cpu(uint64_t start, uint64_t end, enum coherency_access access)
{
	cpu_begin(start, end, access);
	ASSERT_EQ(plan.count, 0);
	cpu_end(start, end, access);
}

static void device(enum coherency_access access)
{
	device_begin(access);
	device_end(access);
	ASSERT_EQ(plan.count, 0);
}

static void fresh(void)
{
	memset(&state, 0xff, sizeof(state));
	coherency_init(&state);
	operations = 0;
}

static void expect_one(enum coherency_op op, uint64_t from, uint64_t to)
{
	ASSERT_EQ(plan.count, 1);
	ASSERT_EQ(plan.step[0].op, op);
	ASSERT_EQ(plan.step[0].range.start, from);
	ASSERT_EQ(plan.step[0].range.end, to);
}

/* Map for the device, begin, kmap, write, kunmap, end, unmap: he counted five, one of them needed.
 */
TEST(C3_kings_sequence_costs_one_clean)
{
	unsigned int skipped = 0;

	fresh();
	device_begin(COHERENCY_READ);
	skipped += plan.skipped;
	cpu_begin(LINE, 3 * LINE, COHERENCY_WRITE);
	skipped += plan.skipped;
	cpu_end(LINE, 3 * LINE, COHERENCY_WRITE);
	expect_one(COHERENCY_CLEAN, LINE, 3 * LINE);
	skipped += plan.skipped;
	device_end(COHERENCY_READ);
	skipped += plan.skipped;
	ASSERT_EQ(operations, 1);
	ASSERT_EQ(skipped, 3);
	cpu(0, SIZE, COHERENCY_READ_WRITE);
	ASSERT_EQ(operations, 1);
}

TEST(C3_cpu_only_use_costs_nothing)
{
	fresh();
	for (unsigned int i = 0; i < 16; i++)
		cpu(i * LINE, SIZE, COHERENCY_READ_WRITE);
	ASSERT_EQ(operations, 0);
}

TEST(C3_device_only_use_costs_nothing)
{
	fresh();
	device(COHERENCY_WRITE);
	device(COHERENCY_READ);
	device_begin(COHERENCY_READ_WRITE);
	device(COHERENCY_READ);
	device_end(COHERENCY_READ_WRITE);
	ASSERT_EQ(operations, 0);
}

TEST(C3_device_write_needs_a_clean_before_and_an_invalidate_after)
{
	fresh();
	cpu(0, SIZE, COHERENCY_WRITE);
	device_begin(COHERENCY_WRITE);
	expect_one(COHERENCY_CLEAN, 0, SIZE);
	device_end(COHERENCY_WRITE);
	cpu_begin(0, SIZE, COHERENCY_READ);
	expect_one(COHERENCY_INVALIDATE, 0, SIZE);
	cpu_end(0, SIZE, COHERENCY_READ);
	cpu(0, SIZE, COHERENCY_READ);
	ASSERT_EQ(operations, 2);
}

TEST(D6_dma_write_then_cpu_write_is_maintained)
{
	fresh();
	device(COHERENCY_WRITE);
	cpu_begin(0, LINE, COHERENCY_WRITE);
	expect_one(COHERENCY_INVALIDATE, 0, LINE);
	cpu_end(0, LINE, COHERENCY_WRITE);
	device_begin(COHERENCY_READ);
	expect_one(COHERENCY_CLEAN, 0, LINE);
	ASSERT_EQ(operations, 2);
}

/* Last access, next access: what lies between. */
TEST(D6_every_pair_of_accesses_costs_what_it_needs)
{
	static const enum coherency_op need[4][4] = {
		/* then: CPU reads, CPU writes, DMA reads, DMA writes */
		{ COHERENCY_NONE, COHERENCY_NONE, COHERENCY_NONE, COHERENCY_NONE },
		{ COHERENCY_NONE, COHERENCY_NONE, COHERENCY_CLEAN, COHERENCY_CLEAN },
		{ COHERENCY_NONE, COHERENCY_NONE, COHERENCY_NONE, COHERENCY_NONE },
		{ COHERENCY_INVALIDATE, COHERENCY_INVALIDATE, COHERENCY_NONE, COHERENCY_NONE },
	};

	for (unsigned int last = 0; last < 4; last++) {
		for (unsigned int next = 0; next < 4; next++) {
			fresh();
			if (last < 2)
				cpu(0, SIZE, last + 1);
			else
				device(last - 1);
			ASSERT_EQ(operations, 0);
			if (next < 2)
				cpu_begin(0, SIZE, next + 1);
			else
				device_begin(next - 1);
			ASSERT_EQ(plan.count, need[last][next] != COHERENCY_NONE);
			if (plan.count)
				expect_one(need[last][next], 0, SIZE);
		}
	}
}

TEST(C3_only_the_bytes_in_question_are_maintained)
{
	fresh();
	cpu(2 * LINE, 4 * LINE, COHERENCY_WRITE);
	cpu(8 * LINE, 9 * LINE, COHERENCY_WRITE);
	device_begin(COHERENCY_WRITE);
	ASSERT_EQ(plan.count, 2);
	ASSERT_EQ(plan.step[0].range.start, 2 * LINE);
	ASSERT_EQ(plan.step[0].range.end, 4 * LINE);
	ASSERT_EQ(plan.step[1].range.start, 8 * LINE);
	ASSERT_EQ(plan.step[1].range.end, 9 * LINE);
	device_end(COHERENCY_WRITE);
	cpu_begin(5 * LINE, 6 * LINE, COHERENCY_READ);
	expect_one(COHERENCY_INVALIDATE, 5 * LINE, 6 * LINE);
	cpu_end(5 * LINE, 6 * LINE, COHERENCY_READ);
	cpu_begin(4 * LINE, 7 * LINE, COHERENCY_READ);
	ASSERT_EQ(plan.count, 2);
	ASSERT_EQ(plan.step[0].range.end, 5 * LINE);
	ASSERT_EQ(plan.step[1].range.start, 6 * LINE);
}

/* Vetter: the same device does both kinds of access, so coherency belongs to the mapping. */
TEST(C3_coherent_and_noncoherent_mappings_of_one_device_mix)
{
	fresh();
	cpu_begin(0, SIZE, COHERENCY_WRITE);
	cpu_end(0, SIZE, COHERENCY_WRITE);
	ASSERT_EQ(operations, 0);
	device_begin(COHERENCY_READ_WRITE);
	expect_one(COHERENCY_CLEAN, 0, SIZE);
	device_end(COHERENCY_READ_WRITE);
	cpu_begin(0, SIZE, COHERENCY_READ);
	expect_one(COHERENCY_INVALIDATE, 0, SIZE);
	cpu_end(0, SIZE, COHERENCY_READ);
	device(COHERENCY_READ);
	ASSERT_EQ(operations, 2);
}

TEST(C1_ownership_goes_back_and_forth_without_unmapping)
{
	fresh();
	device_begin(COHERENCY_READ_WRITE);
	device_end(COHERENCY_READ_WRITE);
	cpu_begin(0, 4 * LINE, COHERENCY_WRITE);
	expect_one(COHERENCY_INVALIDATE, 0, 4 * LINE);
	cpu_end(0, 4 * LINE, COHERENCY_WRITE);
	ASSERT_EQ(plan.count, 0);
	device_begin(COHERENCY_READ_WRITE);
	expect_one(COHERENCY_CLEAN, 0, 4 * LINE);
	ASSERT_EQ(operations, 2);
}

TEST(C1_an_open_writers_bytes_are_flushed_not_dropped)
{
	fresh();
	device_begin(COHERENCY_WRITE);
	cpu_begin(0, 4 * LINE, COHERENCY_WRITE);
	expect_one(COHERENCY_INVALIDATE, 0, 4 * LINE);
	cpu_begin(2 * LINE, 6 * LINE, COHERENCY_READ);
	expect_one(COHERENCY_FLUSH, 2 * LINE, 6 * LINE);
	device_end(COHERENCY_WRITE);
	cpu_end(0, 4 * LINE, COHERENCY_WRITE);
	ASSERT_EQ(plan.count, 0);
	cpu_begin(0, SIZE, COHERENCY_READ);
	expect_one(COHERENCY_FLUSH, 0, SIZE);
}

TEST(C3_the_first_noncoherent_device_finds_everything_dirty)
{
	fresh();
	coherency_assume_dirty(&state, SIZE);
	device_begin(COHERENCY_WRITE);
	expect_one(COHERENCY_CLEAN, 0, SIZE);
	/* Its begin was before anybody counted. */
	cpu_end(0, LINE, COHERENCY_WRITE);
	expect_one(COHERENCY_CLEAN, 0, LINE);
	/* There may be more like that one. */
	cpu_begin(0, SIZE, COHERENCY_READ);
	expect_one(COHERENCY_FLUSH, 0, SIZE);
}

TEST(D8_ends_without_begins_do_not_wrap_the_counts)
{
	fresh();
	device_end(COHERENCY_READ);
	device_end(COHERENCY_WRITE);
	cpu_end(0, LINE, COHERENCY_WRITE);
	ASSERT_EQ(state.device_readers, 0);
	ASSERT_EQ(state.device_writers, 0);
	ASSERT_EQ(state.cpu_writers, 0);
}
