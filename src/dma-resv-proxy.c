// SPDX-License-Identifier: MIT
/*
 * What another process has of a buffer, as a fence. It stands for one stay in the queue, which the
 * entry's slot, ticket and age tell from all others, and ends with it: signalled when that was
 * given back, with -EOWNERDEAD if its owner died, with -ETIMEDOUT if it was lost to its lease (and,
 * for a device, once that is done). Whoever asks finds out; if somebody has a callback or waits,
 * the library's thread does, asleep on the entry's word, as a waiter in the queue would be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffer-resv.h"
#include "clock.h"
#include "dma-fence-lock.h"
#include "kernel/resv.h"
#include "process.h"
#include "resv/thread.h"
#include "shm/life.h"
#include "shm/sleep.h"

#define LOOK_FIRST_NS 1000000ull
#define LOOK_LAST_NS 100000000ull
/* Which of a word's bits say that it is the same stay. */
#define STAY                                               \
	((uint64_t)RESV_SLOT_MASK << RESV_SLOT_SHIFT |     \
	 (uint64_t)RESV_TICKET_MASK << RESV_TICKET_SHIFT | \
	 (uint64_t)RESV_AGE_MASK << RESV_AGE_SHIFT | RESV_LOCK)

struct resv_proxy {
	struct dma_fence base;
	struct dma_fence_lock lock;
	struct resv_sleeper sleeper; /* counts whose memory it is: the fence has one reference */
	struct dma_fence_lock look;  /* guards what follows */
	struct buffer *buffer;	     /* NULL: it has ended */
	uint64_t seen;
	uint32_t entry;
	int status; /* 0: goes on; 1: ended; else the error */
	bool watched;
	bool lost;
	uint64_t began;
	uint64_t next_look;
	struct resv_seen known;
	struct resv_proxy *next; /* lent */
	char label[SHM_RESV_LABEL_LEN];
};

static const struct dma_fence_ops proxy_ops;

static struct resv_proxy *proxy_of(struct dma_fence *fence)
{
	return container_of(fence, struct resv_proxy, base);
}

static _Atomic(uint64_t) *word_of(const struct resv_proxy *p)
{
	return &resv_entry_line(&p->buffer->control, p->entry)->word;
}

/* A stay that is over, by what its entry is now. The dead leave an entry that is nobody's. */
static int how_it_ended(const struct resv_proxy *p, uint64_t now)
{
	bool next_age = resv_age(now) == ((resv_age(p->seen) + 1) & RESV_AGE_MASK);

	if (p->lost)
		return -ETIMEDOUT;
	if (!next_age)
		return 1;
	if (resv_state(now) == RESV_GONE)
		return -EOWNERDEAD;
	if (resv_state(now) != RESV_TORN)
		return 1;
	/* A living owner says so of a fence that failed. */
	return resv_dead(p->buffer, resv_slot(p->seen), false) ? -EOWNERDEAD : -EIO;
}

/* With p->look held: 0 while it goes on. */
static int status_now(struct resv_proxy *p)
{
	uint64_t now = resv_load(word_of(p));

	if ((now ^ p->seen) & STAY)
		return how_it_ended(p, now);
	if (resv_state(now) == RESV_BROKEN)
		return -ETIMEDOUT;
	if (resv_state(now) == RESV_DRAINING)
		p->lost = true;
	/* Somebody wrote nonsense into it: nothing is known of it any more. */
	return resv_in_queue(now) ? 0 : -EIO;
}

static void plan_next_look(struct resv_proxy *p, uint64_t now)
{
	uint64_t pause = (now - p->began) / 8;

	if (pause < LOOK_FIRST_NS)
		pause = LOOK_FIRST_NS;
	p->next_look = now + (pause > LOOK_LAST_NS ? LOOK_LAST_NS : pause);
}

/* See to the dead and the overdue, as one who waits. */
static int look_deeply(struct resv_proxy *p, uint64_t now)
{
	const struct control *c = &p->buffer->control;
	struct resv_sweep sweep;

	plan_next_look(p, now);
	if (resv_clear(p->buffer, &p->known, p->entry, resv_load(word_of(p)), now, true,
		       &p->next_look))
		resv_advance(c, 0, &sweep);
	if (control_intact(c))
		return -EIO;
	return status_now(p);
}

/* What a look brought. */
struct outcome {
	int status;   /* as in struct resv_proxy */
	bool ended;   /* found just now: to be made known */
	bool watched; /* and the reference that it has of itself is the caller's to put */
};

/* The first to find its end has to make it known. The buffer may go from then on. */
static struct outcome look(struct resv_proxy *p)
{
	struct outcome o = { .ended = false };
	struct buffer *b = NULL;
	uint64_t now = clock_ns();

	lock_word_take(&p->look);
	if (p->buffer) {
		p->status = status_now(p);
		if (!p->status &&
		    (now >= p->next_look || life_ended(&p->buffer->control, resv_slot(p->seen))))
			p->status = look_deeply(p, now);
		if (p->status) {
			b = p->buffer;
			p->buffer = NULL;
			if (p->status < 0)
				dma_fence_set_error(&p->base, p->status);
		}
	}
	o.status = p->status;
	o.watched = p->watched;
	lock_word_give(&p->look);
	if (b) {
		o.ended = true;
		/* The word is not looked at any more. */
		resv_thread_remove(&p->sleeper);
		atomic_fetch_sub(&b->pending, 1);
	}
	return o;
}

static const char *proxy_driver_name(struct dma_fence *fence)
{
	return proxy_of(fence)->label;
}

static const char *proxy_timeline_name(struct dma_fence *fence)
{
	return "another process";
}

static bool proxy_signaled(struct dma_fence *fence)
{
	struct outcome o = look(proxy_of(fence));

	/* Never the last one: whoever asks has another. */
	if (o.ended && o.watched)
		dma_fence_put(fence);
	return o.status;
}

/* With p->look held. False: there is something to look for already. */
static bool set_alarm(struct resv_proxy *p)
{
	struct resv_word_watch *words = p->sleeper.words;
	_Atomic(uint64_t) *word = word_of(p);
	uint64_t now = resv_load(word);

	if (((now ^ p->seen) & STAY) || !resv_in_queue(now))
		return false;
	if (!(now & RESV_ASLEEP) && !resv_change(word, now, now | RESV_ASLEEP))
		return false;
	words[0].word = resv_futex(resv_entry_line(&p->buffer->control, p->entry));
	words[0].expected = (uint32_t)(now | RESV_ASLEEP);
	p->sleeper.count = 1;
	if (life_listen(&p->buffer->control, resv_slot(now), &words[1].word, &words[1].expected))
		p->sleeper.count = 2;
	p->sleeper.until = p->next_look;
	return true;
}

/* In the library's thread. */
static bool proxy_look(struct resv_sleeper *sleeper)
{
	struct resv_proxy *p = container_of(sleeper, struct resv_proxy, sleeper);
	struct outcome o;
	bool armed;

	do {
		o = look(p);
		if (o.status)
			break;
		lock_word_take(&p->look);
		armed = !p->buffer || set_alarm(p);
		lock_word_give(&p->look);
	} while (!armed);
	if (o.ended) {
		dma_fence_signal(&p->base);
		dma_fence_put(&p->base);
	}
	return !o.status;
}

/* With the fence's lock held. It lives until its end now, whoever forgets it. */
static bool proxy_enable(struct dma_fence *fence)
{
	struct resv_proxy *p = proxy_of(fence);
	bool goes_on;
	int err = 0;

	lock_word_take(&p->look);
	goes_on = p->buffer;
	if (goes_on) {
		p->sleeper.until = 0;
		err = resv_thread_add(&p->sleeper);
	}
	if (goes_on && !err) {
		dma_fence_get(fence);
		p->watched = true;
	}
	lock_word_give(&p->look);
	/* Nobody would ever say when it ends. */
	if (err)
		dma_fence_set_error(fence, err);
	else if (goes_on)
		resv_thread_kick(&p->sleeper);
	return goes_on && !err;
}

static void proxy_free(struct resv_sleeper *sleeper)
{
	free(container_of(sleeper, struct resv_proxy, sleeper));
}

static void proxy_release(struct dma_fence *fence)
{
	struct resv_proxy *p = proxy_of(fence);
	struct buffer *b;

	lock_word_take(&p->look);
	b = p->buffer;
	p->buffer = NULL;
	p->status = 1;
	lock_word_give(&p->look);
	if (b)
		atomic_fetch_sub(&b->pending, 1);
	resv_sleeper_put(&p->sleeper);
}

static const struct dma_fence_ops proxy_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = proxy_driver_name,
	.get_timeline_name = proxy_timeline_name,
	.enable_signaling = proxy_enable,
	.signaled = proxy_signaled,
	.release = proxy_release,
};

static void proxy_init(struct resv_proxy *p, struct buffer *b, uint32_t entry, uint64_t seen)
{
	struct dma_buf_access_info info;
	static const uint64_t no_words[SHM_RESV_STATES];

	memset(p, 0, sizeof(*p));
	dma_fence_init(&p->base, &proxy_ops, &p->lock, dma_fence_context_alloc(1), 1);
	resv_sleeper_init(&p->sleeper, proxy_look, proxy_free);
	atomic_fetch_add(&b->pending, 1);
	p->buffer = b;
	p->seen = seen;
	p->entry = entry;
	p->began = clock_ns();
	p->next_look = p->began + LOOK_FIRST_NS;
	if (resv_describe_entry(&b->control, entry, seen, no_words, &info))
		memcpy(p->label, info.label, sizeof(p->label));
}

/* No memory for a fence that says when it ends: then its end is waited for. */
static void wait_here(struct buffer *b, uint32_t entry, uint64_t seen)
{
	struct resv_proxy p;
	bool armed;

	proxy_init(&p, b, entry, seen);
	while (!look(&p).status) {
		lock_word_take(&p.look);
		armed = set_alarm(&p);
		lock_word_give(&p.look);
		if (armed)
			shm_futex_wait(p.sleeper.words[0].word, p.sleeper.words[0].expected,
				       p.next_look);
	}
}

/* Says what it is for. A note that contradicts the word is none. */
static enum dma_resv_usage usage_of(const struct control *c, uint32_t entry, uint64_t seen)
{
	if (!resv_is_write(seen))
		return DMA_RESV_USAGE_READ;
	return atomic_load(&c->resv->labels[entry].note) == 1 + DMA_RESV_USAGE_KERNEL
		       ? DMA_RESV_USAGE_KERNEL
		       : DMA_RESV_USAGE_WRITE;
}

/*
 * What waits behind a lock of this process waits for it, so that nobody here could wait for that
 * without waiting for himself.
 */
static bool behind_us(const struct buffer *b, uint64_t seen)
{
	const struct control *c = &b->control;
	uint32_t count = resv_used(c), e;

	if (resv_state(seen) != RESV_WAITING)
		return false;
	for (e = 0; e < count; e++) {
		uint64_t own = resv_load(&resv_entry_line(c, e)->word);

		if (resv_slot(own) == b->client.slot && !(own & RESV_LOCK) &&
		    resv_state(own) == RESV_GRANTED && !atomic_load(&c->resv->labels[e].note) &&
		    resv_before(resv_ticket(own), resv_ticket(seen)))
			return true;
	}
	return false;
}

static bool is_foreign(const struct buffer *b, uint64_t seen)
{
	return resv_slot(seen) != b->client.slot && !(seen & RESV_LOCK);
}

static bool concerns_us(const struct buffer *b, uint32_t entry, uint64_t seen,
			enum dma_resv_usage usage)
{
	return is_foreign(b, seen) && resv_in_queue(seen) &&
	       usage_of(&b->control, entry, seen) <= usage && !behind_us(b, seen);
}

/* Does another process have it by the fast path? Then nothing tells one hold from the next. */
static bool is_taken_fast(const struct buffer *b)
{
	const struct control *c = &b->control;
	uint64_t word = resv_settle(c, 0);
	uint32_t count = resv_used(c), e;

	if (resv_word_mode(word) != RESV_EXCLUSIVE && resv_word_mode(word) != RESV_SHARED)
		return false;
	for (e = 0; e < count; e++)
		if (resv_word_names(word, e) &&
		    is_foreign(b, resv_load(&resv_entry_line(c, e)->word)))
			return true;
	return false;
}

/* The word of the next one, or 0. */
static uint64_t find_next(struct buffer_resv *r, enum dma_resv_usage usage, unsigned int *entry)
{
	const struct control *c = &r->buffer->control;
	uint32_t count;

	/* A child has none of its parent's memory. */
	if (!process_is(r->buffer->cookie))
		return 0;
	if (*entry == 0 && is_taken_fast(r->buffer))
		resv_freeze(c, 0);
	count = resv_used(c);
	while (*entry < count) {
		uint32_t e = (*entry)++;
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if (concerns_us(r->buffer, e, seen, usage))
			return seen;
	}
	return 0;
}

static struct resv_proxy *make(struct buffer_resv *r, uint32_t entry, uint64_t seen)
{
	struct resv_proxy *p = malloc(sizeof(*p));

	if (p)
		proxy_init(p, r->buffer, entry, seen);
	else
		wait_here(r->buffer, entry, seen);
	return p;
}

/* After all entries. */
static struct dma_fence *next_of_kernel(struct buffer_resv *r, enum dma_resv_usage usage,
					unsigned int *entry, enum dma_resv_usage *is_for)
{
	if (!process_is(r->buffer->cookie))
		return NULL;
	if (*entry < KERNEL_RESV_FIRST)
		*entry = KERNEL_RESV_FIRST;
	return kernel_resv_next(r->buffer, usage, entry, is_for);
}

struct dma_fence *resv_proxy_next(struct buffer_resv *r, enum dma_resv_usage usage,
				  unsigned int *entry, enum dma_resv_usage *is_for)
{
	struct resv_proxy *p = NULL;
	uint64_t seen;

	while (!p && (seen = find_next(r, usage, entry)))
		p = make(r, *entry - 1, seen);
	if (!p)
		return next_of_kernel(r, usage, entry, is_for);
	*is_for = usage_of(&r->buffer->control, p->entry, p->seen);
	return &p->base;
}

static struct resv_proxy *find_lent(const struct buffer_resv *r, uint32_t entry, uint64_t seen)
{
	struct resv_proxy *p;

	for (p = r->lent; p; p = p->next)
		if (p->entry == entry && !((p->seen ^ seen) & STAY))
			return p;
	return NULL;
}

struct kernel_lent {
	struct dma_fence *fence;
	struct kernel_lent *next;
};

static struct dma_fence *lend_of_kernel(struct buffer_resv *r, enum dma_resv_usage usage,
					unsigned int *entry, enum dma_resv_usage *is_for)
{
	struct dma_fence *fence = next_of_kernel(r, usage, entry, is_for);
	struct kernel_lent *lent = fence ? malloc(sizeof(*lent)) : NULL;

	if (!lent) {
		/* Then its end is waited for, as a proxy's is. */
		if (fence)
			(void)dma_fence_wait_timeout(fence, false, DMA_FENCE_TIMEOUT_MAX);
		dma_fence_put(fence);
		return NULL;
	}
	lent->fence = fence;
	lent->next = r->kernel_lent;
	r->kernel_lent = lent;
	return fence;
}

struct dma_fence *resv_proxy_lend(struct buffer_resv *r, enum dma_resv_usage usage,
				  unsigned int *entry, enum dma_resv_usage *is_for)
{
	struct resv_proxy *p = NULL;
	uint64_t seen;

	while (!p && (seen = find_next(r, usage, entry))) {
		p = find_lent(r, *entry - 1, seen);
		if (p)
			break;
		p = make(r, *entry - 1, seen);
		if (!p)
			continue;
		p->next = r->lent;
		r->lent = p;
	}
	if (!p)
		return lend_of_kernel(r, usage, entry, is_for);
	*is_for = usage_of(&r->buffer->control, p->entry, p->seen);
	return &p->base;
}

void resv_proxy_return(struct buffer_resv *r)
{
	struct kernel_lent *lent;
	struct resv_proxy *p;

	while ((lent = r->kernel_lent)) {
		r->kernel_lent = lent->next;
		dma_fence_put(lent->fence);
		free(lent);
	}

	while ((p = r->lent)) {
		r->lent = p->next;
		dma_fence_put(&p->base);
	}
}
