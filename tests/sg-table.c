// SPDX-License-Identifier: MIT
/*
 * Splitting by a device's limits, against a search that tries every way; iterators; allocation.
 */
#include <stdlib.h>
#include <string.h>

#include <dmabuf/error.h>

#include "device.h"
#include "harness.h"
#include "sg-table.h"

#define SEARCH_SIZE 96

static struct dma_buf_device_parameters limits(void)
{
	return (struct dma_buf_device_parameters){ .size = sizeof(
							   struct dma_buf_device_parameters) };
}

static void *at(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* May one segment be [start, start + length), given that the buffer ends at @end? */
static bool segment_valid(uint64_t start, uint64_t length, uint64_t end,
			  const struct dma_buf_device_parameters *p)
{
	uint64_t last = start + length - 1;

	if (p->max_segment_size && length > p->max_segment_size)
		return false;
	if (p->segment_boundary_mask &&
	    (start & ~p->segment_boundary_mask) != (last & ~p->segment_boundary_mask))
		return false;
	if (p->address_alignment && start % p->address_alignment)
		return false;
	if (p->length_granularity && last + 1 != end && length % p->length_granularity)
		return false;
	return !p->dma_mask || last <= p->dma_mask;
}

/* Fewest segments that cover the range, tried from the end; 0: there is no way. */
static unsigned int fewest(uint64_t address, uint64_t size,
			   const struct dma_buf_device_parameters *p)
{
	unsigned int best[SEARCH_SIZE + 1] = { 0 };
	uint64_t from, length;

	for (from = size; from-- > 0;) {
		for (length = 1; length <= size - from; length++) {
			unsigned int rest = best[from + length];

			if ((from + length < size && !rest) ||
			    !segment_valid(address + from, length, address + size, p))
				continue;
			if (!best[from] || rest + 1 < best[from])
				best[from] = rest + 1;
		}
	}
	if (p->max_segment_count && best[0] > p->max_segment_count)
		return 0;
	return best[0];
}

static void check_table(const struct dma_buf_sg_table *table, uint64_t address, uint64_t size,
			const struct dma_buf_device_parameters *p)
{
	struct dma_buf_scatterlist *sg;
	uint64_t next = address;
	unsigned int i;

	dma_buf_for_each_dma_sg(table, sg, i) {
		ASSERT_EQ(sg->dma_address, next);
		ASSERT(sg->dma_length > 0);
		ASSERT(segment_valid(sg->dma_address, sg->dma_length, address + size, p));
		next += sg->dma_length;
	}
	ASSERT_EQ(next, address + size);
	ASSERT_EQ(dma_buf_sg_length(table), size);
	ASSERT_EQ(table->orig_nents, 1);
	ASSERT(table->sgl[0].vaddr == at(address));
	ASSERT_EQ(table->sgl[0].length, size);
}

/* What the library makes of it must be what the search finds, and as short. */
static void compare(uint64_t address, uint64_t size, const struct dma_buf_device_parameters *p)
{
	unsigned int want = fewest(address, size, p);
	struct dma_buf_sg_table table = { NULL, 77, 77 };
	int ret = sg_table_build(&table, at(address), size, p);

	if ((want && (ret || table.nents != want)) || (!want && ret != -E2BIG))
		test_note("address %ju size %ju: max size %ju count %ju boundary 0x%jx mask 0x%jx "
			  "alignment %ju granularity %ju",
			  (uintmax_t)address, (uintmax_t)size, (uintmax_t)p->max_segment_size,
			  (uintmax_t)p->max_segment_count, (uintmax_t)p->segment_boundary_mask,
			  (uintmax_t)p->dma_mask, (uintmax_t)p->address_alignment,
			  (uintmax_t)p->length_granularity);
	if (!want) {
		ASSERT_ERR(ret, E2BIG);
		ASSERT_EQ(table.nents, 77);
		return;
	}
	ASSERT_EQ(ret, 0);
	ASSERT_EQ(table.nents, want);
	check_table(&table, address, size, p);
	dma_buf_sg_free_table(&table);
}

static uint64_t pick(const uint64_t *choices, unsigned int count)
{
	return choices[(unsigned int)rand() % count];
}

#define PICK(...)                               \
	pick((const uint64_t[]){ __VA_ARGS__ }, \
	     sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static bool random_limits(struct dma_buf_device_parameters *p)
{
	*p = limits();
	p->max_segment_size = PICK(0, 0, 1, 3, 4, 7, 8, 12, 16, 24, 64);
	p->max_segment_count = PICK(0, 0, 0, 1, 2, 5, 9);
	p->segment_boundary_mask = PICK(0, 0, 0, 1, 3, 7, 15, 31);
	p->dma_mask = PICK(0, 0, 0, 1023, 4095);
	p->address_alignment = PICK(0, 0, 1, 2, 4, 8, 16);
	p->length_granularity = PICK(0, 0, 1, 2, 3, 4, 6, 8, 12, 20);
	return device_parameters_check(p) == 0;
}

TEST(F7_splitting_agrees_with_a_search_of_every_way)
{
	struct dma_buf_device_parameters p;
	unsigned int i, tried = 0;

	srand(1);
	for (i = 0; i < 40000; i++) {
		if (!random_limits(&p))
			continue;
		tried++;
		compare(960 + (uint64_t)(rand() % 80), 1 + (uint64_t)(rand() % SEARCH_SIZE), &p);
	}
	ASSERT(tried > 10000);
}

#define BUILT(want_nents, address, bytes, setup)                           \
	do {                                                               \
		struct dma_buf_device_parameters p = limits();             \
		struct dma_buf_sg_table table;                             \
		setup;                                                     \
		ASSERT_OK(sg_table_build(&table, at(address), bytes, &p)); \
		ASSERT_EQ(table.nents, want_nents);                        \
		check_table(&table, address, bytes, &p);                   \
		dma_buf_sg_free_table(&table);                             \
	} while (0)

TEST(F7_no_limits_make_one_segment)
{
	BUILT(1, 0x1000, 1, (void)p);
	BUILT(1, 0x1234, 1u << 30, (void)p);
}

TEST(F7_segments_are_no_larger_than_the_device_takes)
{
	BUILT(16, 0x10000, 65536, p.max_segment_size = 4096);
	BUILT(17, 0x10000, 65537, p.max_segment_size = 4096);
	BUILT(3, 0x10000, 3, p.max_segment_size = 1);
}

TEST(F7_segments_do_not_cross_a_boundary)
{
	BUILT(2, 0x1800, 0x1000, p.segment_boundary_mask = 0xfff);
	BUILT(16, 0x10000, 0x10000, p.segment_boundary_mask = 0xfff);
	BUILT(1, 0x10000, 0x10000, p.segment_boundary_mask = 0xffff);
	BUILT(1, 0x10000, 0x10000, p.segment_boundary_mask = UINT64_MAX);
}

TEST(F7_all_but_the_last_length_are_multiples_of_the_granularity)
{
	BUILT(2, 0x10000, 1500, p.max_segment_size = 1000; p.length_granularity = 600);
}

TEST(F7_every_segment_starts_aligned_whatever_the_granularity)
{
	BUILT(2, 0x10000, 30, p.max_segment_size = 22; p.address_alignment = 4;
	      p.length_granularity = 6);
}

#define TOO_BIG(words, address, bytes, setup)                                      \
	do {                                                                       \
		struct dma_buf_device_parameters p = limits();                     \
		struct dma_buf_sg_table table;                                     \
		setup;                                                             \
		ASSERT_ERR(sg_table_build(&table, at(address), bytes, &p), E2BIG); \
		ASSERT_STR_CONTAINS(dmabuf_last_error(), words);                   \
	} while (0)

TEST(F7_what_a_device_cannot_take_is_refused_by_name)
{
	TOO_BIG("the device takes 15", 0x10000, 65536, p.max_segment_size = 4096;
		p.max_segment_count = 15);
	TOO_BIG("mask 0xffff", 0xf000, 4097, p.dma_mask = 0xffff);
	TOO_BIG("multiples of 512", 0x10100, 4096, p.address_alignment = 512);
	TOO_BIG("no segment fits", 0x10080, 1024, p.segment_boundary_mask = 0xff;
		p.length_granularity = 256);
}

TEST(F7_a_range_at_the_end_of_the_address_space_is_no_overflow)
{
	BUILT(2, UINT64_MAX - 4095, 4095, p.segment_boundary_mask = 0x7ff);
	BUILT(1, UINT64_MAX - 4095, 4095, p.max_segment_size = UINT64_MAX);
	BUILT(1, 0, 4096, p.segment_boundary_mask = UINT64_MAX);
	TOO_BIG("no segment fits", 0x10000, 4096, p.length_granularity = UINT64_MAX;
		p.address_alignment = 4096; p.segment_boundary_mask = 0x7ff);
}

TEST(A5_tables_are_allocated_empty_and_freed_once)
{
	struct dma_buf_sg_table table;
	struct dma_buf_scatterlist *sg;
	unsigned int i;

	ASSERT_OK(dma_buf_sg_alloc_table(&table, 5));
	ASSERT_EQ(table.nents, 5);
	ASSERT_EQ(table.orig_nents, 5);
	dma_buf_for_each_sg(&table, sg, i)
		ASSERT(!sg->vaddr && !sg->length && !sg->dma_address && !sg->dma_length);
	ASSERT_EQ(i, 5);
	dma_buf_sg_free_table(&table);
	ASSERT(!table.sgl && !table.nents && !table.orig_nents);
	dma_buf_sg_free_table(&table);
	dma_buf_sg_free_table(NULL);
}

TEST(A5_table_sizes_out_of_range_are_refused)
{
	struct dma_buf_sg_table table = { NULL, 7, 7 };

	ASSERT_ERR(dma_buf_sg_alloc_table(NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_sg_alloc_table(&table, 0), EINVAL);
	ASSERT_ERR(dma_buf_sg_alloc_table(&table, (1u << 20) + 1), EINVAL);
	ASSERT_ERR(dma_buf_sg_alloc_table(&table, UINT32_MAX), EINVAL);
	ASSERT_EQ(table.nents, 7);
	ASSERT_OK(dma_buf_sg_alloc_table(&table, 1u << 20));
	dma_buf_sg_free_table(&table);
}

static struct dma_buf_scatterlist pieces[] = {
	{ .dma_address = 1000, .dma_length = 5 },
	{ .dma_address = 2000, .dma_length = 1 },
	{ .dma_address = 3000, .dma_length = 12 },
};

/* The device address of each byte, by counting. */
static uint64_t byte_address(uint64_t offset)
{
	unsigned int i;

	for (i = 0; offset >= pieces[i].dma_length; i++)
		offset -= pieces[i].dma_length;
	return pieces[i].dma_address + offset;
}

static void walk(const struct dma_buf_sg_table *table, uint64_t offset, uint64_t step)
{
	uint64_t total = dma_buf_sg_length(table), i;
	struct dma_buf_sg_iter iter;

	dma_buf_sg_iter_init(&iter, table, offset);
	while (dma_buf_sg_iter_next(&iter, step)) {
		ASSERT_EQ(iter.offset, offset);
		ASSERT(iter.length >= 1 && iter.length <= step);
		for (i = 0; i < iter.length; i++)
			ASSERT_EQ(iter.dma_address + i, byte_address(offset + i));
		offset += iter.length;
	}
	ASSERT_EQ(offset, total);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, step), 0);
}

TEST(A5_iterating_meets_every_byte_once_from_any_offset_in_any_step)
{
	struct dma_buf_sg_table table = { pieces, 3, 3 };
	uint64_t offset, step;

	ASSERT_EQ(dma_buf_sg_length(&table), 18);
	for (offset = 0; offset <= 18; offset++) {
		for (step = 1; step <= 20; step++)
			walk(&table, offset, step);
	}
}

TEST(A5_iterating_past_the_end_or_over_nothing_ends_at_once)
{
	struct dma_buf_sg_table table = { pieces, 3, 3 }, empty = { NULL, 0, 0 };
	struct dma_buf_sg_iter iter;

	dma_buf_sg_iter_init(&iter, &table, 19);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 1), 0);
	dma_buf_sg_iter_init(&iter, &table, UINT64_MAX);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 1), 0);
	dma_buf_sg_iter_init(&iter, &empty, 0);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 1), 0);
	dma_buf_sg_iter_init(&iter, NULL, 0);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 1), 0);
	dma_buf_sg_iter_init(&iter, &table, 0);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 0), 0);
	ASSERT_EQ(dma_buf_sg_length(NULL), 0);
}
