// SPDX-License-Identifier: MIT
#include "dma-resv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dmabuf/dma-fence-array.h>
#include <dmabuf/dma-fence-chain.h>

#include "buffer-resv.h"
#include "error.h"
#include "export.h"

/* The least that is worth an allocation, and the most that makes sense. */
#define LIST_MIN 4u
#define LIST_MAX (1u << 20)

/* Wait-die, as mainline's. */
static DMABUF_DEFINE_WD_CLASS(resv_class);

DMABUF_PUBLIC struct dmabuf_ww_class *dma_resv_ww_class(void)
{
	return &resv_class;
}

DMABUF_PUBLIC void dma_resv_init(struct dma_resv *obj)
{
	memset(obj, 0, sizeof(*obj));
	dmabuf_ww_mutex_init(&obj->lock, &resv_class);
}

DMABUF_PUBLIC void dma_resv_fini(struct dma_resv *obj)
{
	resv_list_free(obj->fences);
	obj->fences = NULL;
	dmabuf_ww_mutex_destroy(&obj->lock);
}

DMABUF_PUBLIC int dma_resv_lock(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx)
{
	return dmabuf_ww_mutex_lock(&obj->lock, ctx);
}

DMABUF_PUBLIC int dma_resv_lock_interruptible(struct dma_resv *obj,
					      struct dmabuf_ww_acquire_ctx *ctx)
{
	return dmabuf_ww_mutex_lock_interruptible(&obj->lock, ctx);
}

DMABUF_PUBLIC int dma_resv_lock_slow(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx)
{
	return dmabuf_ww_mutex_lock_slow(&obj->lock, ctx);
}

DMABUF_PUBLIC int dma_resv_lock_slow_interruptible(struct dma_resv *obj,
						   struct dmabuf_ww_acquire_ctx *ctx)
{
	return dmabuf_ww_mutex_lock_slow_interruptible(&obj->lock, ctx);
}

DMABUF_PUBLIC bool dma_resv_trylock(struct dma_resv *obj)
{
	return dmabuf_ww_mutex_trylock(&obj->lock, NULL) == 1;
}

DMABUF_PUBLIC int dma_resv_unlock(struct dma_resv *obj)
{
	return dmabuf_ww_mutex_unlock(&obj->lock);
}

DMABUF_PUBLIC bool dma_resv_is_locked(const struct dma_resv *obj)
{
	return dmabuf_ww_mutex_is_locked(&obj->lock);
}

DMABUF_PUBLIC int dma_resv_assert_held(const struct dma_resv *obj)
{
	/* A buffer's may be somebody else's. */
	if (obj->lock.shared ? ww_shared_ours(obj->lock.shared) : dma_resv_is_locked(obj))
		return 0;
	return dmabuf_fail(EPERM, "the reservation object is not locked: dma_resv_lock() it first");
}

DMABUF_PUBLIC struct dmabuf_ww_acquire_ctx *dma_resv_locking_ctx(const struct dma_resv *obj)
{
	return dmabuf_ww_mutex_ctx(&obj->lock);
}

struct dma_resv_list *resv_list_new(unsigned int max_fences)
{
	struct dma_resv_list *list;
	unsigned int room = LIST_MIN;

	while (room < max_fences && room < LIST_MAX)
		room *= 2;
	list = room < max_fences ? NULL : malloc(sizeof(*list) + room * sizeof(list->entry[0]));
	if (!list)
		return dmabuf_fail_ptr(ENOMEM, "no memory for %u fences", max_fences);
	list->num_fences = 0;
	list->max_fences = room;
	return list;
}

void resv_list_free(struct dma_resv_list *list)
{
	unsigned int i;

	for (i = 0; list && i < list->num_fences; i++)
		dma_fence_put(list->entry[i].fence);
	free(list);
}

struct dma_resv_list *resv_list_exchange(struct dma_resv *obj, struct dma_resv_list *list)
{
	struct dma_resv_list *old;

	lock_word_take(&obj->list_lock);
	old = obj->fences;
	obj->fences = list;
	obj->version++;
	lock_word_give(&obj->list_lock);
	return old;
}

DMABUF_PUBLIC int dma_resv_reserve_fences(struct dma_resv *obj, unsigned int num_fences)
{
	struct dma_resv_list *old = obj->fences, *list;
	unsigned int used = old ? old->num_fences : 0, i;
	struct buffer_resv *r = buffer_resv_of(obj);
	int err = dma_resv_assert_held(obj);

	if (err)
		return err;
	if (!num_fences)
		return dmabuf_fail(EINVAL, "room for no fence is no reservation");
	if (r)
		err = resv_publish_reserve(r, num_fences);
	if (err)
		return err;
	if (old && num_fences <= old->max_fences - used)
		return 0;
	if (num_fences > LIST_MAX - used)
		return dmabuf_fail(ENOMEM, "room for %u more fences: %u is the most", num_fences,
				   LIST_MAX);
	list = resv_list_new(used + num_fences);
	if (!list)
		return -ENOMEM;
	/* Whoever looks at the old list still finds all in it, so it is emptied after the exchange.
	 */
	for (i = 0; i < used; i++)
		if (!dma_fence_is_signaled(old->entry[i].fence)) {
			dma_fence_get(old->entry[i].fence);
			list->entry[list->num_fences++] = old->entry[i];
		}
	resv_list_free(resv_list_exchange(obj, list));
	return 0;
}

static void entry_set(struct dma_resv *obj, unsigned int i, struct dma_fence *fence,
		      enum dma_resv_usage usage)
{
	struct dma_resv_list *list = obj->fences;
	struct dma_fence *old = NULL;

	lock_word_take(&obj->list_lock);
	if (i < list->num_fences)
		old = list->entry[i].fence;
	else
		list->num_fences = i + 1;
	list->entry[i] = (struct resv_entry){ dma_fence_get(fence), usage };
	lock_word_give(&obj->list_lock);
	dma_fence_put(old);
}

/* Does the new fence end no earlier, and matter to all that the old one matters to? */
static bool supersedes(const struct dma_fence *fence, enum dma_resv_usage usage,
		       const struct resv_entry *old)
{
	return old->fence->context == fence->context && old->usage >= usage &&
	       dma_fence_is_later(fence, old->fence);
}

DMABUF_PUBLIC int dma_resv_add_fence(struct dma_resv *obj, struct dma_fence *fence,
				     enum dma_resv_usage usage)
{
	struct dma_resv_list *list = obj->fences;
	unsigned int i;
	int err = dma_resv_assert_held(obj);

	if (err)
		return err;
	if (!fence || usage > DMA_RESV_USAGE_BOOKKEEP)
		return dmabuf_fail(EINVAL, "there is no fence, or %u is no usage", usage);
	if (dma_fence_is_array(fence) || dma_fence_is_chain(fence))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "an array or a chain was added to a reservation object: add the fences "
			   "in it one by one");
	for (i = 0; list && i < list->num_fences; i++)
		if (supersedes(fence, usage, &list->entry[i]) ||
		    dma_fence_is_signaled(list->entry[i].fence))
			break;
	if (!list || i == list->max_fences)
		return dmabuf_fail(ENOSPC,
				   "no room for the fence: dma_resv_reserve_fences() before "
				   "the work is begun");
	entry_set(obj, i, fence, usage);
	if (buffer_resv_of(obj))
		resv_publish(buffer_resv_of(obj), fence, usage);
	return 0;
}

DMABUF_PUBLIC void dma_resv_replace_fences(struct dma_resv *obj, uint64_t context,
					   struct dma_fence *replacement, enum dma_resv_usage usage)
{
	struct buffer_resv *r = buffer_resv_of(obj);
	struct dma_fence *old;
	unsigned int i;

	for (i = 0; obj->fences && i < obj->fences->num_fences; i++) {
		old = obj->fences->entry[i].fence;
		if (old->context != context)
			continue;
		if (r)
			resv_publish_replace(r, old, replacement, usage);
		entry_set(obj, i, replacement, usage);
	}
}

/* What was copied into a buffer's object keeps others away as what is added does. */
static int exchange_and_publish(struct dma_resv *dst, struct dma_resv_list *list)
{
	struct buffer_resv *r = buffer_resv_of(dst);
	unsigned int i;

	if (r && list && resv_publish_reserve(r, list->num_fences)) {
		resv_list_free(list);
		return -ENOMEM;
	}
	resv_list_free(resv_list_exchange(dst, list));
	for (i = 0; r && list && i < list->num_fences; i++)
		resv_publish(r, list->entry[i].fence, list->entry[i].usage);
	return 0;
}

DMABUF_PUBLIC int dma_resv_copy_fences(struct dma_resv *dst, struct dma_resv *src)
{
	struct dma_resv_list *list = NULL;
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	int err = dma_resv_assert_held(dst);

	if (err)
		return err;
	dma_resv_iter_begin(&cursor, src, DMA_RESV_USAGE_BOOKKEEP);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		if (!list || dma_resv_iter_is_restarted(&cursor)) {
			resv_list_free(list);
			list = resv_list_new(resv_iter_room(&cursor));
			if (!list) {
				dma_resv_iter_end(&cursor);
				return -ENOMEM;
			}
		}
		list->entry[list->num_fences++] =
			(struct resv_entry){ dma_fence_get(fence), dma_resv_iter_usage(&cursor) };
	}
	dma_resv_iter_end(&cursor);
	/* Begun anew, and nothing was there any more. */
	if (list && dma_resv_iter_is_restarted(&cursor)) {
		resv_list_free(list);
		list = NULL;
	}
	return exchange_and_publish(dst, list);
}
