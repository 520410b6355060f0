// SPDX-License-Identifier: MIT
/*
 * Locking groups: members one at a time in ascending order, the next when the previous is granted,
 * which is why no two groups can wait for each other.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "dmabuf-sync-async.h"
#include "dmabuf-sync.h"
#include "error.h"
#include "export.h"
#include "kernel/hold.h"
#include "process.h"
#include "resv/fast.h"

static int unlock_member(struct sync_member *m)
{
	int err = sync_is_tracked(m) ? sync_coherency_end(m) : 0, ret;

	if (resv_put(&m->hold))
		return err;
	ret = resv_unlock(&m->hold);
	return ret ? ret : err;
}

int sync_unlock_members(struct sync_member **members, unsigned int count)
{
	unsigned int i;
	int ret = 0, err;

	for (i = count; i > 0; i--) {
		err = unlock_member(members[i - 1]);
		if (err && ret != -EIO)
			ret = err;
	}
	return ret;
}

void sync_say_acquiring(struct sync_member **members, unsigned int count, bool acquiring,
			uint64_t inode)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct shm_resv_entry *shared = members[i]->hold.shared;

		atomic_store(&shared->waits_for, inode);
		atomic_store(&shared->acquiring, acquiring);
	}
}

int sync_still_held(struct sync_member **members, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!resv_held(&members[i]->hold))
			return dmabuf_fail(ETIMEDOUT,
					   "a buffer of the group (inode %llu) was lost while "
					   "another was waited for",
					   (unsigned long long)members[i]->hold.buffer->key.inode);
	return 0;
}

/* From member @at on, which could not be had at once. 0, -EOWNERDEAD, or nothing is held. */
static int lock_rest(struct sync_member **members, unsigned int count, unsigned int at,
		     uint64_t deadline, bool intr)
{
	bool torn = false;
	int ret = 0;

	for (; at < count; at++) {
		if (deadline)
			sync_say_acquiring(members, at, true, members[at]->hold.buffer->key.inode);
		members[at]->hold.holding = at > 0;
		sync_note(members[at], resv_self());
		ret = resv_lock(&members[at]->hold, members[at]->hold.kind, deadline, intr);
		if (ret == -EOWNERDEAD)
			torn = true;
		else if (ret)
			break;
	}
	/* The last one never said it; and one alone cannot have been lost to others' waits. */
	if (deadline && at > 0)
		sync_say_acquiring(members, at < count ? at : count - 1, false, 0);
	if (at == count)
		ret = count > 1 ? sync_still_held(members, count) : 0;
	if (!ret)
		return torn ? -EOWNERDEAD : 0;
	sync_return_members(members, at);
	return ret;
}

void sync_return_members(struct sync_member **members, unsigned int count)
{
	for (; count > 0; count--) {
		/* Who does not write does not answer for the content. */
		members[count - 1]->hold.told = false;
		(void)resv_unlock(&members[count - 1]->hold);
	}
}

int sync_begin_members(struct sync_member **members, unsigned int count, uint64_t deadline,
		       bool intr)
{
	unsigned int i;
	int err = kernel_hold_any(members, count) ? kernel_hold_wait(members, count, deadline, intr)
						  : 0;

	if (err) {
		sync_return_members(members, count);
		return err;
	}
	for (i = 0; i < count; i++) {
		err = sync_is_tracked(members[i]) ? sync_coherency_begin(members[i]) : 0;
		if (!err)
			continue;
		for (; i > 0; i--)
			if (members[i - 1]->begun)
				(void)sync_coherency_end(members[i - 1]);
		sync_return_members(members, count);
		return err;
	}
	return 0;
}

int sync_lock_members(struct sync_member **members, unsigned int count, long timeout_ms, bool intr)
{
	uintptr_t thread = resv_self();
	uint64_t deadline = 0;
	bool tracked = false;
	unsigned int i;
	int ret = 0, err;

	for (i = 0; i < count; i++) {
		sync_note(members[i], thread);
		if (!resv_take(&members[i]->hold, members[i]->hold.kind))
			break;
		tracked |= sync_is_tracked(members[i]);
	}
	if (timeout_ms && (i < count || tracked))
		deadline = futex_deadline(timeout_ms);
	if (i < count) {
		ret = lock_rest(members, count, i, deadline, intr);
		tracked = true; /* perhaps */
	}
	if ((ret && ret != -EOWNERDEAD) || !tracked)
		return ret;
	err = sync_begin_members(members, count, deadline, intr);
	return err ? err : ret;
}

int sync_check_lock(struct dmabuf_sync *sync, long timeout_ms)
{
	int err = sync_check(sync);

	if (err)
		return err;
	if (timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms", timeout_ms);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): sync_check() refuses NULL */
	if (!sync->count)
		return dmabuf_fail(EINVAL,
				   "sync object \"%s\" has no buffers: dmabuf_sync_get() "
				   "adds them",
				   sync->name);
	if (sync_status(sync) == SYNC_LOCKED)
		return dmabuf_fail(EINVAL, "sync object \"%s\" is locked already", sync->name);
	if (sync_is_locking(sync))
		return dmabuf_fail(EBUSY,
				   "sync object \"%s\" waits for its lock already: "
				   "dmabuf_sync_lock_finish() takes it over",
				   sync->name);
	return 0;
}

static bool may_lock(const struct dmabuf_sync *sync)
{
	return sync && sync_status(sync) == SYNC_UNLOCKED && sync->count &&
	       process_is(sync->cookie);
}

static __attribute__((noinline)) int lock(struct dmabuf_sync *sync, long timeout_ms, bool intr)
{
	int ret;

	ret = may_lock(sync) && timeout_ms >= 0 ? 0 : sync_check_lock(sync, timeout_ms);
	if (ret)
		return ret;
	ret = sync_lock_members(sync->members, sync->count, timeout_ms, intr);
	if (!ret || ret == -EOWNERDEAD)
		sync_say_locked(sync);
	return ret;
}

/*
 * One buffer that nobody has: the most frequent lock of all. All that is rare is a tail call out of
 * it, since what a call saves to the stack has to be written before an atomic operation goes on.
 */
static inline bool is_ours(const struct dmabuf_sync *sync)
{
	return atomic_load_explicit(sync->process, memory_order_relaxed) == sync->cookie;
}

/* Taken, of a buffer whose coherency is tracked. */
static __attribute__((noinline)) int begin_only(struct dmabuf_sync *sync, long timeout_ms,
						bool intr)
{
	uint64_t deadline = timeout_ms ? futex_deadline(timeout_ms) : 0;
	int err = sync_begin_members(&sync->only, 1, deadline, intr);

	if (!err)
		sync_say_locked(sync);
	return err;
}

static inline __attribute__((always_inline)) int lock_fast(struct dmabuf_sync *sync,
							   long timeout_ms, bool intr)
{
	struct sync_member *m;

	if (!sync || !(m = sync->only) || sync->status != SYNC_UNLOCKED || timeout_ms < 0 ||
	    !is_ours(sync) ||
	    atomic_load_explicit(&m->hold.thread, memory_order_relaxed) != resv_self_number ||
	    !resv_take_again(&m->hold))
		return lock(sync, timeout_ms, intr);
	/* Not before it is ours: a device might come and go in between. */
	if (sync_is_tracked(m))
		return begin_only(sync, timeout_ms, intr);
	return 0;
}

DMABUF_PUBLIC int dmabuf_sync_lock(struct dmabuf_sync *sync)
{
	return lock_fast(sync, DMABUF_SYNC_TIMEOUT_MS, false);
}

DMABUF_PUBLIC int dmabuf_sync_lock_timeout(struct dmabuf_sync *sync, long timeout_ms)
{
	return lock_fast(sync, timeout_ms, false);
}

DMABUF_PUBLIC int dmabuf_sync_lock_interruptible(struct dmabuf_sync *sync, long timeout_ms)
{
	return lock_fast(sync, timeout_ms, true);
}

DMABUF_PUBLIC int dmabuf_sync_trylock(struct dmabuf_sync *sync)
{
	return lock_fast(sync, 0, false);
}

int sync_check_locked(const struct dmabuf_sync *sync)
{
	int err = sync_check(sync);

	if (err)
		return err;
	if (sync_status(sync) != SYNC_LOCKED)
		return dmabuf_fail(EAGAIN, "sync object \"%s\" is not locked", sync->name);
	return 0;
}

static __attribute__((noinline)) int unlock(struct dmabuf_sync *sync)
{
	int err = sync_check_locked(sync);

	if (err)
		return err;
	err = sync_unlock_members(sync->members, sync->count);
	sync->status = SYNC_UNLOCKED;
	if (err == -ETIMEDOUT)
		return dmabuf_fail(ETIMEDOUT,
				   "sync object \"%s\" had lost a buffer to its lease of %u ms: "
				   "somebody else may have had it meanwhile",
				   sync->name, sync->lease_ms);
	return err;
}

DMABUF_PUBLIC int dmabuf_sync_unlock(struct dmabuf_sync *sync)
{
	struct sync_member *m;

	if (!sync || !(m = sync->only) || sync->status != SYNC_UNLOCKED || !is_ours(sync) ||
	    sync_is_tracked(m) || !resv_put_again(&m->hold))
		return unlock(sync);
	return 0;
}

DMABUF_PUBLIC bool dmabuf_sync_is_locked(const struct dmabuf_sync *sync)
{
	unsigned int i;

	if (sync_check(sync) || sync_status(sync) != SYNC_LOCKED)
		return false;
	for (i = 0; i < sync->count; i++)
		if (!resv_held(&sync->members[i]->hold))
			return false;
	return true;
}

static int find_held(const struct dmabuf_sync *sync, const struct dma_buf *dmabuf,
		     struct resv_hold **hold)
{
	unsigned int i;
	int err;

	*hold = NULL;
	err = sync_check_locked(sync);

	if (err)
		return err;
	if (!dmabuf)
		return dmabuf_fail(EFAULT, "no buffer (NULL)");
	for (i = 0; i < sync->count; i++) {
		if (sync->members[i]->dmabuf != dmabuf)
			continue;
		*hold = &sync->members[i]->hold;
		return 0;
	}
	return dmabuf_fail(ENOENT, "the buffer is not in sync object \"%s\"", sync->name);
}

DMABUF_PUBLIC int dmabuf_sync_get_torn(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
				       struct dma_buf_access_info *info, unsigned int count)
{
	struct resv_hold *hold;
	int err = find_held(sync, dmabuf, &hold);

	if (err)
		return err;
	if (!info && count)
		return dmabuf_fail(EFAULT, "no room (NULL) for what is torn");
	return resv_get_torn(hold, info, count);
}

DMABUF_PUBLIC int dmabuf_sync_repaired(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
	struct resv_hold *hold;
	int err = find_held(sync, dmabuf, &hold);

	if (!err && hold->told && resv_held(hold))
		resv_repaired(hold);
	return err;
}
