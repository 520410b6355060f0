// SPDX-License-Identifier: MIT
/* Accesses to storage that can be replaced. */
#include "storage-pin.h"

#include <errno.h>

#include "clock.h"
#include "error.h"
#include "storage-deferred.h"
#include "storage-migrate.h"

/* How long an access stands back for one who waits to migrate. */
#define STAND_BACK_MS 5000
/* How long it waits for a migration that is under way, and so for copying. */
#define MOVING_MS 60000

static _Atomic(uint32_t) *own_pins(const struct buffer *b)
{
	return &shared_storage(b)->pins[b->client.slot].count;
}

/* Out, so that whoever waits for it goes on. */
static void step_back(struct buffer *b)
{
	atomic_fetch_sub(own_pins(b), 1);
	storage_wake(b);
}

void storage_unpin(struct buffer *b)
{
	atomic_fetch_sub(own_pins(b), 1);
	if (atomic_load(&shared_storage(b)->state) & SHM_STORAGE_QUEUED)
		storage_wake(b);
}

static uint64_t load_state(const struct buffer *b)
{
	return atomic_load(&shared_storage(b)->state);
}

static int moving_too_long(struct buffer *b)
{
	uint64_t owner = atomic_load(&shared_storage(b)->owner);
	char who[64];

	client_describe(&b->control, (uint32_t)owner - 1, who);
	return dmabuf_fail(ETIMEDOUT, "the buffer's storage has been migrating for %d ms, by %s",
			   MOVING_MS, who);
}

/* What a dead one announced is taken back; true: it was. */
static bool clear_dead(struct buffer *b)
{
	uint64_t owner = atomic_load(&shared_storage(b)->owner);

	if (storage_owner_alive(b, owner) || !storage_claim(b))
		return false;
	storage_unclaim(b);
	return true;
}

/* Without a pin. Until nobody says any of @flags, or @ms are over: false. */
static bool wait_while(struct buffer *b, uint64_t flags, unsigned int ms)
{
	uint64_t deadline = clock_ns() + ms * UINT64_C(1000000);
	uint32_t turn;

	for (;;) {
		turn = atomic_load(&shared_storage(b)->turn);
		if (!(load_state(b) & flags) || control_intact(&b->control) < 0)
			return true;
		if (clock_ns() >= deadline)
			return false;
		if (clear_dead(b))
			continue;
		storage_sleep(b, turn, deadline);
	}
}

/* How an access gets on with a state that is not as it left it. */
struct entry {
	enum storage_patience patience;
	bool stood_back;   /* once is enough */
	uint64_t deadline; /* whatever a scribbler makes of the word; 0: not looked yet */
};

static int try_again_later(void)
{
	return dmabuf_fail(EBUSY, "the buffer's storage is being chosen, moved or renewed");
}

/* Stand back for who waits to migrate, or do it if nobody is in the way. */
static void give_way(struct buffer *b, struct entry *e, uint64_t state)
{
	e->stood_back = true;
	if (state & SHM_STORAGE_QUEUED)
		(void)wait_while(b, SHM_STORAGE_QUEUED, STAND_BACK_MS);
	else
		(void)storage_migrate_wanted(b);
}

/*
 * With a pin, and @first: the process had none before. 0: go ahead; 1: look again; an error. The
 * pin is gone unless it is 0.
 */
static int look(struct buffer *b, struct entry *e, bool first)
{
	uint64_t state = load_state(b);
	int err;

	if (state & SHM_STORAGE_MOVING) {
		step_back(b);
		if (e->patience == STORAGE_TRY)
			return try_again_later();
		return wait_while(b, SHM_STORAGE_MOVING, MOVING_MS) ? 1 : moving_too_long(b);
	}
	if ((state & (SHM_STORAGE_QUEUED | SHM_STORAGE_WANTED)) && first && !e->stood_back &&
	    e->patience == STORAGE_WAIT) {
		step_back(b);
		give_way(b, e, state);
		return 1;
	}
	if (e->patience == STORAGE_TRY && storage_state(storage_generation(state)) !=
						  atomic_load(&b->storage.deferred->current)) {
		step_back(b);
		return try_again_later();
	}
	if (!storage_generation(state)) {
		step_back(b);
		err = storage_choose(b, NULL);
		return err ? err : 1;
	}
	/* Pinned as it is. */
	err = storage_renew(b);
	if (err)
		step_back(b);
	return err;
}

/* Is it worth another look? False with words. */
static bool goes_on(struct buffer *b, struct entry *e)
{
	uint64_t now = clock_ns();

	if (control_intact(&b->control) < 0)
		return false;
	if (!e->deadline)
		e->deadline = now + MOVING_MS * UINT64_C(2000000);
	if (now < e->deadline)
		return true;
	dmabuf_fail(EIO, "the buffer is spoilt: the state of its storage changes all the time");
	return false;
}

int storage_pin(struct buffer *b, enum storage_patience patience)
{
	struct entry e = { .patience = patience };
	uint32_t before;
	int ret;

	do {
		before = atomic_fetch_add(own_pins(b), 1);
		if (load_state(b) ==
		    atomic_load_explicit(&b->storage.deferred->current, memory_order_acquire))
			return 0;
		ret = look(b, &e, before == 0);
	} while (ret > 0 && goes_on(b, &e));
	return ret > 0 ? -EIO : ret;
}
