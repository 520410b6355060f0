// SPDX-License-Identifier: MIT
/*
 * The age of a context: 48 bits of time and 16 that tell processes apart, in one number, so that
 * all contexts of a machine are in one order. Clocks that differ, as in time namespaces, make it an
 * unfair one, no more.
 */
#include <stdatomic.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "process.h"
#include "ww-shared.h"

#define PROCESS_BITS 16
#define PROCESS_MASK ((1u << PROCESS_BITS) - 1)

/* This process's 16 bits, not all 0; beside them the cookie that they were drawn for. */
static uint64_t process_bits(void)
{
	static _Atomic(uint64_t) drawn;
	uint64_t cookie = process_cookie(), known = atomic_load(&drawn);
	uint16_t bits;

	if (known && known >> PROCESS_BITS == cookie)
		return known & PROCESS_MASK;
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		bits = (uint16_t)getpid();
	if (!bits)
		bits = 1;
	if (atomic_compare_exchange_strong(&drawn, &known, cookie << PROCESS_BITS | bits))
		return bits;
	return known & PROCESS_MASK;
}

uint64_t ww_stamp(struct dmabuf_ww_class *ww_class)
{
	uint64_t bits = process_bits();
	uint64_t now = clock_ns() >> 10 << PROCESS_BITS;
	uint64_t last = __atomic_load_n(&ww_class->stamp, __ATOMIC_RELAXED), next;

	do {
		next = now;
		if (last && !ww_older(last & ~(uint64_t)PROCESS_MASK, next))
			next = (last & ~(uint64_t)PROCESS_MASK) + (1u << PROCESS_BITS);
		next |= bits;
	} while (!__atomic_compare_exchange_n(&ww_class->stamp, &last, next, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return next;
}
