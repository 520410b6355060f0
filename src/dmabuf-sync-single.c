// SPDX-License-Identifier: MIT
/* Locks of one buffer that belong to a thread, and flock(2)'s terms for them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>

#include "dmabuf-sync.h"
#include "error.h"
#include "export.h"
#include "process.h"
#include "registry.h"

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

static int single_lock(struct dma_buf *dmabuf, unsigned int type, long timeout_ms, bool intr)
{
	struct single *s;
	int ret = sync_check_buffer(dmabuf);

	if (!ret)
		ret = sync_check_type(&type);
	if (ret)
		return ret;
	if (type == DMA_BUF_ACCESS_W && !to_buffer(dmabuf)->storage.may_write)
		return dmabuf_fail(EACCES, "writing by CPU to a read-only share");
	registry_lock();
	s = find(dmabuf, false);
	registry_unlock();
	if (s)
		return dmabuf_fail(EDEADLK, "this thread has locked the buffer already");
	s = calloc(1, sizeof(*s));
	if (!s)
		return dmabuf_fail(ENOMEM, "no memory for a lock");
	s->thread = resv_self();
	s->member = sync_member_new(dmabuf, type, 0, dmabuf->size, program_invocation_short_name,
				    DMABUF_SYNC_LEASE_MS);
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
	s->next = singles;
	singles = s;
	registry_unlock();
	return ret;
}

DMABUF_PUBLIC int dmabuf_sync_single_lock(struct dma_buf *dmabuf, unsigned int type, bool wait)
{
	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL) to lock");
	return single_lock(dmabuf, type, wait ? DMABUF_SYNC_TIMEOUT_MS : 0, false);
}

DMABUF_PUBLIC int dmabuf_sync_single_unlock(struct dma_buf *dmabuf)
{
	struct single *s;
	int ret;

	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL) to unlock");
	ret = buffer_check(dmabuf);
	if (ret)
		return ret;
	registry_lock();
	s = find(dmabuf, true);
	registry_unlock();
	if (!s)
		return dmabuf_fail(EAGAIN, "this thread has not locked the buffer");
	ret = sync_unlock_members(&s->member, 1);
	sync_member_free(s->member);
	free(s);
	if (ret == -ETIMEDOUT)
		return dmabuf_fail(ETIMEDOUT, "the buffer had been lost to the lease of %u ms",
				   DMABUF_SYNC_LEASE_MS);
	return ret;
}

/* Which access this thread has locked the buffer for, or 0. @held: it has it still. */
static unsigned int locked_for(const struct dma_buf *dmabuf, bool *held)
{
	struct single *s;
	unsigned int type;

	registry_lock();
	s = find(dmabuf, false);
	type = s ? s->member->type : 0;
	*held = s && resv_held(&s->member->hold);
	registry_unlock();
	return type;
}

static int flock_handle(struct dma_buf *dmabuf, int operation, long timeout_ms)
{
	unsigned int type = operation == LOCK_EX ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_R;
	bool held;
	unsigned int has = locked_for(dmabuf, &held);

	if (operation == LOCK_UN)
		return has ? dmabuf_sync_single_unlock(dmabuf) : 0;
	if (has == type && held)
		return 0;
	/* flock(2) too gives back and takes anew; a hold that was lost meanwhile is no error here.
	 */
	if (has)
		(void)dmabuf_sync_single_unlock(dmabuf);
	return single_lock(dmabuf, type, timeout_ms, true);
}

DMABUF_PUBLIC int dma_buf_flock_timeout(int fd, int operation, long timeout_ms)
{
	struct dma_buf *dmabuf;
	int ret;

	if (operation != LOCK_SH && operation != LOCK_EX && operation != LOCK_UN)
		return dmabuf_fail(EINVAL, "operation %d is none of LOCK_SH, LOCK_EX, LOCK_UN",
				   operation);
	if (timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms", timeout_ms);
	dmabuf = dma_buf_get(fd);
	if (!dmabuf)
		return -errno;
	ret = flock_handle(dmabuf, operation, timeout_ms);
	dma_buf_put(dmabuf);
	return ret;
}

DMABUF_PUBLIC int dma_buf_flock(int fd, int operation)
{
	int ret = dma_buf_flock_timeout(fd, operation & ~LOCK_NB,
					operation & LOCK_NB ? 0 : DMABUF_SYNC_TIMEOUT_MS);

	return ret == -EBUSY ? -EWOULDBLOCK : ret;
}
