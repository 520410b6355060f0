/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_ATTACHMENT_H
#define DMABUF_SRC_ATTACHMENT_H

#include "buffer.h"

enum mapping_owner {
	MAPPING_DEVICE,
	MAPPING_CPU,	/* between sync for cpu and sync for device */
	MAPPING_PARKED, /* nobody: until a DMA lock is granted, or one of the two syncs */
};

/* A table in the device's hands. */
struct mapping {
	struct dma_buf_sg_table *table;
	enum dma_data_direction direction;
	bool noncoherent;
	bool zero_copy; /* demanded */
	enum mapping_owner owner;
	/* What a non-coherent device that owns it may do: less than @direction by a reader's lock.
	 */
	enum dma_data_direction lent;
	struct mapping *next;
};

struct attachment {
	struct dma_buf_attachment base;
	uint32_t index; /* of the shared entry */
	enum dma_data_direction usage;
	struct dma_buf_device_parameters needs; /* of the device, for that */
	bool vouched;				/* by the exporter: @needs do not count */
	pthread_mutex_t map_lock;
	struct mapping *mappings;	/* guarded by map_lock */
	uint64_t table_generation;	/* of the storage of base.sgt */
	_Atomic(uint64_t) suited;	/* latest generation that was found to suit everybody */
	struct attachment *prev, *next; /* of the buffer's list */
	struct attachment *self;	/* the key below */
	UT_hash_handle hh;		/* of all attachments of the process, by address */
};

/*
 * 0 if @table is a live mapping of @attach whose direction allows @direction and which the device
 * owns; else -EINVAL, -ECHILD with words.
 */
int attachment_check_mapped(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			    enum dma_data_direction direction);

/*
 * With map_lock held: the mapping of @table with @direction; of several of a kept table, one with
 * that @owner, if there is one. NULL with words: there is none.
 */
struct mapping **mapping_find(struct attachment *a, struct dma_buf_sg_table *table,
			      enum dma_data_direction direction, enum mapping_owner owner);

/* The same for words only: how @table is mapped; DMA_NONE: it is not. */
enum dma_data_direction mapping_direction(const struct attachment *a,
					  const struct dma_buf_sg_table *table);

/* Does somebody who mapped @table demand that nothing is copied? */
bool attachment_zero_copy(struct dma_buf_attachment *attach, const struct dma_buf_sg_table *table);

/* 0 if @attach is attached now, in this process; else -EINVAL or -ECHILD with words. */
int attachment_check(struct dma_buf_attachment *attach);

/*
 * The list lock. @nested: this thread has it already, inside the exporter's attach or detach, and
 * so must not unlock. 0 or -errno with words.
 */
int attachments_lock(struct buffer *b, bool *nested);
void attachments_unlock(struct buffer *b);

struct shm_attachment *attachment_entry(struct attachment *a);

/*
 * A DMA lock is granted, or given back: non-coherent mappings that nobody owns go to their devices,
 * as far as the lock and their direction allow, and come back with the last such lock. The lock's
 * hold is counted if it began; one that was granted when nobody kept track only ends. @coherent:
 * this process also, or only, has devices that share the CPU's caches. A failed begin changes
 * nothing; a failed end ends all the same. 0 or -errno with words.
 */
int attachments_lend(struct buffer *b, bool write, bool *coherent);
int attachments_take_back(struct buffer *b, bool counted, bool *coherent);

/* End every attachment that this process left at the buffer. */
void attachments_end(struct buffer *b);

/* In a forked child: free the memory of the parent's attachments and touch nothing else. */
void attachments_forget(struct buffer *b);

/* Unmap whatever is mapped, the kept table too. */
void attachment_unmap_all(struct attachment *a);

#endif
