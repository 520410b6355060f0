// SPDX-License-Identifier: MIT
/* Looking, leases, deaths, and sleeping in between. */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "resv/resv.h"
#include "resv/relax.h"
#include "shm/sleep.h"

/* Sleeps get longer with the wait, but a peer that steals wake-ups gains no more than this. */
#define LOOK_FIRST_MS 1
#define LOOK_LAST_MS 100
/* Looks that follow each other because something was found to be done. */
#define LOOK_TURNS 256
/* How long the next holder is waited for awake: a short hold of somebody who runs. */
#define SPIN_NS 20000
/* And asleep, before it counts as one that is not short. */
#define SHORT_NS 300000
/* A group that is not complete may hold for so many leases: the length of a chain that ends. */
#define ACQUIRING_LEASES 16
/* How often one is looked at whose process ends: its last thread is seldom long in coming. */
#define ENDING_NS 20000
/* And so often without a sleep in between, which takes a multiple of that. */
#define ENDING_YIELDS 50

void resv_waiter_init(struct resv_waiter *w, struct resv_hold *h, uint64_t deadline)
{
	/* What was seen of entries is begun with each of them: most are never looked at. */
	memset(w, 0, offsetof(struct resv_waiter, seen));
	w->hold = h;
	w->deadline = deadline;
	w->began = w->asked = clock_ns();
	/* For display: nobody reads a clock on the fast path. */
	atomic_store_explicit(&h->shared->stamp, w->began, memory_order_relaxed);
}

bool resv_dead(const struct buffer *b, uint32_t slot, bool device)
{
	if (slot == b->client.slot || slot >= DMA_BUF_MAX_CLIENTS)
		return false;
	return !client_alive(b->client.fd, slot) &&
	       !(device && client_device_busy(b->client.fd, slot));
}

static uint64_t lease_ns(const struct control *c, const struct shm_resv_entry *entry,
			 bool acquiring)
{
	uint64_t ms = atomic_load(&entry->lease_ms);
	uint64_t bound = atomic_load(&c->header->lease_max_ms);

	if (!bound || bound > RESV_LEASE_MAX_MS)
		bound = RESV_LEASE_MAX_MS;
	if (ms > bound)
		ms = bound;
	if (ms < RESV_LEASE_MIN_MS)
		ms = RESV_LEASE_MIN_MS;
	return ms * 1000000u * (acquiring ? ACQUIRING_LEASES : 1);
}

/* When the hold that was @seen at entry @e is out of time. */
static uint64_t expiry(const struct control *c, struct resv_seen *known, uint32_t e, uint64_t seen,
		       uint64_t now)
{
	const struct shm_resv_entry *entry = resv_entry_line(c, e);
	bool acquiring = atomic_load(&entry->acquiring);

	/* Whether somebody sleeps on it changes nothing. */
	seen &= ~RESV_ASLEEP;
	if (known->word != seen)
		*known = (struct resv_seen){ .word = seen, .since = now };
	/* The lease runs from the grant of a group's last member, which comes once. */
	acquiring = acquiring && !known->complete;
	if (known->acquiring && !acquiring) {
		known->since = now;
		known->complete = true;
	}
	known->acquiring = acquiring;
	return known->since + lease_ns(c, entry, acquiring);
}

bool resv_clear(const struct buffer *b, struct resv_seen *known, uint32_t e, uint64_t seen,
		uint64_t now, bool deep, uint64_t *next_look)
{
	const struct control *c = &b->control;
	uint64_t until;

	if (deep || life_ended(c, resv_slot(seen))) {
		if (resv_dead(b, resv_slot(seen), seen & RESV_DEVICE))
			return resv_recover(c, e, seen);
		/* It ends, and will be gone in a moment. */
		if (life_ended(c, resv_slot(seen)) && *next_look > now + ENDING_NS)
			*next_look = now + ENDING_NS;
	}
	if (resv_state(seen) != RESV_GRANTED)
		return false;
	until = expiry(c, known, e, seen, now);
	if (now < until) {
		if (until < *next_look)
			*next_look = until;
		return false;
	}
	/* resv_break(): the same hold was seen for a whole lease. */
	if (!resv_change(&resv_entry_line(c, e)->word, seen, resv_lost(seen)))
		return false;
	resv_wake(c, e, seen);
	control_count(c, leases_lost, 1);
	return true;
}

/* See to one that keeps us waiting. True: it does so no more. */
static bool clear(struct resv_waiter *w, uint32_t e, uint64_t seen, uint64_t now, bool deep)
{
	struct resv_seen *known = &w->seen[e], *before = &w->hold->blocker;
	uint64_t bit = 1ull << (e % 64);
	const struct buffer *b = w->hold->buffer;
	bool cleared;

	if (resv_state(seen) != RESV_WAITING && resv_slot(seen) != b->client.slot)
		w->slot = resv_slot(seen);
	if (!(w->known[e / 64] & bit))
		*known = (struct resv_seen){ .word = 0 };
	w->known[e / 64] |= bit;
	/* What an earlier wait saw of this very hold counts too. */
	if (known->word != (seen & ~RESV_ASLEEP) && before->word == (seen & ~RESV_ASLEEP))
		*known = *before;
	cleared = resv_clear(b, known, e, seen, now, deep, &w->next_look);
	if (resv_state(seen) == RESV_GRANTED)
		*before = *known;
	return cleared;
}

static bool clear_blockers(struct resv_waiter *w, const struct resv_sweep *s, uint64_t now,
			   bool deep)
{
	uint64_t own = resv_load(&w->hold->shared->word);
	bool cleared = false;
	uint32_t e;

	for (e = 0; e < s->count; e++)
		if (e != w->hold->entry && (s->seen[e] & RESV_LOCK) == w->hold->lock &&
		    resv_ahead(s->seen[e], own) && clear(w, e, s->seen[e], now, deep))
			cleared = true;
	return cleared;
}

bool resv_clear_dead(const struct resv_hold *h)
{
	const struct control *c = h->control;
	uint32_t count = resv_used(c), e;
	bool cleared = false;

	for (e = 0; e < count; e++) {
		_Atomic(uint64_t) *place = &resv_entry_line(c, e)->word;
		uint64_t word = resv_load(&h->state->word), seen = resv_load(place);

		if (e == h->entry || (seen & RESV_LOCK) != h->lock ||
		    !(resv_in_queue(seen) ||
		      (resv_state(seen) == RESV_ARMED && resv_word_names(word, e))) ||
		    !resv_dead(h->buffer, resv_slot(seen), seen & RESV_DEVICE))
			continue;
		if (resv_state(seen) == RESV_ARMED) {
			/* resv_freeze(): then the entry says what it was. */
			atomic_fetch_or(&h->state->word, RESV_QUEUED);
			resv_settle(c, h->lock);
			seen = resv_load(place);
		}
		/* What was read before it was found dead is what it left. */
		if (resv_in_queue(seen) &&
		    resv_dead(h->buffer, resv_slot(seen), seen & RESV_DEVICE) &&
		    resv_recover(c, e, seen))
			cleared = true;
	}
	return cleared;
}

static uint32_t pause_ms(const struct resv_waiter *w, uint64_t now)
{
	uint64_t ms = (now - w->began) / 8000000u;

	return ms < LOOK_FIRST_MS ? LOOK_FIRST_MS : ms > LOOK_LAST_MS ? LOOK_LAST_MS : (uint32_t)ms;
}

int resv_look(struct resv_waiter *w)
{
	struct resv_hold *h = w->hold;
	struct resv_sweep sweep;
	uint32_t turns;
	uint64_t now;
	int ret;

	for (turns = 0; turns < LOOK_TURNS; turns++) {
		/* Whatever a peer made of it: others shall see that we wait. */
		resv_mark(h->control, h->lock, h->entry);
		resv_advance(h->control, h->lock, &sweep);
		switch (resv_state(resv_load(&h->shared->word))) {
		case RESV_GRANTED:
			return resv_granted(h);
		case RESV_WAITING:
			break;
		default:
			ret = resv_rejoin(h);
			if (ret != -EAGAIN)
				return ret;
			continue;
		}
		/* At the first look nobody is suspected yet: it may be a matter of moments. */
		now = w->looks ? clock_ns() : w->began;
		w->slot = DMA_BUF_MAX_CLIENTS;
		w->next_look = now + (w->looks ? pause_ms(w, now) * 1000000ull : SHORT_NS);
		if (!clear_blockers(w, &sweep, now, w->looks > 0))
			break;
	}
	if (w->looks)
		ret = control_intact(h->control);
	else
		ret = 0;
	w->looks++;
	return ret ? ret : -EAGAIN;
}

bool resv_doze(struct resv_waiter *w, uint32_t *expected, uint64_t *until)
{
	struct shm_resv_entry *shared = w->hold->shared;
	uint64_t entry = resv_load(&shared->word);

	if (resv_state(entry) != RESV_WAITING)
		return false;
	if (!(entry & RESV_ASLEEP) && !resv_change(&shared->word, entry, entry | RESV_ASLEEP))
		return false;
	*expected = (uint32_t)(entry | RESV_ASLEEP);
	*until = w->next_look < w->deadline ? w->next_look : w->deadline;
	return true;
}

int resv_sleep(struct resv_waiter *w)
{
	struct shm_resv_entry *shared = w->hold->shared;
	uint32_t expected;
	uint64_t until;
	int ret;

	if (!resv_doze(w, &expected, &until))
		return 0;
	/* futex_waitv(2) goes on after a handler with SA_RESTART, a futex with a deadline ends. */
	ret = -EAGAIN;
	if (!w->intr)
		ret = life_wait(w->hold->control, w->slot, resv_futex(shared), expected, until);
	/* Known to end: there is nothing to hear of any more, and no sleep is short enough at
	 * first. */
	if (ret == -EAGAIN && life_ended(w->hold->control, w->slot) &&
	    w->yields_to_end++ < ENDING_YIELDS) {
		sched_yield();
		return 0;
	}
	if (ret == -EAGAIN && atomic_load(resv_futex(shared)) == expected)
		ret = shm_futex_wait(resv_futex(shared), expected, until);
	return ret == -EINTR ? ret : 0;
}

/* Whoever has the buffer runs on another CPU, or so it is hoped for a moment. */
static void spin(const struct resv_hold *h, uint64_t until)
{
	unsigned int i = 0;

	while (resv_state(atomic_load_explicit(&h->shared->word, memory_order_relaxed)) ==
	       RESV_WAITING) {
		if (++i % 64 == 0 && clock_ns() > until)
			return;
		resv_relax();
	}
}

int resv_wait(struct resv_waiter *w, bool intr)
{
	struct resv_hold *h = w->hold;
	bool interrupted = false;
	int ret;

	w->intr = intr;
	for (;;) {
		ret = resv_look(w);
		if (ret != -EAGAIN)
			return ret;
		if (w->yields && w->yields(w))
			return resv_withdraw(h) ? resv_granted(h) : -EDEADLK;
		if (w->looks == 1) {
			spin(h, w->began + SPIN_NS);
			if (resv_state(resv_load(&h->shared->word)) != RESV_WAITING)
				continue;
		}
		if (!interrupted && clock_ns() < w->deadline) {
			interrupted = (w->sleep ? w->sleep(w) : resv_sleep(w)) == -EINTR && intr;
			continue;
		}
		if (resv_withdraw(h))
			return resv_granted(h);
		if (interrupted)
			return dmabuf_fail(EINTR, "the wait for a buffer was interrupted");
		return resv_report(h, ETIMEDOUT, clock_ns() - w->asked);
	}
}
