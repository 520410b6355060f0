// SPDX-License-Identifier: MIT
#include "resv/linger.h"

#include <errno.h>
#include <sched.h>

#include "clock.h"
#include "resv/fast.h"
#include "resv/relax.h"
#include "shm/life.h"
#include "shm/sleep.h"

/* For how long others may have it first: some context switches. */
#define PATIENCE_NS 500000u
/* Awake at first, for a hold of somebody who runs; longer once he cannot be behind us here. */
#define AWAKE_FIRST_NS 3000u
#define AWAKE_NS 20000u
/* Asleep without an ear for deaths, which makes waking cheaper. */
#define DEAF_NS 50000u
/* Whom a yield did not help does not yield so many times. */
#define YIELD_PAUSE 64

/* How long one who contends stays on its CPU: long against a switch, short for those who wait. */
#define SLICE_NS UINT64_C(100000)
#define SLICE_MAX_NS (8 * SLICE_NS)
/* Back so late, it was not other contenders who had the CPU: such neighbours are the kernel's. */
#define AWAY_NS 2000000u
/* So many locks look at the clock after one that had to wait. */
#define CONTENDED 255

/* Since when this thread has its CPU, about, and for how long. */
static _Thread_local struct {
	uint64_t since;
	uint64_t slice;
} turn __attribute__((tls_model("initial-exec"))) = { .slice = SLICE_NS };

static bool is_free(const struct resv_hold *h, uint64_t word)
{
	return resv_word_take(word, h->entry, h->kind & RESV_WRITE);
}

static bool take_awake(struct resv_hold *h, uint64_t until)
{
	unsigned int i = 0;

	do {
		if (resv_take_found(h))
			return true;
		resv_relax();
	} while (++i % 64 || clock_ns() < until);
	return false;
}

/*
 * Perhaps who has it waits for this CPU, and needs no more than that to give it back: much less
 * than a sleep.
 */
static bool take_after_yield(struct resv_hold *h)
{
	if (h->no_yield) {
		h->no_yield--;
		return false;
	}
	sched_yield();
	turn.since = clock_ns();
	if (resv_take_found(h))
		return true;
	h->no_yield = YIELD_PAUSE;
	return false;
}

/* The client whose death is to be heard of: who has it, as far as the word tells. */
static uint32_t holder(const struct resv_hold *h, uint64_t word)
{
	uint32_t e = resv_word_who(word);

	if (resv_word_mode(word) != RESV_EXCLUSIVE || e >= SHM_RESV_ENTRIES)
		return DMA_BUF_MAX_CLIENTS;
	return resv_slot(resv_load(&resv_entry_line(h->control, e)->word));
}

/*
 * Sleep until the word is left free. 0: woken; -EAGAIN: it changed before; -ETIMEDOUT: no use to
 * sleep on; -EINTR. In any case those who sleep too will be woken. @deaf: to deaths.
 */
static int sleep_marked(const struct resv_hold *h, uint64_t until, bool deaf)
{
	_Atomic(uint64_t) *state = &h->state->word;
	uint64_t word = resv_settle(h->control, h->lock);
	uint32_t slot, low;

	if (resv_word_queued(word))
		return -ETIMEDOUT;
	if (is_free(h, word))
		return -EAGAIN;
	if (!(word & RESV_WATCHED) && !resv_change(state, word, word | RESV_WATCHED))
		return -EAGAIN;
	low = (uint32_t)(word | RESV_WATCHED);
	slot = holder(h, word);
	if (clock_ns() >= until || life_ended(h->control, slot))
		return -ETIMEDOUT;
	return deaf ? shm_futex_wait(resv_low_half(state), low, until)
		    : life_wait(h->control, slot, resv_low_half(state), low, until);
}

static int sleep_watching(const struct resv_hold *h, uint64_t until, bool deaf)
{
	int ret;

	/* Before the mark, so that who sees the mark sees this. */
	atomic_fetch_add(&h->state->watchers, 1);
	ret = sleep_marked(h, until, deaf);
	atomic_fetch_sub(&h->state->watchers, 1);
	turn.since = 0;
	return ret;
}

/* Who was woken sees to it that the next one will be. */
static bool take_woken(struct resv_hold *h)
{
	bool others = atomic_load(&h->state->watchers);

	if (!resv_take_marked(h, others ? RESV_WATCHED : 0))
		return false;
	/* Other readers may have it with us. */
	if (others && !(h->kind & RESV_WRITE))
		resv_wake_watcher(h->control, h->lock);
	return true;
}

static int take_watching(struct resv_hold *h, uint64_t until, bool intr)
{
	uint64_t deaf_until = clock_ns() + DEAF_NS;
	bool deaf = true, woken = false;
	uint32_t turns;
	int ret;

	for (turns = 0; turns < RESV_TURNS; turns++) {
		deaf = deaf && deaf_until < until;
		/* futex_waitv(2) goes on after a handler with SA_RESTART, a futex ends. */
		ret = sleep_watching(h, deaf ? deaf_until : until, deaf || intr);
		woken |= !ret;
		if (woken ? take_woken(h) : resv_take_found(h))
			return 0;
		if (ret == -EINTR && intr)
			return ret;
		if (ret == -ETIMEDOUT && !deaf)
			return -EAGAIN;
		deaf = deaf && ret != -ETIMEDOUT;
	}
	return -EAGAIN;
}

int resv_linger(struct resv_hold *h, uint64_t began, uint64_t deadline, bool intr)
{
	uint64_t until = began + PATIENCE_NS;

	h->contended = CONTENDED;
	if (take_awake(h, began + AWAKE_FIRST_NS) || take_after_yield(h) ||
	    take_awake(h, began + AWAKE_NS))
		return 0;
	return take_watching(h, until < deadline ? until : deadline, intr);
}

void resv_step_aside(struct resv_hold *h)
{
	uint64_t now = clock_ns(), back;

	h->contended--;
	if (!turn.since)
		turn.since = now;
	if (h->holding || now - turn.since < turn.slice)
		return;
	sched_yield();
	back = clock_ns();
	if (back - now > AWAY_NS && turn.slice < SLICE_MAX_NS)
		turn.slice *= 2;
	else if (back - now < AWAY_NS && turn.slice > SLICE_NS)
		turn.slice /= 2;
	turn.since = back;
}
