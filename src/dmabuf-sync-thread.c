// SPDX-License-Identifier: MIT
/* Asynchronous locks in the library's thread: what it sleeps on for them, and what it does then. */
#include "dmabuf-sync-attempt.h"

#include "clock.h"
#include "kernel/hold.h"
#include "resv/thread.h"
#include "shm/life.h"
#include "shm/sleep.h"

/* How long a fence of the kernel's is not looked at. */
#define KERNEL_LOOK_FIRST_NS 500000u
#define KERNEL_LOOK_LAST_NS 10000000u

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

/* True: it has just ended. */
static bool thread_step(struct sync_attempt *a)
{
	if (a->state == ATTEMPT_GRANTED && clock_ns() >= a->claim_by)
		attempt_pass_on(a);
	if (a->state != ATTEMPT_WAITING)
		return false;
	if (attempt_step(a))
		return true;
	/* Others have their turn before. */
	if (!plan(a))
		a->sleeper.until = 0;
	return false;
}

/* In the library's thread. */
bool attempt_look(struct resv_sleeper *sleeper)
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
		fence = attempt_take_fence(a);
		func = a->func;
		if (func)
			attempt_take_over_for_job(a);
	}
	if (a->state == ATTEMPT_GRANTED)
		sleeper->until = a->claim_by;
	result = a->result;
	more = a->state == ATTEMPT_WAITING ||
	       (a->state == ATTEMPT_GRANTED && a->claim_by != FUTEX_FOREVER);
	pthread_mutex_unlock(&a->lock);
	if (!more)
		attempt_unwatch_inputs(a);
	attempt_signal(fence, result);
	if (func)
		func(a->sync, result, a->data);
	return more;
}
