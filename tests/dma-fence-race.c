// SPDX-License-Identifier: MIT
/* Threads that signal, watch, wait for and let go of the same fences. */
#include "fence.h"

#define ROUNDS 4000

static pthread_barrier_t start_line;

/* A round's fence, and what each of the threads saw. */
static struct {
	struct dma_fence *fence;
	atomic_int won;
	atomic_int called;
	atomic_int removed;
	atomic_int refused;
	atomic_int woken;
} now;

static void note_call(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	now.called++;
}

static void *signaller(void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&start_line);
		if (dma_fence_signal(now.fence) == 0)
			now.won++;
		pthread_barrier_wait(&start_line);
	}
	return NULL;
}

static void *watcher(void *arg)
{
	struct dma_fence_cb cb;
	int i, ret;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&start_line);
		ret = dma_fence_add_callback(now.fence, &cb, note_call);
		if (ret == -ENOENT)
			now.refused++;
		else
			ASSERT_EQ(ret, 0);
		if (i % 2 && dma_fence_remove_callback(now.fence, &cb))
			now.removed++;
		pthread_barrier_wait(&start_line);
	}
	return NULL;
}

static void *waiter(void *arg)
{
	uint32_t idx;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&start_line);
		if (i % 2)
			ASSERT_EQ(dma_fence_wait(now.fence, false), 0);
		else
			ASSERT(dma_fence_wait_any_timeout(&now.fence, 1, false, 20000, &idx) > 0);
		ASSERT(dma_fence_test_signaled_flag(now.fence));
		now.woken++;
		pthread_barrier_wait(&start_line);
	}
	return NULL;
}

TEST_TIMEOUT(E3_one_of_many_signallers_wins_and_nobody_misses_it, 300)
{
	void *(*const roles[])(void *) = { signaller, signaller, watcher, watcher, waiter };
	enum { THREADS = sizeof(roles) / sizeof(roles[0]) };
	pthread_t threads[THREADS];
	int i;

	pthread_barrier_init(&start_line, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		threads[i] = thread_start(roles[i], NULL);
	for (i = 0; i < ROUNDS; i++) {
		now.fence = fence_new();
		now.won = now.called = now.removed = now.refused = now.woken = 0;
		pthread_barrier_wait(&start_line);
		pthread_barrier_wait(&start_line);
		ASSERT_EQ(now.won, 1);
		ASSERT_EQ(now.woken, 1);
		ASSERT_EQ(now.called + now.removed + now.refused, 2);
		dma_fence_put(now.fence);
	}
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	pthread_barrier_destroy(&start_line);
}

/* Two threads wait for each other in turns: one lost wake-up would stop both for ever. */
#define TURNS 20000
static struct dma_fence *ping[TURNS], *pong[TURNS];

static void *answer(void *arg)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		ASSERT_EQ(dma_fence_wait(ping[i], false), 0);
		ASSERT_OK(dma_fence_signal(pong[i]));
	}
	return NULL;
}

TEST_TIMEOUT(E3_no_wake_up_is_lost, 300)
{
	pthread_t thread;
	int i;

	for (i = 0; i < TURNS; i++) {
		ping[i] = fence_new();
		pong[i] = fence_new();
	}
	thread = thread_start(answer, NULL);
	for (i = 0; i < TURNS; i++) {
		ASSERT_OK(dma_fence_signal(ping[i]));
		ASSERT_EQ(dma_fence_wait(pong[i], false), 0);
	}
	thread_join(thread);
	for (i = 0; i < TURNS; i++) {
		dma_fence_put(ping[i]);
		dma_fence_put(pong[i]);
	}
}

/* The lock by itself. */
static struct dma_fence_lock counter_lock;
static long counter;

static void *count_up(void *arg)
{
	int i;

	for (i = 0; i < 100000; i++) {
		if (i % 3)
			dma_fence_lock_lock(&counter_lock);
		else
			while (!dma_fence_lock_trylock(&counter_lock))
				sched_yield();
		counter++;
		dma_fence_lock_unlock(&counter_lock);
	}
	return NULL;
}

TEST_TIMEOUT(E3_the_fences_lock_excludes, 300)
{
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		threads[i] = thread_start(count_up, NULL);
	for (i = 0; i < 4; i++)
		thread_join(threads[i]);
	ASSERT_EQ(counter, 400000);
	ASSERT_EQ(counter_lock.word, 0);
}
