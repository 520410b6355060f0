// SPDX-License-Identifier: MIT
#include <dmabuf/dma-fence-array.h>

#include <errno.h>
#include <stdlib.h>

#include "dma-fence.h"
#include "error.h"
#include "export.h"
#include "list.h"

/* The array's error while it is not complete and no fence has failed. */
#define NO_ERROR_YET 1

static const struct dma_fence_ops array_ops;

DMABUF_PUBLIC bool dma_fence_is_array(const struct dma_fence *fence)
{
	return fence->ops == &array_ops;
}

DMABUF_PUBLIC struct dma_fence_array *dma_fence_to_array(struct dma_fence *fence)
{
	if (!fence || !dma_fence_is_array(fence))
		return NULL;
	return container_of(fence, struct dma_fence_array, base);
}

static const char *array_driver_name(struct dma_fence *fence)
{
	return "dma_fence_array";
}

static const char *array_timeline_name(struct dma_fence *fence)
{
	return "unbound";
}

/* The first one to fail says how the array ends. */
static void error_note(struct dma_fence_array *array, struct dma_fence *fence)
{
	int error = __atomic_load_n(&fence->error, __ATOMIC_RELAXED), none = NO_ERROR_YET;

	if (error)
		__atomic_compare_exchange_n(&array->base.error, &none, error, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The array is complete: no later failure changes its error. */
static void error_settle(struct dma_fence_array *array)
{
	int none = NO_ERROR_YET;

	__atomic_compare_exchange_n(&array->base.error, &none, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

static void array_complete(struct dma_fence_work *work)
{
	struct dma_fence_array *array = container_of(work, struct dma_fence_array, work);

	dma_fence_signal(&array->base);
	dma_fence_put(&array->base);
}

/* One less to wait for. true: it was the one that counts. */
static bool array_count(struct dma_fence_array *array, struct dma_fence *fence)
{
	error_note(array, fence);
	if (__atomic_sub_fetch(&array->num_pending, 1, __ATOMIC_ACQ_REL))
		return false;
	error_settle(array);
	return true;
}

static void array_fence_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct dma_fence_array *array = container_of(cb, struct dma_fence_array_cb, cb)->array;

	if (array_count(array, fence))
		fence_work_queue(&array->work, array_complete);
	else
		dma_fence_put(&array->base);
}

/* Each callback has a reference to the array: it may outlive everybody else's interest. */
static bool array_enable_signaling(struct dma_fence *fence)
{
	struct dma_fence_array *array = dma_fence_to_array(fence);
	unsigned int i;

	for (i = 0; i < array->num_fences; i++) {
		array->callbacks[i].array = array;
		dma_fence_get(fence);
		if (!dma_fence_add_callback(array->fences[i], &array->callbacks[i].cb,
					    array_fence_signaled))
			continue;
		__atomic_sub_fetch(&fence->refcount, 1, __ATOMIC_RELAXED);
		if (array_count(array, array->fences[i]))
			return false;
	}
	return true;
}

/* While nobody watches the array no callback counts, so look at the fences. */
static bool array_poll(struct dma_fence_array *array, int pending)
{
	unsigned int i;

	for (i = 0; i < array->num_fences && pending > 0; i++)
		if (dma_fence_is_signaled(array->fences[i]))
			pending--;
	if (pending > 0)
		return false;
	for (i = 0; i < array->num_fences; i++)
		if (dma_fence_test_signaled_flag(array->fences[i]))
			error_note(array, array->fences[i]);
	error_settle(array);
	return true;
}

static bool array_signaled(struct dma_fence *fence)
{
	struct dma_fence_array *array = dma_fence_to_array(fence);
	/* The count first: if the array turns out to be unwatched, no callback was in it. */
	int pending = __atomic_load_n(&array->num_pending, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&fence->flags, __ATOMIC_ACQUIRE) & FENCE_WATCHED)
		return pending <= 0;
	return array_poll(array, pending);
}

static void array_release(struct dma_fence *fence)
{
	struct dma_fence_array *array = dma_fence_to_array(fence);
	unsigned int i;

	for (i = 0; i < array->num_fences; i++)
		dma_fence_put(array->fences[i]);
	free(array->fences);
	free(array->callbacks);
	free(array);
}

static const struct dma_fence_ops array_ops = {
	.get_driver_name = array_driver_name,
	.get_timeline_name = array_timeline_name,
	.enable_signaling = array_enable_signaling,
	.signaled = array_signaled,
	.release = array_release,
};

DMABUF_PUBLIC struct dma_fence_array *dma_fence_array_create(int num_fences,
							     struct dma_fence **fences,
							     uint64_t context, unsigned int seqno,
							     bool signal_on_any)
{
	struct dma_fence_array *array;

	if (num_fences <= 0 || !fences)
		return dmabuf_fail_ptr(EINVAL, "an array of %d fences: there must be one",
				       num_fences);
	array = calloc(1, sizeof(*array));
	if (array)
		array->callbacks = calloc((size_t)num_fences, sizeof(*array->callbacks));
	if (!array || !array->callbacks) {
		free(array);
		return dmabuf_fail_ptr(ENOMEM, "no memory for an array of %d fences", num_fences);
	}
	dma_fence_init(&array->base, &array_ops, &array->lock, context, seqno);
	array->num_fences = (unsigned int)num_fences;
	array->fences = fences;
	array->num_pending = signal_on_any ? 1 : num_fences;
	array->base.error = NO_ERROR_YET;
	return array;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_array_first(struct dma_fence *head)
{
	struct dma_fence_array *array = dma_fence_to_array(head);

	return array ? array->fences[0] : head;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_array_next(struct dma_fence *head, unsigned int index)
{
	struct dma_fence_array *array = dma_fence_to_array(head);

	return array && index < array->num_fences ? array->fences[index] : NULL;
}

DMABUF_PUBLIC bool dma_fence_match_context(struct dma_fence *fence, uint64_t context)
{
	struct dma_fence_array *array = dma_fence_to_array(fence);
	unsigned int i;

	if (!array)
		return fence->context == context;
	for (i = 0; i < array->num_fences; i++)
		if (array->fences[i]->context != context)
			return false;
	return true;
}
