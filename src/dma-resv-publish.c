// SPDX-License-Identifier: MIT
/*
 * Fences as entries. The entry joins the queue when the fence is added, so whoever locks the memory
 * later waits behind it, whatever the process; and it leaves in the callback of the fence, which
 * takes no lock but a short one of its own and waits for nobody. A fence that does not end in time
 * has lost its lease like any access by a device: it goes on keeping others away until its end or
 * its owner's.
 */
#include <errno.h>
#include <stdlib.h>

#include "buffer-resv.h"
#include "dma-fence-lock.h"
#include "error.h"
#include "kernel/fence.h"
#include "kernel/storage.h"

struct published {
	struct resv_hold hold;
	struct dma_fence_cb cb;
	struct buffer_resv *of;
	struct kernel_fence *kernel; /* what the kernel sees of it; NULL: nothing */
	struct dma_fence *fence;     /* which is signalled before it goes, so without a reference */
	struct published *next;
	struct published **link; /* while it stands for a fence */
};

static void push_reserved(struct published *p)
{
	p->next = p->of->reserved;
	p->of->reserved = p;
	p->of->num_reserved++;
}

static struct published *pop_reserved(struct buffer_resv *r)
{
	struct published *p;

	lock_word_take(&r->list_lock);
	p = r->reserved;
	if (p) {
		r->reserved = p->next;
		r->num_reserved--;
	}
	lock_word_give(&r->list_lock);
	return p;
}

int resv_publish_reserve(struct buffer_resv *r, unsigned int count)
{
	struct published *p;

	while (__atomic_load_n(&r->num_reserved, __ATOMIC_RELAXED) < count) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return dmabuf_fail(ENOMEM, "no memory for a fence");
		p->of = r;
		if (resv_claim(&p->hold, r->buffer, 0, "fence")) {
			free(p);
			/* The words are the claim's. */
			return -ENOMEM;
		}
		lock_word_take(&r->list_lock);
		push_reserved(p);
		lock_word_give(&r->list_lock);
	}
	return 0;
}

void resv_publish_trim(struct buffer_resv *r, unsigned int keep)
{
	struct published *p;

	while (__atomic_load_n(&r->num_reserved, __ATOMIC_RELAXED) > keep &&
	       (p = pop_reserved(r))) {
		resv_unclaim(&p->hold);
		free(p);
	}
}

static void enter(struct published *p)
{
	struct buffer_resv *r = p->of;

	atomic_fetch_add(&r->buffer->pending, 1);
	lock_word_take(&r->list_lock);
	p->next = r->published;
	p->link = &r->published;
	if (p->next)
		p->next->link = &p->next;
	r->published = p;
	lock_word_give(&r->list_lock);
}

/* The hold has ended. Nothing of the buffer is touched afterwards: it may go now. */
static void leave(struct published *p)
{
	struct buffer *b = p->of->buffer;

	lock_word_take(&p->of->list_lock);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	p->fence = NULL;
	push_reserved(p);
	lock_word_give(&p->of->list_lock);
	atomic_fetch_sub(&b->pending, 1);
}

static void show_kernel(struct published *p)
{
	struct storage *s = &p->of->buffer->storage;

	if (!storage_is_kernel(s))
		return;
	p->kernel = kernel_fence_begin(s->fd, p->hold.kind & RESV_WRITE);
	if (p->kernel)
		storage_kernel_own_fence(s, 1);
}

static void hide_from_kernel(struct published *p)
{
	if (!p->kernel)
		return;
	kernel_fence_end(p->kernel);
	storage_kernel_own_fence(&p->of->buffer->storage, -1);
	p->kernel = NULL;
}

/* @error: of the fence. A writer that failed leaves torn content, as a device's job does. */
static void end_hold(struct published *p, int error)
{
	hide_from_kernel(p);
	if (p->hold.queued && !resv_withdraw(&p->hold))
		return;
	(void)(error < 0 ? resv_unlock_torn(&p->hold) : resv_unlock(&p->hold));
}

/* With the fence's lock held. */
static void fence_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct published *p = container_of(cb, struct published, cb);

	end_hold(p, dma_fence_get_status_locked(fence));
	leave(p);
}

static bool is_published(enum dma_resv_usage usage)
{
	return usage <= DMA_RESV_USAGE_READ;
}

void resv_publish(struct buffer_resv *r, struct dma_fence *fence, enum dma_resv_usage usage)
{
	struct published *p;
	uint64_t kind;
	int ret;

	if (!is_published(usage) || dma_fence_is_signaled(fence))
		return;
	p = pop_reserved(r);
	if (!p)
		return;
	kind = RESV_DEVICE | (usage <= DMA_RESV_USAGE_WRITE ? RESV_WRITE : 0);
	resv_relabel(&p->hold, fence->ops->get_driver_name(fence), 1 + (uint32_t)usage);
	p->fence = fence;
	enter(p);
	ret = resv_enqueue(&p->hold, kind);
	if (ret && ret != -EAGAIN) {
		dmabuf_log(DMABUF_LOG_ERROR, "a fence is not known to other processes: %s",
			   dmabuf_last_error());
		leave(p);
		return;
	}
	show_kernel(p);
	/* It may just have been signalled. */
	if (dma_fence_add_callback(fence, &p->cb, fence_signaled)) {
		end_hold(p, dma_fence_get_status(fence));
		leave(p);
	}
}

static struct published *find(struct buffer_resv *r, const struct dma_fence *fence)
{
	struct published *p;

	lock_word_take(&r->list_lock);
	for (p = r->published; p && p->fence != fence; p = p->next)
		;
	lock_word_give(&r->list_lock);
	return p;
}

static bool covers(const struct published *p, enum dma_resv_usage usage)
{
	return is_published(usage) && (usage > DMA_RESV_USAGE_WRITE || (p->hold.kind & RESV_WRITE));
}

/* 0; -ENOENT: @fence is signalled. */
static int stand_for(struct published *p, struct dma_fence *fence, enum dma_resv_usage usage)
{
	resv_relabel(&p->hold, fence->ops->get_driver_name(fence), 1 + (uint32_t)usage);
	lock_word_take(&p->of->list_lock);
	p->fence = fence;
	lock_word_give(&p->of->list_lock);
	return dma_fence_add_callback(fence, &p->cb, fence_signaled);
}

void resv_publish_replace(struct buffer_resv *r, struct dma_fence *old, struct dma_fence *fence,
			  enum dma_resv_usage usage)
{
	struct published *p = find(r, old);

	/* False: signalled, and so it has left. */
	if (p && dma_fence_remove_callback(old, &p->cb)) {
		/* What comes after it in the queue stays there. */
		if (covers(p, usage) && !stand_for(p, fence, usage))
			return;
		end_hold(p, 0);
		leave(p);
	}
	/* Best effort if it had no entry before: nobody could reserve one. */
	if (is_published(usage) && !resv_publish_reserve(r, 1))
		resv_publish(r, fence, usage);
}
