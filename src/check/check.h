/* SPDX-License-Identifier: MIT */
/**
 * DOC: checking mode, inside (mission row C4)
 *
 * A buffer that is checked has its storage_ops decorated (storage.c): so brackets, locks, vmap and
 * mmap come here, and a buffer that is not checked pays nothing. The CPU gets a mapping of its own,
 * whose pages are accessible as far as accesses are open (pages.c); devices and the library keep
 * the other one. A touch that is not allowed ends up in the handler of SIGSEGV (fault.c). Calls
 * that break a rule are told from where that is found out (rules.c). report.c makes the words,
 * mode.c knows whether to check and where reports go.
 *
 * One lock guards all of it, check_lock(): innermost, and held with all signals blocked, so that
 * the handler never interrupts whoever has it.
 */
#ifndef DMABUF_SRC_CHECK_CHECK_H
#define DMABUF_SRC_CHECK_CHECK_H

#include <signal.h>
#include <stdatomic.h>

#include <dmabuf/check.h>

#include "buffer.h"
#include "list.h"

/* An access that is under way. */
struct check_access {
	struct dmabuf_list link;
	size_t start;
	size_t len;
	bool writes;
	bool device;		    /* a device's transfer; else the CPU's */
	bool lost;		    /* by a lock, to its lease: allows nothing any more */
	enum dma_data_direction as; /* how it was asked for */
	pid_t tid;		    /* who began it, */
	char who[DMA_BUF_NAME_LEN]; /* that thread's name, or the device's, */
	const void *caller;	    /* and where */
};

/* Addresses that were given out. */
struct check_range {
	struct dmabuf_list link;
	char *base;
	size_t length; /* whole pages */
	size_t offset; /* of @base in the buffer */
	int most;      /* what the CPU may do there at best: PROT_* */
};

struct check_buffer {
	struct dmabuf_list link;
	struct buffer *b;
	uint64_t cookie;		 /* of its process */
	const struct storage_ops *under; /* what the storage really does */
	struct storage_ops ops;
	pthread_mutex_t view_lock; /* of making it */
	struct check_range view;   /* what vmap and kmap give out; base is NULL before */
	/* The rest: with check_lock(). */
	bool given_up; /* protections could not be kept up: all is accessible */
	struct dmabuf_list ranges;
	struct dmabuf_list accesses;
};

/* mode.c */

extern atomic_bool check_on __attribute__((visibility("hidden")));

static inline bool check_is_on(void)
{
	return atomic_load_explicit(&check_on, memory_order_relaxed);
}

/* The environment is looked at once. */
bool check_is_wanted(void);

void check_lock(sigset_t *old);
void check_unlock(const sigset_t *old);
void check_hold_for_fork(bool hold);
/* In a child: nothing of its parent's is checked any more. */
void check_forked(void);

/* Hands a report on. Without check_lock(); async-signal-safe. */
void check_deliver(const struct dma_buf_check_report *report);
/* Does a touch go through after its report? With check_lock(). */
bool check_goes_on(void);

/* All that are checked; with check_lock(). */
extern struct dmabuf_list check_buffers __attribute__((visibility("hidden")));

/* storage.c: the handle's storage is there; is it to be checked? 0, or -ENOMEM with words. */
int check_adopt(struct buffer *b);
/* In a child: the memory of its parent's. */
void check_forget(struct buffer *b);
/* dma_buf_munmap() is about to undo a mapping. */
void check_unmapping(const void *vaddr, size_t length);

/* pages.c */

/*
 * An access of the CPU begins or ends. What cannot be kept up is given up, and told in the log:
 * the access itself never fails for it.
 */
void check_open(struct check_buffer *c, size_t start, size_t len,
		enum dma_data_direction direction);
void check_close(struct check_buffer *c, size_t start, size_t len,
		 enum dma_data_direction direction);

/* The same access has been lost, and ends later. */
void check_lose(struct check_buffer *c, size_t start, size_t len,
		enum dma_data_direction direction);

/* @r, which has everything but its link, is given out. */
void check_add_range(struct check_buffer *c, struct check_range *r);

/* The rest of pages.c: with check_lock(). */

/* What the CPU may do with the page of @offset: PROT_*. */
int check_allowed(const struct check_buffer *c, size_t offset);
/* That one page of @r. False: the kernel would not. */
bool check_protect_page(const struct check_buffer *c, const struct check_range *r, size_t offset,
			int prot);
/* Everything is accessible from now on. */
void check_give_up(struct check_buffer *c);

/* fault.c: the handler of SIGSEGV; once. */
void check_catch_faults(void);

/* report.c: words, async-signal-safe. */

struct check_text {
	size_t len;
	char text[640];
};

void check_say(struct check_text *t, const char *words);
void check_say_number(struct check_text *t, uint64_t number);
void check_say_hex(struct check_text *t, uintptr_t number);
/* "name" (tid) */
void check_say_who(struct check_text *t, const char *name, pid_t tid);
/* [start, +len) */
void check_say_range(struct check_text *t, uint64_t start, uint64_t len);
/* An access of the CPU or a device: what, where and whose. */
void check_say_access(struct check_text *t, const struct check_access *access);
/* Where @caller is: file+offset (symbol+offset). */
void check_say_place(struct check_text *t, const void *caller);
/* What @direction lets the CPU do. */
const char *check_cpu_words(enum dma_data_direction direction);
const char *check_device_words(enum dma_data_direction direction);
/* Who and which buffer; and the head of the words. */
void check_describe(struct dma_buf_check_report *report, struct check_text *t,
		    const struct buffer *b);

/* The first instruction on the stack that is not this library's; NULL: not known. Not for handlers.
 */
const void *check_caller(void);

/* rules.c */

/*
 * Say who else has the bytes such that the CPU must not write (or read) them. True: somebody has.
 * Async-signal-safe. Others' locks and fences; devices' mappings.
 */
bool check_say_holder(struct check_text *t, const struct buffer *b, bool write);
bool check_say_mapped(struct check_text *t, const struct buffer *b, bool write);

/* An access has begun: is somebody else at the bytes? Without check_lock(). */
void check_begun(const struct check_buffer *c, size_t start, size_t len,
		 enum dma_data_direction direction);
/* @only, or what this process has (NULL), goes with accesses open. Without check_lock(). */
void check_left_open(const struct check_buffer *only, const char *when);

#endif
