// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <dmabuf/dma-fence-array.h>

#include "buffer-resv.h"
#include "dma-resv.h"
#include "error.h"
#include "export.h"

DMABUF_PUBLIC void dma_resv_iter_begin(struct dma_resv_iter *cursor, struct dma_resv *obj,
				       enum dma_resv_usage usage)
{
	*cursor = (struct dma_resv_iter){ .obj = obj, .usage = usage };
}

DMABUF_PUBLIC void dma_resv_iter_end(struct dma_resv_iter *cursor)
{
	dma_fence_put(cursor->fence);
	cursor->fence = NULL;
}

DMABUF_PUBLIC enum dma_resv_usage dma_resv_iter_usage(const struct dma_resv_iter *cursor)
{
	return cursor->fence_usage;
}

DMABUF_PUBLIC bool dma_resv_iter_is_restarted(const struct dma_resv_iter *cursor)
{
	return cursor->is_restarted;
}

DMABUF_PUBLIC struct dma_fence *dma_resv_iter_next(struct dma_resv_iter *cursor)
{
	const struct dma_resv_list *list = cursor->obj->fences;
	const struct resv_entry *entry;
	struct buffer_resv *r;

	cursor->is_restarted = false;
	while (list && cursor->index < list->num_fences) {
		entry = &list->entry[cursor->index++];
		cursor->fence_usage = entry->usage;
		if (entry->usage <= cursor->usage)
			return entry->fence;
	}
	r = buffer_resv_of(cursor->obj);
	return r ? resv_proxy_lend(r, cursor->usage, &cursor->entry, &cursor->fence_usage) : NULL;
}

DMABUF_PUBLIC struct dma_fence *dma_resv_iter_first(struct dma_resv_iter *cursor)
{
	struct dma_fence *fence;

	cursor->index = 0;
	cursor->entry = 0;
	fence = dma_resv_iter_next(cursor);
	cursor->is_restarted = true;
	return fence;
}

/* With list_lock held. */
static void restart(struct dma_resv_iter *cursor)
{
	const struct dma_resv_list *list = cursor->obj->fences;

	cursor->version = cursor->obj->version;
	cursor->num_fences = list ? list->num_fences : 0;
	cursor->index = 0;
	cursor->entry = 0;
	cursor->is_restarted = true;
}

/* After this process's fences, those of others, which no list has. */
static bool step_foreign(struct dma_resv_iter *cursor)
{
	struct buffer_resv *r = buffer_resv_of(cursor->obj);

	if (!r)
		return false;
	cursor->fence = resv_proxy_next(r, cursor->usage, &cursor->entry, &cursor->fence_usage);
	return cursor->fence;
}

/* The next entry, whatever it is, with a reference in cursor->fence. false: there is none. */
static bool step(struct dma_resv_iter *cursor, bool anew)
{
	struct dma_resv *obj = cursor->obj;
	bool found;

	lock_word_take(&obj->list_lock);
	if (anew || cursor->version != obj->version)
		restart(cursor);
	found = cursor->index < cursor->num_fences;
	if (found) {
		cursor->fence = dma_fence_get(obj->fences->entry[cursor->index].fence);
		cursor->fence_usage = obj->fences->entry[cursor->index].usage;
		cursor->index++;
	}
	lock_word_give(&obj->list_lock);
	return found || step_foreign(cursor);
}

static struct dma_fence *walk(struct dma_resv_iter *cursor, bool anew)
{
	bool found;

	do {
		dma_resv_iter_end(cursor);
		found = step(cursor, anew);
		anew = false;
	} while (found &&
		 (cursor->fence_usage > cursor->usage || dma_fence_is_signaled(cursor->fence)));
	return cursor->fence;
}

unsigned int resv_iter_room(const struct dma_resv_iter *cursor)
{
	return cursor->num_fences + (buffer_resv_of(cursor->obj) ? SHM_RESV_ENTRIES : 0);
}

DMABUF_PUBLIC struct dma_fence *dma_resv_iter_first_unlocked(struct dma_resv_iter *cursor)
{
	return walk(cursor, true);
}

DMABUF_PUBLIC struct dma_fence *dma_resv_iter_next_unlocked(struct dma_resv_iter *cursor)
{
	cursor->is_restarted = false;
	return walk(cursor, false);
}

static void fences_drop(struct dma_fence **fences, unsigned int count)
{
	while (count)
		dma_fence_put(fences[--count]);
	free(fences);
}

DMABUF_PUBLIC int dma_resv_get_fences(struct dma_resv *obj, enum dma_resv_usage usage,
				      unsigned int *num_fences, struct dma_fence ***fences)
{
	struct dma_fence *fence, **found = NULL;
	struct dma_resv_iter cursor;
	unsigned int count = 0;
	int err = 0;

	dma_resv_iter_begin(&cursor, obj, usage);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (!found || dma_resv_iter_is_restarted(&cursor)) {
			fences_drop(found, count);
			count = 0;
			found = calloc(resv_iter_room(&cursor), sizeof(struct dma_fence *));
			if (!found) {
				err = dmabuf_fail(ENOMEM, "no memory for %u fences",
						  resv_iter_room(&cursor));
				break;
			}
		}
		found[count++] = dma_fence_get(fence);
	}
	dma_resv_iter_end(&cursor);
	/* Failed; or begun anew, and nothing was there any more. */
	if (err || (found && !fence && dma_resv_iter_is_restarted(&cursor))) {
		fences_drop(found, count);
		found = NULL;
		count = 0;
	}
	if (err)
		return err;
	*num_fences = count;
	*fences = found;
	return 0;
}

DMABUF_PUBLIC int dma_resv_get_singleton(struct dma_resv *obj, enum dma_resv_usage usage,
					 struct dma_fence **fence)
{
	struct dma_fence_array *array;
	struct dma_fence **fences;
	unsigned int count;
	int err = dma_resv_get_fences(obj, usage, &count, &fences);

	if (err)
		return err;
	if (count < 2) {
		*fence = count ? fences[0] : NULL;
		free(fences);
		return 0;
	}
	array = dma_fence_array_create((int)count, fences, dma_fence_context_alloc(1), 1, false);
	if (!array) {
		fences_drop(fences, count);
		return -ENOMEM;
	}
	*fence = &array->base;
	return 0;
}

DMABUF_PUBLIC long dma_resv_wait_timeout(struct dma_resv *obj, enum dma_resv_usage usage, bool intr,
					 long timeout)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	long ret = timeout ? timeout : 1;

	if (timeout < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms: must be 0 or more", timeout);
	dma_resv_iter_begin(&cursor, obj, usage);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		ret = dma_fence_wait_timeout(fence, intr, timeout);
		if (ret <= 0)
			break;
		/* What is left is for the next ones; with nothing to begin with, all only look. */
		if (timeout)
			timeout = ret;
	}
	dma_resv_iter_end(&cursor);
	return ret;
}

DMABUF_PUBLIC bool dma_resv_test_signaled(struct dma_resv *obj, enum dma_resv_usage usage)
{
	struct dma_resv_iter cursor;
	bool signaled;

	dma_resv_iter_begin(&cursor, obj, usage);
	signaled = !dma_resv_iter_first_unlocked(&cursor);
	dma_resv_iter_end(&cursor);
	return signaled;
}

DMABUF_PUBLIC int dma_resv_describe(struct dma_resv *obj, char *text, size_t size)
{
	static const char *const usages[] = { "kernel", "write", "read", "bookkeep" };
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	size_t used = 0;
	int length;

	if (!text || !size)
		return dmabuf_fail(EINVAL, "a description needs room for text");
	text[0] = '\0';
	dma_resv_iter_begin(&cursor, obj, DMA_RESV_USAGE_BOOKKEEP);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (dma_resv_iter_is_restarted(&cursor))
			used = 0;
		length = snprintf(text + used, size - used,
				  "%s fence: ", usages[dma_resv_iter_usage(&cursor)]);
		used += (size_t)length;
		if (used >= size || dma_fence_describe(fence, text + used, size - used))
			break;
		while (text[used])
			used++;
		if (used + 1 >= size)
			break;
		text[used++] = '\n';
		text[used] = '\0';
	}
	dma_resv_iter_end(&cursor);
	return fence ? -ENOSPC : 0;
}
