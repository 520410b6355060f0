// SPDX-License-Identifier: MIT
/*
 * Unlocks that a fence brings about. The holds leave the object with the members that they are in,
 * and the object gets others in their place: those of an earlier release that is over, or new ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dmabuf-sync-async.h"
#include "error.h"
#include "export.h"
#include "list.h"
#include "process.h"
#include "resv/thread.h"

/* Whoever sets the second of these frees it. */
#define RELEASE_GIVEN 1u  /* the holds are given back, and nobody looks at them any more */
#define RELEASE_ORPHAN 2u /* the object is no more interested */

struct sync_release {
	struct resv_sleeper sleeper; /* the object's reference, which becomes the orphan's */
	struct dma_fence_cb cb;
	struct dma_fence *fence; /* a reference */
	struct sync_member **members;
	unsigned int count;
	unsigned int room;
	int error; /* the fence's */
	_Atomic(unsigned int) flags;
	struct sync_release *next; /* of the object */
};

static struct sync_release *release_of(struct resv_sleeper *sleeper)
{
	return container_of(sleeper, struct sync_release, sleeper);
}

static void release_free(struct sync_release *r)
{
	while (r->count)
		sync_member_free(r->members[--r->count]);
	free(r->members);
	free(r);
}

static void release_unused(struct resv_sleeper *sleeper)
{
	struct sync_release *r = release_of(sleeper);

	dma_fence_put(r->fence);
	release_free(r);
}

static void give_back(struct sync_release *r)
{
	unsigned int i;

	if (!r->error) {
		(void)sync_unlock_members(r->members, r->count);
		return;
	}
	for (i = r->count; i > 0; i--) {
		struct sync_member *m = r->members[i - 1];

		if (sync_is_tracked(m))
			(void)sync_coherency_end(m);
		(void)resv_unlock_torn(&m->hold);
	}
}

static bool is_tracked(const struct sync_release *r)
{
	unsigned int i;

	for (i = 0; i < r->count; i++)
		if (sync_is_tracked(r->members[i]))
			return true;
	return false;
}

/* True: it is this caller's to free. */
static bool set_flag(struct sync_release *r, unsigned int flag)
{
	return atomic_fetch_or(&r->flags, flag) & ~flag;
}

/* In the library's thread: what the callback left to it, and the end of orphans. */
static bool release_look(struct resv_sleeper *sleeper)
{
	struct sync_release *r = release_of(sleeper);

	if (!(atomic_load(&r->flags) & RELEASE_GIVEN)) {
		give_back(r);
		if (!set_flag(r, RELEASE_GIVEN))
			return false;
	}
	resv_sleeper_put(sleeper);
	return false;
}

/* Whoever signals the fence. Nothing of it is touched once it is somebody else's to free. */
static void fence_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct sync_release *r = container_of(cb, struct sync_release, cb);
	int status = dma_fence_get_status_locked(fence);

	r->error = status < 0 ? status : 0;
	if (is_tracked(r)) {
		resv_thread_kick(&r->sleeper);
		return;
	}
	give_back(r);
	/* Freeing buffers can take long, and takes locks. */
	if (set_flag(r, RELEASE_GIVEN))
		resv_thread_kick(&r->sleeper);
}

/* Members like the object's, with entries of their own. 0, or an error and those before @r->count.
 */
static int make_members(struct sync_release *r, const struct dmabuf_sync *sync)
{
	const struct sync_member *like;

	r->room = sync->count;
	r->members = calloc(r->room, sizeof(struct sync_member *));
	if (!r->members)
		return dmabuf_fail(ENOMEM, "no memory for an unlock of %u buffers", sync->count);
	for (; r->count < sync->count; r->count++) {
		like = sync->members[r->count];
		r->members[r->count] = sync_member_new(like->dmabuf, like->type, like->start,
						       like->len, sync->name, sync->lease_ms);
		if (!r->members[r->count])
			return -errno;
	}
	return 0;
}

static struct sync_release *release_new(const struct dmabuf_sync *sync)
{
	struct sync_release *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return dmabuf_fail_ptr(ENOMEM, "no memory for an unlock by a fence");
	err = make_members(r, sync);
	if (!err)
		return r;
	release_free(r);
	errno = -err;
	return NULL;
}

/* Is what is in it as good as new? */
static bool fits(const struct sync_release *r, const struct dmabuf_sync *sync)
{
	unsigned int i;

	if (!(atomic_load(&r->flags) & RELEASE_GIVEN) || r->count != sync->count)
		return false;
	for (i = 0; i < r->count; i++) {
		const struct sync_member *a = r->members[i], *b = sync->members[i];

		if (a->dmabuf != b->dmabuf || a->type != b->type || a->start != b->start ||
		    a->len != b->len || a->hold.lease_ms != b->hold.lease_ms || !a->hold.shared)
			return false;
	}
	return true;
}

static void dispose(struct sync_release *r)
{
	resv_thread_remove(&r->sleeper);
	resv_sleeper_put(&r->sleeper);
}

/* Those that are over: the first that fits is kept for the caller, the others go. */
static struct sync_release *collect(struct dmabuf_sync *sync)
{
	struct sync_release **link = &sync->releases, *r, *found = NULL;

	while ((r = *link)) {
		if (!(atomic_load(&r->flags) & RELEASE_GIVEN)) {
			link = &r->next;
			continue;
		}
		*link = r->next;
		if (!found && fits(r, sync))
			found = r;
		else
			dispose(r);
	}
	return found;
}

void sync_releases_drop(struct dmabuf_sync *sync)
{
	struct sync_release *r;

	while ((r = sync->releases)) {
		sync->releases = r->next;
		/* A child has neither the thread nor the parent's fences. */
		if (!process_is(sync->cookie))
			release_free(r);
		else if (set_flag(r, RELEASE_ORPHAN))
			dispose(r);
	}
}

/* One with room for what the object holds, listed with the thread. NULL with errno and words. */
static struct sync_release *prepare(struct dmabuf_sync *sync)
{
	struct sync_release *r = collect(sync);
	int err;

	if (r) {
		resv_thread_remove(&r->sleeper);
		dma_fence_put(r->fence);
	} else {
		r = release_new(sync);
		if (!r)
			return NULL;
	}
	r->fence = NULL;
	resv_sleeper_init(&r->sleeper, release_look, release_unused);
	atomic_store(&r->flags, 0);
	r->error = 0;
	err = resv_thread_add(&r->sleeper);
	if (!err)
		return r;
	resv_sleeper_put(&r->sleeper);
	errno = -err;
	return NULL;
}

static void exchange_members(struct sync_release *r, struct dmabuf_sync *sync)
{
	struct sync_member **members = r->members;
	unsigned int room = r->room, i;

	r->members = sync->members;
	r->room = sync->room;
	sync->members = members;
	sync->room = room;
	sync_members_changed(sync);
	for (i = 0; i < r->count; i++)
		sync_note(r->members[i], 0);
}

void sync_unlock_error(struct dmabuf_sync *sync, int error)
{
	struct sync_release now = { .members = sync->members,
				    .count = sync->count,
				    .error = error };

	give_back(&now);
	sync->status = SYNC_UNLOCKED;
}

void sync_unlock_unused(struct dmabuf_sync *sync)
{
	unsigned int i;

	for (i = 0; i < sync->count; i++)
		if (sync_is_tracked(sync->members[i]))
			(void)sync_coherency_end(sync->members[i]);
	sync_return_members(sync->members, sync->count);
	sync->status = SYNC_UNLOCKED;
}

static int unlock_now(struct dmabuf_sync *sync, const struct dma_fence *fence)
{
	int error = __atomic_load_n(&fence->error, __ATOMIC_RELAXED);

	if (error >= 0)
		return dmabuf_sync_unlock(sync);
	sync_unlock_error(sync, error);
	return 0;
}

DMABUF_PUBLIC int dmabuf_sync_unlock_fence(struct dmabuf_sync *sync, struct dma_fence *fence)
{
	struct sync_release *r;
	int err = sync_check_locked(sync);

	if (err)
		return err;
	if (!fence)
		return dmabuf_fail(EINVAL, "no fence (NULL) to unlock sync object \"%s\" with",
				   sync->name);
	if (dma_fence_is_signaled(fence))
		return unlock_now(sync, fence);
	r = prepare(sync);
	if (!r)
		return -errno;
	exchange_members(r, sync);
	r->fence = dma_fence_get(fence);
	r->next = sync->releases;
	sync->releases = r;
	sync->status = SYNC_UNLOCKED;
	if (dma_fence_add_callback(fence, &r->cb, fence_signaled))
		fence_signaled(fence, &r->cb);
	return 0;
}
