// SPDX-License-Identifier: MIT
/*
 * What everybody does for everybody. A step that was announced can be finished by anybody and again
 * and again, so nobody is waited for here. Words are copied before they are looked at; what makes
 * no sense is left alone or skipped, and no loop trusts a peer to stop.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "resv/resv.h"
#include "shm/sleep.h"

uint32_t resv_used(const struct control *c)
{
	uint32_t used = atomic_load(&resv_state_line(c, 0)->used);

	return used < SHM_RESV_ENTRIES ? used : SHM_RESV_ENTRIES;
}

uint32_t resv_writers(const struct control *c)
{
	/* The word first: what it names becomes GRANTED before it says SLOW. */
	uint64_t word = resv_load(&resv_state_line(c, 0)->word);
	bool fast = resv_word_mode(word) != RESV_SLOW;
	uint32_t count = resv_used(c), writers = 0, e;

	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if ((seen & RESV_LOCK) || !resv_is_write(seen))
			continue;
		switch (resv_state(seen)) {
		case RESV_ARMED:
			writers += fast && resv_word_names(word, e);
			break;
		case RESV_GRANTED:
		case RESV_DRAINING:
		case RESV_BROKEN:
			writers++;
			break;
		default:
			break;
		}
	}
	return writers;
}

/* The armed entry that @word names becomes a hold or gets its ticket. False: @word is no more. */
static bool settle_entry(const struct control *c, const _Atomic(uint64_t) *state, uint64_t word,
			 uint32_t e)
{
	_Atomic(uint64_t) *place;
	uint64_t entry;

	if (e >= SHM_RESV_ENTRIES)
		return true;
	place = &resv_entry_line(c, e)->word;
	entry = resv_load(place);
	if (resv_load(state) != word)
		return false;
	if (resv_state(entry) != RESV_ARMED)
		return true;
	/* For display: nobody reads a clock on the fast path, so a hold begins when it is noticed.
	 */
	if (resv_word_mode(word) != RESV_SLOW)
		atomic_store_explicit(&resv_entry_line(c, e)->stamp, clock_ns(),
				      memory_order_relaxed);
	resv_mark(c, entry & RESV_LOCK, e);
	resv_change(place, entry, resv_settled(word, entry));
	return true;
}

static bool settle_entries(const struct control *c, const _Atomic(uint64_t) *state, uint64_t word)
{
	uint32_t who = resv_word_who(word), e;

	switch (resv_word_mode(word)) {
	case RESV_EXCLUSIVE:
	case RESV_SLOW:
		return settle_entry(c, state, word, who);
	case RESV_SHARED:
		for (e = 0; e < RESV_FAST_READERS; e++)
			if ((who >> e & 1) && !settle_entry(c, state, word, e))
				return false;
		return true;
	default:
		return true;
	}
}

uint64_t resv_settle(const struct control *c, uint64_t lock)
{
	_Atomic(uint64_t) *state = &resv_state_line(c, lock)->word;
	uint32_t turns;
	uint64_t word = resv_load(state);

	for (turns = 0; resv_word_queued(word) && turns < RESV_TURNS; turns++) {
		if (settle_entries(c, state, word))
			resv_change(state, word,
				    resv_word(RESV_SLOW, resv_word_generation(word), RESV_NOBODY) |
					    (word & RESV_WATCHED));
		word = resv_load(state);
	}
	return word;
}

static void grant(const struct control *c, uint32_t e, uint64_t seen, bool torn)
{
	struct shm_resv_entry *shared = resv_entry_line(c, e);
	uint64_t granted;

	for (;;) {
		granted = resv_with_state(seen, RESV_GRANTED) | (torn ? RESV_TEARS : 0);
		if (resv_change(&shared->word, seen, granted))
			break;
		/* It may just have fallen asleep; anything else is somebody else's doing. */
		if ((seen & RESV_ASLEEP) || resv_load(&shared->word) != (seen | RESV_ASLEEP))
			return;
		seen |= RESV_ASLEEP;
	}
	if (seen & RESV_ASLEEP)
		shm_futex_wake_all(resv_futex(shared));
}

/* Private copies of the entries that may matter, after the word was read; the others say nothing.
 */
static void read_entries(const struct control *c, uint64_t lock, struct resv_sweep *s)
{
	const struct shm_resv_state *state = resv_state_line(c, lock);
	uint64_t left;
	uint32_t i, e;

	s->count = resv_used(c);
	memset(s->seen, 0, s->count * sizeof(s->seen[0]));
	for (i = 0; i < SHM_RESV_BUSY; i++)
		for (left = atomic_load(&state->busy[i]); left; left &= left - 1) {
			e = i * 64 + (uint32_t)__builtin_ctzll(left);
			if (e < s->count)
				s->seen[e] = resv_load(&resv_entry_line(c, e)->word);
		}
}

void resv_wake_watcher(const struct control *c, uint64_t lock)
{
	struct shm_resv_state *state = resv_state_line(c, lock);

	if (atomic_load(&state->watchers))
		shm_futex_wake_one(resv_low_half(&state->word));
}

/* Nobody is left in the queue: back to the fast path, unless somebody joined since @word. */
static void thaw(const struct control *c, uint64_t lock, uint64_t word)
{
	_Atomic(uint64_t) *state = &resv_state_line(c, lock)->word;
	uint64_t free = resv_word(RESV_FREE, resv_word_generation(word) + 1, 0);

	while (!resv_change(state, word, free)) {
		/* Somebody may just have begun to watch; anything else is somebody else's doing. */
		if ((word & RESV_WATCHED) || resv_load(state) != (word | RESV_WATCHED))
			return;
		word |= RESV_WATCHED;
	}
	if (word & RESV_WATCHED)
		resv_wake_watcher(c, lock);
}

void resv_advance(const struct control *c, uint64_t lock, struct resv_sweep *s)
{
	struct resv_queue *q = &s->queue;
	uint32_t e, generation;

	s->count = 0;
	s->word = resv_settle(c, lock);
	*q = (struct resv_queue){ .used = false };
	if (resv_word_mode(s->word) != RESV_SLOW)
		return;
	read_entries(c, lock, s);
	resv_queue_read(q, s->seen, s->count, lock);
	generation = resv_word_generation(s->word);
	for (e = 0; e < s->count; e++)
		if ((s->seen[e] & RESV_LOCK) == lock &&
		    resv_queue_grants(q, s->seen[e], generation))
			grant(c, e, s->seen[e], q->torn);
	if (!q->used && !q->torn && !resv_word_queued(s->word))
		thaw(c, lock, s->word);
}

int resv_join(struct resv_hold *h)
{
	uint32_t turns;
	uint64_t word;

	for (turns = 0; turns < RESV_TURNS; turns++) {
		word = resv_settle(h->control, h->lock);
		if (resv_word_queued(word))
			break;
		if (resv_word_mode(word) != RESV_SLOW) {
			/* resv_freeze(): cannot fail, and from then on no fast step succeeds. */
			atomic_fetch_or(&h->state->word, RESV_QUEUED);
			continue;
		}
		if (!resv_change(&h->state->word, word,
				 resv_word(RESV_SLOW, resv_word_generation(word) + 1, h->entry) |
					 RESV_QUEUED | (word & RESV_WATCHED)))
			continue;
		atomic_store_explicit(&h->queued, true, memory_order_relaxed);
		resv_settle(h->control, h->lock);
		return 0;
	}
	return dmabuf_fail(EIO, "the buffer is spoilt: its reservation does not come to rest, "
				"somebody is writing over it");
}

void resv_freeze(const struct control *c, uint64_t lock)
{
	_Atomic(uint64_t) *state = &resv_state_line(c, lock)->word;
	enum resv_mode mode = resv_word_mode(resv_load(state));

	if (mode == RESV_EXCLUSIVE || mode == RESV_SHARED)
		atomic_fetch_or(state, RESV_QUEUED);
	resv_settle(c, lock);
}

void resv_wake(const struct control *c, uint32_t e, uint64_t seen)
{
	if (seen & RESV_ASLEEP)
		shm_futex_wake_all(resv_futex(resv_entry_line(c, e)));
}

bool resv_recover(const struct control *c, uint32_t e, uint64_t seen)
{
	/* What it wrote may be in the caches, which nobody recorded: while it still counts. */
	if (resv_tore(seen) && atomic_load(&c->header->tracked))
		atomic_store(&c->header->tracked, SHM_TRACKED_DOUBT);
	if (!resv_change(&resv_entry_line(c, e)->word, seen, resv_remains(seen)))
		return false;
	resv_wake(c, e, seen);
	return true;
}

/* A fast word that names an entry of the dead is frozen first: then the entry says what it was. */
static void freeze_for(const struct control *c, uint64_t lock, uint32_t slot)
{
	_Atomic(uint64_t) *state = &resv_state_line(c, lock)->word;
	uint32_t count = resv_used(c), e;
	uint64_t word = resv_settle(c, lock);

	if (resv_word_mode(word) != RESV_EXCLUSIVE && resv_word_mode(word) != RESV_SHARED)
		return;
	for (e = 0; e < count; e++) {
		uint64_t entry = resv_load(&resv_entry_line(c, e)->word);

		if (resv_slot(entry) == slot && resv_state(entry) == RESV_ARMED &&
		    resv_word_names(word, e)) {
			atomic_fetch_or(state, RESV_QUEUED);
			resv_settle(c, lock);
			return;
		}
	}
}

void resv_recover_slot(const struct control *c, uint32_t slot)
{
	struct resv_sweep sweep;
	uint32_t count, e;
	uint64_t lock;

	freeze_for(c, 0, slot);
	freeze_for(c, RESV_LOCK, slot);
	count = resv_used(c);
	for (e = 0; e < count; e++) {
		uint64_t entry = resv_load(&resv_entry_line(c, e)->word);

		if (resv_slot(entry) == slot && resv_state(entry) != RESV_GONE &&
		    resv_state(entry) != RESV_TORN)
			resv_recover(c, e, entry);
	}
	for (lock = 0; lock <= RESV_LOCK; lock += RESV_LOCK)
		if (resv_word_mode(resv_settle(c, lock)) == RESV_SLOW)
			resv_advance(c, lock, &sweep);
}
