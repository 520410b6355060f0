/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DMABUF_SYNC_H
#define DMABUF_SRC_DMABUF_SYNC_H

#include <dmabuf/dmabuf-sync.h>

#include "resv/resv.h"

enum sync_status {
	SYNC_UNLOCKED, /* the seed's GOT, or nothing in it yet */
	SYNC_LOCKING,  /* the library's thread takes its members */
	SYNC_LOCKED,
};

/* One buffer of a group; it does not move, others may be looking at its hold. */
struct sync_member {
	struct resv_hold hold;
	struct dma_buf *dmabuf; /* a reference */
	unsigned int type;
	size_t start;
	size_t len;
	bool begun; /* coherency knows of the access */
};

struct dmabuf_sync {
	uint64_t cookie; /* of the process that it belongs to */
	void *priv;
	enum sync_status status;
	unsigned int count;
	unsigned int room;
	uint32_t lease_ms;
	struct sync_member **members; /* ascending by what fstat says of the buffer */
	char name[DMABUF_SYNC_NAME_LEN];
};

/* 0; -EFAULT for NULL; -ECHILD with words in a forked child. */
int sync_check(const struct dmabuf_sync *sync);

/* 0, or -EINVAL with words; RW counts as W. */
int sync_check_type(unsigned int *type);

/* A member for @dmabuf with a reference and an entry; NULL with errno and words. */
struct sync_member *sync_member_new(struct dma_buf *dmabuf, unsigned int type, size_t start,
				    size_t len, const char *label, uint32_t lease_ms);
void sync_member_free(struct sync_member *m);

/* Take @count members, which are in order. As dmabuf_sync_lock_timeout(). */
int sync_lock_members(struct sync_member **members, unsigned int count, long timeout_ms, bool intr);

/* Give them back: 0; -ETIMEDOUT if one had been lost; -EIO. */
int sync_unlock_members(struct sync_member **members, unsigned int count);

/*
 * dmabuf-sync-coherency.c: an access that was granted begins, or ends (also one that was lost), and
 * the coherency core is asked. A failed begin changes nothing.
 */
int sync_coherency_begin(struct sync_member *m);
int sync_coherency_end(struct sync_member *m);

/* One load while no device is non-coherent. */
static inline bool sync_is_tracked(const struct sync_member *m)
{
	return atomic_load_explicit(&m->hold.state->coherency, memory_order_acquire);
}

#endif
