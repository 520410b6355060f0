// SPDX-License-Identifier: MIT
/* Does the storage that a buffer has suit all who are attached, and may it move (mission row F6)?
 */
#include "storage-migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachment-constraints.h"
#include "attachment.h"
#include "error.h"
#include "storage-deferred.h"

int storage_may_move(struct buffer *b)
{
	if (!b->storage.deferred)
		return dmabuf_fail(EBUSY, "the buffer's storage is in its own descriptor and stays "
					  "there: export it deferred");
	if (!storage_in_force(b))
		return 0;
	if (b->storage.deferred->fixed)
		return dmabuf_fail(EBUSY,
				   "the buffer's storage must not move: it was exported with "
				   "DMA_BUF_STORAGE_FIXED");
	if (atomic_load(&shared_storage(b)->out) & SHM_STORAGE_RAW)
		return dmabuf_fail(EBUSY, "the buffer's storage must not move: its descriptor was "
					  "handed out by dma_buf_payload_fd()");
	return 0;
}

/* Its pool may be used up by now, by this very buffer. */
static void describe_current(const struct buffer *b, struct storage_plan *plan,
			     struct dma_buf_heap_info *heap)
{
	struct shm_storage_record record;
	unsigned int h = 0;

	if (!storage_read_record(&b->control, storage_in_force(b), &record))
		record.heap[0] = '\0';
	while (h < plan->known_count && strcmp(plan->known[h].name, record.heap) != 0)
		h++;
	/* Of a heap that is not known here, it is only sure that it is memory. */
	*heap = plan->known[h < plan->known_count ? h : 0];
	heap->available = true;
	heap->capacity = 0;
}

int storage_plan_suits(struct buffer *b, struct storage_plan *plan)
{
	struct dma_buf_heap_info heap;

	describe_current(b, plan, &heap);
	return attachments_fit(b, &heap);
}

/* With the list lock held. */
static void say_wanted(struct buffer *b, bool wanted)
{
	if (wanted)
		atomic_fetch_or(&shared_storage(b)->state, SHM_STORAGE_WANTED);
	else
		atomic_fetch_and(&shared_storage(b)->state, ~(uint64_t)SHM_STORAGE_WANTED);
}

/* Heaps need not be looked at for devices that need nothing. 1: so it is; 0; -errno with words. */
static int suits_anyway(struct buffer *b)
{
	bool nested;
	int ret = attachments_lock(b, &nested);

	if (ret)
		return ret;
	ret = attachments_need_nothing(b);
	if (ret)
		say_wanted(b, false);
	if (!nested)
		attachments_unlock(b);
	return ret;
}

int storage_suits(struct buffer *b)
{
	struct storage_plan *plan;
	bool nested;
	int ret;

	if (!b->storage.deferred || !storage_in_force(b))
		return 1;
	ret = suits_anyway(b);
	if (ret)
		return ret;
	plan = storage_plan_new(b);
	if (!plan)
		return -ENOMEM;
	ret = attachments_lock(b, &nested);
	if (!ret) {
		ret = storage_plan_suits(b, plan);
		if (ret >= 0)
			say_wanted(b, !ret);
		if (!nested)
			attachments_unlock(b);
	}
	free(plan);
	return ret;
}

int storage_list_heaps(struct buffer *b, struct dma_buf_heap_info *list)
{
	struct storage_plan *plan = storage_plan_new(b);
	int count = 1;

	if (!plan)
		return -ENOMEM;
	if (storage_may_move(b) < 0) {
		describe_current(b, plan, list);
	} else {
		memcpy(list, plan->known, sizeof(plan->known));
		count = (int)plan->known_count;
	}
	free(plan);
	return count;
}
