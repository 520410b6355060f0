// SPDX-License-Identifier: MIT
/* Sync objects and their members; dmabuf-sync-lock.c locks them. */
#include "dmabuf-sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dmabuf-sync-async.h"
#include "error.h"
#include "export.h"
#include "kernel/fence.h"
#include "process.h"
#include "text.h"

int sync_check(const struct dmabuf_sync *sync)
{
	if (!sync)
		return dmabuf_fail(EFAULT, "no sync object (NULL)");
	if (sync->cookie != process_cookie())
		return dmabuf_fail(ECHILD,
				   "the sync object belongs to the parent process: make one "
				   "in the child");
	return 0;
}

int sync_check_buffer(const struct dma_buf *dmabuf)
{
	int err = buffer_check(dmabuf);

	if (!err && !dmabuf->resv)
		return dmabuf_fail(EFAULT, "the buffer has no reservation object (resv is NULL)");
	return err;
}

int sync_check_type(unsigned int *type)
{
	switch (*type) {
	case DMA_BUF_ACCESS_R:
	case DMA_BUF_ACCESS_W:
	case DMA_BUF_ACCESS_DMA_R:
	case DMA_BUF_ACCESS_DMA_W:
		return 0;
	case DMA_BUF_ACCESS_RW:
	case DMA_BUF_ACCESS_DMA_RW:
		*type &= ~DMA_BUF_ACCESS_R;
		return 0;
	default:
		return dmabuf_fail(EINVAL,
				   "access type 0x%x is none of DMA_BUF_ACCESS_R, _W, _RW, _DMA_R, "
				   "_DMA_W, _DMA_RW",
				   *type);
	}
}

DMABUF_PUBLIC bool is_dmabuf_sync_supported(void)
{
	return true;
}

DMABUF_PUBLIC struct dmabuf_sync *dmabuf_sync_init(void *priv, const char *name)
{
	uint64_t cookie = process_cookie();
	struct dmabuf_sync *sync;

	if (name && text_check(name, DMABUF_SYNC_NAME_LEN, true, "name of a sync object"))
		return NULL;
	sync = cookie ? calloc(1, sizeof(*sync)) : NULL;
	if (!sync)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a sync object");
	sync->cookie = cookie;
	sync->process = process_cookie_page;
	sync->priv = priv;
	sync->lease_ms = DMABUF_SYNC_LEASE_MS;
	sync->fd = -1;
	sync->claim_ms = DMABUF_SYNC_CLAIM_MS;
	text_copy(sync->name, sizeof(sync->name), name ? name : program_invocation_short_name);
	return sync;
}

DMABUF_PUBLIC void dmabuf_sync_fini(struct dmabuf_sync *sync)
{
	if (!sync)
		return;
	sync_attempt_end(sync);
	sync_releases_drop(sync);
	dmabuf_sync_put_all(sync);
	if (sync->fd >= 0)
		close(sync->fd);
	free(sync->members);
	free(sync);
}

DMABUF_PUBLIC void *dmabuf_sync_priv(const struct dmabuf_sync *sync)
{
	return sync ? sync->priv : NULL;
}

void sync_member_set_type(struct sync_member *m, unsigned int type)
{
	m->type = type;
	m->hold.kind = (type & DMA_BUF_ACCESS_W ? RESV_WRITE : 0) |
		       (type & DMA_BUF_ACCESS_DMA ? RESV_DEVICE : 0);
}

struct sync_member *sync_member_new(struct dma_buf *dmabuf, unsigned int type, size_t start,
				    size_t len, const char *label, uint32_t lease_ms)
{
	struct sync_member *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a buffer of a sync object");
	m->dmabuf = dmabuf;
	sync_member_set_type(m, type);
	m->start = start;
	m->len = len;
	m->hold.lease_ms = lease_ms;
	err = resv_claim(&m->hold, to_buffer(dmabuf), 0, label);
	if (err) {
		free(m);
		errno = -err;
		return NULL;
	}
	resv_describe(&m->hold, start, len);
	get_dma_buf(dmabuf);
	return m;
}

void sync_member_free(struct sync_member *m)
{
	/* Left by a parent; its own have been ended with the hold. */
	kernel_fence_end(m->fence);
	if (!buffer_check(m->dmabuf))
		resv_unclaim(&m->hold);
	dma_buf_put(m->dmabuf);
	free(m);
}

/* Where @b is in the order, or would be. */
static unsigned int find_place(const struct dmabuf_sync *sync, const struct buffer *b)
{
	unsigned int i;

	for (i = 0; i < sync->count; i++)
		if (!buffer_before(sync->members[i]->hold.buffer, b))
			break;
	return i;
}

static bool is_at(const struct dmabuf_sync *sync, unsigned int i, const struct dma_buf *dmabuf)
{
	return i < sync->count && sync->members[i]->dmabuf == dmabuf;
}

static int check_get(struct dmabuf_sync *sync, const struct dma_buf *dmabuf, unsigned int *type,
		     size_t start, size_t len)
{
	int err = sync_check_type(type);

	if (err)
		return err;
	if (sync_is_locking(sync) || sync_status(sync) != SYNC_UNLOCKED)
		return dmabuf_fail(EBUSY,
				   "sync object \"%s\" is locked or waits: unlock it before "
				   "buffers are added",
				   sync->name);
	if (start > dmabuf->size || len > dmabuf->size - start)
		return dmabuf_fail(EINVAL, "range [%zu, +%zu) of a buffer of %zu bytes", start, len,
				   dmabuf->size);
	if (*type == DMA_BUF_ACCESS_W && !to_buffer((struct dma_buf *)dmabuf)->storage.may_write)
		return dmabuf_fail(EACCES, "writing by CPU to a read-only share");
	return 0;
}

static int reserve_member(struct dmabuf_sync *sync)
{
	unsigned int room = sync->room ? sync->room * 2 : 4;
	struct sync_member **more;

	if (sync->count < sync->room)
		return 0;
	more = reallocarray(sync->members, room, sizeof(struct sync_member *));
	if (!more)
		return dmabuf_fail(ENOMEM, "no memory for %u buffers in a sync object", room);
	sync->members = more;
	sync->room = room;
	return 0;
}

DMABUF_PUBLIC int dmabuf_sync_get_range(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
					unsigned int type, size_t start, size_t len)
{
	struct sync_member *m;
	unsigned int at;
	int err = sync_check(sync);

	if (err)
		return err;
	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL) to add to sync object \"%s\"",
				   sync->name);
	err = sync_check_buffer(dmabuf);
	if (!err)
		err = check_get(sync, dmabuf, &type, start, len);
	if (!err)
		err = reserve_member(sync);
	if (err)
		return err;
	at = find_place(sync, to_buffer(dmabuf));
	if (is_at(sync, at, dmabuf))
		return dmabuf_fail(EEXIST, "the buffer is in sync object \"%s\" already",
				   sync->name);
	m = sync_member_new(dmabuf, type, start, len, sync->name, sync->lease_ms);
	if (!m)
		return -errno;
	memmove(&sync->members[at + 1], &sync->members[at],
		(sync->count - at) * sizeof(struct sync_member *));
	sync->members[at] = m;
	sync->count++;
	sync_members_changed(sync);
	return 0;
}

DMABUF_PUBLIC int dmabuf_sync_get(struct dmabuf_sync *sync, void *sync_buf, unsigned int type)
{
	struct dma_buf *dmabuf = sync_buf;

	return dmabuf_sync_get_range(sync, dmabuf, type, 0, dmabuf ? dmabuf->size : 0);
}

/* In a child only memory goes: nothing was ever held there. */
static void give_back(struct dmabuf_sync *sync, unsigned int at)
{
	if (sync_status(sync) == SYNC_LOCKED && sync->cookie == process_cookie())
		(void)sync_unlock_members(&sync->members[at], 1);
}

DMABUF_PUBLIC void dmabuf_sync_put(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
	struct sync_member *m;
	unsigned int at;

	if (!sync || !dmabuf)
		return;
	for (at = 0; at < sync->count && sync->members[at]->dmabuf != dmabuf; at++)
		;
	if (at == sync->count)
		return;
	sync_attempt_end(sync);
	sync_releases_drop(sync);
	give_back(sync, at);
	m = sync->members[at];
	memmove(&sync->members[at], &sync->members[at + 1],
		(sync->count - at - 1) * sizeof(struct sync_member *));
	sync->count--;
	sync_members_changed(sync);
	if (!sync->count)
		sync->status = SYNC_UNLOCKED;
	sync_member_free(m);
}

DMABUF_PUBLIC void dmabuf_sync_put_all(struct dmabuf_sync *sync)
{
	while (sync && sync->count)
		dmabuf_sync_put(sync, sync->members[sync->count - 1]->dmabuf);
}

DMABUF_PUBLIC int dmabuf_sync_set_lease(struct dmabuf_sync *sync, unsigned int lease_ms)
{
	unsigned int i;
	int err = sync_check(sync);

	if (err)
		return err;
	if (lease_ms < 1 || lease_ms > DMABUF_SYNC_LEASE_MAX_MS)
		return dmabuf_fail(EINVAL, "a lease of %u ms: 1 to %u are possible", lease_ms,
				   DMABUF_SYNC_LEASE_MAX_MS);
	if (sync_is_locking(sync) || sync_status(sync) != SYNC_UNLOCKED)
		return dmabuf_fail(EBUSY, "sync object \"%s\" is locked or waits: its lease runs",
				   sync->name);
	sync->lease_ms = lease_ms;
	for (i = 0; i < sync->count; i++)
		resv_set_lease(&sync->members[i]->hold, lease_ms);
	return 0;
}

DMABUF_PUBLIC int dma_buf_set_max_lease(struct dma_buf *dmabuf, unsigned int lease_ms)
{
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	if (!to_buffer(dmabuf)->exporter)
		return dmabuf_fail(EPERM, "only the exporting process bounds a buffer's leases");
	if (lease_ms < 1 || lease_ms > DMABUF_SYNC_LEASE_MAX_MS)
		return dmabuf_fail(EINVAL, "a bound of %u ms for leases: 1 to %u are possible",
				   lease_ms, DMABUF_SYNC_LEASE_MAX_MS);
	atomic_store(&to_buffer(dmabuf)->control.header->lease_max_ms, lease_ms);
	return 0;
}
