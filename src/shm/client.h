/* SPDX-License-Identifier: MIT */
/*
 * Clients: the processes that have a handle on a buffer. The kernel's lock on a slot's byte says
 * who lives; shared memory only describes. A lock that can be taken belongs to nobody alive, not
 * even to one thread of a dying process, so what its former owner left may be cleaned up.
 */
#ifndef DMABUF_SHM_CLIENT_H
#define DMABUF_SHM_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/control.h"

struct client {
	int fd;	       /* an open file description of our own; carries the slot's lock */
	int device_fd; /* one more, made when needed; carries the lock of our devices */
	uint32_t slot;
	uint32_t generation;
	/* Threads of a process share slot and description, so between them mutexes decide. */
	pthread_mutex_t coherency_mutex; /* recursive: who waits for the lock may have to recover */
	/* Lock words of living holders that did not move in time; 0: none. See lock.h. */
	_Atomic(uint32_t) stuck_list;
	_Atomic(uint32_t) stuck_coherency;
	pthread_mutex_t recovery_mutex; /* recursive: recovery may find another dead client */
};

void client_init(struct client *client);
void client_destroy(struct client *client);

/* A second description of the same memfd. Returns a close-on-exec descriptor or -errno with words.
 */
int client_reopen(int fd);

/* Take a free slot, or a dead client's; @client->fd is set by the caller. -EUSERS when full. */
int client_join(struct client *client, struct control *c);

/* Free the slot. The caller closes fd afterwards, which drops the lock. */
void client_leave(struct client *client, struct control *c);

/* Mark descriptor @fd's description as one through which the buffer can be reached. */
int client_publish(int fd);

/*
 * Open the description that says that @client's devices may be at work; again is fine. Nobody forks
 * meanwhile, nor does another thread do the same: the registry's lock. 0 or -errno with words.
 */
int client_open_device(struct client *client);

/*
 * Does anybody but @client have a handle or a published descriptor, or a device that is not done?
 * On doubt: yes.
 */
bool client_others(const struct client *client);

/* Does somebody hold the lock of @slot? @fd: any description but the one that holds it. */
bool client_alive(int fd, uint32_t slot);

/*
 * Does a device of @slot's client, which may be dead, still do a transfer? @fd as for
 * client_alive().
 */
bool client_device_busy(int fd, uint32_t slot);

/* Try to own @slot's lock byte through @client's description; -EAGAIN while its client lives. */
int client_lock_slot(struct client *client, uint32_t slot);
void client_unlock_slot(struct client *client, uint32_t slot);

/* "label (pid 123)" of a slot; @text has room for 64 bytes. */
void client_describe(const struct control *c, uint32_t slot, char *text);

#define CLIENT_OWNER(slot, generation) (((uint64_t)(generation) << 32) | ((slot) + 1))

#endif
