/* SPDX-License-Identifier: MIT */
/**
 * DOC: life words
 *
 * A waiter that sleeps should hear of a holder's death at once, not at its next look. Each client
 * has a word in the control block that the kernel marks, and wakes a sleeper on, when its process
 * ends: a robust list does that, kept by a thread of the library that does nothing else. A list's
 * nodes must be in memory of our own and at one distance from their words, so the header is mapped
 * once more, behind a private page; a node is at its word's place in that page.
 *
 * It is a notice only: early (threads of the process may still be in the kernel), and not to be
 * relied on (a peer may write the word, the list is full, there is no memory for a page). What
 * decides is the lock on the slot's byte, and whoever got no notice looks every now and then.
 */
#ifndef DMABUF_SHM_LIFE_H
#define DMABUF_SHM_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/control.h"

struct life {
	void *pages; /* the private one, then the header; NULL: no notice */
	struct life_node *node;
};

/*
 * From now on the client of @slot is missed when this process ends. @fd: its own description. Does
 * nothing if there is no thread or memory to be had.
 */
void life_begin(struct life *life, struct control *c, int fd, uint32_t slot);

/* Not any more; sleepers are woken, since nobody is there now. */
void life_end(struct life *life, struct control *c, uint32_t slot);

/* In a child only the memory goes; it has none of the mappings. */
void life_forget(struct life *life);

/* Has the kernel said that the client of @slot ended? */
bool life_ended(const struct control *c, uint32_t slot);

/*
 * What to sleep on to hear of the end of @slot's client: true if it has such a word, and has not
 * ended yet. Whoever wakes there wakes all others, because the kernel wakes one.
 */
bool life_listen(const struct control *c, uint32_t slot, _Atomic(uint32_t) **word,
		 uint32_t *expected);

/*
 * Sleep while *@word is @expected and the client of @slot lives, as shm_futex_wait(). -EAGAIN too
 * if it is known to have ended, or @slot keeps no word.
 */
int life_wait(struct control *c, uint32_t slot, _Atomic(uint32_t) *word, uint32_t expected,
	      uint64_t deadline_ns);

#endif
