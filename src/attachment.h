/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_ATTACHMENT_H
#define DMABUF_SRC_ATTACHMENT_H

#include "buffer.h"

/* A table in the device's hands. */
struct mapping {
	struct dma_buf_sg_table *table;
	enum dma_data_direction direction;
	bool noncoherent;
	bool device_owned; /* false between sync for cpu and sync for device */
	struct mapping *next;
};

struct attachment {
	struct dma_buf_attachment base;
	uint32_t index; /* of the shared entry */
	pthread_mutex_t map_lock;
	struct mapping *mappings;	/* guarded by map_lock */
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

/* 0 if @attach is attached now, in this process; else -EINVAL or -ECHILD with words. */
int attachment_check(struct dma_buf_attachment *attach);

struct shm_attachment *attachment_entry(struct attachment *a);

/* End every attachment that this process left at the buffer. */
void attachments_end(struct buffer *b);

/* In a forked child: free the memory of the parent's attachments and touch nothing else. */
void attachments_forget(struct buffer *b);

/* Unmap whatever is mapped, the kept table too. */
void attachment_unmap_all(struct attachment *a);

#endif
