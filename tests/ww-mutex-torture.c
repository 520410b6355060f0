// SPDX-License-Identifier: MIT
/* Threads that take sets of mutexes in random orders, with contexts and without. */
#include <sched.h>

#include "fence.h"

#define MUTEXES 8
#define THREADS 6
#define ROUNDS 3000

static DMABUF_DEFINE_WW_CLASS(wound_wait);
static DMABUF_DEFINE_WD_CLASS(wait_die);

static struct {
	struct dmabuf_ww_mutex mutex[MUTEXES];
	long counter[MUTEXES]; /* guarded by the mutex */
	atomic_long backoffs;
	struct dmabuf_ww_class *ww_class;
} all;

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

static void shuffle(int *set, unsigned int *state)
{
	int i, other, swap;

	for (i = 0; i < MUTEXES; i++)
		set[i] = i;
	for (i = MUTEXES - 1; i > 0; i--) {
		other = (int)(next_random(state) % (unsigned int)(i + 1));
		swap = set[i];
		set[i] = set[other];
		set[other] = swap;
	}
}

/* Takes set[0..count-1] with the way back that a caller has to go after -EDEADLK. */
static void take_set(int *set, int count, struct dmabuf_ww_acquire_ctx *ctx)
{
	int contended = -1, i, j, ret;

again:
	if (contended >= 0)
		ASSERT_OK(dmabuf_ww_mutex_lock_slow(&all.mutex[set[contended]], ctx));
	for (i = 0; i < count; i++) {
		if (i == contended)
			continue;
		/* So that threads meet with some of their mutexes in hand. */
		sched_yield();
		ret = dmabuf_ww_mutex_lock(&all.mutex[set[i]], ctx);
		if (!ret)
			continue;
		ASSERT_ERR(ret, EDEADLK);
		all.backoffs++;
		for (j = 0; j < i; j++)
			dmabuf_ww_mutex_unlock(&all.mutex[set[j]]);
		if (contended > i)
			dmabuf_ww_mutex_unlock(&all.mutex[set[contended]]);
		contended = i;
		goto again;
	}
}

static void with_context(unsigned int *state)
{
	struct dmabuf_ww_acquire_ctx ctx;
	int set[MUTEXES], count = 1 + (int)(next_random(state) % MUTEXES), i;

	shuffle(set, state);
	dmabuf_ww_acquire_init(&ctx, all.ww_class);
	take_set(set, count, &ctx);
	ASSERT_OK(dmabuf_ww_acquire_done(&ctx));
	ASSERT_EQ(ctx.acquired, count);
	for (i = 0; i < count; i++) {
		ASSERT(dmabuf_ww_mutex_ctx(&all.mutex[set[i]]) == &ctx);
		all.counter[set[i]]++;
	}
	for (i = 0; i < count; i++)
		ASSERT_OK(dmabuf_ww_mutex_unlock(&all.mutex[set[i]]));
	ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
}

static void without_context(unsigned int *state)
{
	int which = (int)(next_random(state) % MUTEXES);

	if (next_random(state) % 2)
		ASSERT_OK(dmabuf_ww_mutex_lock(&all.mutex[which], NULL));
	else if (!dmabuf_ww_mutex_trylock(&all.mutex[which], NULL))
		return;
	all.counter[which]++;
	ASSERT_OK(dmabuf_ww_mutex_unlock(&all.mutex[which]));
}

static void *worker(void *arg)
{
	unsigned int state = *(unsigned int *)arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (next_random(&state) % 4)
			with_context(&state);
		else
			without_context(&state);
	}
	return NULL;
}

static void torture(struct dmabuf_ww_class *ww_class)
{
	unsigned int seeds[THREADS];
	pthread_t threads[THREADS];
	int i;

	all.ww_class = ww_class;
	all.backoffs = 0;
	for (i = 0; i < MUTEXES; i++)
		dmabuf_ww_mutex_init(&all.mutex[i], ww_class);
	for (i = 0; i < THREADS; i++) {
		seeds[i] = (unsigned int)i + 1;
		threads[i] = thread_start(worker, &seeds[i]);
	}
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (i = 0; i < MUTEXES; i++)
		ASSERT_OK(dmabuf_ww_mutex_destroy(&all.mutex[i]));
	test_note("%ld times -EDEADLK", (long)all.backoffs);
	ASSERT(all.backoffs > 0);
}

TEST_TIMEOUT(E1_random_orders_never_deadlock_in_a_wound_wait_class, 300)
{
	torture(&wound_wait);
}

TEST_TIMEOUT(E1_random_orders_never_deadlock_in_a_wait_die_class, 300)
{
	torture(&wait_die);
}

/* Each takes all mutexes in each order: with three, every schedule of orders comes up often. */
static void *permuter(void *arg)
{
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct dmabuf_ww_acquire_ctx ctx;
	int set[3], i, j;

	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < 3; j++)
			set[j] = orders[(i * *(int *)arg) % 6][j];
		dmabuf_ww_acquire_init(&ctx, all.ww_class);
		take_set(set, 3, &ctx);
		for (j = 0; j < 3; j++)
			all.counter[j]++;
		for (j = 0; j < 3; j++)
			dmabuf_ww_mutex_unlock(&all.mutex[set[j]]);
		ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
	}
	return NULL;
}

static void permute(struct dmabuf_ww_class *ww_class)
{
	int steps[3] = { 1, 5, 7 }, i;
	pthread_t threads[3];

	all.ww_class = ww_class;
	for (i = 0; i < 3; i++) {
		dmabuf_ww_mutex_init(&all.mutex[i], ww_class);
		all.counter[i] = 0;
	}
	for (i = 0; i < 3; i++)
		threads[i] = thread_start(permuter, &steps[i]);
	for (i = 0; i < 3; i++)
		thread_join(threads[i]);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(all.counter[i], 3 * ROUNDS);
}

TEST_TIMEOUT(E1_all_orders_of_three_exclude_each_other, 300)
{
	permute(&wound_wait);
	permute(&wait_die);
}
