/* SPDX-License-Identifier: MIT */
/* Other storage for a buffer that has some. */
#ifndef DMABUF_SRC_STORAGE_MIGRATE_H
#define DMABUF_SRC_STORAGE_MIGRATE_H

#include <dmabuf/heap.h>

#include "buffer.h"

/* As whom it holds the reservation meanwhile. */
#define STORAGE_MIGRATION "migration"

/* How long a device that the storage does not suit waits for its turn. */
#define STORAGE_PATIENCE_MS 5000

/*
 * To @heap, or if that is NULL and the storage does not suit all devices, to the first heap of the
 * plan that has memory; once no access is held, until @deadline (of clock_ns(); 0: now or not). 0,
 * also where nothing is to be done; -EBUSY with words: it may not move; -EAGAIN with words: not
 * now, accesses are held (with a deadline: -ETIMEDOUT); -EINVAL with words: the heap does not suit;
 * what the exporter's op, the home or the heaps said.
 */
int storage_migrate(struct buffer *b, const char *heap, uint64_t deadline);

/* Which heaps the buffer's storage can be from: how many, or -ENOMEM; DMA_BUF_MAX_HEAPS fit. */
int storage_list_heaps(struct buffer *b, struct dma_buf_heap_info *list);

/*
 * @device has been attached, and with it the others. 0: the storage suits, or moves as soon as no
 * access is held; -EBUSY with words: it may not move; else what kept it from moving.
 */
int storage_attached(struct buffer *b, const char *device);

/* The same for whoever comes along, if nobody is in the way. True: it was done. */
bool storage_migrate_wanted(struct buffer *b);

/* May it move at all? 0, or -EBUSY with the reason in words. */
int storage_may_move(struct buffer *b);

/*
 * Does the storage, if there is some, suit all who are attached? If not, that is said in the
 * control block. 1, 0 or -errno with words. Takes the list lock, unless this thread has it.
 */
int storage_suits(struct buffer *b);

struct storage_plan;

/* The same with the list lock held, for the heaps of @plan as they are described there. */
int storage_plan_suits(struct buffer *b, struct storage_plan *plan);

/*
 * With the owner's place and no access held: new storage by @plan has the bytes and is in force. 0;
 * -errno with words, and everything is as it was.
 */
int storage_replace(struct buffer *b, const struct storage_plan *plan);

#endif
