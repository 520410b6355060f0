/* SPDX-License-Identifier: MIT */
/*
 * Wound/wait mutexes across processes: the lock of a buffer's reservation object. One that holds or
 * waits is an entry in the queue of the buffer's lock, like any access in that of the memory, so it
 * has a lease and ends with its owner. The entry publishes the age of its context, or 0: a plain
 * entry. model/README.md has the rules.
 */
#ifndef DMABUF_SRC_WW_SHARED_H
#define DMABUF_SRC_WW_SHARED_H

#include <dmabuf/ww-mutex.h>

#include "resv/resv.h"

/* After so many -EDEADLK a context takes all that it asked for in ascending order. */
#define BACK_OFFS 4

/* One that holds or waits, or lost it and has not noticed. */
struct ww_hold {
	struct resv_hold resv;
	struct dmabuf_ww_shared *of;
	struct dmabuf_ww_acquire_ctx *ctx;
	struct dmabuf_list link;   /* of @of's */
	struct dmabuf_list of_ctx; /* of the context's */
	bool ahead;		   /* of the set: taken before it was asked for */
};

/* This process's half of a buffer's mutex. */
struct dmabuf_ww_shared {
	struct buffer *buffer;
	struct dma_fence_lock lock;	/* guards @holds */
	struct dmabuf_list holds;	/* those that were granted */
	_Atomic(struct ww_hold *) kept; /* has its entry, for the next one */
};

/* The difference wraps as the stamps do. */
static inline bool ww_older(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* ww-stamp.c: the age of a context that begins now. */
uint64_t ww_stamp(struct dmabuf_ww_class *ww_class);

/* ww-shared.c */
void ww_shared_init(struct dmabuf_ww_shared *s, struct buffer *b);
/* @ours: this process made it; else only memory goes. */
void ww_shared_destroy(struct dmabuf_ww_shared *s, bool ours);

/* As the functions of <dmabuf/ww-mutex.h>. */
int ww_shared_lock(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx, bool intr);
int ww_shared_trylock(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx);
int ww_shared_unlock(struct dmabuf_ww_shared *s);
bool ww_shared_is_locked(struct dmabuf_ww_shared *s);
struct dmabuf_ww_acquire_ctx *ww_shared_ctx(struct dmabuf_ww_shared *s);

/* Has this process locked it, and not unlocked since (whether or not it was lost meanwhile)? */
bool ww_shared_ours(struct dmabuf_ww_shared *s);

/* Take it, with or without a context, and hold it: @ahead as in struct ww_hold. 0 or -errno. */
int ww_shared_take(struct dmabuf_ww_shared *s, struct dmabuf_ww_acquire_ctx *ctx, bool intr,
		   bool ahead);

/* One less in the context's count; with the last one, what was taken ahead goes too. */
void ww_released(struct dmabuf_ww_acquire_ctx *ctx);

/* ww-wound.c: what contexts do to each other. */

/* Has an older context wounded this one, here or in another process? */
bool ww_wounded(const struct dmabuf_ww_acquire_ctx *ctx);

/* The hold waits with its context: see struct resv_waiter. */
void ww_waiter_init(struct resv_waiter *w, struct ww_hold *h);

/* Sleep until ctx->event is not @seen, or the context is wounded. 0 or -EINTR. */
int ww_shared_sleep(const struct dmabuf_ww_acquire_ctx *ctx, uint32_t seen, bool intr);

/* ww-set.c: what a context asked for. */

/* It got -EDEADLK for @s. */
void ww_set_back_off(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_shared *s);

/* Take all of the set, and @s. 0; -EINTR; anything else: do without. */
int ww_set_take(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_shared *s, bool intr);

/* Those that nobody asked for go. */
void ww_set_leave(struct dmabuf_ww_acquire_ctx *ctx);
void ww_set_free(struct dmabuf_ww_acquire_ctx *ctx);

#endif
