/* SPDX-License-Identifier: MIT */
/*
 * One cache line under every possible adversary at once: the set of all states that it may be in,
 * whatever was prefetched, written back or evicted meanwhile. A bit for each combination of
 *
 *	the cache: nothing, a clean copy or a dirty one, with the latest bytes or older ones,
 *	the memory: the latest bytes or older ones.
 */
#ifndef TEST_COHERENCY_LINE_H
#define TEST_COHERENCY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "coherency.h"

enum line_cache {
	LINE_ABSENT,
	LINE_CLEAN,
	LINE_CLEAN_OLD,
	LINE_DIRTY,
	LINE_DIRTY_OLD,
	LINE_CACHES,
};

#define LINE_STATES (2 * LINE_CACHES)
#define LINE_BIT(cache, memory_old) (1u << (2 * (cache) + (memory_old)))

/* At first: the same in both places, or in memory only. */
#define LINE_FRESH (LINE_BIT(LINE_ABSENT, 0) | LINE_BIT(LINE_CLEAN, 0))

static inline bool line_is_dirty(enum line_cache cache)
{
	return cache == LINE_DIRTY || cache == LINE_DIRTY_OLD;
}

static inline bool line_is_old(enum line_cache cache)
{
	return cache == LINE_CLEAN_OLD || cache == LINE_DIRTY_OLD;
}

/* One prefetch, write-back or eviction from every state in @set. */
static inline unsigned int line_disturb_once(unsigned int set)
{
	unsigned int out = set;

	for (unsigned int i = 0; i < LINE_STATES; i++) {
		enum line_cache cache = i / 2;
		bool memory_old = i & 1;

		if (!(set & (1u << i)))
			continue;
		if (cache == LINE_ABSENT) {
			out |= LINE_BIT(memory_old ? LINE_CLEAN_OLD : LINE_CLEAN, memory_old);
		} else if (line_is_dirty(cache)) {
			out |= LINE_BIT(LINE_ABSENT, line_is_old(cache));
			out |= LINE_BIT(cache == LINE_DIRTY ? LINE_CLEAN : LINE_CLEAN_OLD,
					line_is_old(cache));
		} else {
			out |= LINE_BIT(LINE_ABSENT, memory_old);
		}
	}
	return out;
}

static inline unsigned int line_disturb(unsigned int set)
{
	unsigned int next = line_disturb_once(set);

	while (next != set) {
		set = next;
		next = line_disturb_once(set);
	}
	return set;
}

/* Whether the CPU gets the latest bytes, whichever state the line is in. */
static inline bool line_cpu_reads_right(unsigned int set)
{
	return !(set & (LINE_BIT(LINE_ABSENT, 1) | LINE_BIT(LINE_CLEAN_OLD, 0) |
			LINE_BIT(LINE_CLEAN_OLD, 1) | LINE_BIT(LINE_DIRTY_OLD, 0) |
			LINE_BIT(LINE_DIRTY_OLD, 1)));
}

static inline bool line_device_reads_right(unsigned int set)
{
	for (unsigned int i = 1; i < LINE_STATES; i += 2) {
		if (set & (1u << i))
			return false;
	}
	return true;
}

static inline unsigned int line_cpu_writes(void)
{
	return line_disturb(LINE_BIT(LINE_DIRTY, 1));
}

/* What is cached is old from here on, and a dirty copy will some day be written over it. */
static inline unsigned int line_device_writes(unsigned int set)
{
	unsigned int out = 0;

	for (unsigned int i = 0; i < LINE_STATES; i++) {
		enum line_cache cache = i / 2;

		if (!(set & (1u << i)))
			continue;
		if (cache == LINE_ABSENT)
			out |= LINE_BIT(LINE_ABSENT, 0);
		else
			out |= LINE_BIT(line_is_dirty(cache) ? LINE_DIRTY_OLD : LINE_CLEAN_OLD, 0);
	}
	return line_disturb(out);
}

static inline unsigned int line_maintain(unsigned int set, enum coherency_op op)
{
	unsigned int out = 0;

	for (unsigned int i = 0; i < LINE_STATES; i++) {
		enum line_cache cache = i / 2;
		bool memory_old = i & 1;

		if (!(set & (1u << i)))
			continue;
		if (line_is_dirty(cache) && op != COHERENCY_INVALIDATE) {
			memory_old = line_is_old(cache);
			cache = memory_old ? LINE_CLEAN_OLD : LINE_CLEAN;
		}
		out |= LINE_BIT(op == COHERENCY_CLEAN ? cache : LINE_ABSENT, memory_old);
	}
	return line_disturb(out);
}

#endif
