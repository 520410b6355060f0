// SPDX-License-Identifier: MIT
/*
 * Whom a context waits behind, and how it tells younger ones of other processes to yield: by a note
 * beside their entry that names the hold by its entry's age, so that one that came too late means
 * nothing. They sleep on those notes too.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "dma-fence-lock.h"
#include "shm/life.h"
#include "shm/sleep.h"
#include "ww-shared.h"

#define RESV_WOUND(age) (1u << 31 | (age))
/* futex_waitv() takes 128; the rest is looked at now and then. */
#define SLEEP_WORDS 64
#define SLEEP_NS 100000000ull
#define BLIND_NS 5000000ull

static _Atomic(uint32_t) *note_of(const struct control *c, uint32_t e)
{
	return &c->resv->labels[e].note;
}

static bool is_wounded(const struct ww_hold *h)
{
	const struct resv_hold *r = &h->resv;

	return r->shared &&
	       atomic_load(note_of(r->control, r->entry)) == RESV_WOUND(resv_age(r->plain));
}

static const struct ww_hold *next_of(const struct dmabuf_ww_acquire_ctx *ctx,
				     const struct ww_hold *h)
{
	const struct dmabuf_list *link = h ? h->of_ctx.next : ctx->shared.next;

	if (link == &ctx->shared)
		return NULL;
	return container_of((struct dmabuf_list *)link, struct ww_hold, of_ctx);
}

bool ww_wounded(const struct dmabuf_ww_acquire_ctx *ctx)
{
	const struct ww_hold *h;

	if (__atomic_load_n(&ctx->wounded, __ATOMIC_ACQUIRE))
		return true;
	/* A plain entry has no age to be wounded for. */
	if (ctx->ordered)
		return false;
	for (h = next_of(ctx, NULL); h; h = next_of(ctx, h))
		if (is_wounded(h))
			return true;
	return false;
}

/* The age of @e's context, if the entry is still what was @seen. False: it is not. */
static bool read_age(const struct control *c, uint32_t e, uint64_t seen, uint64_t *age)
{
	const struct shm_resv_entry *entry = resv_entry_line(c, e);

	*age = atomic_load(&entry->context);
	return !((resv_load(&entry->word) ^ seen) & ~RESV_ASLEEP);
}

static void wound(const struct control *c, uint32_t e, uint64_t seen)
{
	_Atomic(uint32_t) *note = note_of(c, e);

	if (atomic_exchange(note, RESV_WOUND(resv_age(seen))) != RESV_WOUND(resv_age(seen)))
		shm_futex_wake_all(note);
}

/*
 * Must @h, whose context holds something, give up because of the one at @e, which is before it?
 * Plain entries wait for each other in an order that contexts do not keep.
 */
static bool yields_to(const struct ww_hold *h, uint32_t e, uint64_t seen)
{
	uint64_t age;

	if (!read_age(h->resv.control, e, seen, &age))
		return false;
	if (!age || age == h->ctx->stamp)
		return true;
	if (ww_older(age, h->ctx->stamp))
		return h->ctx->ww_class->is_wait_die;
	wound(h->resv.control, e, seen);
	return false;
}

/* One that takes its set in order waits, as plain entries do, for what comes after all it has. */
static bool in_order(const struct ww_hold *h)
{
	const struct ww_hold *other;
	unsigned int asked = 0;

	for (other = next_of(h->ctx, NULL); other; other = next_of(h->ctx, other)) {
		asked += !other->ahead;
		if (!buffer_before(other->of->buffer, h->of->buffer))
			return false;
	}
	return asked == h->ctx->acquired;
}

static bool before_us(uint64_t seen, uint64_t own)
{
	return (seen & RESV_LOCK) && resv_in_queue(seen) &&
	       resv_before(resv_ticket(seen), resv_ticket(own));
}

/* A context that died there does nothing more. True: it is out of the way. */
static bool clear_dead(const struct ww_hold *h, uint32_t e, uint64_t seen)
{
	struct resv_sweep sweep;

	if (!resv_dead(h->of->buffer, resv_slot(seen), false))
		return false;
	resv_recover(h->resv.control, e, seen);
	resv_advance(h->resv.control, RESV_LOCK, &sweep);
	return true;
}

static bool yields(struct resv_waiter *w)
{
	const struct ww_hold *h = w->context;
	const struct control *c = h->resv.control;
	uint64_t own = resv_load(&h->resv.shared->word);
	uint32_t count = resv_used(c), e;

	if (!h->ctx->acquired || resv_state(own) != RESV_WAITING)
		return false;
	if (h->ctx->ordered)
		return !in_order(h);
	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if (e != h->resv.entry && before_us(seen, own) && yields_to(h, e, seen) &&
		    !clear_dead(h, e, seen))
			return true;
	}
	return !h->ctx->ww_class->is_wait_die && ww_wounded(h->ctx);
}

static void add_word(struct futex_waitv *words, unsigned int *count, const volatile void *word,
		     uint32_t expected, uint32_t flags)
{
	words[(*count)++] = (struct futex_waitv){
		.val = expected,
		.uaddr = (uintptr_t)word,
		.flags = FUTEX_32 | flags,
	};
}

/* The context's event and the notes of what it holds. False: it is wounded already. */
static bool add_wounds(const struct dmabuf_ww_acquire_ctx *ctx, uint32_t event,
		       struct futex_waitv *words, unsigned int *count)
{
	const struct ww_hold *h;

	add_word(words, count, &ctx->event, event, FUTEX_PRIVATE_FLAG);
	if (ctx->ordered)
		return true;
	for (h = next_of(ctx, NULL); h && *count < SLEEP_WORDS; h = next_of(ctx, h)) {
		_Atomic(uint32_t) *note = note_of(h->resv.control, h->resv.entry);
		uint32_t seen = atomic_load(note);

		if (seen == RESV_WOUND(resv_age(h->resv.plain)))
			return false;
		add_word(words, count, note, seen, 0);
	}
	return true;
}

static int sleep_on_first(const struct futex_waitv *word, uint64_t until)
{
	struct timespec ts = { .tv_sec = (time_t)(until / 1000000000u),
			       .tv_nsec = (long)(until % 1000000000u) };

	if (syscall(SYS_futex, (uintptr_t)word->uaddr,
		    FUTEX_WAIT_BITSET | (word->flags & FUTEX_PRIVATE_FLAG), (uint32_t)word->val,
		    &ts, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EINTR ? -EINTR : 0;
}

/*
 * On the first word alone, for short, if signal handlers shall end it (futex_waitv(2) goes on after
 * one with SA_RESTART), or if the kernel or a filter has no such call.
 */
static int sleep_on(struct futex_waitv *words, unsigned int count, uint64_t until, bool intr)
{
	struct timespec ts = { .tv_sec = (time_t)(until / 1000000000u),
			       .tv_nsec = (long)(until % 1000000000u) };
	uint64_t soon;

	if (!intr && syscall(SYS_futex_waitv, words, count, 0, &ts, CLOCK_MONOTONIC) >= 0)
		return 0;
	if (!intr && errno != ENOSYS && errno != EPERM)
		return 0;
	soon = clock_ns() + BLIND_NS;
	return sleep_on_first(&words[0], soon < until ? soon : until);
}

static int sleep_queued(struct resv_waiter *w)
{
	const struct ww_hold *h = w->context;
	uint32_t event = __atomic_load_n(&h->ctx->event, __ATOMIC_ACQUIRE), expected;
	struct futex_waitv words[SLEEP_WORDS + 2];
	_Atomic(uint32_t) *life;
	unsigned int count = 0;
	uint64_t until;

	if (!resv_doze(w, &expected, &until))
		return 0;
	add_word(words, &count, resv_futex(h->resv.shared), expected, 0);
	if (life_listen(h->resv.control, w->slot, &life, &expected))
		add_word(words, &count, life, expected, 0);
	if (!add_wounds(h->ctx, event, words, &count) ||
	    __atomic_load_n(&h->ctx->wounded, __ATOMIC_ACQUIRE))
		return 0;
	return sleep_on(words, count, until, w->intr);
}

void ww_waiter_init(struct resv_waiter *w, struct ww_hold *h)
{
	resv_waiter_init(w, &h->resv, FUTEX_FOREVER);
	w->context = h;
	w->yields = yields;
	/* Only who holds something can be told to yield while it waits. */
	if (!h->ctx->ww_class->is_wait_die && h->ctx->acquired && !h->ctx->ordered)
		w->sleep = sleep_queued;
}

int ww_shared_sleep(const struct dmabuf_ww_acquire_ctx *ctx, uint32_t seen, bool intr)
{
	struct futex_waitv words[SLEEP_WORDS + 2];
	unsigned int count = 0;

	if (!add_wounds(ctx, seen, words, &count))
		return 0;
	return sleep_on(words, count, clock_ns() + SLEEP_NS, intr);
}
