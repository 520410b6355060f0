/* SPDX-License-Identifier: MIT */
/*
 * What this process has: handles by the identity of their buffer, so that one buffer is one handle,
 * and attachments by address, so that a stale pointer is told and not followed.
 *
 * In a forked child the tables start empty: the parent's handles stay the parent's. The child
 * closes its copies of their descriptors, so that it does not keep the parent's places alive.
 */
#ifndef DMABUF_SRC_REGISTRY_H
#define DMABUF_SRC_REGISTRY_H

#include "attachment.h"
#include "list.h"

void registry_lock(void);
void registry_unlock(void);

/*
 * Every handle from its making to its end, so that a child finds descriptors to close that are in
 * no table (yet, or any more). They take the registry's lock; making a descriptor needs it held.
 */
void registry_track(struct buffer *b);
void registry_untrack(struct buffer *b);

/*
 * A descriptor of something else that a forked child must not keep: it is closed there, and says -1
 * then. Both with the registry's lock held, making the descriptor too.
 */
struct registry_fd {
	int fd;
	struct dmabuf_list link;
};
void registry_track_fd(struct registry_fd *tracked);
void registry_untrack_fd(struct registry_fd *tracked);

/* All of these: with the registry's lock held. */
struct buffer *registry_find(const struct buffer_key *key);
/* 0, or -ENOMEM with words. */
int registry_add(struct buffer *b);
void registry_remove(struct buffer *b);

/* Next zombie after @b, or the first for NULL. */
struct buffer *registry_next_zombie(struct buffer *b);

/* These take the registry's lock. 0, or -ENOMEM with words. */
int registry_add_attachment(struct attachment *a);
void registry_remove_attachment(struct attachment *a);
/* NULL if there is no such attachment now. */
struct attachment *registry_find_attachment(const struct dma_buf_attachment *attach);

#endif
