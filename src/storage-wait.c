// SPDX-License-Identifier: MIT
/* Who has begun accesses to storage, and who is at work on the next. */
#include "storage-deferred.h"

#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "error.h"
#include "shm/recovery.h"
#include "shm/sleep.h"

/* Wake-ups can be lost or stolen, so every sleep is short. */
#define SLEEP_NS 50000000u
/* So many of those in the way are named. */
#define NAMED 3

static uint32_t pins_of(const struct buffer *b, uint32_t slot)
{
	return atomic_load(&shared_storage(b)->pins[slot].count);
}

/* Is what is counted there of somebody who can still do something? The dead are cleaned up. */
static bool is_held(struct buffer *b, uint32_t slot)
{
	if (!pins_of(b, slot))
		return false;
	if (slot == b->client.slot || client_alive(b->client.fd, slot))
		return true;
	(void)recovery_try(&b->client, &b->control, slot);
	/* Its process is gone, so that only what its devices do counts. */
	return pins_of(b, slot) && client_device_busy(b->client.fd, slot);
}

unsigned int storage_count_pins(struct buffer *b, bool *ours)
{
	unsigned int count = 0;
	uint32_t slot;

	*ours = false;
	for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++) {
		if (!is_held(b, slot))
			continue;
		if (slot == b->client.slot)
			*ours = true;
		else
			count++;
	}
	return count;
}

int storage_report_pins(struct buffer *b, int err, const char *what)
{
	unsigned int found = 0;
	char text[400] = "", who[64];
	size_t len = 0;
	uint32_t slot;

	for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++) {
		if (!is_held(b, slot) || ++found > NAMED)
			continue;
		client_describe(&b->control, slot, who);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s has %u",
					found > 1 ? "; " : "", who,
					client_alive(b->client.fd, slot) || slot == b->client.slot
						? ""
						: ", which is dead, but whose device is not done,",
					pins_of(b, slot));
	}
	if (found > NAMED)
		snprintf(text + len, sizeof(text) - len, "; and %u more", found - NAMED);
	return dmabuf_fail(err, "%s: accesses are held: %s", what,
			   found ? text : "by one that is gone by now");
}

bool storage_owner_alive(struct buffer *b, uint64_t owner)
{
	uint32_t slot = (uint32_t)owner - 1;

	if (!owner || slot >= DMA_BUF_MAX_CLIENTS)
		return false;
	if (slot == b->client.slot)
		return owner == storage_me(b);
	return atomic_load(&b->control.header->clients[slot].generation) == owner >> 32 &&
	       client_alive(b->client.fd, slot);
}

bool storage_claim(struct buffer *b)
{
	_Atomic(uint64_t) *place = &shared_storage(b)->owner;
	uint64_t owner = atomic_load(place);

	return !storage_owner_alive(b, owner) &&
	       atomic_compare_exchange_strong(place, &owner, storage_me(b));
}

void storage_unclaim(struct buffer *b)
{
	uint64_t me = storage_me(b);

	atomic_fetch_and(&shared_storage(b)->state,
			 ~(uint64_t)(SHM_STORAGE_MOVING | SHM_STORAGE_QUEUED));
	atomic_compare_exchange_strong(&shared_storage(b)->owner, &me, 0);
	storage_wake(b);
}

void storage_sleep(struct buffer *b, uint32_t turn, uint64_t deadline)
{
	uint64_t until = clock_ns() + SLEEP_NS;

	(void)shm_futex_wait(&shared_storage(b)->turn, turn, until < deadline ? until : deadline);
}

void storage_wake(struct buffer *b)
{
	atomic_fetch_add(&shared_storage(b)->turn, 1);
	shm_futex_wake_all(&shared_storage(b)->turn);
}
