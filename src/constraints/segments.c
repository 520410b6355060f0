// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * How many entries a table needs, by arithmetic. The walk that sg-table.c makes over real memory
 * never needs more.
 */
#include "constraints.h"

uint64_t constraints_common_multiple(uint64_t a, uint64_t b)
{
	uint64_t x = a, y = b, rest, product;

	while (y) {
		rest = x % y;
		x = y;
		y = rest;
	}
	if (__builtin_mul_overflow(a / x, b, &product))
		return UINT64_MAX;
	return product;
}

/* A segment cannot reach further than this; 0: as far as it likes. */
static uint64_t window(const struct constraints_limits *limits, uint64_t chunk)
{
	uint64_t boundary = limits->segment_boundary_mask + 1;

	if (!boundary || (chunk && chunk < boundary))
		return chunk;
	return boundary;
}

/* How long segments may be: all but the last one have a length that others can follow. */
struct lengths {
	uint64_t most;
	uint64_t last;
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* Segments that end with the buffer. */
static uint64_t count_end(uint64_t size, const struct lengths *l)
{
	return size <= l->last ? 1 : 1 + divide_up(size - l->last, l->most);
}

/* Within a window segments follow each other, and the next window begins anew. */
static uint64_t count_aligned(uint64_t size, uint64_t window, const struct lengths *l)
{
	uint64_t before = window ? (size - 1) / window : 0;

	return before * (before ? divide_up(window, l->most) : 0) +
	       count_end(size - before * window, l);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * The most if the buffer, which is larger than @alignment, starts at any multiple of that in its
 * first window. Where one of segment and alignment is a multiple of the other, it is most if it
 * starts at a boundary or just before one. Otherwise it is at most one more, and at most as many
 * as if each multiple of @alignment were a boundary.
 */
static uint64_t count_anywhere(uint64_t size, uint64_t window, const struct lengths *l,
			       uint64_t alignment, uint64_t unit)
{
	uint64_t aligned = count_aligned(size, window, l), other;
	struct lengths shorter = { smaller(l->most, alignment), smaller(l->last, alignment) };

	if (l->most == l->last && (l->most % alignment == 0 || alignment % l->most == 0)) {
		other = divide_up(alignment, l->most) + count_aligned(size - alignment, window, l);
		return other > aligned ? other : aligned;
	}
	shorter.most -= shorter.most % unit;
	if (!shorter.most)
		return aligned + 1;
	return smaller(aligned + 1, count_aligned(size, alignment, &shorter));
}

uint32_t constraints_segments(uint64_t size, const struct constraints_limits *limits,
			      uint64_t chunk, uint64_t alignment, uint64_t *count,
			      uint64_t *longest)
{
	uint64_t reach = window(limits, chunk), unit, needed;
	struct lengths most = { size, size };
	bool anywhere, crosses;

	if (alignment < limits->address_alignment)
		return DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT;
	needed = reach && reach < size ? reach : constraints_power_above(size);
	anywhere = reach && alignment < needed;
	crosses = reach && (size > reach || anywhere);
	/* Segments end where the next one may begin. */
	unit = limits->length_granularity == 1
		       ? limits->address_alignment
		       : constraints_common_multiple(limits->length_granularity,
						     limits->address_alignment);
	if (crosses && (!constraints_is_power_of_two(unit) || unit > reach || unit > alignment))
		return DMA_BUF_PARAMETER_LENGTH_GRANULARITY;
	if (reach)
		most.last = smaller(most.last, reach);
	most.last = smaller(most.last, limits->max_segment_size);
	most.most = most.last < size ? most.last - most.last % unit : most.last;
	if (!most.most)
		return DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE;
	*count = anywhere ? count_anywhere(size, reach, &most, alignment, unit)
			  : count_aligned(size, reach, &most);
	*longest = most.last;
	return DMA_BUF_NOBODY;
}
