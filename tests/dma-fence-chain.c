// SPDX-License-Identifier: MIT
#include "fence.h"

/* A chain of @count points with the numbers 1.. (times @stride), and the fences in it. */
struct timeline {
	struct dma_fence *fence[64];
	struct dma_fence *link[64];
	int count;
};

static void timeline_new(struct timeline *t, int count, uint64_t stride)
{
	struct dma_fence_chain *chain;
	int i;

	t->count = count;
	for (i = 0; i < count; i++) {
		chain = dma_fence_chain_alloc();
		ASSERT(chain);
		t->fence[i] = fence_new();
		dma_fence_chain_init(chain, i ? dma_fence_get(t->link[i - 1]) : NULL,
				     dma_fence_get(t->fence[i]), (uint64_t)(i + 1) * stride);
		t->link[i] = &chain->base;
	}
}

static void timeline_free(struct timeline *t)
{
	while (t->count--) {
		dma_fence_put(t->link[t->count]);
		dma_fence_put(t->fence[t->count]);
	}
}

static struct dma_fence *find(struct timeline *t, uint64_t seqno)
{
	struct dma_fence *fence = dma_fence_get(t->link[t->count - 1]);

	ASSERT_OK(dma_fence_chain_find_seqno(&fence, seqno));
	dma_fence_put(fence); /* the timeline has it too */
	return fence;
}

TEST(E3_a_point_of_a_chain_is_found_by_its_number)
{
	struct timeline t;
	struct dma_fence *fence;
	int i;

	timeline_new(&t, 8, 1);
	for (i = 0; i < 8; i++)
		ASSERT(find(&t, (uint64_t)i + 1) == t.link[i]);
	fence = t.link[3];
	ASSERT_OK(dma_fence_chain_find_seqno(&fence, 0));
	ASSERT(fence == t.link[3]);
	ASSERT_ERR(dma_fence_chain_find_seqno(&fence, 5), EINVAL);
	ASSERT(fence == t.link[3]);
	fence = t.fence[0];
	ASSERT_ERR(dma_fence_chain_find_seqno(&fence, 1), EINVAL);
	timeline_free(&t);
}

TEST(E3_a_point_between_two_waits_for_the_later_one)
{
	struct timeline t;

	timeline_new(&t, 4, 10);
	ASSERT(find(&t, 1) == t.link[0]);
	ASSERT(find(&t, 10) == t.link[0]);
	ASSERT(find(&t, 11) == t.link[1]);
	ASSERT(find(&t, 39) == t.link[3]);
	timeline_free(&t);
}

TEST(E3_a_point_that_was_reached_is_nothing_to_wait_for)
{
	struct timeline t;
	struct dma_fence *fence;

	timeline_new(&t, 2, 1);
	dma_fence_signal(t.fence[0]);
	fence = dma_fence_get(t.link[1]);
	ASSERT_OK(dma_fence_chain_find_seqno(&fence, 1));
	ASSERT(!fence || dma_fence_is_signaled(fence));
	dma_fence_put(fence);
	ASSERT(!dma_fence_is_signaled(t.link[1]));
	timeline_free(&t);
}

TEST(E3_numbers_that_go_back_begin_a_new_context)
{
	struct dma_fence_chain *first = dma_fence_chain_alloc(), *second = dma_fence_chain_alloc();

	dma_fence_chain_init(first, NULL, fence_new(), 5);
	dma_fence_chain_init(second, dma_fence_get(&first->base), fence_new(), 3);
	ASSERT(first->base.context != second->base.context);
	ASSERT_EQ(second->base.seqno, 5);
	ASSERT_EQ(second->prev_seqno, 0);
	dma_fence_put(&first->base);
	dma_fence_put(&second->base);
}

static void ends_in_order(bool watched, int step)
{
	struct counting_cb cb = { 0 };
	struct timeline t;
	int i, at;

	timeline_new(&t, 9, 1);
	if (watched)
		ASSERT_OK(dma_fence_add_callback(t.link[8], &cb.base, counting_call));
	for (i = 0; i < 9; i++) {
		ASSERT(!dma_fence_is_signaled(t.link[8]));
		at = (i * step) % 9;
		dma_fence_signal(t.fence[at]);
	}
	if (watched)
		ASSERT_EQ(cb.calls, 1);
	for (i = 0; i < 9; i++)
		ASSERT(dma_fence_is_signaled(t.link[i]));
	timeline_free(&t);
}

TEST(E3_a_chain_ends_when_all_points_before_have)
{
	int step;

	for (step = 1; step < 9; step++) {
		if (step % 3 == 0)
			continue;
		ends_in_order(false, step);
		ends_in_order(true, step);
	}
}

TEST(E3_signalled_links_drop_out_of_a_chain)
{
	struct timeline t;
	struct dma_fence *iter;
	int i, seen = 0;

	timeline_new(&t, 10, 1);
	for (i = 0; i < 9; i++)
		if (i != 4)
			dma_fence_signal(t.fence[i]);
	dma_fence_chain_for_each(iter, t.link[9]) {
		ASSERT(iter == (seen ? t.link[4] : t.link[9]));
		seen++;
	}
	ASSERT_EQ(seen, 2);
	ASSERT_EQ(t.link[8]->refcount, 1);
	ASSERT_EQ(t.link[3]->refcount, 1);
	timeline_free(&t);
}

TEST(E3_a_chain_contains_fences_and_may_end_in_one)
{
	struct dma_fence_chain *chain = dma_fence_chain_alloc();
	struct dma_fence *first = fence_new(), *second = fence_new(), *iter;

	dma_fence_chain_init(chain, dma_fence_get(first), dma_fence_get(second), 1);
	ASSERT(dma_fence_is_chain(&chain->base) && !dma_fence_is_chain(first));
	ASSERT(dma_fence_to_chain(&chain->base) == chain);
	ASSERT(!dma_fence_to_chain(first) && !dma_fence_to_chain(NULL));
	ASSERT(dma_fence_chain_contained(&chain->base) == second);
	ASSERT(dma_fence_chain_contained(first) == first);
	iter = dma_fence_chain_walk(dma_fence_get(&chain->base));
	ASSERT(iter == first);
	ASSERT(dma_fence_chain_walk(iter) == NULL);
	dma_fence_signal(second);
	ASSERT(!dma_fence_is_signaled(&chain->base));
	dma_fence_signal(first);
	ASSERT(dma_fence_is_signaled(&chain->base));
	dma_fence_put(&chain->base);
	dma_fence_put(first);
	dma_fence_put(second);
	dma_fence_chain_free(dma_fence_chain_alloc());
	dma_fence_chain_free(NULL);
}

#define LONG 200000

static struct dma_fence *long_chain(struct dma_fence *fence)
{
	struct dma_fence *newest = NULL;
	struct dma_fence_chain *chain;
	int i;

	for (i = 0; i < LONG; i++) {
		chain = dma_fence_chain_alloc();
		dma_fence_chain_init(chain, newest, dma_fence_get(fence), (uint64_t)i + 1);
		newest = &chain->base;
	}
	return newest;
}

/* Each would need more stack than there is if links were released one inside the other. */
TEST_TIMEOUT(E3_long_chains_go_without_recursion, 300)
{
	struct dma_fence *fence = fence_new(), *newest = long_chain(fence);

	dma_fence_put(newest);
	newest = long_chain(fence);
	dma_fence_enable_sw_signaling(newest);
	dma_fence_signal(fence);
	ASSERT(dma_fence_is_signaled(newest));
	dma_fence_put(newest);
	ASSERT_EQ(fence->refcount, 1);
	dma_fence_put(fence);
}

/* A point on the chain of a point: depth that the work after signalling must not follow. */
TEST_TIMEOUT(E3_long_rows_of_arrays_are_signalled_without_recursion, 300)
{
	struct dma_fence *fence = fence_new(), *last = dma_fence_get(fence), **one;
	struct dma_fence_array *array;
	struct dma_fence *row[1000];
	int i;

	for (i = 0; i < 1000; i++) {
		one = malloc(sizeof(struct dma_fence *));
		*one = last;
		array = dma_fence_array_create(1, one, 1, 1, false);
		row[i] = dma_fence_get(&array->base);
		/* From the inside out, so that enabling does not go deep either. */
		dma_fence_enable_sw_signaling(&array->base);
		last = &array->base;
	}
	dma_fence_signal(fence);
	ASSERT(dma_fence_test_signaled_flag(last));
	dma_fence_put(last);
	for (i = 999; i >= 0; i--)
		dma_fence_put(row[i]);
	dma_fence_put(fence);
}

/* Threads walk, wait and look while points are reached in a random order. */
static struct timeline race;
static atomic_bool over;

static void *walker(void *arg)
{
	struct dma_fence *iter;
	unsigned int n = 0;

	while (!over) {
		n++;
		iter = dma_fence_get(race.link[n % 64]);
		dma_fence_chain_find_seqno(&iter, 1 + n % 7);
		dma_fence_put(iter);
		dma_fence_chain_for_each(iter, race.link[63])
			;
	}
	return NULL;
}

static void *chain_waiter(void *arg)
{
	ASSERT_EQ(dma_fence_wait(race.link[63], false), 0);
	return NULL;
}

TEST_TIMEOUT(E3_chains_are_walked_while_they_shrink, 300)
{
	pthread_t threads[4];
	int round, i;

	for (round = 0; round < 100; round++) {
		timeline_new(&race, 64, 1);
		over = false;
		for (i = 0; i < 2; i++)
			threads[i] = thread_start(walker, NULL);
		for (i = 2; i < 4; i++)
			threads[i] = thread_start(chain_waiter, NULL);
		for (i = 0; i < 64; i++)
			ASSERT_OK(dma_fence_signal(race.fence[(i * 29 + round) % 64]));
		for (i = 2; i < 4; i++)
			thread_join(threads[i]);
		over = true;
		for (i = 0; i < 2; i++)
			thread_join(threads[i]);
		ASSERT(dma_fence_is_signaled(race.link[63]));
		timeline_free(&race);
	}
}
