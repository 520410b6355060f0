// SPDX-License-Identifier: MIT
/* Locks that do not wait (mission row D7): begun, taken over, cancelled. */
#include "dmabuf-sync-attempt.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "export.h"
#include "kernel/hold.h"
#include "process.h"
#include "resv/fast.h"
#include "resv/thread.h"

static int check_request(struct dmabuf_sync *sync, const struct sync_request *request)
{
	unsigned int i;
	int err = sync_check_lock(sync, request->timeout_ms);

	for (i = 0; !err && i < request->num_after; i++)
		if (!request->after || !request->after[i])
			err = dmabuf_fail(EINVAL, "no fence (NULL) to wait for");
	return err;
}

/* Ask for the first member, so that the place in the queue is fixed; all else is the thread's. */
static void ask(struct sync_attempt *a)
{
	struct resv_hold *h = &a->members[0]->hold;
	int ret = resv_enqueue(h, h->kind);

	if (!ret) {
		a->at = 1;
	} else if (ret == -EAGAIN) {
		a->queued = true;
		resv_waiter_init(&a->waiter, h, a->deadline);
	}
}

/* True: it has ended. */
static bool first_step(struct sync_attempt *a)
{
	unsigned int i;

	for (i = a->at; i < a->count; i++)
		sync_note(a->members[i], 0);
	if (!a->func && !a->num_inputs)
		return attempt_step(a);
	ask(a);
	return false;
}

/* All at once, so that the thread is not needed. */
static bool take_at_once(struct sync_attempt *a)
{
	if (a->func || a->num_inputs || a->sync->fd >= 0 || kernel_hold_any(a->members, a->count))
		return false;
	for (; a->at < a->count; a->at++) {
		sync_note(a->members[a->at], 0);
		if (!resv_take_word(&a->members[a->at]->hold, a->members[a->at]->hold.kind))
			return false;
	}
	attempt_grant(a, 0);
	return true;
}

/* The attempt is over, or has failed. */
static void drop(struct dmabuf_sync *sync)
{
	struct sync_attempt *a = sync->attempt;

	sync->attempt = NULL;
	sync_fd_clear(sync->fd);
	/* Callbacks are removed by the thread: this may be one of them. */
	if (a->num_inputs) {
		resv_thread_forget_words(&a->sleeper);
		resv_thread_kick(&a->sleeper);
	} else {
		resv_thread_remove(&a->sleeper);
	}
	resv_sleeper_put(&a->sleeper);
}

/* With the attempt's lock held, which is given back. 0, or nothing has changed. */
static int begin(struct sync_attempt *a)
{
	struct dma_fence *fence = NULL;
	int err = 0, result = 0;

	if (!take_at_once(a)) {
		err = resv_thread_add(&a->sleeper);
		if (err)
			attempt_give_back(a);
		else if (first_step(a))
			fence = attempt_take_fence(a);
	} else {
		fence = attempt_take_fence(a);
	}
	if (a->state == ATTEMPT_FAILED)
		err = a->result;
	result = a->result;
	if (err) {
		a->state = ATTEMPT_OVER;
		a->started = true;
	}
	pthread_mutex_unlock(&a->lock);
	attempt_signal(fence, result);
	return err;
}

/* It is the thread's now. */
static void hand_over(struct sync_attempt *a)
{
	bool needed;

	attempt_watch_inputs(a);
	pthread_mutex_lock(&a->lock);
	a->started = true;
	needed = a->state == ATTEMPT_WAITING || a->claim_by != FUTEX_FOREVER;
	pthread_mutex_unlock(&a->lock);
	if (needed)
		resv_thread_kick(&a->sleeper);
	else
		resv_thread_remove(&a->sleeper);
}

int sync_lock_start(struct dmabuf_sync *sync, const struct sync_request *request,
		    struct dma_fence **fence)
{
	struct dma_fence *made = NULL;
	struct sync_attempt *a;
	int err = check_request(sync, request);

	if (err)
		return err;
	a = attempt_new(sync, request);
	if (!a)
		return -ENOMEM;
	if (fence) {
		made = sync_grant_fence(sync);
		if (!made) {
			resv_sleeper_put(&a->sleeper);
			return -ENOMEM;
		}
		a->fence = dma_fence_get(made);
	}
	sync->attempt = a;
	sync->status = SYNC_LOCKING;
	pthread_mutex_lock(&a->lock);
	err = begin(a);
	if (err) {
		sync->status = SYNC_UNLOCKED;
		drop(sync);
		dma_fence_put(made);
		return err;
	}
	if (fence)
		*fence = made;
	resv_sleeper_get(&a->sleeper);
	hand_over(a);
	resv_sleeper_put(&a->sleeper);
	return 0;
}

bool sync_is_locking(struct dmabuf_sync *sync)
{
	struct sync_attempt *a = sync->attempt;
	enum attempt_state state;

	if (!a)
		return false;
	pthread_mutex_lock(&a->lock);
	state = a->state;
	if (state == ATTEMPT_FAILED)
		sync->status = SYNC_UNLOCKED;
	pthread_mutex_unlock(&a->lock);
	if (state == ATTEMPT_WAITING || state == ATTEMPT_GRANTED)
		return true;
	drop(sync);
	return false;
}

static int cancel(struct dmabuf_sync *sync)
{
	struct sync_attempt *a = sync->attempt;
	struct dma_fence *fence = NULL;
	bool over;

	if (!a)
		return dmabuf_fail(EINVAL, "sync object \"%s\" waits for nothing", sync->name);
	pthread_mutex_lock(&a->lock);
	over = a->state == ATTEMPT_OVER;
	if (!over) {
		attempt_give_back(a);
		a->state = ATTEMPT_OVER;
		sync->status = SYNC_UNLOCKED;
		fence = attempt_take_fence(a);
	}
	pthread_mutex_unlock(&a->lock);
	if (over)
		return dmabuf_fail(EALREADY, "what sync object \"%s\" was locked for is under way",
				   sync->name);
	drop(sync);
	attempt_signal(fence, -ECANCELED);
	return 0;
}

void sync_attempt_end(struct dmabuf_sync *sync)
{
	struct sync_attempt *a = sync->attempt;

	if (!a)
		return;
	if (process_is(sync->cookie)) {
		if (sync_is_locking(sync))
			(void)cancel(sync);
		return;
	}
	/* The parent's thread is not here, and its fences are left alone. */
	sync->attempt = NULL;
	sync->status = SYNC_UNLOCKED;
	free(a);
}

DMABUF_PUBLIC int dmabuf_sync_lock_after(struct dmabuf_sync *sync, struct dma_fence **after,
					 unsigned int num_after, long timeout_ms,
					 struct dma_fence **fence)
{
	struct sync_request request = { .timeout_ms = timeout_ms,
					.after = after,
					.num_after = num_after };

	return sync_lock_start(sync, &request, fence);
}

DMABUF_PUBLIC int dmabuf_sync_lock_async(struct dmabuf_sync *sync, long timeout_ms,
					 struct dma_fence **fence)
{
	return dmabuf_sync_lock_after(sync, NULL, 0, timeout_ms, fence);
}

DMABUF_PUBLIC int dmabuf_sync_cancel(struct dmabuf_sync *sync)
{
	int err = sync_check(sync);

	return err ? err : cancel(sync);
}

/* With the attempt's lock held. */
static int finish(struct sync_attempt *a)
{
	struct dmabuf_sync *sync = a->sync;
	int ret;

	switch (a->state) {
	case ATTEMPT_WAITING:
		return dmabuf_fail(EAGAIN, "sync object \"%s\" waits for its buffers still",
				   sync->name);
	case ATTEMPT_GRANTED:
		ret = attempt_take_over(a, resv_self());
		sync->status = attempt_holds(ret) ? SYNC_LOCKED : SYNC_UNLOCKED;
		if (ret != -ETIMEDOUT)
			return ret;
		return dmabuf_fail(ETIMEDOUT,
				   "sync object \"%s\" had been granted, and lost a buffer to its "
				   "lease of %u ms before it was taken over",
				   sync->name, sync->lease_ms);
	default:
		sync->status = SYNC_UNLOCKED;
		return dmabuf_fail(-a->result, "%s", a->words);
	}
}

DMABUF_PUBLIC int dmabuf_sync_lock_finish(struct dmabuf_sync *sync)
{
	int ret = sync_check(sync);
	struct sync_attempt *a;

	if (ret)
		return ret;
	a = sync->attempt;
	if (!a || sync->status != SYNC_LOCKING)
		return dmabuf_fail(EINVAL,
				   "sync object \"%s\" waits for nothing: "
				   "dmabuf_sync_lock_async() comes first",
				   sync->name);
	pthread_mutex_lock(&a->lock);
	ret = finish(a);
	pthread_mutex_unlock(&a->lock);
	if (ret != -EAGAIN)
		drop(sync);
	return ret;
}
