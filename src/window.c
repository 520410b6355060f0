// SPDX-License-Identifier: MIT
#include "window.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "heaps/heaps.h"

#define FREE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

int window_reserve(struct window *w, size_t offset, size_t length, int prot, bool inherit)
{
	size_t first = offset & ~(WINDOW_UNIT - 1);
	size_t span = (offset + length - first + WINDOW_UNIT - 1) & ~(WINDOW_UNIT - 1);
	char *whole = mmap(NULL, span + WINDOW_UNIT, PROT_NONE, FREE_FLAGS, -1, 0), *base;
	size_t before;

	if (whole == MAP_FAILED)
		return dmabuf_fail(errno, "no %zu bytes of addresses to be had: %s", span,
				   strerror(errno));
	before = -(uintptr_t)whole & (WINDOW_UNIT - 1);
	base = whole + before;
	if (before)
		munmap(whole, before);
	munmap(base + span, WINDOW_UNIT - before);
	if (!inherit)
		(void)madvise(base, span, MADV_DONTFORK);
	*w = (struct window){
		.base = base, .span = span, .offset = first, .prot = prot, .inherit = inherit
	};
	list_init(&w->link);
	return 0;
}

/* Nobody else's mapping must come to be where ours are expected. */
static void empty(struct window *w, size_t from, size_t to)
{
	if (from >= to)
		return;
	(void)mmap(w->base + from, to - from, PROT_NONE, FREE_FLAGS | MAP_FIXED, -1, 0);
	if (!w->inherit)
		(void)madvise(w->base + from, to - from, MADV_DONTFORK);
}

static int settle(struct window *w, size_t length, const struct window_view *view)
{
	if (!w->inherit && madvise(w->base, length, MADV_DONTFORK) < 0)
		return dmabuf_fail(errno, "keeping a mapping from children failed: %s",
				   strerror(errno));
	/* What nobody may touch is locked through other addresses. */
	return view->locked && w->prot != PROT_NONE ? heap_lock(w->base, length) : 0;
}

int window_fill(struct window *w, const struct window_view *view)
{
	size_t length = view->size > w->offset ? view->size - w->offset : 0, before = w->filled;
	void *at = MAP_FAILED;
	int err = 0;

	if (length > w->span)
		length = w->span;
	length &= ~(view->granule - 1);
	/* All of what was there at once, since huge pages cannot go in part. */
	if (length)
		at = mmap(w->base, length > before ? length : before, w->prot,
			  MAP_SHARED | MAP_FIXED, view->fd, (off_t)w->offset);
	if (at == MAP_FAILED)
		err = dmabuf_fail(length ? errno : EINVAL, "mapping %zu bytes at %zu failed: %s",
				  length, w->offset, strerror(length ? errno : EINVAL));
	else
		err = settle(w, length, view);
	if (err) {
		empty(w, 0, w->span);
		w->filled = 0;
		return err;
	}
	empty(w, length, before);
	w->filled = length;
	return 0;
}

void window_release(struct window *w)
{
	if (w->base)
		munmap(w->base, w->span);
	w->base = NULL;
	w->filled = 0;
}
