// SPDX-License-Identifier: MIT
/*
 * CPU access: the bracket, page-wise mapping, vmap and mmap (mission rows B1 to B4). The kept
 * mapping is made by the first begin, so that nothing after it can fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "buffer.h"
#include "check/check.h"
#include "check/rules.h"
#include "error.h"
#include "export.h"
#include "ownership.h"
#include "storage-deferred.h"
#include "storage-pin.h"

#define MANY_MAX 1024

static _Thread_local unsigned int atomic_kmaps;

static int access_check(const struct dma_buf *dmabuf, size_t start, size_t len,
			enum dma_data_direction direction)
{
	int err = buffer_check(dmabuf);

	if (!err)
		err = direction_check(direction);
	if (err)
		return err;
	if (start > dmabuf->size || len > dmabuf->size - start)
		return dmabuf_fail(EINVAL, "CPU access to [%zu, +%zu) of a buffer of %zu bytes",
				   start, len, dmabuf->size);
	return 0;
}

static bool may_write(const struct buffer *b)
{
	return b->storage.may_write;
}

/* With access_lock held. */
static int brackets_reserve(struct buffer *b)
{
	size_t room = b->bracket_room * 2;
	struct bracket *more;

	if (b->bracket_count < b->bracket_room)
		return 0;
	more = reallocarray(b->brackets == b->brackets_inline ? NULL : b->brackets, room,
			    sizeof(*more));
	if (!more)
		return dmabuf_fail(ENOMEM, "no memory for bracket %zu", b->bracket_count + 1);
	if (b->brackets == b->brackets_inline)
		memcpy(more, b->brackets_inline, sizeof(b->brackets_inline));
	b->brackets = more;
	b->bracket_room = room;
	return 0;
}

static int bracket_open(struct buffer *b, const struct bracket *bracket)
{
	int err;

	pthread_mutex_lock(&b->access_lock);
	err = brackets_reserve(b);
	if (!err)
		b->brackets[b->bracket_count++] = *bracket;
	pthread_mutex_unlock(&b->access_lock);
	if (!err)
		ownership_count_writer(b, bracket->direction, 1);
	return err;
}

static int bracket_close(struct buffer *b, const struct bracket *bracket)
{
	size_t i;

	pthread_mutex_lock(&b->access_lock);
	for (i = b->bracket_count; i > 0; i--) {
		struct bracket *at = &b->brackets[i - 1];

		if (at->start == bracket->start && at->len == bracket->len &&
		    at->direction == bracket->direction) {
			*at = b->brackets[--b->bracket_count];
			break;
		}
	}
	pthread_mutex_unlock(&b->access_lock);
	if (i)
		return 0;
	check_bad_end(b, bracket->start, bracket->len, bracket->direction);
	return dmabuf_fail(EINVAL,
			   "end of CPU access to [%zu, +%zu), direction %d, that was never begun",
			   bracket->start, bracket->len, (int)bracket->direction);
}

static int begin_known(struct buffer *b, const struct bracket *r)
{
	const struct dma_buf_ops *ops = b->base.ops;
	int err;

	if (ops->begin_cpu_access) {
		err = ops->begin_cpu_access(&b->base, r->start, r->len, r->direction);
		if (err)
			return dmabuf_fail(err < 0 ? -err : EINVAL,
					   "exporter %s refused CPU access: %s", b->exp_name,
					   strerror(err < 0 ? -err : EINVAL));
	}
	err = ownership_cpu_begin(b, r->start, r->len, r->direction);
	if (err && ops->end_cpu_access)
		ops->end_cpu_access(&b->base, r->start, r->len, r->direction);
	return err;
}

static int begin(struct buffer *b, const struct bracket *r)
{
	int err = b->storage.ops->keep(&b->storage);

	if (!err)
		err = storage_begin(&b->storage, r->start, r->len, r->direction);
	if (err)
		return err;
	err = begin_known(b, r);
	if (err)
		(void)storage_end(&b->storage, r->start, r->len, r->direction);
	return err;
}

static int begin_bracket(struct buffer *b, const struct bracket *r)
{
	int err = bracket_open(b, r);

	if (err)
		return err;
	err = begin(b, r);
	if (err) {
		bracket_close(b, r);
		ownership_count_writer(b, r->direction, -1);
	}
	return err;
}

DMABUF_PUBLIC int dma_buf_begin_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
					   enum dma_data_direction direction)
{
	struct bracket r = { .start = start, .len = len, .direction = direction };
	struct buffer *b = to_buffer(dmabuf);
	int err = access_check(dmabuf, start, len, direction);

	if (err)
		return err;
	if (direction != DMA_FROM_DEVICE && !may_write(b))
		return dmabuf_fail(EACCES, "CPU write access to a read-only share");
	err = control_intact(&b->control);
	if (!err)
		err = storage_access_begin(b, STORAGE_WAIT);
	if (err)
		return err;
	err = begin_bracket(b, &r);
	if (err) {
		storage_access_end(b);
		return err;
	}
	atomic_store_explicit(&b->accessed, true, memory_order_release);
	control_count(&b->control, cpu_access, 1);
	return 0;
}

DMABUF_PUBLIC int dma_buf_end_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
					 enum dma_data_direction direction)
{
	struct bracket r = { .start = start, .len = len, .direction = direction };
	struct buffer *b = to_buffer(dmabuf);
	int err = access_check(dmabuf, start, len, direction);
	int op_err = 0, storage_err;

	if (!err)
		err = bracket_close(b, &r);
	if (err)
		return err;
	err = ownership_cpu_end(b, start, len, direction);
	/* Not before its bytes are recorded as dirty: meanwhile others must not drop them. */
	ownership_count_writer(b, direction, -1);
	if (b->base.ops->end_cpu_access)
		op_err = b->base.ops->end_cpu_access(dmabuf, start, len, direction);
	storage_err = storage_end(&b->storage, start, len, direction);
	storage_access_end(b);
	if (!err)
		err = op_err;
	return err ? err : storage_err;
}

static int many_check(const struct dma_buf_access *accesses, size_t count)
{
	if ((!accesses && count) || count > MANY_MAX)
		return dmabuf_fail(EINVAL, "%zu accesses at %s; up to %d at a time", count,
				   accesses ? "once" : "NULL", MANY_MAX);
	return 0;
}

DMABUF_PUBLIC int dma_buf_begin_cpu_access_many(const struct dma_buf_access *accesses, size_t count)
{
	const struct dma_buf_access *a;
	size_t i;
	int err = many_check(accesses, count);

	for (i = 0; !err && i < count; i++) {
		a = &accesses[i];
		err = dma_buf_begin_cpu_access(a->dmabuf, a->start, a->len, a->direction);
	}
	if (!err || !i)
		return err;
	for (i--; i > 0; i--) {
		a = &accesses[i - 1];
		dma_buf_end_cpu_access(a->dmabuf, a->start, a->len, a->direction);
	}
	return err;
}

DMABUF_PUBLIC int dma_buf_end_cpu_access_many(const struct dma_buf_access *accesses, size_t count)
{
	const struct dma_buf_access *a;
	int err = many_check(accesses, count), one;
	size_t i;

	if (err)
		return err;
	for (i = count; i > 0; i--) {
		a = &accesses[i - 1];
		one = dma_buf_end_cpu_access(a->dmabuf, a->start, a->len, a->direction);
		if (one && !err)
			err = one;
	}
	return err;
}

static int kmap_check(struct dma_buf *dmabuf, unsigned long page)
{
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	if (page >= page_round_up(dmabuf->size) / page_size())
		return dmabuf_fail(EINVAL, "kmap of page %lu of a buffer of %zu bytes", page,
				   dmabuf->size);
	if (!atomic_load_explicit(&to_buffer(dmabuf)->accessed, memory_order_acquire))
		return dmabuf_fail(EINVAL, "kmap without dma_buf_begin_cpu_access()");
	return 0;
}

DMABUF_PUBLIC void *dma_buf_kmap(struct dma_buf *dmabuf, unsigned long page)
{
	if (kmap_check(dmabuf, page) < 0)
		return NULL;
	return dmabuf->ops->kmap(dmabuf, page);
}

DMABUF_PUBLIC void dma_buf_kunmap(struct dma_buf *dmabuf, unsigned long page, void *vaddr)
{
	if (vaddr && buffer_check(dmabuf) == 0 && dmabuf->ops->kunmap)
		dmabuf->ops->kunmap(dmabuf, page, vaddr);
}

DMABUF_PUBLIC void *dma_buf_kmap_atomic(struct dma_buf *dmabuf, unsigned long page)
{
	void *vaddr;

	if (kmap_check(dmabuf, page) < 0)
		return NULL;
	if (atomic_kmaps >= DMA_BUF_MAX_ATOMIC_KMAPS)
		return dmabuf_fail_ptr(EBUSY,
				       "this thread holds %u atomic kmaps, which is the limit",
				       atomic_kmaps);
	vaddr = dmabuf->ops->kmap_atomic(dmabuf, page);
	if (vaddr)
		atomic_kmaps++;
	return vaddr;
}

DMABUF_PUBLIC void dma_buf_kunmap_atomic(struct dma_buf *dmabuf, unsigned long page, void *vaddr)
{
	if (!vaddr || buffer_check(dmabuf) < 0)
		return;
	if (!atomic_kmaps) {
		dmabuf_fail(EINVAL, "kunmap_atomic without kmap_atomic in this thread");
		return;
	}
	atomic_kmaps--;
	if (dmabuf->ops->kunmap_atomic)
		dmabuf->ops->kunmap_atomic(dmabuf, page, vaddr);
}

static void *vmap(struct buffer *b)
{
	if (b->base.ops->vmap)
		return b->base.ops->vmap(&b->base);
	return b->storage.ops->keep(&b->storage) < 0 ? NULL : b->storage.cpu;
}

DMABUF_PUBLIC void *dma_buf_vmap(struct dma_buf *dmabuf)
{
	struct buffer *b = to_buffer(dmabuf);
	void *vaddr;
	int err = buffer_check(dmabuf);

	if (!err)
		err = storage_access_begin(b, STORAGE_WAIT);
	if (err) {
		errno = -err;
		return NULL;
	}
	pthread_mutex_lock(&b->access_lock);
	if (!b->vmap_count)
		b->vmapped = vmap(b);
	if (b->vmapped)
		b->vmap_count++;
	vaddr = b->vmapped;
	pthread_mutex_unlock(&b->access_lock);
	err = errno;
	storage_access_end(b);
	errno = err;
	return vaddr;
}

DMABUF_PUBLIC void dma_buf_vunmap(struct dma_buf *dmabuf, void *vaddr)
{
	struct buffer *b = to_buffer(dmabuf);
	bool mine;

	if (!vaddr || buffer_check(dmabuf) < 0)
		return;
	pthread_mutex_lock(&b->access_lock);
	mine = b->vmap_count && vaddr == b->vmapped;
	if (mine && --b->vmap_count == 0) {
		b->vmapped = NULL;
		if (b->base.ops->vunmap)
			b->base.ops->vunmap(dmabuf, vaddr);
	}
	pthread_mutex_unlock(&b->access_lock);
	if (!mine)
		dmabuf_fail(EINVAL, "vunmap of %p, which is not vmapped", vaddr);
}

DMABUF_PUBLIC void *dma_buf_mmap(struct dma_buf *dmabuf, size_t offset, size_t length, int prot)
{
	struct buffer *b = to_buffer(dmabuf);
	void *vaddr;
	size_t room;
	int err;

	if (buffer_check(dmabuf) < 0)
		return NULL;
	room = page_round_up(dmabuf->size);
	if (!prot || (prot & ~(PROT_READ | PROT_WRITE)))
		return dmabuf_fail_ptr(EINVAL, "mmap prot 0x%x: PROT_READ, PROT_WRITE or both",
				       (unsigned int)prot);
	if (offset % page_size() || !length || offset > room || length > room - offset)
		return dmabuf_fail_ptr(EINVAL, "mmap of [%zu, +%zu) of a buffer of %zu bytes",
				       offset, length, dmabuf->size);
	if ((prot & PROT_WRITE) && b->storage.read_only)
		return dmabuf_fail_ptr(EACCES, "writable mmap of a read-only buffer");
	err = storage_access_begin(b, STORAGE_WAIT);
	if (err) {
		errno = -err;
		return NULL;
	}
	if (dmabuf->ops->mmap)
		vaddr = dmabuf->ops->mmap(dmabuf, offset, length, prot);
	else
		vaddr = b->storage.ops->map(&b->storage, offset, length, prot);
	err = errno;
	storage_access_end(b);
	errno = err;
	return vaddr;
}

DMABUF_PUBLIC int dma_buf_munmap(void *vaddr, size_t length)
{
	int own;

	if (check_is_on() && vaddr && length)
		check_unmapping(vaddr, length);
	own = vaddr && length ? storage_unmap_own(vaddr, length) : 0;
	if (own)
		return own < 0 ? own : 0;
	if (!vaddr || !length || munmap(vaddr, length) < 0)
		return dmabuf_fail(EINVAL, "munmap of %zu bytes at %p, which is no mapping", length,
				   vaddr);
	return 0;
}
