/* SPDX-License-Identifier: MIT */
/* Sleeping on a word that other processes share. They may steal wake-ups, so every sleep is short.
 */
#ifndef DMABUF_SHM_SLEEP_H
#define DMABUF_SHM_SLEEP_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Sleep while *@word is @expected, until @deadline_ns of CLOCK_MONOTONIC. 0: woken; -EAGAIN: it was
 * not; -EINTR, -ETIMEDOUT.
 */
static inline int shm_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(deadline_ns / 1000000000u),
			       .tv_nsec = (long)(deadline_ns % 1000000000u) };

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, &ts, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EINTR || errno == ETIMEDOUT ? -errno : -EAGAIN;
}

static inline void shm_futex_wake_all(_Atomic(uint32_t) *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Those who came first wake first. Returns whether anybody slept. */
static inline bool shm_futex_wake_one(_Atomic(uint32_t) *word)
{
	return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) > 0;
}

#endif
