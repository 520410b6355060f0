// SPDX-License-Identifier: MIT
#include "shm/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "process.h"
#include "shm/recovery.h"
#include "text.h"

void client_init(struct client *client)
{
	pthread_mutexattr_t attr;

	client->fd = -1;
	client->device_fd = -1;
	client->slot = DMA_BUF_MAX_CLIENTS;
	client->generation = 0;
	atomic_init(&client->stuck_list, 0);
	atomic_init(&client->stuck_coherency, 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&client->coherency_mutex, &attr);
	pthread_mutex_init(&client->recovery_mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

void client_destroy(struct client *client)
{
	if (client->device_fd >= 0)
		close(client->device_fd);
	client->device_fd = -1;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	pthread_mutex_destroy(&client->coherency_mutex);
	pthread_mutex_destroy(&client->recovery_mutex);
}

static int set_lock(int fd, short type, int64_t byte)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	/* The kernel's way to say that it found no memory for a lock. */
	return errno == ENOLCK ? -ENOMEM : -errno;
}

static bool range_locked(int fd, int64_t first, int64_t count)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count
	};

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return true;
	return lock.l_type != F_UNLCK;
}

int client_reopen(int fd)
{
	char path[64];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own >= 0)
		return own;
	if (errno == ENOENT && access("/proc/self/fd", F_OK) < 0)
		return dmabuf_fail(ENOSYS, "/proc is not mounted, which this library needs");
	return dmabuf_fail(errno, "opening descriptor %d anew failed: %s", fd, strerror(errno));
}

int client_publish(int fd)
{
	int err = set_lock(fd, F_RDLCK, SHM_LOCK_PUBLISHED);

	if (err)
		return dmabuf_fail(-err, "marking descriptor %d as published failed: %s", fd,
				   strerror(-err));
	return 0;
}

int client_open_device(struct client *client)
{
	int fd, err;

	if (client->device_fd >= 0)
		return 0;
	fd = client_reopen(client->fd);
	if (fd < 0)
		return fd;
	err = set_lock(fd, F_WRLCK, SHM_LOCK_DEVICE(client->slot));
	if (err) {
		close(fd);
		return dmabuf_fail(-err, "marking the buffer as in use by a device failed: %s",
				   err == -EAGAIN ? "somebody else has the place of our devices"
						  : strerror(-err));
	}
	client->device_fd = fd;
	return 0;
}

/* Our own devices are no others, though their description is not the one that asks. */
static bool other_devices(const struct client *client)
{
	uint32_t slot = client->slot;

	return (slot && range_locked(client->fd, SHM_LOCK_DEVICE(0), slot)) ||
	       (slot + 1 < DMA_BUF_MAX_CLIENTS &&
		range_locked(client->fd, SHM_LOCK_DEVICE(slot + 1),
			     DMA_BUF_MAX_CLIENTS - slot - 1));
}

bool client_others(const struct client *client)
{
	return range_locked(client->fd, SHM_LOCK_PUBLISHED, 1 + DMA_BUF_MAX_CLIENTS) ||
	       other_devices(client);
}

bool client_alive(int fd, uint32_t slot)
{
	return range_locked(fd, SHM_LOCK_SLOT(slot), 1);
}

bool client_device_busy(int fd, uint32_t slot)
{
	return range_locked(fd, SHM_LOCK_DEVICE(slot), 1);
}

int client_lock_slot(struct client *client, uint32_t slot)
{
	return set_lock(client->fd, F_WRLCK, SHM_LOCK_SLOT(slot));
}

void client_unlock_slot(struct client *client, uint32_t slot)
{
	set_lock(client->fd, F_UNLCK, SHM_LOCK_SLOT(slot));
}

/* With the slot's lock held. What a dead predecessor left is undone first. */
static int occupy(struct client *client, struct control *c, uint32_t slot)
{
	struct shm_client *entry = &c->header->clients[slot];
	int err = 0;

	client->slot = slot;
	client->generation = atomic_load(&entry->generation) + 1;
	atomic_store(&entry->generation, client->generation);
	if (atomic_load(&entry->state) != SHM_CLIENT_FREE)
		err = recovery_clean(client, c, slot);
	if (err) {
		client->slot = DMA_BUF_MAX_CLIENTS;
		client_unlock_slot(client, slot);
		return err;
	}
	atomic_store(&entry->pid, (uint32_t)getpid());
	atomic_store(&entry->cpu_writers, 0);
	atomic_store(&c->header->life[slot].word, 0);
	if (c->header->flags & SHM_DEFERRED)
		atomic_store(&c->storage->pins[slot].count, 0);
	process_label(entry->label);
	atomic_store(&entry->state, SHM_CLIENT_LIVE);
	return 0;
}

int client_join(struct client *client, struct control *c)
{
	uint32_t slot;
	int pass;

	client->slot = DMA_BUF_MAX_CLIENTS;
	/* First the slots that look free, which saves trying the locks of the living. */
	for (pass = 0; pass < 2; pass++) {
		for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++) {
			bool busy = atomic_load(&c->header->clients[slot].state) != SHM_CLIENT_FREE;

			if (busy != (pass == 1))
				continue;
			if (client_lock_slot(client, slot))
				continue;
			/* A transfer of its last owner's device goes on. */
			if (client_device_busy(client->fd, slot)) {
				client_unlock_slot(client, slot);
				continue;
			}
			return occupy(client, c, slot);
		}
	}
	return dmabuf_fail(EUSERS, "the buffer has %d holders already, which is the limit",
			   DMA_BUF_MAX_CLIENTS);
}

void client_leave(struct client *client, struct control *c)
{
	if (client->slot < DMA_BUF_MAX_CLIENTS)
		atomic_store(&c->header->clients[client->slot].state, SHM_CLIENT_FREE);
	client->slot = DMA_BUF_MAX_CLIENTS;
}

void client_describe(const struct control *c, uint32_t slot, char *text)
{
	const struct shm_client *entry;
	char label[DMA_BUF_NAME_LEN];

	if (slot >= DMA_BUF_MAX_CLIENTS) {
		snprintf(text, 64, "slot %u, which does not exist", slot);
		return;
	}
	entry = &c->header->clients[slot];
	text_copy_untrusted(label, sizeof(label), entry->label, sizeof(entry->label));
	snprintf(text, 64, "%s (pid %u)", label, atomic_load(&entry->pid));
}
