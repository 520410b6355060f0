// SPDX-License-Identifier: MIT
/* One access: its entry, taking it, giving it back. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "resv/fast.h"
#include "resv/linger.h"
#include "text.h"

/* How long tries find a buffer held, before they take the trouble to see since when. */
#define TRIES_NS 100000000u

static void write_label(struct control *c, uint32_t slot, uint32_t e, const char *label,
			uint32_t note)
{
	struct shm_resv_label *to = &c->resv->labels[e];
	uint64_t words[SHM_RESV_LABEL_LEN / 8];
	unsigned int i;

	memset(words, 0, sizeof(words));
	text_copy((char *)words, sizeof(words), label);
	for (i = 0; i < SHM_RESV_LABEL_LEN / 8; i++)
		atomic_store_explicit(&to->text[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&to->pid, atomic_load(&c->header->clients[slot].pid),
			      memory_order_relaxed);
	atomic_store_explicit(&to->note, note, memory_order_relaxed);
}

/* Before the entry is anybody's: so whoever sweeps or cleans up knows that it may be. */
static void raise_used(struct control *c, uint32_t used)
{
	_Atomic(uint32_t) *place = &resv_state_line(c, 0)->used;
	uint32_t known = atomic_load(place);

	while (known < used && !atomic_compare_exchange_weak(place, &known, used))
		;
}

/* The word as it is while nothing is to be said; the base of those to come. */
static void start_from(struct resv_hold *h, uint64_t idle)
{
	h->plain = idle & ~7ull;
	h->armed = idle;
	h->after = 0;
	atomic_store_explicit(&h->taken, false, memory_order_relaxed);
	atomic_store_explicit(&h->queued, false, memory_order_relaxed);
}

/* It has none: nothing is left to take again. */
static void lose_entry(struct resv_hold *h)
{
	h->shared = NULL;
	h->after = 0;
}

static int find_entry(struct resv_hold *h)
{
	struct control *c = h->control;
	uint32_t e;

	for (e = 0; e < SHM_RESV_ENTRIES; e++) {
		struct shm_resv_entry *entry = resv_entry_line(c, e);
		uint64_t gone = resv_load(&entry->word), idle;

		if (resv_state(gone) != RESV_GONE)
			continue;
		raise_used(c, e + 1);
		idle = resv_entry(RESV_IDLE, h->lock, h->buffer->client.slot, resv_age(gone) + 1);
		if (!resv_change(&entry->word, gone, idle))
			continue;
		h->shared = entry;
		h->entry = e;
		start_from(h, idle);
		write_label(c, h->buffer->client.slot, e, h->label, h->note);
		atomic_store(&entry->lease_ms, h->lease_ms);
		atomic_store(&entry->waits_for, 0);
		atomic_store(&entry->context, h->context);
		atomic_store(&entry->acquiring, 0);
		atomic_store(&entry->holds, 0);
		resv_describe(h, h->start, h->length);
		return 0;
	}
	return dmabuf_fail(ENOSPC,
			   "the buffer's reservation has %d entries, and all are in use: put what "
			   "is not needed from its sync objects",
			   SHM_RESV_ENTRIES);
}

/* One thread of a process does; the buffer keeps it to its end. */
static void begin_life(struct buffer *b)
{
	pthread_mutex_lock(&b->access_lock);
	life_begin(&b->life, &b->control, b->client.fd, b->client.slot);
	pthread_mutex_unlock(&b->access_lock);
}

int resv_claim(struct resv_hold *h, struct buffer *b, uint64_t lock, const char *label)
{
	int err;

	h->buffer = b;
	h->control = &b->control;
	h->lock = lock;
	h->state = resv_state_line(h->control, lock);
	h->length = h->control->size;
	if (!h->lease_ms)
		h->lease_ms = RESV_LEASE_DEFAULT_MS;
	text_copy(h->label, sizeof(h->label), label);
	err = control_intact(h->control);
	if (!err)
		err = find_entry(h);
	if (err)
		return err;
	resv_list_add(h);
	begin_life(b);
	return 0;
}

void resv_unclaim(struct resv_hold *h)
{
	if (resv_busy(h))
		resv_unlock(h);
	resv_list_remove(h);
	if (h->shared)
		resv_change(&h->shared->word, resv_load(&h->shared->word),
			    resv_entry(RESV_GONE, 0, 0, resv_age(h->plain) + 1));
	lose_entry(h);
}

void resv_relabel(struct resv_hold *h, const char *label, uint32_t note)
{
	h->note = note;
	text_copy(h->label, sizeof(h->label), label);
	if (h->shared)
		write_label(h->control, h->buffer->client.slot, h->entry, h->label, note);
}

void resv_set_lease(struct resv_hold *h, uint32_t lease_ms)
{
	h->lease_ms = lease_ms;
	if (h->shared)
		atomic_store(&h->shared->lease_ms, lease_ms);
}

void resv_describe(struct resv_hold *h, uint64_t start, uint64_t length)
{
	h->start = start;
	h->length = length;
	atomic_store_explicit(&h->shared->start, start, memory_order_relaxed);
	atomic_store_explicit(&h->shared->length, length, memory_order_relaxed);
}

/* Its content was torn by us when we came too late, and the entry now says so: a new one. */
static int ensure_entry(struct resv_hold *h)
{
	return h->shared ? 0 : find_entry(h);
}

/*
 * So often the word may change under the hands of who takes or gives back by it. Then the queue
 * has to do, which nobody can keep from being joined.
 */
#define FOUND_TURNS 100

bool resv_take_marked(struct resv_hold *h, uint64_t mark)
{
	uint64_t word = atomic_load_explicit(&h->state->word, memory_order_relaxed), next;
	unsigned int turns = 0;

	while (turns++ < FOUND_TURNS &&
	       (next = resv_word_take(word, h->entry, h->kind & RESV_WRITE))) {
		if (!atomic_compare_exchange_strong_explicit(&h->state->word, &word, next | mark,
							     memory_order_acq_rel,
							     memory_order_relaxed))
			continue;
		/* The guess for giving it back is without a mark, so that none is missed. */
		h->before = word;
		h->after = next & ~RESV_WATCHED;
		atomic_store_explicit(&h->taken, true, memory_order_relaxed);
		return true;
	}
	return false;
}

bool resv_take_found(struct resv_hold *h)
{
	return resv_take_marked(h, 0);
}

bool resv_put_found(struct resv_hold *h)
{
	uint64_t word = atomic_load_explicit(&h->state->word, memory_order_relaxed), next;
	unsigned int turns = 0;

	while (turns++ < FOUND_TURNS && !resv_word_queued(word) &&
	       resv_word_mode(word) != RESV_SLOW && resv_word_names(word, h->entry)) {
		next = resv_word_put(word, h->entry);
		if (!atomic_compare_exchange_strong_explicit(&h->state->word, &word, next,
							     memory_order_acq_rel,
							     memory_order_relaxed))
			continue;
		h->before = next;
		h->after = resv_word_take(next, h->entry, h->kind & RESV_WRITE) & ~RESV_WATCHED;
		atomic_store_explicit(&h->taken, false, memory_order_relaxed);
		if ((word & RESV_WATCHED) && !(next & RESV_WATCHED))
			resv_wake_watcher(h->control, h->lock);
		return true;
	}
	return false;
}

int resv_enqueue(struct resv_hold *h, uint64_t kind)
{
	int err = ensure_entry(h);

	if (err)
		return err;
	if (resv_take_word(h, kind))
		return 0;
	atomic_store_explicit(&h->shared->stamp, clock_ns(), memory_order_relaxed);
	err = resv_join(h);
	return err ? err : -EAGAIN;
}

/* Could it be had without a wait, though not by the fast path? */
static bool worth_a_try(const struct resv_hold *h)
{
	enum resv_mode mode = resv_word_mode(resv_load(&h->state->word));

	return mode == RESV_SLOW || mode == RESV_FREE ||
	       (mode == RESV_SHARED && !(h->kind & RESV_WRITE));
}

static int try_queue(struct resv_hold *h)
{
	struct resv_waiter w;
	int ret = resv_join(h);

	if (ret)
		return ret;
	resv_waiter_init(&w, h, 0);
	ret = resv_look(&w);
	if (ret != -EAGAIN)
		return ret;
	return resv_withdraw(h) ? resv_granted(h) : -EBUSY;
}

/*
 * On the fast path nobody sees since when a buffer is held. One who only ever tries finds the same
 * word for a while, and then has the entries say it, so that a lease can be over for him too.
 */
static bool tried_for_long(struct resv_hold *h)
{
	uint64_t word = resv_load(&h->state->word) & ~RESV_WATCHED, now = clock_ns();

	if (h->tried.word != word)
		h->tried = (struct resv_seen){ .word = word, .since = now };
	return now - h->tried.since >= TRIES_NS;
}

static int lock_now(struct resv_hold *h)
{
	int ret = worth_a_try(h) || tried_for_long(h) ? try_queue(h) : -EBUSY;

	/* Perhaps nobody ever waits: those who died with it are found here too. */
	if (ret == -EBUSY && resv_clear_dead(h)) {
		/* Granted and lost in between, it may have left its entry behind. */
		ret = ensure_entry(h);
		if (!ret)
			ret = resv_take_word(h, h->kind) ? 0 : try_queue(h);
	}
	return ret == -EBUSY ? resv_report(h, EBUSY, 0) : ret;
}

/* @asked: since when it is waited for, in the queue or not. */
static int wait_in_queue(struct resv_hold *h, uint64_t asked, uint64_t deadline, bool intr)
{
	struct resv_waiter w;
	int ret = resv_join(h);

	if (ret)
		return ret;
	resv_waiter_init(&w, h, deadline);
	w.asked = asked;
	return resv_wait(&w, intr);
}

static int lock_slow(struct resv_hold *h, uint64_t kind, uint64_t deadline, bool intr)
{
	int ret = ensure_entry(h);
	uint64_t asked;

	if (ret)
		return ret;
	if (h->contended && deadline)
		resv_step_aside(h);
	if (resv_take_word(h, kind))
		return 0;
	if (!deadline)
		return lock_now(h);
	ret = resv_check_order(h);
	asked = clock_ns();
	if (!ret)
		ret = resv_linger(h, asked, deadline, intr);
	if (ret == -EINTR)
		return dmabuf_fail(EINTR, "the wait for a buffer was interrupted");
	return ret == -EAGAIN ? wait_in_queue(h, asked, deadline, intr) : ret;
}

int resv_lock(struct resv_hold *h, uint64_t kind, uint64_t deadline, bool intr)
{
	if (__builtin_expect(resv_take(h, kind), true))
		return 0;
	return lock_slow(h, kind, deadline, intr);
}

int resv_granted(struct resv_hold *h)
{
	h->told = (resv_load(&h->shared->word) & RESV_TEARS) && resv_torn(h->control);
	return h->told ? -EOWNERDEAD : 0;
}

static void repair(struct resv_hold *h)
{
	uint32_t count = resv_used(h->control), e;

	for (e = 0; e < count; e++) {
		struct shm_resv_entry *entry = resv_entry_line(h->control, e);
		uint64_t seen = resv_load(&entry->word);

		if (!(seen & RESV_LOCK) && resv_is_torn(seen))
			resv_change(&entry->word, seen, resv_answered(seen));
	}
	h->told = false;
}

/* Whoever wrote with the knowledge that the content was torn answers for it. */
static void answer(struct resv_hold *h)
{
	if (h->told && (h->kind & RESV_WRITE))
		repair(h);
	h->told = false;
}

/* A hold that was lost. What it may have torn stays said, by the entry, which is then nobody's. */
static bool leave_lost(struct resv_hold *h, uint64_t entry)
{
	bool torn = resv_is_torn(entry);
	uint64_t left = resv_entry_ended(entry, torn ? RESV_TORN : RESV_IDLE);

	if (!resv_change(&h->shared->word, entry, left))
		return false;
	resv_wake(h->control, h->entry, entry);
	start_from(h, left);
	if (torn)
		lose_entry(h);
	else
		resv_unmark(h->control, h->lock, h->entry);
	return true;
}

static bool leave(struct resv_hold *h, uint64_t entry)
{
	uint64_t idle = resv_entry_ended(entry, RESV_IDLE);

	if (!resv_change(&h->shared->word, entry, idle))
		return false;
	resv_wake(h->control, h->entry, entry);
	resv_unmark(h->control, h->lock, h->entry);
	start_from(h, idle);
	return true;
}

/* Somebody wrote nonsense into our entry: it is given up as it is. */
static int forsake(struct resv_hold *h)
{
	lose_entry(h);
	atomic_store_explicit(&h->taken, false, memory_order_relaxed);
	atomic_store_explicit(&h->queued, false, memory_order_relaxed);
	h->told = false;
	return dmabuf_fail(EIO,
			   "the buffer is spoilt: somebody wrote over entry %u of its "
			   "reservation",
			   h->entry);
}

/* Out of the queue, whatever became of us there: 0 held until now; -ETIMEDOUT lost; -EIO. */
static int leave_queue(struct resv_hold *h)
{
	struct resv_sweep sweep;
	uint32_t turns;
	int ret = 1;

	for (turns = 0; ret > 0 && turns < RESV_TURNS; turns++) {
		uint64_t word = resv_settle(h->control, h->lock);
		uint64_t entry = resv_load(&h->shared->word);

		switch (resv_state(entry)) {
		case RESV_GRANTED:
			answer(h);
			if (leave(h, entry))
				ret = 0;
			break;
		case RESV_DRAINING:
		case RESV_BROKEN:
			if (leave_lost(h, entry))
				ret = -ETIMEDOUT;
			break;
		case RESV_ARMED:
			if (resv_word_names(word, h->entry))
				break;
			/* fallthrough */
		default:
			return forsake(h);
		}
	}
	if (ret > 0)
		return forsake(h);
	h->told = false;
	resv_advance(h->control, h->lock, &sweep);
	return ret;
}

bool resv_withdraw(struct resv_hold *h)
{
	struct resv_sweep sweep;
	uint32_t turns = 0;
	uint64_t entry;

	do {
		entry = resv_load(&h->shared->word);
		if (resv_state(entry) == RESV_GRANTED)
			return true;
		if (resv_state(entry) != RESV_WAITING || turns++ > RESV_TURNS) {
			leave_queue(h);
			return false;
		}
	} while (!leave(h, entry));
	resv_advance(h->control, h->lock, &sweep);
	return false;
}

int resv_rejoin(struct resv_hold *h)
{
	uint64_t kind = h->kind;
	int ret = leave_queue(h);

	if (ret != -ETIMEDOUT)
		return ret ? ret : -EIO;
	return resv_enqueue(h, kind);
}

/* What the fast path took becomes an entry in the queue, which can say more. */
static void slow_down(struct resv_hold *h)
{
	uint64_t word = resv_load(&h->state->word);

	if (!h->taken)
		return;
	if (resv_word_mode(word) != RESV_SLOW && resv_word_names(word, h->entry))
		atomic_fetch_or(&h->state->word, RESV_QUEUED);
	resv_settle(h->control, h->lock);
}

int resv_unlock(struct resv_hold *h)
{
	if (resv_put(h))
		return 0;
	if (!resv_busy(h))
		return -EPERM;
	slow_down(h);
	return leave_queue(h);
}

int resv_unlock_torn(struct resv_hold *h)
{
	struct resv_sweep sweep;
	uint64_t entry, left;
	uint32_t turns = 0;

	if (!(h->kind & RESV_WRITE) || !resv_busy(h))
		return resv_unlock(h);
	h->told = false;
	slow_down(h);
	do {
		entry = resv_load(&h->shared->word);
		if (resv_state(entry) != RESV_GRANTED || turns++ > RESV_TURNS)
			return leave_queue(h);
		left = resv_entry_ended(entry, RESV_TORN);
	} while (!resv_change(&h->shared->word, entry, left));
	resv_wake(h->control, h->entry, entry);
	start_from(h, left);
	lose_entry(h);
	resv_advance(h->control, h->lock, &sweep);
	return 0;
}

bool resv_held(const struct resv_hold *h)
{
	uint64_t word, entry;

	if (!resv_busy(h))
		return false;
	word = resv_settle(h->control, h->lock);
	entry = resv_load(&h->shared->word);
	return resv_state(entry) == RESV_GRANTED ||
	       (resv_state(entry) == RESV_ARMED && resv_word_names(word, h->entry));
}

void resv_repaired(struct resv_hold *h)
{
	struct resv_sweep sweep;

	repair(h);
	/* Readers share it again. */
	resv_advance(h->control, h->lock, &sweep);
}
