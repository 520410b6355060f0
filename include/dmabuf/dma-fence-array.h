/* SPDX-License-Identifier: MIT */
/**
 * DOC: arrays of fences
 *
 * One fence that is signalled when all fences of a set are, or when the first of them is.
 */
#ifndef DMABUF_DMA_FENCE_ARRAY_H
#define DMABUF_DMA_FENCE_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/dma-fence.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_fence_array;

/**
 * struct dma_fence_array_cb - an array's callback on one of its fences; for the library only
 * @cb: the callback
 * @array: the array
 */
struct dma_fence_array_cb {
	struct dma_fence_cb cb;
	struct dma_fence_array *array;
};

/**
 * struct dma_fence_array - a fence made of fences
 * @base: the fence
 * @lock: its lock
 * @num_fences: how many there are in @fences
 * @fences: the fences, each with a reference; may be read
 * @num_pending: how many have to be signalled still; for the library only
 * @callbacks: one for each fence; for the library only
 * @work: signals the array; for the library only
 */
struct dma_fence_array {
	struct dma_fence base;
	struct dma_fence_lock lock;
	unsigned int num_fences;
	struct dma_fence **fences;
	int num_pending;
	struct dma_fence_array_cb *callbacks;
	struct dma_fence_work work;
};

#ifndef DMABUF_DISABLED
/**
 * dma_fence_array_create - one fence for several
 * @num_fences: how many, 1 or more
 * @fences: malloc()ed; belongs to the array on success, the references in it too
 * @context: context of the new fence
 * @seqno: its seqno
 * @signal_on_any: signalled by the first of @fences; false: by the last
 *
 * The error of the first fence that failed becomes the array's, if the array was not signalled yet.
 * Fences that have ended are noticed without anybody watching the array.
 *
 * Return: the array, whose base the caller has the one reference to; NULL with errno EINVAL or
 * ENOMEM. Never blocks.
 */
struct dma_fence_array *dma_fence_array_create(int num_fences, struct dma_fence **fences,
					       uint64_t context, unsigned int seqno,
					       bool signal_on_any);

/**
 * dma_fence_is_array - is it an array
 * @fence: the fence
 *
 * Return: true: it is. Never blocks.
 */
bool dma_fence_is_array(const struct dma_fence *fence);

/**
 * dma_fence_to_array - the array that a fence is (kernel: to_dma_fence_array)
 * @fence: the fence, or NULL
 *
 * Return: the array; NULL: it is none. Never blocks.
 */
struct dma_fence_array *dma_fence_to_array(struct dma_fence *fence);

/**
 * dma_fence_array_first - the first fence in an array
 * @head: the array, another fence, or NULL
 *
 * Return: the first one, @head itself if it is no array, without a reference. Never blocks.
 */
struct dma_fence *dma_fence_array_first(struct dma_fence *head);

/**
 * dma_fence_array_next - the others
 * @head: what dma_fence_array_first() was given
 * @index: 1 and up
 *
 * Return: fence number @index, without a reference; NULL: there are no more. Never blocks.
 */
struct dma_fence *dma_fence_array_next(struct dma_fence *head, unsigned int index);
#else
#include <dmabuf/stubs/dma-fence-array.h>
#endif

/**
 * dma_fence_array_for_each - all fences of an array, or the one fence that is none
 * @fence: struct dma_fence * that runs
 * @index: unsigned int that counts
 * @head: the array, another fence, or NULL
 */
#define dma_fence_array_for_each(fence, index, head)                              \
	for ((index) = 0, (fence) = dma_fence_array_first(head); (fence) != NULL; \
	     ++(index), (fence) = dma_fence_array_next(head, index))

#ifdef __cplusplus
}
#endif
#endif
