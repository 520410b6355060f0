/* SPDX-License-Identifier: MIT */
/*
 * What a dead client leaves (locks, attachments, ownership) is undone by whoever finds it, with the
 * lock byte of its slot held, so not before its last thread is gone and never by two at once. Every
 * step can be redone, should the one who cleans up die too.
 */
#ifndef DMABUF_SHM_RECOVERY_H
#define DMABUF_SHM_RECOVERY_H

#include <stdbool.h>

#include "shm/client.h"

/* With @slot's lock byte held by @client. 0, or lock_coherency()'s errors with nothing freed yet.
 */
int recovery_clean(struct client *client, struct control *c, uint32_t slot);

/* If @slot's client is dead, clean up. Returns true if it did. */
bool recovery_try(struct client *client, struct control *c, uint32_t slot);

/* recovery_try() on every slot in use. Returns true if there was anything to do. */
bool recovery_sweep(struct client *client, struct control *c);

#endif
