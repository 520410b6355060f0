/* SPDX-License-Identifier: MIT */
/* Sleeping on a word within one process. */
#ifndef DMABUF_SRC_FUTEX_H
#define DMABUF_SRC_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define FUTEX_FOREVER UINT64_MAX

/* The time, on clock_ns(), that is @ms from now; LONG_MAX is for ever. */
static inline uint64_t futex_deadline(long ms)
{
	uint64_t now;

	if (ms == LONG_MAX)
		return FUTEX_FOREVER;
	now = clock_ns();
	if ((uint64_t)ms > (UINT64_MAX - 1 - now) / 1000000u)
		return FUTEX_FOREVER;
	return now + (uint64_t)ms * 1000000u;
}

/* What is left until @deadline in milliseconds, rounded up, so that only 0 means that none is. */
static inline long futex_left(uint64_t deadline)
{
	uint64_t now;

	if (deadline == FUTEX_FOREVER)
		return LONG_MAX;
	now = clock_ns();
	return now >= deadline ? 0 : (long)((deadline - now + 999999u) / 1000000u);
}

/*
 * Sleep while *@word is @expected. 0: somebody woke us, or it was not; -EINTR, -ETIMEDOUT. Always
 * has a time limit: without one the kernel would hide handlers with SA_RESTART.
 */
static inline int futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline)
{
	struct timespec ts = { .tv_sec = INT_MAX };

	if (deadline != FUTEX_FOREVER) {
		ts.tv_sec = (time_t)(deadline / 1000000000u);
		ts.tv_nsec = (long)(deadline % 1000000000u);
	}
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, &ts, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EINTR || errno == ETIMEDOUT ? -errno : 0;
}

/*
 * The same for whoever handlers do not concern: for ever, and without a timer, which would be
 * started and stopped for each sleeper.
 */
static inline void futex_wait_quiet(uint32_t *word, uint32_t expected)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/* Wake up to @count sleepers. @word may be gone already: nobody sleeps there then. */
static inline void futex_wake(uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

#endif
