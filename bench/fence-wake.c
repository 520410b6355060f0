// SPDX-License-Identifier: MIT
#include "fence-wake.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"

#define THREADS 64

static const struct fence_wake *current;
static unsigned int fences;
static _Atomic(int) tids[THREADS];
static _Atomic(uint32_t) awake, all_awake;
static double woken_ns;

static _Atomic(uint32_t) words[FENCE_WAKE_MOST];

static void sleep_on(_Atomic(uint32_t) *word, uint32_t value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic(uint32_t) *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void futex_make(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		atomic_store(&words[i], 0);
}

static void futex_wait(unsigned int i)
{
	sleep_on(&words[i], 0);
}

static void futex_signal(unsigned int i)
{
	atomic_exchange(&words[i], 1);
	wake(&words[i]);
}

const struct fence_kind fence_kind_futex = { futex_make, futex_wait, futex_signal, NULL };

static void *waiter(void *number)
{
	unsigned int i;

	atomic_store((_Atomic(int) *)number, (int)syscall(SYS_gettid));
	for (i = 0; i < fences; i++) {
		current->kind->wait(i);
		if (atomic_fetch_add(&awake, 1) + 1 != current->threads * (i + 1))
			continue;
		/* The last one. */
		woken_ns = bench_now_ns();
		atomic_store(&all_awake, i + 1);
		wake(&all_awake);
	}
	return NULL;
}

static void until_all_sleep(void)
{
	unsigned int t;

	for (t = 0; t < current->threads; t++) {
		while (!atomic_load(&tids[t]))
			sched_yield();
		team_until_asleep(atomic_load(&tids[t]));
	}
}

static double wake_all(unsigned int i)
{
	double began;

	until_all_sleep();
	began = bench_now_ns();
	current->kind->signal(i);
	sleep_on(&all_awake, i);
	return woken_ns - began;
}

void fence_wake_run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	pthread_t threads[THREADS];
	unsigned int i;

	current = c->context;
	fences = (unsigned int)repeat;
	errno = EINVAL;
	bench_check(repeat <= FENCE_WAKE_MOST && current->threads <= THREADS, "so many at once");
	current->kind->make(fences);
	atomic_store(&awake, 0);
	atomic_store(&all_awake, 0);
	for (i = 0; i < current->threads; i++) {
		atomic_store(&tids[i], 0);
		bench_check_err(-pthread_create(&threads[i], NULL, waiter, &tids[i]),
				"pthread_create");
	}
	for (i = 0; i < fences; i++)
		sample->wall_ns += wake_all(i);
	for (i = 0; i < current->threads; i++)
		pthread_join(threads[i], NULL);
	sample->cpu_ns = sample->wall_ns;
	if (current->kind->drop)
		current->kind->drop();
}
