/* SPDX-License-Identifier: MIT */
/**
 * DOC: home
 *
 * Where the storage of a buffer comes from if it is not in the buffer's own memfd: a thread of the
 * exporting process, which allocates from that process's heaps and hands out descriptors of the
 * result. It is found by an address in the buffer's control block: a name, which is that of an
 * abstract socket where the network namespace is shared, and a secret. Where it is not shared, a
 * socket that came with the buffer leads there (home_connect()).
 *
 * Both sides prove that they know the secret without telling it, so that whoever takes the name of
 * a process that has ended learns nothing and is not believed. A process has one name for all of
 * its homes: a socket and a watch, opened with the first home and closed with the last. A home is a
 * piece of memory. In a forked child the parent's homes are not served: calls on them there go to
 * the parent.
 *
 * Generations: storage is numbered by the home, upwards from 1, and which number is in force is
 * said by the buffer's control block, which the home asks by its @generation. Whatever is prepared
 * gets a number of its own, and is in force once that number is stored there. So it does not matter
 * who stores it, nor who dies before.
 */
#ifndef DMABUF_SRC_HOME_HOME_H
#define DMABUF_SRC_HOME_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/heap.h>

#include "heaps/heaps.h"

struct home;

/* Goes into the control block as it is. All zero: there is no home. */
struct home_address {
	uint8_t name[16]; /* 8 bytes for the process, 8 for the home */
	uint8_t secret[16];
};

/* struct home_storage.flags */
#define HOME_CPU_MAPPABLE UINT64_C(1)
#define HOME_COHERENT UINT64_C(2)
#define HOME_PAGE_BACKED UINT64_C(4)
#define HOME_LOCKED UINT64_C(8) /* whoever maps it locks what is mapped, with mlock() */
#define HOME_FLAGS UINT64_C(15)

/* What there is to know about storage, beside its descriptor. Comes from outside checked. */
struct home_storage {
	uint64_t generation;
	uint64_t size; /* of the descriptor: the buffer's, rounded up to the granule */
	uint64_t
		granule; /* offsets and lengths of mappings are multiples; a power of two >= 4096 */
	uint64_t alignment; /* for the address of a mapping; a power of two >= 4096 */
	uint64_t flags;
	char heap[DMA_BUF_HEAP_NAME_LEN];
};

struct home_ops {
	/*
	 * The number of the storage in force; 0: none yet. Called in any thread, with a lock of the
	 * home's held: it looks, and takes no lock. Not called any more when home_close() returns.
	 */
	uint64_t (*generation)(void *priv);
	/*
	 * Is anybody alive at work who may yet put in force what was prepared? Called as
	 * @generation is, in the library's thread.
	 */
	bool (*at_work)(void *priv);
};

/*
 * So long after the last time that some was asked for, storage that was prepared and is not in
 * force is let go; if somebody is at work then, once nobody is.
 */
#define HOME_ABANDONED_NS UINT64_C(1000000000)

/*
 * A home for a buffer of @size bytes, whose memory is called @name, with its address. 0; -ENOMEM,
 * -EMFILE, ..., with words. Takes no lock of the caller's.
 */
int home_open(struct home **home, struct home_address *address, const char *name, uint64_t size,
	      const struct home_ops *ops, void *priv);

/*
 * No more storage from it; what was handed out stays. In a forked child, forgets the parent's. NULL
 * is ignored. Must not be called with a lock that @generation, the log's function or a heap takes.
 */
void home_close(struct home *home);

/*
 * A connected socket that leads to the home from anywhere, close-on-exec and the caller's; any
 * number of processes may use copies of it at the same time. -errno with words.
 */
int home_connect(struct home *home);

/*
 * The rest may be called by everybody who has the address; @socket is one that came with the buffer
 * (a copy of home_connect()'s), or -1. They take @timeout_ms at most, but for an allocation in this
 * process's own home, which takes what it takes. They may block, and fail with words:
 *
 *	-EHOSTDOWN	nobody listens: the exporter has ended, or is in another network namespace
 *			and no socket was given
 *	-EOWNERDEAD	the exporter has ended, or let the buffer go, while it was asked
 *	-ETIMEDOUT	no answer in time
 *	-EACCES		not the home of this buffer (one side could not prove that it knows the
 *			secret)
 *	-EPROTO		the other side is no home, or gives what cannot be this storage
 *	-ESTALE		that number is not there (any more): look at the control block again
 *	-EINVAL, -ENOMEM, -EMFILE, ...
 */

/* The storage of this number: a descriptor, the caller's, close-on-exec. */
int home_fetch(const struct home_address *address, int socket, uint64_t generation, int timeout_ms,
	       struct home_storage *storage);

/*
 * New storage, from the first heap of the list that has it, to follow @base, the number in force as
 * the caller sees it. If some was prepared before and is not in force, and comes from one of these
 * heaps, it is that one. A descriptor as above; @attempts (may be NULL) says which heaps failed
 * before that, and why, also on failure; then the error is the last heap's.
 */
int home_prepare(const struct home_address *address, int socket, uint64_t base,
		 const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int heap_count,
		 int timeout_ms, struct home_storage *storage, struct heap_attempts *attempts);

/* The number in force has changed: the home may let the storage before it go. */
int home_settle(const struct home_address *address, int socket, int timeout_ms);

/*
 * The heaps that there are where the storage is allocated, as dma_buf_heap_list() says there: the
 * exporter may have registered some of its own, and may have other rights. @list has room for
 * DMA_BUF_MAX_HEAPS, all of which is filled in. How many there are, or an error.
 */
int home_heaps(const struct home_address *address, int socket, int timeout_ms,
	       struct dma_buf_heap_info *list);

/*
 * Is @fd storage of @size bytes or more whose bytes nobody can take away: a sealed memfd (huge
 * pages too), secret memory, a kernel dma-buf? What it has goes to *@have. 0; -EPROTO with words
 * that begin with @whose.
 */
int home_check_storage(int fd, uint64_t size, uint64_t *have, const char *whose);

#endif
