// SPDX-License-Identifier: MIT
#include "fence.h"

static struct dma_fence_array *array_of(int count, struct dma_fence **fences, bool any)
{
	struct dma_fence **own = calloc((size_t)count, sizeof(*own));
	struct dma_fence_array *array;
	int i;

	for (i = 0; i < count; i++)
		own[i] = dma_fence_get(fences[i]);
	array = dma_fence_array_create(count, own, dma_fence_context_alloc(1), 1, any);
	ASSERT(array);
	return array;
}

static void fences_new(int count, struct dma_fence **fences)
{
	while (count--)
		fences[count] = fence_new();
}

static void fences_put(int count, struct dma_fence **fences)
{
	while (count--)
		dma_fence_put(fences[count]);
}

static void an_array_ends(bool watched, bool any)
{
	struct dma_fence *f[3];
	struct dma_fence_array *array;
	struct counting_cb cb = { 0 };

	fences_new(3, f);
	array = array_of(3, f, any);
	if (watched)
		ASSERT_OK(dma_fence_add_callback(&array->base, &cb.base, counting_call));
	ASSERT(!dma_fence_is_signaled(&array->base));
	dma_fence_signal(f[2]);
	ASSERT_EQ(dma_fence_is_signaled(&array->base), any);
	dma_fence_signal(f[0]);
	ASSERT_EQ(dma_fence_is_signaled(&array->base), any);
	dma_fence_signal(f[1]);
	ASSERT_EQ(dma_fence_get_status(&array->base), 1);
	ASSERT_EQ(cb.calls, watched);
	dma_fence_put(&array->base);
	fences_put(3, f);
}

TEST(E3_an_array_ends_with_its_last_fence)
{
	an_array_ends(true, false);
	an_array_ends(false, false);
}

TEST(E3_an_array_may_end_with_its_first_fence)
{
	an_array_ends(true, true);
	an_array_ends(false, true);
}

TEST(E3_an_array_of_ended_fences_has_ended)
{
	struct dma_fence *f[2];
	struct dma_fence_array *array;
	struct counting_cb cb = { 0 };

	fences_new(2, f);
	dma_fence_signal(f[0]);
	dma_fence_signal(f[1]);
	array = array_of(2, f, false);
	ASSERT_ERR(dma_fence_add_callback(&array->base, &cb.base, counting_call), ENOENT);
	ASSERT_EQ(dma_fence_get_status(&array->base), 1);
	dma_fence_put(&array->base);
	array = array_of(2, f, true);
	ASSERT_EQ(dma_fence_wait(&array->base, false), 0);
	dma_fence_put(&array->base);
	fences_put(2, f);
}

static void an_array_fails(bool watched)
{
	struct dma_fence *f[3];
	struct dma_fence_array *array;

	fences_new(3, f);
	array = array_of(3, f, false);
	if (watched)
		dma_fence_enable_sw_signaling(&array->base);
	dma_fence_signal(f[0]);
	dma_fence_set_error(f[1], -EIO);
	dma_fence_signal(f[1]);
	ASSERT_EQ(dma_fence_get_status(&array->base), 0);
	dma_fence_set_error(f[2], -ENOMEM);
	dma_fence_signal(f[2]);
	ASSERT_ERR(dma_fence_get_status(&array->base), EIO);
	dma_fence_put(&array->base);
	fences_put(3, f);
}

TEST(E3_an_array_fails_as_the_first_of_its_fences_did)
{
	an_array_fails(true);
	an_array_fails(false);
}

TEST(E3_what_fails_after_the_array_ended_does_not_change_it)
{
	struct dma_fence *f[2];
	struct dma_fence_array *array;

	fences_new(2, f);
	array = array_of(2, f, true);
	dma_fence_enable_sw_signaling(&array->base);
	dma_fence_signal(f[0]);
	dma_fence_set_error(f[1], -EIO);
	dma_fence_signal(f[1]);
	ASSERT_EQ(dma_fence_get_status(&array->base), 1);
	dma_fence_put(&array->base);
	fences_put(2, f);
}

TEST(E3_arrays_of_arrays_end_within_one_signal)
{
	struct dma_fence *f = fence_new(), *inner = dma_fence_get(f), *outer;
	struct counting_cb cb = { 0 };
	int i;

	for (i = 0; i < 100; i++) {
		outer = &array_of(1, &inner, false)->base;
		dma_fence_put(inner);
		inner = outer;
	}
	ASSERT_OK(dma_fence_add_callback(inner, &cb.base, counting_call));
	ASSERT_OK(dma_fence_signal(f));
	ASSERT_EQ(cb.calls, 1);
	dma_fence_put(inner);
	dma_fence_put(f);
}

TEST(E3_an_array_waits_until_the_signaller_gives_back_its_locks)
{
	struct dma_fence *f = fence_new();
	struct dma_fence_lock other = DMA_FENCE_LOCK_INIT;
	struct dma_fence_array *array = array_of(1, &f, false);
	struct counting_cb cb = { 0 };

	ASSERT_OK(dma_fence_add_callback(&array->base, &cb.base, counting_call));
	dma_fence_lock_lock(&other);
	dma_fence_lock_lock(f->lock);
	ASSERT_OK(dma_fence_signal_locked(f));
	dma_fence_lock_unlock(f->lock);
	ASSERT_EQ(cb.calls, 0);
	dma_fence_lock_unlock(&other);
	ASSERT_EQ(cb.calls, 1);
	dma_fence_put(&array->base);
	dma_fence_put(f);
}

TEST(E3_an_array_lives_until_its_callbacks_ran)
{
	struct dma_fence *f[2];
	struct dma_fence_array *array;

	fences_new(2, f);
	array = array_of(2, f, true);
	dma_fence_enable_sw_signaling(&array->base);
	dma_fence_put(&array->base);
	dma_fence_signal(f[0]);
	dma_fence_signal(f[1]);
	fences_put(2, f);
}

TEST(E3_the_fences_of_an_array_can_be_visited)
{
	struct dma_fence *f[3], *iter;
	struct dma_fence_array *array;
	unsigned int index, seen = 0;

	fences_new(3, f);
	array = array_of(3, f, false);
	dma_fence_array_for_each(iter, index, &array->base)
		ASSERT(iter == f[seen++]);
	ASSERT_EQ(seen, 3);
	dma_fence_array_for_each(iter, index, f[0]) {
		ASSERT(iter == f[0]);
		seen++;
	}
	ASSERT_EQ(seen, 4);
	dma_fence_array_for_each(iter, index, NULL)
		FAIL("NULL has no fences");
	ASSERT(dma_fence_to_array(&array->base) == array);
	ASSERT(dma_fence_is_array(&array->base) && !dma_fence_is_array(f[0]));
	ASSERT(!dma_fence_to_array(f[0]) && !dma_fence_to_array(NULL));
	dma_fence_put(&array->base);
	fences_put(3, f);
}

TEST(E3_an_array_is_of_a_context_if_all_its_fences_are)
{
	struct dma_fence *f[3] = { &job_new_at(70, 1)->base, &job_new_at(70, 2)->base,
				   &job_new_at(71, 1)->base };
	struct dma_fence_array *same = array_of(2, f, false), *mixed = array_of(3, f, false);

	ASSERT(dma_fence_match_context(f[0], 70) && !dma_fence_match_context(f[0], 71));
	ASSERT(dma_fence_match_context(&same->base, 70));
	ASSERT(!dma_fence_match_context(&mixed->base, 70));
	dma_fence_put(&same->base);
	dma_fence_put(&mixed->base);
	fences_put(3, f);
}

TEST(E3_an_empty_array_is_refused)
{
	struct dma_fence *f = NULL;

	ASSERT_ERRNO(dma_fence_array_create(0, &f, 1, 1, false), EINVAL);
	ASSERT_ERRNO(dma_fence_array_create(1, NULL, 1, 1, false), EINVAL);
}

/* Enabling takes the array's lock and then the fence's; signalling the other way round. */
#define ROUNDS 3000
static struct dma_fence *_Atomic round_fence[2];
static pthread_barrier_t start_line;

static void *array_signaller(void *arg)
{
	int which = *(int *)arg, i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&start_line);
		dma_fence_signal(round_fence[which]);
		pthread_barrier_wait(&start_line);
	}
	return NULL;
}

TEST_TIMEOUT(E3_arrays_are_enabled_and_signalled_at_the_same_time, 300)
{
	struct dma_fence *f[2];
	struct dma_fence_array *array;
	int which[2] = { 0, 1 }, i, j, ret;
	pthread_t threads[2];
	struct counting_cb cb;

	pthread_barrier_init(&start_line, NULL, 3);
	for (i = 0; i < 2; i++)
		threads[i] = thread_start(array_signaller, &which[i]);
	for (i = 0; i < ROUNDS; i++) {
		fences_new(2, f);
		for (j = 0; j < 2; j++)
			round_fence[j] = f[j];
		array = array_of(2, f, i % 2);
		cb.calls = 0;
		pthread_barrier_wait(&start_line);
		ret = dma_fence_add_callback(&array->base, &cb.base, counting_call);
		if (i % 3 == 0)
			dma_fence_is_signaled(&array->base);
		pthread_barrier_wait(&start_line);
		ASSERT_EQ(dma_fence_get_status(&array->base), 1);
		ASSERT_EQ(cb.calls, ret == 0);
		dma_fence_put(&array->base);
		fences_put(2, f);
	}
	for (i = 0; i < 2; i++)
		thread_join(threads[i]);
	pthread_barrier_destroy(&start_line);
}
