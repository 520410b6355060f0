// SPDX-License-Identifier: MIT
/* What the library's lock is compared with when processes contend. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "lock-kind.h"
#include "lock-peers.h"
#include "relax.h"
#include "team.h"

/* Long against the hold that is measured, as whoever tunes such a lock would choose it. */
#define SPIN_NS 20000

static struct peer_mutex *mutexes;

/* One of the kinds that are made of words: a ticket lock, or a futex in `now`. */
static struct peer_place {
	_Atomic(uint32_t) next;
	_Atomic(uint32_t) now;
} __attribute__((aligned(PEER_LINE))) * places;

static void make_mutexes(unsigned int count)
{
	mutexes = peer_mutexes(count);
}

static void drop_mutexes(void)
{
	team_forget(mutexes, LOCK_KIND_MOST * sizeof(*mutexes));
}

static void make_places(unsigned int count)
{
	places = team_memory(LOCK_KIND_MOST * sizeof(*places));
}

static void drop_places(void)
{
	team_forget(places, LOCK_KIND_MOST * sizeof(*places));
}

static void join(unsigned int self)
{
}

static void leave(void)
{
}

static void robust_take(unsigned int i)
{
	peer_mutex_take(&mutexes[i]);
}

static void robust_give(unsigned int i)
{
	peer_mutex_give(&mutexes[i]);
}

static void ticket_take(unsigned int i)
{
	uint32_t mine = atomic_fetch_add(&places[i].next, 1);

	while (atomic_load_explicit(&places[i].now, memory_order_acquire) != mine)
		relax();
}

static void ticket_give(unsigned int i)
{
	uint32_t now = atomic_load_explicit(&places[i].now, memory_order_relaxed);

	atomic_store_explicit(&places[i].now, now + 1, memory_order_release);
}

/* 0 free, 1 taken, 2 taken and somebody sleeps. */
static int futex_try(_Atomic(uint32_t) *word)
{
	uint32_t was = 0;

	return atomic_compare_exchange_strong(word, &was, 1);
}

static int futex_spin(_Atomic(uint32_t) *word)
{
	double until = bench_now_ns() + SPIN_NS;
	unsigned int i = 0;

	do {
		if (!atomic_load_explicit(word, memory_order_relaxed) && futex_try(word))
			return 1;
		relax();
	} while (++i % 64 || bench_now_ns() < until);
	return 0;
}

static void futex_take(unsigned int i)
{
	_Atomic(uint32_t) *word = &places[i].now;

	if (futex_try(word) || futex_spin(word))
		return;
	while (atomic_exchange(word, 2))
		syscall(SYS_futex, word, FUTEX_WAIT, 2, NULL, NULL, 0);
}

static void futex_give(unsigned int i)
{
	if (atomic_exchange(&places[i].now, 0) == 2)
		syscall(SYS_futex, &places[i].now, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The usual way to take two: in one order. */
#define IN_ORDER(kind)                                              \
	static void kind##_take_two(unsigned int i, unsigned int j) \
	{                                                           \
		kind##_take(i < j ? i : j);                         \
		kind##_take(i < j ? j : i);                         \
	}                                                           \
	static void kind##_give_two(unsigned int i, unsigned int j) \
	{                                                           \
		kind##_give(i);                                     \
		kind##_give(j);                                     \
	}

IN_ORDER(robust)
IN_ORDER(futex)
IN_ORDER(ticket)

const struct lock_kind lock_kind_robust = { make_mutexes,    drop_mutexes,   join,
					    leave,	     robust_take,    robust_give,
					    robust_take_two, robust_give_two };
const struct lock_kind lock_kind_futex = {
	make_places, drop_places, join,		  leave,
	futex_take,  futex_give,  futex_take_two, futex_give_two
};
const struct lock_kind lock_kind_ticket = { make_places,     drop_places,    join,
					    leave,	     ticket_take,    ticket_give,
					    ticket_take_two, ticket_give_two };
