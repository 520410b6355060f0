// SPDX-License-Identifier: MIT
#include <dmabuf/dma-fence-unwrap.h>

#include <errno.h>
#include <stdlib.h>

#include <dmabuf/dma-fence-array.h>
#include <dmabuf/dma-fence-chain.h>

#include "dma-fence.h"
#include "error.h"
#include "export.h"

static struct dma_fence *link_enter(struct dma_fence_unwrap *cursor)
{
	cursor->index = 0;
	cursor->array = cursor->chain ? dma_fence_chain_contained(cursor->chain) : NULL;
	return dma_fence_array_first(cursor->array);
}

DMABUF_PUBLIC struct dma_fence *dma_fence_unwrap_first(struct dma_fence *head,
						       struct dma_fence_unwrap *cursor)
{
	cursor->chain = dma_fence_get(head);
	return link_enter(cursor);
}

DMABUF_PUBLIC struct dma_fence *dma_fence_unwrap_next(struct dma_fence_unwrap *cursor)
{
	struct dma_fence *fence = dma_fence_array_next(cursor->array, ++cursor->index);

	if (fence || !cursor->chain)
		return fence;
	cursor->chain = dma_fence_chain_walk(cursor->chain);
	return link_enter(cursor);
}

DMABUF_PUBLIC void dma_fence_unwrap_end(struct dma_fence_unwrap *cursor)
{
	dma_fence_put(cursor->chain);
	cursor->chain = NULL;
	cursor->array = NULL;
}

/* Fences that are left to wait for, each with a reference. */
struct harvest {
	struct dma_fence **fences;
	unsigned int count;
	unsigned int room;
	int64_t signaled_at; /* when the latest of the others was signalled */
};

static int harvest_add(struct harvest *h, struct dma_fence *fence)
{
	unsigned int room = h->room ? h->room * 2 : 8;
	struct dma_fence **more;

	if (h->count == h->room) {
		more = realloc(h->fences, room * sizeof(struct dma_fence *));
		if (!more)
			return dmabuf_fail(ENOMEM, "no memory to merge %u fences", room);
		h->fences = more;
		h->room = room;
	}
	h->fences[h->count++] = dma_fence_get(fence);
	return 0;
}

static int harvest_one(struct harvest *h, struct dma_fence *head)
{
	struct dma_fence_unwrap cursor;
	struct dma_fence *fence;
	int64_t when;

	dma_fence_unwrap_for_each(fence, &cursor, head) {
		if (dma_fence_is_signaled(fence)) {
			when = dma_fence_timestamp(fence);
			if (when > h->signaled_at)
				h->signaled_at = when;
		} else if (harvest_add(h, fence)) {
			dma_fence_unwrap_end(&cursor);
			return -ENOMEM;
		}
	}
	return 0;
}

static void harvest_drop(struct harvest *h)
{
	while (h->count)
		dma_fence_put(h->fences[--h->count]);
	free(h->fences);
}

/* By context, and the latest first. */
static int compare(const void *a, const void *b)
{
	const struct dma_fence *f1 = *(struct dma_fence *const *)a;
	const struct dma_fence *f2 = *(struct dma_fence *const *)b;

	if (f1->context != f2->context)
		return f1->context < f2->context ? -1 : 1;
	return dma_fence_is_later(f2, f1) - dma_fence_is_later(f1, f2);
}

static void harvest_dedupe(struct harvest *h)
{
	unsigned int i, kept = 0;

	if (!h->count)
		return;
	qsort(h->fences, h->count, sizeof(struct dma_fence *), compare);
	for (i = 1; i < h->count; i++) {
		if (h->fences[i]->context == h->fences[kept]->context)
			dma_fence_put(h->fences[i]);
		else
			h->fences[++kept] = h->fences[i];
	}
	h->count = kept + 1;
}

static struct dma_fence *harvest_wrap(struct harvest *h)
{
	struct dma_fence_array *array;

	if (!h->count)
		return fence_private_stub(h->signaled_at ? h->signaled_at : (int64_t)clock_ns());
	if (h->count == 1)
		return dma_fence_get(h->fences[0]);
	array = dma_fence_array_create((int)h->count, h->fences, dma_fence_context_alloc(1), 1,
				       false);
	if (!array)
		return NULL;
	h->fences = NULL;
	h->count = 0;
	return &array->base;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_unwrap_merge_array(unsigned int num_fences,
							     struct dma_fence **fences)
{
	struct harvest h = { 0 };
	struct dma_fence *merged = NULL;
	unsigned int i;
	int err = 0;

	for (i = 0; i < num_fences && !err; i++)
		err = harvest_one(&h, fences[i]);
	harvest_dedupe(&h);
	if (!err)
		merged = harvest_wrap(&h);
	harvest_drop(&h);
	return merged;
}
