/* SPDX-License-Identifier: MIT */
/*
 * A process's handle, whole. struct dma_buf is what users see of it.
 *
 * Locks, outermost first: the buffer's list lock (list_mutex, then header.list_lock), an
 * attachment's map_lock, access_lock, client.coherency_mutex then header.coherency_lock, the
 * registry's lock. The registry's lock is never held across an exporter's op.
 */
#ifndef DMABUF_SRC_BUFFER_H
#define DMABUF_SRC_BUFFER_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#define HASH_NONFATAL_OOM 1 /* else it ends the process */
#include <uthash.h>

#include <dmabuf/dma-buf.h>

#include "shm/client.h"
#include "shm/life.h"
#include "storage.h"

struct attachment;
struct buffer_resv;
struct check_buffer;
struct exporter_class;
struct kernel_buffer;
struct sync_member;

/* What identifies a buffer in this process: what fstat says of its descriptor. */
struct buffer_key {
	uint64_t device;
	uint64_t inode;
};

/* An open CPU access. */
struct bracket {
	size_t start;
	size_t len;
	enum dma_data_direction direction;
};

#define BRACKETS_INLINE 4

struct buffer {
	struct dma_buf base;
	struct buffer_key key;
	UT_hash_handle hh;
	struct buffer *made_prev, *made_next; /* of all handles, those being made or dropped too */
	uint64_t cookie;		      /* of the process that the handle belongs to */
	unsigned int refs;		      /* guarded by the registry's lock */
	bool exporter;			      /* this process made the buffer and runs release */
	bool own_tables;		      /* each device's table obeys its own limits only */
	bool zombie;			      /* released here, but referred to elsewhere */
	atomic_bool escaped;		      /* a descriptor left the library */
	char exp_name[DMA_BUF_NAME_LEN];
	struct exporter_class *class; /* counted; NULL for plain memory and own exports */

	int fd; /* the published description; -1 in a zombie */
	struct client client;
	struct life life; /* begun with the first hold */
	struct control control;
	struct storage storage;
	struct kernel_buffer *kernel; /* of a kernel dma-buf: how others find its state */
	struct buffer_resv *resv;     /* its reservation object, see buffer-resv.h */
	struct check_buffer *check;   /* where accesses are checked, else NULL */
	struct sync_member
		*single; /* whoever is in single_thread has it, see dmabuf-sync-single.h */
	_Atomic(uintptr_t) single_thread;
	atomic_uint single_others; /* single locks that have no place there */
	atomic_uint pending;	   /* fences that need the handle: it goes after the last one */

	pthread_mutex_t list_mutex;	/* errorcheck: ops that call back are told */
	struct attachment *attachments; /* of this process; guarded by list_mutex */
	unsigned int dma_holds;		/* DMA locks that lent mappings; guarded by list_mutex */

	pthread_mutex_t access_lock; /* brackets, vmap_count */
	struct bracket *brackets;
	size_t bracket_count;
	size_t bracket_room;
	struct bracket brackets_inline[BRACKETS_INLINE];
	unsigned int vmap_count;
	void *vmapped;
	unsigned int pfn_users;
	atomic_bool accessed; /* a begin succeeded once, so the mapping is kept */
};

static inline struct buffer *to_buffer(struct dma_buf *dmabuf)
{
	return (struct buffer *)dmabuf;
}

/* The order in which buffers are taken, the same in all processes: what fstat says of them. */
static inline bool buffer_before(const struct buffer *a, const struct buffer *b)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): holds in a list have a buffer */
	return a->key.device != b->key.device ? a->key.device < b->key.device
					      : a->key.inode < b->key.inode;
}

/* 0; -EINVAL for NULL; -ECHILD with words in a forked child. */
int buffer_check(const struct dma_buf *dmabuf);

/* 0, or -EINVAL with words: DMA_NONE and values out of range. */
int direction_check(enum dma_data_direction direction);

/*
 * What dma_buf_get_split() does, for a descriptor that nobody else has: @fd is taken over, also on
 * failure. @shown is its number in words about it. @home: -1 or a socket to its home, the caller's.
 */
struct dma_buf *buffer_get_owned(int fd, int shown, int payload_fd, int home);

/*
 * The description whose lock says that this process's devices may be at work in the buffer: whoever
 * drives them keeps a copy until they are done. A descriptor that stays the handle's, or -errno
 * with words.
 */
int buffer_device_fd(struct buffer *b);

/*
 * The handle's own description of the buffer, from b->fd: no fork in between, a child must find the
 * descriptor where it can close it. 0 or -errno with words.
 */
int buffer_open_client(struct buffer *b);

/* An empty handle with one reference; NULL with errno and words. */
struct buffer *buffer_new(void);

/* Give back everything that a handle has; it must be out of the registry's table. */
void buffer_destroy(struct buffer *b);

/* May a handle without references and published descriptor go? */
bool buffer_unused(const struct buffer *b);

/* Closes what is open and marks it closed. */
void buffer_close_fd(int *fd);

#endif
