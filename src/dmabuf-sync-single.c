// SPDX-License-Identifier: MIT
#include "dmabuf-sync-single.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "export.h"
#include "process.h"
#include "registry.h"
#include "resv/fast.h"

/* Idle entries of all processes may fill the lower part of the table, and never more. */
#define KEPT_BELOW (SHM_RESV_ENTRIES / 2)

/* A lock that found the handle's slot taken. */
struct single {
	struct sync_member *member;
	uintptr_t thread;
	struct single *next;
};

/* Guarded by the registry's lock. */
static struct single *singles;
static uint64_t singles_cookie;

/* Unlinked if @take. With the registry's lock held. */
static struct single *find(const struct dma_buf *dmabuf, bool take)
{
	struct single **link, *s;

	/* A child has none of its parent's; what they occupy is little, and may be in use there. */
	if (singles_cookie != process_cookie())
		singles = NULL;
	singles_cookie = process_cookie();
	for (link = &singles; (s = *link); link = &s->next) {
		if (s->member->dmabuf != dmabuf || s->thread != resv_self())
			continue;
		if (take)
			*link = s->next;
		return s;
	}
	return NULL;
}

static bool has_slot(const struct dma_buf *dmabuf)
{
	const struct buffer *b = (const struct buffer *)dmabuf;

	return atomic_load_explicit(&b->single_thread, memory_order_relaxed) == resv_self();
}

/* Unlinked if @take. NULL: none, or in the handle's slot. */
static struct single *find_other(const struct dma_buf *dmabuf, bool take)
{
	struct buffer *b = to_buffer((struct dma_buf *)dmabuf);
	struct single *s;

	/* If one is this thread's, then this thread counted it. */
	if (!atomic_load_explicit(&b->single_others, memory_order_relaxed))
		return NULL;
	registry_lock();
	s = find(dmabuf, take);
	if (s && take)
		atomic_fetch_sub(&b->single_others, 1);
	registry_unlock();
	return s;
}

static struct sync_member *new_member(struct dma_buf *dmabuf, unsigned int type)
{
	return sync_member_new(dmabuf, type, 0, dmabuf->size, program_invocation_short_name,
			       DMABUF_SYNC_LEASE_MS);
}

static bool reserve_slot(struct buffer *b)
{
	uintptr_t nobody = 0;

	return atomic_compare_exchange_strong_explicit(&b->single_thread, &nobody, resv_self(),
						       memory_order_acquire, memory_order_relaxed);
}

static void leave_slot(struct buffer *b)
{
	atomic_store_explicit(&b->single_thread, 0, memory_order_release);
}

/* The member keeps its entry, but not the handle: who keeps that is who locks. */
static void give_back_slot(struct buffer *b)
{
	struct sync_member *m = b->single;

	if (m->hold.shared && m->hold.entry < KEPT_BELOW) {
		leave_slot(b);
		dma_buf_put(&b->base);
		return;
	}
	b->single = NULL;
	leave_slot(b);
	sync_member_free(m);
}

/* With the slot. */
static int lock_slot(struct dma_buf *dmabuf, unsigned int type, long timeout_ms, bool intr)
{
	struct buffer *b = to_buffer(dmabuf);
	struct sync_member *m = b->single;
	int ret;

	if (m) {
		/* Who had it last must not look as if he had it now, and waited for himself. */
		sync_note(m, resv_self());
		sync_member_set_type(m, type);
		get_dma_buf(dmabuf);
	} else {
		m = new_member(dmabuf, type);
		if (!m) {
			ret = -errno;
			leave_slot(b);
			return ret;
		}
		b->single = m;
	}
	ret = sync_lock_members(&b->single, 1, timeout_ms, intr);
	if (ret && ret != -EOWNERDEAD)
		give_back_slot(b);
	return ret;
}

static int lock_other(struct dma_buf *dmabuf, unsigned int type, long timeout_ms, bool intr)
{
	struct single *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return dmabuf_fail(ENOMEM, "no memory for a lock");
	s->thread = resv_self();
	s->member = new_member(dmabuf, type);
	if (!s->member) {
		free(s);
		return -errno;
	}
	ret = sync_lock_members(&s->member, 1, timeout_ms, intr);
	if (ret && ret != -EOWNERDEAD) {
		sync_member_free(s->member);
		free(s);
		return ret;
	}
	registry_lock();
	(void)find(dmabuf, false);
	s->next = singles;
	singles = s;
	atomic_fetch_add(&to_buffer(dmabuf)->single_others, 1);
	registry_unlock();
	return ret;
}

int sync_single_lock(struct dma_buf *dmabuf, unsigned int type, long timeout_ms, bool intr)
{
	int ret = sync_check_buffer(dmabuf);

	if (!ret)
		ret = sync_check_type(&type);
	if (ret)
		return ret;
	if (type == DMA_BUF_ACCESS_W && !to_buffer(dmabuf)->storage.may_write)
		return dmabuf_fail(EACCES, "writing by CPU to a read-only share");
	if (has_slot(dmabuf) || find_other(dmabuf, false))
		return dmabuf_fail(EDEADLK, "this thread has locked the buffer already");
	return reserve_slot(to_buffer(dmabuf)) ? lock_slot(dmabuf, type, timeout_ms, intr)
					       : lock_other(dmabuf, type, timeout_ms, intr);
}

DMABUF_PUBLIC int dmabuf_sync_single_lock(struct dma_buf *dmabuf, unsigned int type, bool wait)
{
	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL) to lock");
	return sync_single_lock(dmabuf, type, wait ? DMABUF_SYNC_TIMEOUT_MS : 0, false);
}

static int unlock_slot(struct buffer *b)
{
	int ret = sync_unlock_members(&b->single, 1);

	give_back_slot(b);
	return ret;
}

static int unlock_other(struct dma_buf *dmabuf)
{
	struct single *s = find_other(dmabuf, true);
	int ret;

	if (!s)
		return dmabuf_fail(EAGAIN, "this thread has not locked the buffer");
	ret = sync_unlock_members(&s->member, 1);
	sync_member_free(s->member);
	free(s);
	return ret;
}

DMABUF_PUBLIC int dmabuf_sync_single_unlock(struct dma_buf *dmabuf)
{
	int ret;

	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL) to unlock");
	ret = buffer_check(dmabuf);
	if (ret)
		return ret;
	ret = has_slot(dmabuf) ? unlock_slot(to_buffer(dmabuf)) : unlock_other(dmabuf);
	if (ret == -ETIMEDOUT)
		return dmabuf_fail(ETIMEDOUT, "the buffer had been lost to the lease of %u ms",
				   DMABUF_SYNC_LEASE_MS);
	return ret;
}

unsigned int sync_single_type(const struct dma_buf *dmabuf, bool *held)
{
	const struct sync_member *m = NULL;
	const struct single *s;

	if (has_slot(dmabuf)) {
		m = to_buffer((struct dma_buf *)dmabuf)->single;
	} else {
		s = find_other(dmabuf, false);
		m = s ? s->member : NULL;
	}
	*held = m && resv_held(&m->hold);
	return m ? m->type : 0;
}

void sync_single_drop(struct buffer *b, bool ours)
{
	struct sync_member *m = b->single;

	b->single = NULL;
	if (m && ours)
		resv_unclaim(&m->hold);
	free(m);
}
