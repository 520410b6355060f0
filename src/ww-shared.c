// SPDX-License-Identifier: MIT
#include "ww-shared.h"

#include <errno.h>
#include <stdlib.h>

#include "buffer-resv.h"
#include "dma-fence-lock.h"
#include "error.h"
#include "resv/fast.h"

static struct ww_hold *hold_of(struct dmabuf_list *link)
{
	return container_of(link, struct ww_hold, link);
}

void ww_shared_init(struct dmabuf_ww_shared *s, struct buffer *b)
{
	s->buffer = b;
	s->lock = (struct dma_fence_lock)DMA_FENCE_LOCK_INIT;
	list_init(&s->holds);
	atomic_init(&s->kept, NULL);
}

static void hold_free(struct ww_hold *h, bool ours)
{
	if (h && ours)
		resv_unclaim(&h->resv);
	free(h);
}

void ww_shared_destroy(struct dmabuf_ww_shared *s, bool ours)
{
	struct ww_hold *h;

	while (!list_empty(&s->holds)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed is in no list */
		h = hold_of(s->holds.next);
		list_remove(&h->link);
		list_remove(&h->of_ctx);
		hold_free(h, ours);
	}
	hold_free(atomic_exchange(&s->kept, NULL), ours);
}

/* NULL with errno and words. */
static struct ww_hold *hold_new(struct dmabuf_ww_shared *s)
{
	struct ww_hold *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a lock");
	h->of = s;
	err = resv_claim(&h->resv, s->buffer, RESV_LOCK, program_invocation_short_name);
	if (!err)
		return h;
	free(h);
	errno = -err;
	return NULL;
}

static struct ww_hold *hold_get(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx)
{
	struct ww_hold *h = atomic_exchange(&s->kept, NULL);

	if (!h)
		h = hold_new(s);
	if (!h)
		return NULL;
	h->ctx = ctx;
	h->ahead = false;
	list_init(&h->link);
	list_init(&h->of_ctx);
	h->resv.context = ctx && !ctx->ordered ? ctx->stamp : 0;
	if (h->resv.shared) {
		atomic_store(&h->resv.shared->context, h->resv.context);
		atomic_store(&s->buffer->control.resv->labels[h->resv.entry].note, 0);
	}
	atomic_store_explicit(&h->resv.thread, resv_self(), memory_order_relaxed);
	return h;
}

static void hold_put(struct ww_hold *h)
{
	struct ww_hold *none = NULL;

	atomic_store_explicit(&h->resv.thread, 0, memory_order_relaxed);
	if (!atomic_compare_exchange_strong(&h->of->kept, &none, h))
		hold_free(h, true);
}

/* The lease of what it holds begins when it has all. */
static void say_acquiring(const struct dmabuf_ww_acquire_ctx *ctx, uint64_t inode)
{
	const struct dmabuf_list *link;

	for (link = ctx->shared.next; link != &ctx->shared; link = link->next) {
		struct shm_resv_entry *shared =
			container_of((struct dmabuf_list *)link, struct ww_hold, of_ctx)
				->resv.shared;

		if (!shared)
			continue;
		atomic_store(&shared->waits_for, inode);
		atomic_store(&shared->acquiring, inode != 0);
	}
}

static int take_with_context(struct ww_hold *h, bool intr)
{
	struct resv_waiter w;
	int ret = resv_enqueue(&h->resv, RESV_WRITE);

	if (ret != -EAGAIN)
		return ret;
	ww_waiter_init(&w, h);
	return resv_wait(&w, intr);
}

static int take_contended(struct ww_hold *h, bool intr)
{
	int ret;

	if (h->ctx)
		say_acquiring(h->ctx, h->of->buffer->key.inode);
	if (h->ctx && !h->ahead)
		ret = take_with_context(h, intr);
	else
		ret = resv_lock(&h->resv, RESV_WRITE, FUTEX_FOREVER, intr);
	if (h->ctx)
		say_acquiring(h->ctx, 0);
	return ret;
}

static void enter(struct ww_hold *h)
{
	lock_word_take(&h->of->lock);
	list_add_before(&h->link, &h->of->holds);
	lock_word_give(&h->of->lock);
	if (!h->ctx)
		return;
	list_add_before(&h->of_ctx, &h->ctx->shared);
	if (!h->ahead)
		h->ctx->acquired++;
}

int ww_shared_take(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx, bool intr,
		   bool ahead)
{
	struct ww_hold *h = hold_get(s, ctx);
	int ret;

	if (!h)
		return -errno;
	h->ahead = ahead;
	h->resv.holding = ahead && !list_empty(&ctx->shared);
	ret = resv_take(&h->resv, RESV_WRITE) ? 0 : take_contended(h, intr);
	if (ret && ret != -EOWNERDEAD) {
		hold_put(h);
		return ret;
	}
	enter(h);
	return 0;
}

static struct ww_hold *find_ctx(struct dmabuf_ww_shared *s, const struct dmabuf_ww_acquire_ctx *ctx)
{
	struct dmabuf_list *link;

	for (link = ctx->shared.next; link != &ctx->shared; link = link->next) {
		struct ww_hold *h = container_of(link, struct ww_hold, of_ctx);

		if (h->of == s)
			return h;
	}
	return NULL;
}

static int ctx_check(const struct dmabuf_ww_acquire_ctx *ctx)
{
	if (ctx->done)
		return dmabuf_fail(EINVAL, "the acquire context is done: it takes no more mutexes");
	return 0;
}

/* 0: it is to be taken; 1: the context has it now; -EALREADY, -EINVAL, -EINTR. */
static int begin(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx, bool intr)
{
	struct ww_hold *h = find_ctx(s, ctx);
	int ret;

	if (h && !h->ahead)
		return -EALREADY;
	if (ctx_check(ctx))
		return -EINVAL;
	if (h) {
		h->ahead = false;
		ctx->acquired++;
		return 1;
	}
	if (ctx->acquired)
		return 0;
	__atomic_store_n(&ctx->wounded, false, __ATOMIC_RELAXED);
	if (ctx->back_offs < BACK_OFFS)
		return 0;
	ret = ww_set_take(ctx, s, intr);
	if (!ret)
		return 1;
	return ret == -EINTR ? ret : 0;
}

int ww_shared_lock(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx, bool intr)
{
	int ret = buffer_check(&s->buffer->base);

	if (!ret && ctx)
		ret = begin(s, ctx, intr);
	if (ret)
		return ret > 0 ? 0 : ret;
	ret = ww_shared_take(s, ctx, intr, false);
	if (ret == -EDEADLK && ctx)
		ww_set_back_off(ctx, s);
	return ret;
}

int ww_shared_trylock(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx)
{
	struct ww_hold *h;
	int ret;

	if (buffer_check(&s->buffer->base))
		return 0;
	h = ctx ? find_ctx(s, ctx) : NULL;
	if (h || (ctx && ctx_check(ctx))) {
		if (!h || !h->ahead)
			return 0;
		h->ahead = false;
		ctx->acquired++;
		return 1;
	}
	h = hold_get(s, ctx);
	if (!h)
		return 0;
	ret = resv_lock(&h->resv, RESV_WRITE, 0, false);
	if (ret && ret != -EOWNERDEAD) {
		hold_put(h);
		return 0;
	}
	if (ctx && !ctx->acquired)
		__atomic_store_n(&ctx->wounded, false, __ATOMIC_RELAXED);
	enter(h);
	return 1;
}

/* The one that this thread has; else the one that is held now; else one that was lost. */
static struct ww_hold *find_ours(struct dmabuf_ww_shared *s)
{
	struct ww_hold *found = NULL;
	struct dmabuf_list *link;

	for (link = s->holds.next; link != &s->holds; link = link->next) {
		struct ww_hold *h = hold_of(link);

		if (h->ahead)
			continue;
		if (atomic_load_explicit(&h->resv.thread, memory_order_relaxed) == resv_self())
			return h;
		/* The last one was granted last. */
		found = h;
	}
	return found;
}

static int release(struct ww_hold *h)
{
	int ret;

	list_remove(&h->of_ctx);
	ret = resv_unlock(&h->resv);
	hold_put(h);
	return ret;
}

void ww_released(struct dmabuf_ww_acquire_ctx *ctx)
{
	if (--ctx->acquired == 0)
		ww_set_leave(ctx);
}

static void unlink_hold(struct ww_hold *h)
{
	lock_word_take(&h->of->lock);
	list_remove(&h->link);
	lock_word_give(&h->of->lock);
}

void ww_set_leave(struct dmabuf_ww_acquire_ctx *ctx)
{
	struct dmabuf_list *link, *next;

	for (link = ctx->shared.next; link != &ctx->shared; link = next) {
		struct ww_hold *h = container_of(link, struct ww_hold, of_ctx);

		next = link->next;
		if (!h->ahead)
			continue;
		unlink_hold(h);
		release(h);
	}
	if (!ctx->acquired)
		ctx->ordered = false;
}

int ww_shared_unlock(struct dmabuf_ww_shared *s)
{
	struct dmabuf_ww_acquire_ctx *ctx;
	struct ww_hold *h;
	int ret = buffer_check(&s->buffer->base);

	if (ret)
		return ret;
	lock_word_take(&s->lock);
	h = find_ours(s);
	if (h)
		list_remove(&h->link);
	lock_word_give(&s->lock);
	if (!h)
		return dmabuf_fail(EPERM, "this process does not hold the lock of the buffer's "
					  "reservation object");
	buffer_resv_unlocking(s->buffer->resv);
	ctx = h->ctx;
	ret = release(h);
	if (ctx)
		ww_released(ctx);
	if (ret == -ETIMEDOUT)
		return dmabuf_fail(ETIMEDOUT,
				   "the lock of the buffer's reservation object had been "
				   "lost to its lease: somebody else may have had it");
	return ret;
}

bool ww_shared_is_locked(struct dmabuf_ww_shared *s)
{
	const struct control *c = &s->buffer->control;
	uint64_t word;
	uint32_t count, e;

	if (buffer_check(&s->buffer->base))
		return false;
	word = resv_settle(c, RESV_LOCK);
	if (resv_word_mode(word) != RESV_SLOW)
		return resv_word_mode(word) != RESV_FREE;
	count = resv_used(c);
	for (e = 0; e < count; e++) {
		uint64_t seen = resv_load(&resv_entry_line(c, e)->word);

		if ((seen & RESV_LOCK) && resv_state(seen) == RESV_GRANTED)
			return true;
	}
	return false;
}

struct dmabuf_ww_acquire_ctx *ww_shared_ctx(struct dmabuf_ww_shared *s)
{
	struct dmabuf_ww_acquire_ctx *ctx;
	struct ww_hold *h;

	lock_word_take(&s->lock);
	h = find_ours(s);
	ctx = h ? h->ctx : NULL;
	lock_word_give(&s->lock);
	return ctx;
}

bool ww_shared_ours(struct dmabuf_ww_shared *s)
{
	struct ww_hold *h;

	lock_word_take(&s->lock);
	h = find_ours(s);
	lock_word_give(&s->lock);
	return h;
}
