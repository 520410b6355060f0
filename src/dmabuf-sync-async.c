// SPDX-License-Identifier: MIT
#include "dmabuf-sync-async.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "kernel/hold.h"
#include "list.h"
#include "process.h"
#include "resv/fast.h"
#include "resv/thread.h"
#include "shm/life.h"
#include "shm/sleep.h"
#include "text.h"

/* How long a fence of the kernel's is not looked at. */
#define KERNEL_LOOK_FIRST_NS 500000u
#define KERNEL_LOOK_LAST_NS 10000000u
/* One that came after the grant is waited for so long by whoever takes over. */
#define KERNEL_LATE_MS 1000

enum attempt_state {
	ATTEMPT_WAITING,
	ATTEMPT_GRANTED, /* all are held, nobody has taken it over */
	ATTEMPT_FAILED,	 /* nothing is held, nobody has asked why */
	ATTEMPT_OVER,	 /* taken over, cancelled, or its function is called */
};

/* A fence that is waited for. Its callback has a reference to the attempt. */
struct sync_input {
	struct dma_fence_cb cb;
	struct sync_attempt *attempt;
	struct dma_fence *fence; /* a reference */
	bool added;
};

struct sync_attempt {
	struct resv_sleeper sleeper;
	pthread_mutex_t lock; /* guards all but what says otherwise; taken before the thread's */
	enum attempt_state state;
	int result; /* GRANTED: 0 or -EOWNERDEAD; FAILED: why */
	struct dmabuf_sync *sync;
	struct sync_member **members; /* the object's, while WAITING or GRANTED */
	unsigned int count;
	unsigned int at; /* those before are held */
	bool queued;	 /* for the one at @at */
	bool torn;
	bool started; /* the thread may look */
	uint64_t began;
	uint64_t deadline;
	uint64_t claim_by;
	struct resv_waiter waiter;
	struct dma_fence *fence; /* a reference, until it is signalled */
	sync_job_fn func;
	void *data;
	char words[384];
	_Atomic(int) pending;	  /* inputs that have not been signalled */
	_Atomic(int) input_error; /* the first one's that failed */
	unsigned int num_inputs;
	struct sync_input inputs[];
};

static struct sync_attempt *attempt_of(struct resv_sleeper *sleeper)
{
	return container_of(sleeper, struct sync_attempt, sleeper);
}

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

/* With the fence's lock held. */
static void input_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct sync_attempt *a = container_of(cb, struct sync_input, cb)->attempt;
	int status = dma_fence_get_status_locked(fence), none = 0;

	if (status < 0)
		atomic_compare_exchange_strong(&a->input_error, &none, status);
	atomic_fetch_sub(&a->pending, 1);
	resv_thread_kick(&a->sleeper);
	/* Never the last one: the thread has one until it has removed the callbacks. */
	resv_sleeper_put(&a->sleeper);
}

static void watch_inputs(struct sync_attempt *a)
{
	struct sync_input *input;
	unsigned int i;

	for (i = 0; i < a->num_inputs; i++) {
		input = &a->inputs[i];
		resv_sleeper_get(&a->sleeper);
		input->added = true;
		if (dma_fence_add_callback(input->fence, &input->cb, input_signaled))
			input_signaled(input->fence, &input->cb);
	}
}

/* In the thread, with no lock held: a callback of the fence may be running and is waited for. */
static void unwatch_inputs(struct sync_attempt *a)
{
	unsigned int i;

	for (i = 0; i < a->num_inputs; i++)
		if (a->inputs[i].added &&
		    dma_fence_remove_callback(a->inputs[i].fence, &a->inputs[i].cb))
			resv_sleeper_put(&a->sleeper);
}

/* What follows is with the attempt's lock held, unless it says otherwise. */

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

/* Names only: a look at a fence could take its lock. */
static int report_inputs(const struct sync_attempt *a)
{
	struct dma_fence *fence = NULL;
	unsigned int i;

	for (i = 0; i < a->num_inputs && !fence; i++)
		if (!dma_fence_test_signaled_flag(a->inputs[i].fence))
			fence = a->inputs[i].fence;
	if (!fence)
		return dmabuf_fail(ETIMEDOUT, "the fences came too late for sync object \"%s\"",
				   a->sync->name);
	return dmabuf_fail(ETIMEDOUT,
			   "sync object \"%s\" was to wait for fence %s %s seq %llu too, which was "
			   "not signalled in time",
			   a->sync->name, fence->ops->get_driver_name(fence),
			   fence->ops->get_timeline_name(fence), (unsigned long long)fence->seqno);
}

static int check_inputs(struct sync_attempt *a)
{
	int err;

	if (atomic_load(&a->pending) > 0)
		return clock_ns() < a->deadline ? -EAGAIN : report_inputs(a);
	err = atomic_load(&a->input_error);
	if (!err)
		return 0;
	return dmabuf_fail(-err, "what sync object \"%s\" was to wait for ended with error %d",
			   a->sync->name, err);
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
	ret = check_inputs(a);
	if (!ret)
		ret = check_kernel(a);
	if (!ret)
		ret = sync_still_held(a->members, a->count);
	return !ret && a->torn ? -EOWNERDEAD : ret;
}

static void give_back(struct sync_attempt *a)
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
	give_back(a);
	a->state = ATTEMPT_FAILED;
	a->result = ret;
}

static void grant(struct sync_attempt *a, int ret)
{
	sync_say_acquiring(a->members, a->count, false, 0);
	a->state = ATTEMPT_GRANTED;
	a->result = ret;
	if (a->sync->fd >= 0)
		a->claim_by = clock_ns() + a->sync->claim_ms * 1000000ull;
}

/* The one who waited for it takes over: as dmabuf_sync_lock(). */
static int take_over(struct sync_attempt *a, uintptr_t thread)
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

static bool holds(int ret)
{
	return !ret || ret == -EOWNERDEAD;
}

/* A job's end: the object is its function's. */
static void take_over_for_job(struct sync_attempt *a)
{
	if (a->state == ATTEMPT_GRANTED)
		a->result = take_over(a, 0);
	a->state = ATTEMPT_OVER;
	a->sync->status = holds(a->result) ? SYNC_LOCKED : SYNC_UNLOCKED;
}

/* Advance, and see to the end. True: it came now. */
static bool step(struct sync_attempt *a)
{
	int ret = advance(a);

	if (ret == -EAGAIN)
		return false;
	if (holds(ret))
		grant(a, ret);
	else
		fail(a, ret);
	sync_fd_set(a->sync->fd);
	return true;
}

/* Nobody came for it. */
static void pass_on(struct sync_attempt *a)
{
	(void)dmabuf_fail(ETIMEDOUT,
			  "sync object \"%s\" had been granted, but was not claimed within %u ms: "
			  "its buffers went to the next who waited",
			  a->sync->name, a->sync->claim_ms);
	fail(a, -ETIMEDOUT);
}

static void sleep_on(struct resv_sleeper *s, _Atomic(uint32_t) *word, uint32_t expected)
{
	s->words[s->count++] = (struct resv_word_watch){ word, expected };
}

static void plan_kernel_look(struct sync_attempt *a)
{
	uint64_t now = clock_ns(), pause = (now - a->began) / 8;

	if (pause < KERNEL_LOOK_FIRST_NS)
		pause = KERNEL_LOOK_FIRST_NS;
	if (pause > KERNEL_LOOK_LAST_NS)
		pause = KERNEL_LOOK_LAST_NS;
	if (now + pause < a->sleeper.until)
		a->sleeper.until = now + pause;
}

/* What the thread sleeps on until the next look. False: there is something to look for already. */
static bool plan(struct sync_attempt *a)
{
	struct resv_sleeper *s = &a->sleeper;
	_Atomic(uint32_t) *life;
	struct resv_hold *h;
	uint32_t lives;
	uint64_t entry;

	s->until = a->deadline;
	if (a->at == a->count) {
		if (kernel_hold_any(a->members, a->count))
			plan_kernel_look(a);
		return true;
	}
	h = &a->members[a->at]->hold;
	entry = resv_load(&h->shared->word);
	if (resv_state(entry) != RESV_WAITING)
		return false;
	if (!(entry & RESV_ASLEEP) && !resv_change(&h->shared->word, entry, entry | RESV_ASLEEP))
		return false;
	sleep_on(s, resv_futex(h->shared), (uint32_t)(entry | RESV_ASLEEP));
	if (life_listen(h->control, a->waiter.slot, &life, &lives))
		sleep_on(s, life, lives);
	if (a->waiter.next_look < s->until)
		s->until = a->waiter.next_look;
	return true;
}

/* The kernel wakes one when somebody dies. */
static void wake_the_others(struct resv_sleeper *s)
{
	if (s->count == 2 && atomic_load(s->words[1].word) != s->words[1].expected)
		shm_futex_wake_all(s->words[1].word);
	s->count = 0;
}

/* Without the lock. The fence is signalled for whoever made the attempt end. */
static void signal_fence(struct dma_fence *fence, int result)
{
	if (!fence)
		return;
	if (result)
		dma_fence_set_error(fence, result);
	dma_fence_signal(fence);
	dma_fence_put(fence);
}

static struct dma_fence *take_fence(struct sync_attempt *a)
{
	struct dma_fence *fence = a->fence;

	a->fence = NULL;
	return fence;
}

/* True: it has just ended. */
static bool thread_step(struct sync_attempt *a)
{
	if (a->state == ATTEMPT_GRANTED && clock_ns() >= a->claim_by)
		pass_on(a);
	if (a->state != ATTEMPT_WAITING)
		return false;
	if (step(a))
		return true;
	/* Others have their turn before. */
	if (!plan(a))
		a->sleeper.until = 0;
	return false;
}

/* In the library's thread. */
static bool attempt_look(struct resv_sleeper *sleeper)
{
	struct sync_attempt *a = attempt_of(sleeper);
	struct dma_fence *fence = NULL;
	sync_job_fn func = NULL;
	bool more;
	int result;

	pthread_mutex_lock(&a->lock);
	if (!a->started) {
		pthread_mutex_unlock(&a->lock);
		return true;
	}
	if (a->state == ATTEMPT_WAITING)
		wake_the_others(sleeper);
	if (thread_step(a)) {
		fence = take_fence(a);
		func = a->func;
		if (func)
			take_over_for_job(a);
	}
	if (a->state == ATTEMPT_GRANTED)
		sleeper->until = a->claim_by;
	result = a->result;
	more = a->state == ATTEMPT_WAITING ||
	       (a->state == ATTEMPT_GRANTED && a->claim_by != FUTEX_FOREVER);
	pthread_mutex_unlock(&a->lock);
	if (!more)
		unwatch_inputs(a);
	signal_fence(fence, result);
	if (func)
		func(a->sync, result, a->data);
	return more;
}

/* What follows is called by users, without locks. */

static int check_request(struct dmabuf_sync *sync, const struct sync_request *request)
{
	unsigned int i;
	int err = sync_check_lock(sync, request->timeout_ms);

	for (i = 0; !err && i < request->num_after; i++)
		if (!request->after || !request->after[i])
			err = dmabuf_fail(EINVAL, "no fence (NULL) to wait for");
	return err;
}

static struct sync_attempt *attempt_new(struct dmabuf_sync *sync,
					const struct sync_request *request)
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
		return step(a);
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
	grant(a, 0);
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
			give_back(a);
		else if (first_step(a))
			fence = take_fence(a);
	} else {
		fence = take_fence(a);
	}
	if (a->state == ATTEMPT_FAILED)
		err = a->result;
	result = a->result;
	if (err) {
		a->state = ATTEMPT_OVER;
		a->started = true;
	}
	pthread_mutex_unlock(&a->lock);
	signal_fence(fence, result);
	return err;
}

/* It is the thread's now. */
static void hand_over(struct sync_attempt *a)
{
	bool needed;

	watch_inputs(a);
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
		give_back(a);
		a->state = ATTEMPT_OVER;
		sync->status = SYNC_UNLOCKED;
		fence = take_fence(a);
	}
	pthread_mutex_unlock(&a->lock);
	if (over)
		return dmabuf_fail(EALREADY, "what sync object \"%s\" was locked for is under way",
				   sync->name);
	drop(sync);
	signal_fence(fence, -ECANCELED);
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
		ret = take_over(a, resv_self());
		sync->status = holds(ret) ? SYNC_LOCKED : SYNC_UNLOCKED;
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
