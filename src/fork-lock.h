/* SPDX-License-Identifier: MIT */
/*
 * The lock of what belongs to one process: threads, and tables of descriptors that are served or
 * watched. It is held across fork(), so that a child finds all of it whole; and what a child has of
 * its parent's is forgotten before the child uses any of it: after fork(), or, in the child of a
 * bare clone(), which runs no fork handlers, with the first fork_lock().
 *
 * No thread holds two of them, and forget() takes none.
 */
#ifndef DMABUF_SRC_FORK_LOCK_H
#define DMABUF_SRC_FORK_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fork_lock {
	pthread_mutex_t mutex; /* for pthread_cond_wait() */
	void (*forget)(void);  /* with the lock held */
	uint64_t cookie;       /* of the process that used it last; 0: none did */
	atomic_bool listed;
	struct fork_lock *next;
};

/* clang-format off */
#define FORK_LOCK(forget_fn) { .mutex = PTHREAD_MUTEX_INITIALIZER, .forget = (forget_fn) }
/* clang-format on */

void fork_lock(struct fork_lock *l);
void fork_unlock(struct fork_lock *l);

#endif
