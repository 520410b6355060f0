// SPDX-License-Identifier: MIT
/*
 * Other storage for a buffer that has some (mission row F6). Whoever wants it does it: claims the
 * place, holds the reservation as a reader, so that locks queue behind it, says MOVING, and looks
 * for accesses. If there are none, he has new storage prepared, copies, and puts it in force with
 * one store. Up to there the old one is in force, whatever becomes of him.
 */
#include "storage-migrate.h"

#include <dmabuf/storage.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "clock.h"
#include "error.h"
#include "export.h"
#include "resv/resv.h"
#include "storage-deferred.h"
#include "text.h"

struct move {
	struct buffer *b;
	const char *heap; /* or NULL */
	uint64_t deadline;
	struct storage_plan *plan;
	struct resv_hold hold;
};

/* Waiting for our turn */

static bool is_late(const struct move *m)
{
	return clock_ns() >= m->deadline;
}

static int someone_else(struct move *m)
{
	uint64_t owner = atomic_load(&shared_storage(m->b)->owner);
	char who[64];

	client_describe(&m->b->control, (uint32_t)owner - 1, who);
	return dmabuf_fail(m->deadline ? ETIMEDOUT : EAGAIN,
			   "the buffer's storage is being migrated by %s", who);
}

static int claim(struct move *m)
{
	uint32_t turn;

	for (;;) {
		turn = atomic_load(&shared_storage(m->b)->turn);
		if (storage_claim(m->b))
			return 0;
		if (control_intact(&m->b->control) < 0)
			return -EIO;
		if (is_late(m))
			return someone_else(m);
		storage_sleep(m->b, turn, m->deadline);
	}
}

/*
 * While locks are waited for, nobody stands back for us: whoever has one may need more accesses
 * before he gives it back.
 */
static int take_hold(struct move *m)
{
	int ret = resv_lock(&m->hold, 0, 0, false);

	if (ret == -EBUSY && m->deadline) {
		atomic_fetch_and(&shared_storage(m->b)->state, ~(uint64_t)SHM_STORAGE_QUEUED);
		ret = resv_lock(&m->hold, 0, m->deadline, false);
	}
	/* What is torn stays so, and is told to the next. */
	m->hold.told = false;
	if (ret == -EDEADLK)
		return dmabuf_fail(EAGAIN, "the buffer's storage cannot migrate while this thread "
					   "has locks");
	if (ret == -EBUSY)
		return -EAGAIN;
	return ret == -EOWNERDEAD ? 0 : ret;
}

static int accesses_held(struct move *m)
{
	return storage_report_pins(m->b, m->deadline ? ETIMEDOUT : EAGAIN,
				   "the buffer's storage cannot migrate");
}

/* 0: no access is held, and none begins until storage_unclaim(). */
static int stop_accesses(struct move *m)
{
	struct shm_storage *s = shared_storage(m->b);
	uint32_t turn;
	bool ours;
	int err;

	for (;;) {
		err = take_hold(m);
		if (err)
			return err;
		turn = atomic_load(&s->turn);
		atomic_fetch_or(&s->state, SHM_STORAGE_MOVING | SHM_STORAGE_QUEUED);
		if (!storage_count_pins(m->b, &ours) && !ours)
			return 0;
		atomic_fetch_and(&s->state, ~(uint64_t)SHM_STORAGE_MOVING);
		storage_wake(m->b);
		(void)resv_unlock(&m->hold);
		if (control_intact(&m->b->control) < 0)
			return -EIO;
		if (is_late(m))
			return accesses_held(m);
		/* Our own wake-up counts as one turn. */
		storage_sleep(m->b, turn + 1, m->deadline);
	}
}

/* The move itself */

static int ask_exporter(struct buffer *b)
{
	int err = b->base.ops->migrate ? b->base.ops->migrate(&b->base) : 0;

	if (!err)
		return 0;
	return dmabuf_fail(EBUSY, "exporter %s does not let the buffer's storage migrate: %s",
			   b->exp_name, strerror(err < 0 ? -err : err));
}

/* Which heaps. 0: none, it is well where it is; 1; -errno. */
static int make_plan(struct move *m)
{
	bool nested;
	int err = attachments_lock(m->b, &nested);

	if (err)
		return err;
	if (nested)
		return dmabuf_fail(EDEADLK,
				   "migration from inside the exporter's attach or detach");
	err = m->heap ? 0 : storage_plan_suits(m->b, m->plan);
	if (!err)
		err = storage_plan_make(m->b, m->plan);
	else if (err > 0)
		m->plan->count = 0;
	attachments_unlock(m->b);
	if (err)
		return err < 0 ? err : 0;
	if (m->heap)
		err = storage_plan_narrow(m->plan, m->heap);
	return err ? err : 1;
}

static bool is_at(const struct buffer *b, const char *heap)
{
	struct shm_storage_record record;

	return storage_read_record(&b->control, storage_in_force(b), &record) &&
	       !strcmp(record.heap, heap);
}

/* With no access held. */
static int move_now(struct move *m)
{
	int err = storage_may_move(m->b);

	if (!err)
		err = storage_renew(m->b);
	if (!err)
		err = make_plan(m);
	if (err <= 0 || (m->heap && is_at(m->b, m->heap)))
		return err < 0 ? err : 0;
	err = ask_exporter(m->b);
	return err ? err : storage_replace(m->b, m->plan);
}

static int claimed(struct move *m)
{
	struct deferred *d = m->b->storage.deferred;
	int err = stop_accesses(m);

	if (!err)
		err = move_now(m);
	if (resv_busy(&m->hold))
		(void)resv_unlock(&m->hold);
	storage_unclaim(m->b);
	/* The home sees by itself that the old one is out of force; this is only sooner. */
	if (!err)
		(void)home_settle(&d->address, d->socket, STORAGE_HOME_MS);
	return err;
}

static int with_hold(struct move *m)
{
	int err;

	m->hold.lease_ms = RESV_LEASE_MAX_MS;
	err = resv_claim(&m->hold, m->b, 0, STORAGE_MIGRATION);
	if (err)
		return err;
	err = claim(m);
	if (!err)
		err = claimed(m);
	resv_unclaim(&m->hold);
	return err;
}

/* One thread of a process at a time. */
static int enter(struct move *m)
{
	pthread_mutex_t *lock = &m->b->storage.deferred->migration;
	uint32_t turn;

	for (;;) {
		turn = atomic_load(&shared_storage(m->b)->turn);
		if (pthread_mutex_trylock(lock) == 0)
			return 0;
		if (is_late(m))
			return someone_else(m);
		storage_sleep(m->b, turn, m->deadline);
	}
}

int storage_migrate(struct buffer *b, const char *heap, uint64_t deadline)
{
	struct move m = { .b = b, .heap = heap, .deadline = deadline };
	int err = storage_may_move(b);

	if (err)
		return err;
	if (!storage_in_force(b)) {
		err = storage_choose(b, heap);
		if (err || !heap || is_at(b, heap))
			return err;
	}
	m.plan = storage_plan_new(b);
	if (!m.plan)
		return -ENOMEM;
	err = enter(&m);
	if (!err) {
		err = with_hold(&m);
		pthread_mutex_unlock(&b->storage.deferred->migration);
		storage_wake(b);
	}
	free(m.plan);
	/* Somebody may have come meanwhile whom the new one does not suit. */
	if (!err)
		(void)storage_suits(b);
	return err;
}

int storage_attached(struct buffer *b, const char *device)
{
	char why[400];
	int err = storage_suits(b);

	if (err)
		return err < 0 ? err : 0;
	err = storage_migrate(b, NULL, 0);
	/* It pends. */
	if (!err || err == -EAGAIN)
		return 0;
	text_copy(why, sizeof(why), dmabuf_last_error());
	return dmabuf_fail(-err, "device %s needs other storage than the buffer has: %s", device,
			   why);
}

bool storage_migrate_wanted(struct buffer *b)
{
	bool ours;
	int err;

	if (storage_count_pins(b, &ours) || ours || storage_may_move(b) < 0)
		return false;
	err = storage_migrate(b, NULL, 0);
	/* Nor will it be possible at the next access; the device that needs it asks again. */
	if (err && err != -EAGAIN)
		atomic_fetch_and(&shared_storage(b)->state, ~(uint64_t)SHM_STORAGE_WANTED);
	return !err;
}

DMABUF_PUBLIC int dma_buf_migrate(struct dma_buf *dmabuf, const char *heap, long timeout_ms)
{
	int err = buffer_check(dmabuf);

	if (!err && heap)
		err = text_check(heap, DMA_BUF_HEAP_NAME_LEN, false, "heap name");
	if (!err && timeout_ms < 0)
		err = dmabuf_fail(EINVAL, "a timeout of %ld ms", timeout_ms);
	if (err)
		return err;
	err = storage_migrate(to_buffer(dmabuf), heap, timeout_ms ? futex_deadline(timeout_ms) : 0);
	return err == -EAGAIN ? -EBUSY : err;
}
