/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_CLOCK_H
#define DMABUF_SRC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Monotonic time; only ever compared within one process. */
static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000u;
}

/* Milliseconds left until @deadline (of clock_ms()), for poll(); never negative. */
static inline int clock_left(uint64_t deadline)
{
	uint64_t now = clock_ms();

	if (now >= deadline)
		return 0;
	return deadline - now > 0x7fffffff ? 0x7fffffff : (int)(deadline - now);
}

#endif
