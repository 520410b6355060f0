// SPDX-License-Identifier: MIT
/*
 * The steps of an asynchronous lock: member by member, then the fences, then granted, or given back
 * with the reason kept for who asks. With the attempt's lock held, unless it says otherwise.
 */
#include "dmabuf-sync-attempt.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "error.h"
#include "kernel/hold.h"
#include "shm/sleep.h"
#include "text.h"

/* A kernel's fence that came after the grant is waited for so long by whoever takes over. */
#define KERNEL_LATE_MS 1000

static void attempt_release(struct resv_sleeper *sleeper)
{
	struct sync_attempt *a = attempt_of(sleeper);
	unsigned int i;

	for (i = 0; i < a->num_inputs; i++)
		dma_fence_put(a->inputs[i].fence);
	dma_fence_put(a->fence);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

struct sync_attempt *attempt_new(struct dmabuf_sync *sync, const struct sync_request *request)
{
	struct sync_attempt *a;
	unsigned int i;

	a = calloc(1, sizeof(*a) + request->num_after * sizeof(a->inputs[0]));
	if (!a)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a lock of sync object \"%s\"",
				       sync->name);
	resv_sleeper_init(&a->sleeper, attempt_look, attempt_release);
	pthread_mutex_init(&a->lock, NULL);
	a->sync = sync;
	a->members = sync->members;
	a->count = sync->count;
	a->began = clock_ns();
	a->deadline = futex_deadline(request->timeout_ms);
	a->claim_by = FUTEX_FOREVER;
	a->func = request->func;
	a->data = request->data;
	atomic_init(&a->pending, (int)request->num_after);
	a->num_inputs = request->num_after;
	for (i = 0; i < a->num_inputs; i++) {
		a->inputs[i].attempt = a;
		a->inputs[i].fence = dma_fence_get(request->after[i]);
	}
	return a;
}

static int give_up(struct sync_attempt *a, struct resv_hold *h)
{
	if (resv_withdraw(h))
		return resv_granted(h);
	return resv_report(h, ETIMEDOUT, clock_ns() - a->began);
}

/* The member at @at: 0 or -EOWNERDEAD: held; -EAGAIN; an error. */
static int take_member(struct sync_attempt *a)
{
	struct resv_hold *h = &a->members[a->at]->hold;
	int ret;

	if (!a->queued) {
		sync_say_acquiring(a->members, a->at, true, h->buffer->key.inode);
		ret = resv_enqueue(h, h->kind);
		if (ret != -EAGAIN)
			return ret;
		a->queued = true;
		resv_waiter_init(&a->waiter, h, a->deadline);
	}
	ret = resv_look(&a->waiter);
	if (ret == -EAGAIN && clock_ns() >= a->deadline)
		ret = give_up(a, h);
	if (ret != -EAGAIN)
		a->queued = false;
	return ret;
}

/* The kernel's fences, which nothing tells of: they are looked at every now and then. */
static int check_kernel(struct sync_attempt *a)
{
	struct sync_member *m;

	if (!kernel_hold_any(a->members, a->count))
		return 0;
	m = kernel_hold_blocked(a->members, a->count);
	if (!m)
		return 0;
	return clock_ns() < a->deadline ? -EAGAIN : kernel_hold_report(m, ETIMEDOUT);
}

/* As far as it goes. 0 or -EOWNERDEAD: all are held; -EAGAIN; an error. */
static int advance(struct sync_attempt *a)
{
	int ret;

	for (; a->at < a->count; a->at++) {
		ret = take_member(a);
		if (ret == -EOWNERDEAD)
			a->torn = true;
		else if (ret)
			return ret;
	}
	sync_say_acquiring(a->members, a->count, true, 0);
	ret = attempt_check_inputs(a);
	if (!ret)
		ret = check_kernel(a);
	if (!ret)
		ret = sync_still_held(a->members, a->count);
	return !ret && a->torn ? -EOWNERDEAD : ret;
}

void attempt_give_back(struct sync_attempt *a)
{
	sync_say_acquiring(a->members, a->at, false, 0);
	if (a->queued && resv_withdraw(&a->members[a->at]->hold))
		a->at++;
	a->queued = false;
	sync_return_members(a->members, a->at);
	a->at = 0;
}

/* Why, in this thread's words; @ret is negative. */
static void fail(struct sync_attempt *a, int ret)
{
	text_copy(a->words, sizeof(a->words), dmabuf_last_error());
	attempt_give_back(a);
	a->state = ATTEMPT_FAILED;
	a->result = ret;
}

void attempt_grant(struct sync_attempt *a, int ret)
{
	sync_say_acquiring(a->members, a->count, false, 0);
	a->state = ATTEMPT_GRANTED;
	a->result = ret;
	if (a->sync->fd >= 0)
		a->claim_by = clock_ns() + a->sync->claim_ms * 1000000ull;
}

/* The one who waited for it takes over: as dmabuf_sync_lock(). */
int attempt_take_over(struct sync_attempt *a, uintptr_t thread)
{
	unsigned int i;
	int ret;

	a->state = ATTEMPT_OVER;
	ret = sync_still_held(a->members, a->count);
	if (ret) {
		sync_return_members(a->members, a->count);
		return ret;
	}
	ret = sync_begin_members(a->members, a->count, futex_deadline(KERNEL_LATE_MS), false);
	if (ret)
		return ret;
	for (i = 0; i < a->count; i++)
		sync_note(a->members[i], thread);
	return a->result;
}

/* A job's end: the object is its function's. */
void attempt_take_over_for_job(struct sync_attempt *a)
{
	if (a->state == ATTEMPT_GRANTED)
		a->result = attempt_take_over(a, 0);
	a->state = ATTEMPT_OVER;
	a->sync->status = attempt_holds(a->result) ? SYNC_LOCKED : SYNC_UNLOCKED;
}

/* Advance, and see to the end. True: it came now. */
bool attempt_step(struct sync_attempt *a)
{
	int ret = advance(a);

	if (ret == -EAGAIN)
		return false;
	if (attempt_holds(ret))
		attempt_grant(a, ret);
	else
		fail(a, ret);
	sync_fd_set(a->sync->fd);
	return true;
}

/* Nobody came for it. */
void attempt_pass_on(struct sync_attempt *a)
{
	(void)dmabuf_fail(ETIMEDOUT,
			  "sync object \"%s\" had been granted, but was not claimed within %u ms: "
			  "its buffers went to the next who waited",
			  a->sync->name, a->sync->claim_ms);
	fail(a, -ETIMEDOUT);
}

struct dma_fence *attempt_take_fence(struct sync_attempt *a)
{
	struct dma_fence *fence = a->fence;

	a->fence = NULL;
	return fence;
}

/* Without the lock. The fence is signalled for whoever made the attempt end. */
void attempt_signal(struct dma_fence *fence, int result)
{
	if (!fence)
		return;
	if (result)
		dma_fence_set_error(fence, result);
	dma_fence_signal(fence);
	dma_fence_put(fence);
}
