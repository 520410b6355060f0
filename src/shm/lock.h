/* SPDX-License-Identifier: MIT */
/*
 * A lock in shared memory for short internal sections. The owner is named by slot, so a dead owner
 * is found through its slot's lock byte and broken; a living one that does not move is waited for
 * until the deadline, and then named. Threads of one process share a slot: the caller serialises
 * them with a mutex first.
 */
#ifndef DMABUF_SHM_LOCK_H
#define DMABUF_SHM_LOCK_H

#include "shm/client.h"

/*
 * How long a living holder is waited for. One that used up this time is then waited for only for a
 * moment, until the lock could be had again: so a call that needs the lock many times has an end.
 */
#define LOCK_TIMEOUT_MS 5000

/*
 * The list lock. The caller has serialised this process's threads. 0; -ETIMEDOUT with words that
 * name the holder; -EIO if the control block was wiped.
 */
int lock_list(struct client *client, struct control *c);
void unlock_list(struct client *client, struct control *c);
/* Has anybody alive got it, this process included? */
bool lock_list_held(const struct client *client, const struct control *c);

/*
 * The coherency lock together with the mutex that serialises this process's threads. If its last
 * holder died with it, the state is such that coherency_sanitize() finds nothing to believe in.
 */
int lock_coherency(struct client *client, struct control *c);
void unlock_coherency(struct client *client, struct control *c);

/* Free the lock if it names @slot, whose client is known to be dead or is the caller itself. */
void lock_break(struct shm_lock *lock, uint32_t slot);

#endif
