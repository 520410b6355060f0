/* SPDX-License-Identifier: MIT */
/**
 * DOC: storage
 *
 * Where a buffer's bytes are, behind one interface. The compact layout keeps them in the buffer's
 * own memfd; the split layout in a descriptor of their own: of a read-only share, or of storage
 * that is chosen at the first access and may be replaced later (storage-deferred.h).
 *
 * The kept mapping is made once and stays until the handle goes (mission row B4).
 */
#ifndef DMABUF_SRC_STORAGE_H
#define DMABUF_SRC_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/control.h"

struct buffer;
struct deferred;
struct storage;

struct storage_ops {
	const char *name;
	/* A new mapping of page-aligned [offset, offset + length). NULL with errno and words. */
	void *(*map)(struct storage *s, size_t offset, size_t length, int prot);
	/*
	 * Make the kept mapping, if there is none yet, and bring it up to date. Storage that is not
	 * chosen yet has none. 0 or -errno with words.
	 */
	int (*keep)(struct storage *s);
	/* Undo keep() and close what belongs to the storage. */
	void (*drop)(struct storage *s);
	/*
	 * [optional] The CPU begins to access [start, start + len), or has ended: what the memory
	 * needs for that beside what coherency.h decides. A failed begin changes
	 * nothing; an end ends, whatever it returns. 0 or -errno with words.
	 */
	int (*begin)(struct storage *s, size_t start, size_t len,
		     enum dma_data_direction direction);
	int (*end)(struct storage *s, size_t start, size_t len, enum dma_data_direction direction);
};

struct storage {
	const struct storage_ops *ops;
	int fd;		 /* the payload's descriptor; compact: borrowed from the handle */
	size_t size;	 /* payload bytes */
	void *kept;	 /* the kept mapping, NULL before keep() */
	void *cpu;	 /* where the CPU sees it: there, unless accesses are checked */
	bool own_fd;	 /* @fd is not the handle's; -1: there is none (yet) */
	bool read_only;	 /* the share is read-only */
	bool may_write;	 /* this process may write through the kept mapping */
	uint64_t device; /* what fstat says of fd */
	uint64_t inode;
	struct kernel_access *access; /* storage-kernel.c: who is at it */
	struct deferred *deferred;    /* else NULL */
};

/* Payload and control block are one mapping already. */
void storage_compact(struct storage *s, int fd, const struct control *c, size_t size);

/* Fresh memory that only this process can ever write, through the kept mapping. */
int storage_create_read_only(struct storage *s, size_t size);

/*
 * Take a payload descriptor from outside (duplicated; the caller's stays its own) and check that
 * its bytes cannot be changed by anybody who merely holds it, nor taken away. -EINVAL with words.
 */
int storage_adopt_read_only(struct storage *s, int fd, const struct control_facts *facts);

/*
 * A kernel dma-buf (duplicated; the caller's stays its own), counted in @c. 0; -EINVAL with words:
 * none, or not the one that @facts are about.
 */
int storage_adopt_kernel(struct storage *s, int fd, const struct control_facts *facts,
			 struct control *c);

/* The kept mapping is made, or gone (NULL). */
static inline void storage_set_kept(struct storage *s, void *kept)
{
	if (s->cpu == s->kept)
		s->cpu = kept;
	s->kept = kept;
}

static inline int storage_begin(struct storage *s, size_t start, size_t len,
				enum dma_data_direction direction)
{
	return s->ops->begin ? s->ops->begin(s, start, len, direction) : 0;
}

static inline int storage_end(struct storage *s, size_t start, size_t len,
			      enum dma_data_direction direction)
{
	return s->ops->end ? s->ops->end(s, start, len, direction) : 0;
}

#endif
