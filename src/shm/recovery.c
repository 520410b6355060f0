// SPDX-License-Identifier: MIT
#include "shm/recovery.h"

#include "error.h"
#include "resv/resv.h"
#include "shm/lock.h"
#include "shm/sleep.h"

#define OWNER_SLOT(owner) (((uint32_t)(owner)) - 1)

static bool belongs_to(const struct shm_attachment *a, uint32_t slot)
{
	uint64_t owner = atomic_load(&a->owner);

	return owner && OWNER_SLOT(owner) == slot;
}

/* Takes the dead client's mappings back; did one of them write? */
static bool end_devices(struct control *c, uint32_t slot)
{
	bool wrote = false;
	unsigned int i;

	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		struct shm_attachment *a = &c->attachments[i];

		if (!belongs_to(a, slot))
			continue;
		atomic_store(&a->device_readers, 0);
		if (atomic_exchange(&a->device_writers, 0))
			wrote = true;
	}
	return wrote;
}

/*
 * Nobody says what a dead process wrote last: its devices' buffers count as written by them, its
 * open CPU accesses as dirty everywhere. No cache operation is due until somebody's next access.
 */
static int abandon_ownership(struct client *client, struct control *c, uint32_t slot)
{
	struct shm_header *h = c->header;
	uint64_t size = control_whole_lines(c->size);
	struct coherency_state s;
	struct coherency_plan plan;
	int err;

	err = lock_coherency(client, c);
	if (err)
		return err;
	control_copy(&s, &h->coherency, sizeof(s));
	coherency_sanitize(&s, size, UINT32_MAX);
	if (end_devices(c, slot))
		coherency_device_end(&s, size, COHERENCY_WRITE, &plan);
	if (atomic_exchange(&h->clients[slot].cpu_writers, 0))
		coherency_assume_dirty(&s, size);
	h->coherency = s;
	unlock_coherency(client, c);
	return 0;
}

/* Its accesses to storage that can move are over: who waits for that may go on. */
static void storage_forget_pins(struct control *c, uint32_t slot)
{
	if (!(*(volatile const uint32_t *)&c->header->flags & SHM_DEFERRED))
		return;
	if (!atomic_exchange(&c->storage->pins[slot].count, 0))
		return;
	atomic_fetch_add(&c->storage->turn, 1);
	shm_futex_wake_all(&c->storage->turn);
}

int recovery_clean(struct client *client, struct control *c, uint32_t slot)
{
	struct shm_header *h = c->header;
	unsigned int i;
	int err;

	lock_break(&h->list_lock, slot);
	resv_recover_slot(c, slot);
	if (atomic_load(&h->tracked)) {
		err = abandon_ownership(client, c, slot);
		if (err)
			return err;
	} else {
		lock_break(&h->coherency_lock, slot);
	}
	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++)
		if (belongs_to(&c->attachments[i], slot))
			atomic_store(&c->attachments[i].owner, 0);
	atomic_store(&h->clients[slot].cpu_writers, 0);
	storage_forget_pins(c, slot);
	atomic_store(&h->clients[slot].state, SHM_CLIENT_FREE);
	control_count(c, recovered, 1);
	dmabuf_log(DMABUF_LOG_WARNING, "cleaned up after a dead holder in slot %u", slot);
	return 0;
}

bool recovery_try(struct client *client, struct control *c, uint32_t slot)
{
	bool cleaned = false;

	if (slot == client->slot || slot >= DMA_BUF_MAX_CLIENTS)
		return false;
	/* The slot's lock would not keep out another thread of ours: it is at work, that will do.
	 */
	if (pthread_mutex_trylock(&client->recovery_mutex))
		return false;
	if (client_lock_slot(client, slot) == 0) {
		/* Its process is gone, but a transfer of its device may go on: not yet. */
		if (!client_device_busy(client->fd, slot) &&
		    atomic_load(&c->header->clients[slot].state) != SHM_CLIENT_FREE)
			cleaned = recovery_clean(client, c, slot) == 0;
		client_unlock_slot(client, slot);
	}
	pthread_mutex_unlock(&client->recovery_mutex);
	return cleaned;
}

bool recovery_sweep(struct client *client, struct control *c)
{
	bool cleaned = false;
	uint32_t slot;

	for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++)
		if (atomic_load(&c->header->clients[slot].state) != SHM_CLIENT_FREE &&
		    recovery_try(client, c, slot))
			cleaned = true;
	return cleaned;
}
