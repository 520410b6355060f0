/* SPDX-License-Identifier: MIT */
/*
 * The library's thread: it watches descriptors and deadlines and calls functions of the library.
 * It is started when there is something to watch, ends some 50 ms after there is nothing left, and
 * keeps no process from ending. All signals are blocked in it. A forked child has nothing of it:
 * what the parent had watched is not watched there.
 *
 * Functions run one at a time, in that thread and without any lock of the worker's; they must not
 * block for long. They may call everything here, and free what they were called for. The lock of
 * the worker is innermost: everything here may be called with any lock of the library held, but
 * what waits for a function that is running (worker_unwatch(), worker_timer_stop()) must not hold
 * one that the function takes.
 */
#ifndef DMABUF_SRC_WORKER_H
#define DMABUF_SRC_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#define HASH_NONFATAL_OOM 1 /* else it ends the process */
#include <uthash.h>

#include "timer-heap.h"

struct worker_watch;
struct worker_timer;

/* @events: those of epoll that are there: EPOLLIN, EPOLLHUP, ... */
typedef void (*worker_watch_fn)(struct worker_watch *watch, uint32_t events);
typedef void (*worker_timer_fn)(struct worker_timer *timer);

/* Zeroed at first; in place and unmoved while it is watched. */
struct worker_watch {
	int fd;
	worker_watch_fn func;
	uint64_t id;
	UT_hash_handle hh;
};

/* Zeroed at first; in place and unmoved while it runs. */
struct worker_timer {
	struct timer_node node;
	worker_timer_fn func;
	bool pending;
};

/*
 * Call @func whenever @events (those of epoll, level-triggered unless EPOLLET; 0: EPOLLHUP and
 * EPOLLERR only, which are always among them) are there. @fd must stay open until it is unwatched;
 * a watch is in use once at a time, a descriptor in one watch. 0; -ENOMEM, -EMFILE, -ENFILE,
 * -EAGAIN (no thread), -ENOSPC (the user's limit of watches), -EPERM (not a descriptor that can be
 * waited for), with words.
 */
int worker_watch_fd(struct worker_watch *watch, int fd, uint32_t events, worker_watch_fn func);

/*
 * Unless it is called from a function that the worker runs, that of @watch is not running when this
 * returns, and will not run. A watch that is not in use is ignored.
 */
void worker_unwatch(struct worker_watch *watch);

/*
 * Call @func once at @when, of clock_ns(), or soon after; at once if that is over. A timer that
 * runs is set anew. 0; -ENOMEM, -EMFILE, -ENFILE, -EAGAIN, with words; setting one anew cannot
 * fail.
 */
int worker_timer_start(struct worker_timer *timer, uint64_t when, worker_timer_fn func);

/* true: it will not run. false: it has run, is running, or was not set. Waits for nobody. */
bool worker_timer_cancel(struct worker_timer *timer);

/* The same, and waits until it is not running, but when called from a function of the worker's. */
bool worker_timer_stop(struct worker_timer *timer);

#endif
