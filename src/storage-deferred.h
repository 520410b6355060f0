/* SPDX-License-Identifier: MIT */
/**
 * DOC: storage that is chosen late
 *
 * A deferred buffer is a control memfd at first. Its storage is chosen by the first access, from
 * what all attached devices need, and replaced later if a stricter device comes (mission rows F5,
 * F6). Which storage is in force says a number, its *generation*, in the control block; storage
 * itself is with the buffer's home (home/home.h).
 *
 * An access *pins* the storage: it counts itself in its client's line, and only then looks at the
 * state word. Who replaces storage says MOVING in that word, and only then looks at the pins. So
 * either he sees the access, and steps back, or the access sees him, and waits. A pin that finds
 * another generation than this process has mapped brings it up to date first: at the same
 * addresses, so that pointers stay.
 *
 * Files: storage-deferred.c (a process's view, and its renewal), storage-pin.c (accesses),
 * storage-choose.c (the first generation), storage-suits.c (is another one needed),
 * storage-migrate.c and storage-replace.c (later ones), storage-wait.c (who is in the way),
 * storage-mapping.c (dma_buf_mmap()), storage-home.c, window.c (addresses).
 */
#ifndef DMABUF_SRC_STORAGE_DEFERRED_H
#define DMABUF_SRC_STORAGE_DEFERRED_H

#include <errno.h>
#include <pthread.h>

#include "buffer.h"
#include "home/home.h"
#include "window.h"

/* How long the home is asked, and with it a lock of the buffer may be held. */
#define STORAGE_HOME_MS 4000

/* So often the state word may change while it is given a generation; then it is a scribbler's. */
#define STORAGE_TURNS 1000

/* Of deferred.current: this process has no storage mapped. */
#define STORAGE_NONE UINT64_MAX

struct deferred {
	struct home *home; /* in the exporting process, else NULL */
	struct home_address address;
	int socket; /* to the home, came with the buffer; or -1 */
	bool fixed; /* once chosen, it stays */

	/* The state word while nothing goes on, of the generation that this process has mapped. */
	_Atomic(uint64_t) current;

	pthread_mutex_t lock; /* of renewal; inside the list lock */
	uint64_t generation;  /* of the storage's descriptor; 0: there is none */
	struct window_view view;
	struct window kept;
	struct dmabuf_list mappings; /* of dma_buf_mmap(); guarded by the registry's lock */

	pthread_mutex_t migration; /* one of this process's threads at a time; outermost */
};

static inline uint64_t storage_generation(uint64_t state)
{
	return state >> SHM_STORAGE_SHIFT;
}

static inline uint64_t storage_state(uint64_t generation)
{
	return generation << SHM_STORAGE_SHIFT;
}

static inline struct shm_storage *shared_storage(const struct buffer *b)
{
	return b->control.storage;
}

/* The generation in force; 0: none is chosen. */
static inline uint64_t storage_in_force(const struct buffer *b)
{
	return storage_generation(atomic_load(&shared_storage(b)->state));
}

/* Who we are, in shm_storage.owner. */
static inline uint64_t storage_me(const struct buffer *b)
{
	return CLIENT_OWNER(b->client.slot, b->client.generation);
}

/* A fresh buffer's: with a home in this process. 0 or -errno with words. */
int storage_create_deferred(struct buffer *b, size_t size, bool fixed);

/*
 * One from outside. @payload_fd, -1 or the storage in force, and @socket, -1 or to its home, stay
 * the caller's. 0 or -errno with words.
 */
int storage_adopt_deferred(struct buffer *b, const struct control_facts *facts, int payload_fd,
			   int socket);

/*
 * A socket to its home that may go along with the buffer, which keeps it: -1 if it has no home, or
 * none can be had.
 */
int storage_home_socket(struct buffer *b);

/* Its home asks this process's place among the holders no more, which may be given up. */
void storage_close_home(struct storage *s);

/* In a forked child: the memory of the parent's goes. */
void storage_forget(struct storage *s);

/*
 * Bring this process's view up to the generation in force; where none is, there is nothing to do.
 * 0 or -errno with words.
 */
int storage_renew(struct buffer *b);

/* With deferred.lock held: @fd, which is taken over, is this process's storage from now on. */
int storage_install(struct buffer *b, int fd, const struct home_storage *info);

/*
 * An address range of its own for dma_buf_mmap(), which follows the storage. PROT_NONE: whoever
 * asks for that sees to what is accessible, whenever there is an access. @inherit: by children.
 */
void *storage_map_own(struct buffer *b, size_t offset, size_t length, int prot, bool inherit);

/* For dma_buf_munmap(): 1: it was one of those, and is gone; 0: none; -EINVAL: a part of one. */
int storage_unmap_own(void *vaddr, size_t length);

/* The buffer goes, its mappings stay. */
void storage_orphan_mappings(struct deferred *d);

/* With the registry's lock held: show them @view. 0 or -errno with words. */
int storage_fill_mappings(struct deferred *d, const struct window_view *view);

/*
 * storage-choose.c: 0 if there is storage afterwards; fresh one comes from @heap if that is not
 * NULL. Takes the list lock; -errno with words.
 */
int storage_choose(struct buffer *b, const char *heap);

/* Which heaps suit all devices attached, the best first. Some 8 KiB. */
struct storage_plan {
	struct dma_buf_heap_info known[DMA_BUF_MAX_HEAPS];
	unsigned int known_count;
	char heaps[DMA_BUF_MAX_HEAPS][DMA_BUF_HEAP_NAME_LEN];
	unsigned int count;
};

/*
 * storage-home.c: as home_fetch(), home_prepare() and home_heaps(), but patient: STORAGE_HOME_MS;
 * and never -EOWNERDEAD.
 */
int storage_fetch(struct buffer *b, uint64_t generation, struct home_storage *info);
int storage_prepare(struct buffer *b, uint64_t base, const struct storage_plan *plan,
		    struct home_storage *info, struct heap_attempts *attempts);
int storage_home_heaps(struct buffer *b, struct dma_buf_heap_info *list);

/*
 * The heaps that the home has, or if it is gone, this process; looked at without a lock. NULL with
 * errno and words. The caller frees it.
 */
struct storage_plan *storage_plan_new(struct buffer *b);
/* With the list lock held: those that suit. 0; -EINVAL with words: none does; -ENOMEM. */
int storage_plan_make(struct buffer *b, struct storage_plan *plan);
/* Only this one. 0; -EINVAL with words: it is none of those that suit. */
int storage_plan_narrow(struct storage_plan *plan, const char *heap);

/*
 * With the list lock held: write the record of generation @info->generation. 0 or
 * -errno with words.
 */
int storage_record(struct buffer *b, int fd, const struct home_storage *info,
		   const struct heap_attempts *attempts);

/* A checked copy of the record of @generation; false: it is not known. */
bool storage_read_record(const struct control *c, uint64_t generation,
			 struct shm_storage_record *record);

/* storage-wait.c */

/* How many accesses of others, and of this process, are under way. The dead are seen to. */
unsigned int storage_count_pins(struct buffer *b, bool *ours);

/* Fails with @err and words that name who has not let go. @what: what was to be done. */
int storage_report_pins(struct buffer *b, int err, const char *what);

/* Does the client of @owner live? */
bool storage_owner_alive(struct buffer *b, uint64_t owner);

/* Take the word's owner's place: from nobody, or one that died. False: one that lives has it. */
bool storage_claim(struct buffer *b);
/* Give it back, with what was announced. */
void storage_unclaim(struct buffer *b);

/* Sleep until something changed since @turn was read, or a moment is over, or @deadline (ns). */
void storage_sleep(struct buffer *b, uint32_t turn, uint64_t deadline);
void storage_wake(struct buffer *b);

#endif
