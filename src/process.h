/* SPDX-License-Identifier: MIT */
/*
 * Who this process is. Handles belong to the process that made them: a forked child shares the
 * parent's memory but must not act in its name, so a page that fork wipes tells the two apart.
 */
#ifndef DMABUF_SRC_PROCESS_H
#define DMABUF_SRC_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A number that is this process's own and never 0; changes in a forked child. 0 if the machinery
 * could not be set up (no memory), with errno set. Async-signal-safe after the first call.
 */
uint64_t process_cookie(void);

/* The page that fork wipes, once it was set up; only for process_is(). */
extern _Atomic(uint64_t) *_Atomic process_cookie_page __attribute__((visibility("hidden")));

/* Is this the process whose cookie @cookie is? For the fast path. */
static inline bool process_is(uint64_t cookie)
{
	_Atomic(uint64_t) *page = atomic_load_explicit(&process_cookie_page, memory_order_acquire);

	return page && atomic_load_explicit(page, memory_order_relaxed) == cookie;
}

/* Label shown to other holders: dmabuf_set_label() or the program's name. At least 32 bytes. */
void process_label(char *label);

/* Held across fork(), so that a child finds the label whole. */
void process_hold_for_fork(bool hold);

#endif
