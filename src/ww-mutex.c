// SPDX-License-Identifier: MIT
/*
 * A mutex is one word: 0, or the holder's context with two bits, so that whoever sees it held knows
 * with which age. Uncontended it is one compare-and-swap to take and one to give back. The bit for
 * waiters is set as long as the list is not empty; both change under mutex.lock only, and while it
 * is set the mutex is never free: it is handed to the first waiter. So a waiter's fate is decided
 * by others, under that lock, once: it has been given the mutex, or it must die. A buffer's mutex
 * has none of this, but an entry in the buffer's reservation: ww-shared.c.
 */
#include <errno.h>

#include <dmabuf/ww-mutex.h>

#include "dma-fence-lock.h"
#include "error.h"
#include "export.h"
#include "list.h"
#include "ww-shared.h"

#define WW_LOCKED ((uintptr_t)1)
#define WW_WAITERS ((uintptr_t)2)
#define WW_BITS (WW_LOCKED | WW_WAITERS)

enum fate { WAITS, GIVEN, DIES };

struct waiter {
	struct dmabuf_list link;
	struct dmabuf_ww_acquire_ctx *ctx;
	uint32_t *event; /* where its thread sleeps */
	enum fate fate;
};

static uintptr_t word_load(const struct dmabuf_ww_mutex *m)
{
	return __atomic_load_n(&m->word, __ATOMIC_ACQUIRE);
}

static struct dmabuf_ww_acquire_ctx *word_ctx(uintptr_t word)
{
	return (struct dmabuf_ww_acquire_ctx *)(word & ~WW_BITS);
}

static bool word_change(struct dmabuf_ww_mutex *m, uintptr_t from, uintptr_t to)
{
	return __atomic_compare_exchange_n(&m->word, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static struct waiter *waiter_of(struct dmabuf_list *link)
{
	return container_of(link, struct waiter, link);
}

static bool younger(const struct dmabuf_ww_acquire_ctx *a, const struct dmabuf_ww_acquire_ctx *b)
{
	return ww_older(b->stamp, a->stamp);
}

/* Who holds nothing blocks nobody and may wait in any place. */
static bool can_die(const struct dmabuf_ww_acquire_ctx *ctx)
{
	return ctx->acquired > 0;
}

static void event_signal(uint32_t *event)
{
	__atomic_fetch_add(event, 1, __ATOMIC_RELEASE);
	futex_wake(event, 1);
}

static void decide(struct waiter *waiter, enum fate fate)
{
	list_remove(&waiter->link);
	waiter->fate = fate;
	event_signal(waiter->event);
}

/*
 * Should a context that comes to wait give way at once? @before: the waiter ahead of which it would
 * go. In a wait-die class the younger one does, to the holder and to any that waits.
 */
static bool gives_way(const struct dmabuf_ww_mutex *m, const struct dmabuf_ww_acquire_ctx *ctx,
		      const struct dmabuf_ww_acquire_ctx *holder)
{
	const struct dmabuf_list *link;

	if (!can_die(ctx))
		return false;
	if (!ctx->ww_class->is_wait_die)
		return ww_wounded(ctx);
	if (holder && younger(ctx, holder))
		return true;
	for (link = m->waiters.next; link != &m->waiters; link = link->next) {
		const struct waiter *other = waiter_of((struct dmabuf_list *)link);

		if (other->ctx && younger(ctx, other->ctx))
			return true;
	}
	return false;
}

/* Puts a waiter in its place; in a wait-die class, those whom it overtakes give way. */
static void enqueue(struct dmabuf_ww_mutex *m, struct waiter *waiter)
{
	struct dmabuf_list *place = &m->waiters, *link, *prev;
	struct waiter *other;

	for (link = m->waiters.prev; waiter->ctx && link != &m->waiters; link = prev) {
		prev = link->prev;
		other = waiter_of(link);
		if (!other->ctx)
			continue;
		if (younger(waiter->ctx, other->ctx))
			break;
		if (waiter->ctx->ww_class->is_wait_die && can_die(other->ctx))
			decide(other, DIES);
		else
			place = link;
	}
	list_add_before(&waiter->link, place);
}

/*
 * In a wound-wait class, a younger holder has to give way to one that holds something too. It
 * cannot end while we look at it: it must take mutex.lock to give this mutex back.
 */
static void wound(const struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_acquire_ctx *holder)
{
	if (!holder || ctx->ww_class->is_wait_die || !can_die(ctx) || !younger(holder, ctx))
		return;
	__atomic_store_n(&holder->wounded, true, __ATOMIC_RELEASE);
	event_signal(&holder->event);
}

/* With mutex.lock held, in the waiter's thread: out of the list, unless it was decided before. */
static int withdraw(struct dmabuf_ww_mutex *m, struct waiter *waiter, int why)
{
	if (waiter->fate == WAITS)
		list_remove(&waiter->link);
	if (list_empty(&m->waiters))
		__atomic_fetch_and(&m->word, ~WW_WAITERS, __ATOMIC_RELEASE);
	return why;
}

/* Whoever holds buffers can be wounded there too, by other processes. */
static int sleep_on(const struct waiter *waiter, uint32_t seen, bool intr)
{
	if (waiter->ctx && !list_empty(&waiter->ctx->shared))
		return ww_shared_sleep(waiter->ctx, seen, intr);
	return futex_wait(waiter->event, seen, FUTEX_FOREVER);
}

/* With mutex.lock held, which is given back while asleep. */
static int wait_for_fate(struct dmabuf_ww_mutex *m, struct waiter *waiter, bool intr)
{
	bool interrupted = false;
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(waiter->event, __ATOMIC_ACQUIRE);
		if (waiter->fate == GIVEN)
			return 0;
		if (waiter->fate == DIES || (waiter->ctx && !waiter->ctx->ww_class->is_wait_die &&
					     gives_way(m, waiter->ctx, NULL)))
			return withdraw(m, waiter, -EDEADLK);
		if (interrupted)
			return withdraw(m, waiter, -EINTR);
		lock_word_give(&m->lock);
		interrupted = sleep_on(waiter, seen, intr) == -EINTR && intr;
		lock_word_take(&m->lock);
	}
}

/*
 * With mutex.lock held: take the mutex if it is free, else say that somebody waits. Returns the
 * word as it was.
 */
static uintptr_t take_or_mark(struct dmabuf_ww_mutex *m, uintptr_t mine)
{
	uintptr_t word;

	do
		word = word_load(m);
	while (!word_change(m, word, word ? word | WW_WAITERS : mine));
	return word;
}

static int lock_contended(struct dmabuf_ww_mutex *m, struct dmabuf_ww_acquire_ctx *ctx, bool intr)
{
	uint32_t event = 0;
	struct waiter waiter = { .ctx = ctx, .event = ctx ? &ctx->event : &event };
	struct dmabuf_ww_acquire_ctx *holder;
	uintptr_t word;
	int ret = 0;

	list_init(&waiter.link);
	lock_word_take(&m->lock);
	word = take_or_mark(m, (uintptr_t)ctx | WW_LOCKED);
	if (word) {
		holder = word_ctx(word);
		if (ctx)
			wound(ctx, holder);
		if (ctx && gives_way(m, ctx, holder)) {
			ret = withdraw(m, &waiter, -EDEADLK);
		} else {
			enqueue(m, &waiter);
			ret = wait_for_fate(m, &waiter, intr);
		}
	}
	lock_word_give(&m->lock);
	return ret;
}

static int ctx_check(const struct dmabuf_ww_mutex *m, const struct dmabuf_ww_acquire_ctx *ctx)
{
	if (ctx->ww_class != m->ww_class)
		return dmabuf_fail(EINVAL, "the acquire context and the mutex are of different "
					   "classes");
	if (ctx->done)
		return dmabuf_fail(EINVAL, "the acquire context is done: it takes no more mutexes");
	return 0;
}

static int lock_common(struct dmabuf_ww_mutex *m, struct dmabuf_ww_acquire_ctx *ctx, bool intr)
{
	int ret = 0;

	if (m->shared)
		return ww_shared_lock(m->shared, ctx, intr);
	if (ctx) {
		if (word_ctx(word_load(m)) == ctx)
			return -EALREADY;
		if (ctx_check(m, ctx))
			return -EINVAL;
		/* Nobody can wound one that holds nothing. */
		if (!ctx->acquired)
			__atomic_store_n(&ctx->wounded, false, __ATOMIC_RELAXED);
	}
	if (!word_change(m, 0, (uintptr_t)ctx | WW_LOCKED))
		ret = lock_contended(m, ctx, intr);
	if (!ret && ctx)
		ctx->acquired++;
	return ret;
}

static int lock_slow(struct dmabuf_ww_mutex *m, struct dmabuf_ww_acquire_ctx *ctx, bool intr)
{
	if (ctx && ctx->acquired)
		return dmabuf_fail(EINVAL,
				   "the acquire context still holds %u mutexes: give them back "
				   "before the slow path",
				   ctx->acquired);
	return lock_common(m, ctx, intr);
}

DMABUF_PUBLIC void dmabuf_ww_mutex_init(struct dmabuf_ww_mutex *lock,
					struct dmabuf_ww_class *ww_class)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELAXED);
	lock->ww_class = ww_class;
	lock->shared = NULL;
	list_init(&lock->waiters);
	lock->lock = (struct dma_fence_lock)DMA_FENCE_LOCK_INIT;
}

DMABUF_PUBLIC int dmabuf_ww_mutex_destroy(struct dmabuf_ww_mutex *lock)
{
	if (word_load(lock))
		return dmabuf_fail(EBUSY, "the mutex is held: give it back before its end");
	return 0;
}

DMABUF_PUBLIC void dmabuf_ww_acquire_init(struct dmabuf_ww_acquire_ctx *ctx,
					  struct dmabuf_ww_class *ww_class)
{
	*ctx = (struct dmabuf_ww_acquire_ctx){
		.ww_class = ww_class,
		.stamp = ww_stamp(ww_class),
	};
	list_init(&ctx->shared);
}

DMABUF_PUBLIC int dmabuf_ww_acquire_done(struct dmabuf_ww_acquire_ctx *ctx)
{
	if (ctx->done)
		return dmabuf_fail(EINVAL, "the acquire context is done already");
	ctx->done = true;
	ww_set_leave(ctx);
	return 0;
}

DMABUF_PUBLIC int dmabuf_ww_acquire_fini(struct dmabuf_ww_acquire_ctx *ctx)
{
	if (ctx->acquired)
		return dmabuf_fail(EBUSY, "the acquire context still holds %u mutexes",
				   ctx->acquired);
	ww_set_free(ctx);
	return 0;
}

DMABUF_PUBLIC int dmabuf_ww_mutex_lock(struct dmabuf_ww_mutex *lock,
				       struct dmabuf_ww_acquire_ctx *ctx)
{
	return lock_common(lock, ctx, false);
}

DMABUF_PUBLIC int dmabuf_ww_mutex_lock_interruptible(struct dmabuf_ww_mutex *lock,
						     struct dmabuf_ww_acquire_ctx *ctx)
{
	return lock_common(lock, ctx, true);
}

DMABUF_PUBLIC int dmabuf_ww_mutex_lock_slow(struct dmabuf_ww_mutex *lock,
					    struct dmabuf_ww_acquire_ctx *ctx)
{
	return lock_slow(lock, ctx, false);
}

DMABUF_PUBLIC int dmabuf_ww_mutex_lock_slow_interruptible(struct dmabuf_ww_mutex *lock,
							  struct dmabuf_ww_acquire_ctx *ctx)
{
	return lock_slow(lock, ctx, true);
}

DMABUF_PUBLIC int dmabuf_ww_mutex_trylock(struct dmabuf_ww_mutex *lock,
					  struct dmabuf_ww_acquire_ctx *ctx)
{
	if (lock->shared)
		return ww_shared_trylock(lock->shared, ctx);
	if (ctx) {
		if (ctx_check(lock, ctx))
			return 0;
		if (!ctx->acquired)
			__atomic_store_n(&ctx->wounded, false, __ATOMIC_RELAXED);
	}
	if (!word_change(lock, 0, (uintptr_t)ctx | WW_LOCKED))
		return 0;
	if (ctx)
		ctx->acquired++;
	return 1;
}

/* With mutex.lock held, and somebody waiting. */
static void hand_over(struct dmabuf_ww_mutex *m)
{
	struct waiter *first = waiter_of(m->waiters.next);
	bool more = first->link.next != &m->waiters;

	__atomic_store_n(&m->word, (uintptr_t)first->ctx | WW_LOCKED | (more ? WW_WAITERS : 0),
			 __ATOMIC_RELEASE);
	decide(first, GIVEN);
}

DMABUF_PUBLIC int dmabuf_ww_mutex_unlock(struct dmabuf_ww_mutex *lock)
{
	uintptr_t word = word_load(lock);
	struct dmabuf_ww_acquire_ctx *ctx = word_ctx(word);

	if (lock->shared)
		return ww_shared_unlock(lock->shared);
	if (!(word & WW_LOCKED))
		return dmabuf_fail(EPERM, "the mutex is not held, so it cannot be given back");
	if (ctx)
		ww_released(ctx);
	if (word_change(lock, (uintptr_t)ctx | WW_LOCKED, 0))
		return 0;
	lock_word_take(&lock->lock);
	if (list_empty(&lock->waiters))
		__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
	else
		hand_over(lock);
	lock_word_give(&lock->lock);
	return 0;
}

DMABUF_PUBLIC bool dmabuf_ww_mutex_is_locked(const struct dmabuf_ww_mutex *lock)
{
	return lock->shared ? ww_shared_is_locked(lock->shared) : word_load(lock) & WW_LOCKED;
}

DMABUF_PUBLIC struct dmabuf_ww_acquire_ctx *dmabuf_ww_mutex_ctx(const struct dmabuf_ww_mutex *lock)
{
	return lock->shared ? ww_shared_ctx(lock->shared) : word_ctx(word_load(lock));
}
