// SPDX-License-Identifier: MIT
/*
 * The age of a context: 48 bits of time and 16 that tell processes apart, in one number, so that
 * all contexts of a machine are in one order. Clocks that differ, as in time namespaces, make it an
 * unfair one, no more.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "clock.h"
#include "process.h"
#include "ww-shared.h"

#define PROCESS_BITS 16
#define PROCESS_MASK ((1u << PROCESS_BITS) - 1)

/* No system call here: this is on the way to a lock that nobody else wants. */
static uint64_t draw(uint64_t cookie)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	uint64_t word = 0, bits;

	if (random)
		memcpy(&word, random, sizeof(word));
	/* The kernel's bytes are the same in a forked child, what the clock says is not. */
	word = (word ^ clock_ns() ^ cookie) * 0x9e3779b97f4a7c15ull;
	bits = word >> (64 - PROCESS_BITS);
	return bits ? bits : 1;
}

/* This process's bits, not all 0; beside them the cookie that they were drawn for. */
static uint64_t process_bits(void)
{
	static _Atomic(uint64_t) drawn;
	_Atomic(uint64_t) *page = atomic_load_explicit(&process_cookie_page, memory_order_acquire);
	uint64_t cookie = page ? atomic_load_explicit(page, memory_order_relaxed) : 0;
	uint64_t known = atomic_load(&drawn), bits;

	if (known && known >> PROCESS_BITS == cookie)
		return known & PROCESS_MASK;
	bits = draw(cookie);
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
