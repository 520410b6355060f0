/* SPDX-License-Identifier: MIT */
/* The library's lock and others as processes contend for them, each through the same calls. */
#ifndef DMABUF_BENCH_LOCK_KIND_H
#define DMABUF_BENCH_LOCK_KIND_H

#include <stdint.h>

/**
 * struct lock_kind - locks that processes share
 * @make: so many locks, before the processes are forked
 * @drop: after they ended
 * @join: in a process that takes them
 * @leave: in the end, with none held
 * @take: blocks; a lock whose holder died counts as taken
 * @take_two: two different ones, in whatever way cannot deadlock
 */
struct lock_kind {
	void (*make)(unsigned int count);
	void (*drop)(void);
	void (*join)(unsigned int self);
	void (*leave)(void);
	void (*take)(unsigned int i);
	void (*give)(unsigned int i);
	void (*take_two)(unsigned int i, unsigned int j);
	void (*give_two)(unsigned int i, unsigned int j);
};

#define LOCK_KIND_MOST 8

/* dmabuf_sync objects */
extern const struct lock_kind lock_kind_dmabuf;
/* pthread's robust mutex */
extern const struct lock_kind lock_kind_robust;
/* spins for a while, then sleeps on a futex; knows no fairness and no deaths */
extern const struct lock_kind lock_kind_futex;
/* a ticket lock that only spins: fair, and never in the kernel */
extern const struct lock_kind lock_kind_ticket;

#endif
