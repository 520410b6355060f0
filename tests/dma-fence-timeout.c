// SPDX-License-Identifier: MIT
/* A fence can be given a time by which it ends: row E3. */
#include "fence.h"

#include <time.h>

#define LONG_MS 60000

TEST(E3_a_fence_that_is_not_signalled_in_time_ends_with_etimedout)
{
	struct counting_cb cb = { .calls = 0 };
	struct job *job = job_new();
	int64_t begin = now_ms();

	ASSERT_OK(dma_fence_add_callback(&job->base, &cb.base, counting_call));
	ASSERT_EQ(dma_fence_get_status(&job->base), 0);
	ASSERT_OK(dma_fence_set_timeout(&job->base, 30));
	ASSERT(dma_fence_wait_timeout(&job->base, false, LONG_MS) > 0);
	ASSERT(now_ms() - begin >= 29);
	ASSERT_EQ(dma_fence_get_status(&job->base), -ETIMEDOUT);
	ASSERT(dma_fence_timestamp(&job->base) > 0);
	/* The owner is too late, and cannot change how it ended. */
	ASSERT_ERR(dma_fence_set_error(&job->base, -EIO), EINVAL);
	ASSERT_ERR(dma_fence_signal(&job->base), EINVAL);
	ASSERT_EQ(dma_fence_get_status(&job->base), -ETIMEDOUT);
	dma_fence_remove_callback(&job->base, &cb.base);
	ASSERT_EQ(cb.calls, 1);
	dma_fence_put(&job->base);
}

static bool is_one(void *arg)
{
	return *(atomic_int *)arg == 1;
}

TEST(E3_a_fence_that_is_signalled_in_time_has_no_timeout_left)
{
	atomic_int released = 0;
	struct job *job = job_new();

	job->released = &released;
	ASSERT_OK(dma_fence_set_timeout(&job->base, DMA_FENCE_TIMEOUT_MAX));
	ASSERT_OK(dma_fence_set_timeout(&job->base, DMA_FENCE_TIMEOUT_MAX));
	ASSERT_OK(dma_fence_signal(&job->base));
	ASSERT_EQ(dma_fence_get_status(&job->base), 1);
	ASSERT_EQ(released, 0);
	dma_fence_put(&job->base);
	ASSERT_EQ(released, 1);
}

TEST(E3_the_earliest_of_several_timeouts_counts)
{
	struct dma_fence *fence = fence_new();

	ASSERT_OK(dma_fence_set_timeout(fence, DMA_FENCE_TIMEOUT_MAX));
	ASSERT_OK(dma_fence_set_timeout(fence, 1));
	ASSERT_OK(dma_fence_set_timeout(fence, DMA_FENCE_TIMEOUT_MAX));
	ASSERT(dma_fence_wait_timeout(fence, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(fence), -ETIMEDOUT);
	dma_fence_put(fence);
}

TEST(E3_a_timeout_keeps_the_fence_until_it_ends)
{
	struct counting_cb cb = { .calls = 0 };
	atomic_int released = 0;
	struct job *job = job_new();

	job->released = &released;
	ASSERT_OK(dma_fence_add_callback(&job->base, &cb.base, counting_call));
	ASSERT_OK(dma_fence_set_timeout(&job->base, 30));
	dma_fence_put(&job->base);
	ASSERT(eventually(is_one, &released, LONG_MS));
	/* It was there to end. */
	ASSERT_EQ(cb.calls, 1);
}

TEST(E3_timeouts_are_checked)
{
	struct dma_fence *fence = fence_new(), *stub = dma_fence_get_stub();

	ASSERT_ERR(dma_fence_set_timeout(NULL, 1), EINVAL);
	ASSERT_ERR(dma_fence_set_timeout(fence, -1), EINVAL);
	ASSERT_ERR(dma_fence_set_timeout(fence, DMA_FENCE_TIMEOUT_MAX + 1), EINVAL);
	ASSERT_OK(dma_fence_set_timeout(stub, 0));
	ASSERT_EQ(dma_fence_get_status(stub), 1);
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	dma_fence_put(stub);
	dma_fence_put(fence);
}

/* Work that nobody reports has ended in time if a look says so. */
TEST(E3_a_timeout_looks_before_it_ends_a_fence)
{
	struct job *job = job_new();

	/* Long enough to get to the next line. */
	ASSERT_OK(dma_fence_set_timeout(&job->base, 3000));
	ASSERT_EQ(job->enabled, 1);
	job->done = true;
	ASSERT(dma_fence_wait_timeout(&job->base, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(&job->base), 1);
	dma_fence_put(&job->base);
}

TEST(E3_an_array_that_times_out_leaves_its_fences_alone)
{
	struct dma_fence **parts = calloc(2, sizeof(struct dma_fence *));
	struct dma_fence *a = fence_new(), *b = fence_new();
	struct dma_fence_array *array;

	parts[0] = dma_fence_get(a);
	parts[1] = dma_fence_get(b);
	array = dma_fence_array_create(2, parts, dma_fence_context_alloc(1), 1, false);
	ASSERT_OK(dma_fence_set_timeout(&array->base, 1));
	ASSERT(dma_fence_wait_timeout(&array->base, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(&array->base), -ETIMEDOUT);
	ASSERT_EQ(dma_fence_get_status(a), 0);
	ASSERT_OK(dma_fence_signal(a));
	ASSERT_OK(dma_fence_signal(b));
	ASSERT_EQ(dma_fence_get_status(&array->base), -ETIMEDOUT);
	dma_fence_put(&array->base);
	dma_fence_put(a);
	dma_fence_put(b);
}

#define RACES 300

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct race {
	struct dma_fence *fence;
	_Atomic(int64_t) at_us;
	int set, signaled;
};

static void *signal_at_the_deadline(void *arg)
{
	struct race *race = arg;

	while (now_us() < race->at_us)
		;
	race->set = dma_fence_set_error(race->fence, -EIO);
	race->signaled = dma_fence_signal(race->fence);
	return NULL;
}

/* Whoever comes first decides, wholly. */
TEST_TIMEOUT(E3_a_timeout_and_a_signal_race_for_one_end, 300)
{
	int i, status, late = 0;

	for (i = 0; i < RACES; i++) {
		struct race race = { .fence = fence_new(), .at_us = INT64_MAX };
		struct counting_cb cb = { .calls = 0 };
		pthread_t thread = thread_start(signal_at_the_deadline, &race);

		ASSERT_OK(dma_fence_add_callback(race.fence, &cb.base, counting_call));
		ASSERT_OK(dma_fence_set_timeout(race.fence, 1));
		race.at_us = now_us() + 970 + i % 100;
		ASSERT(dma_fence_wait_timeout(race.fence, false, LONG_MS) > 0);
		status = dma_fence_get_status(race.fence);
		thread_join(thread);
		ASSERT_EQ(dma_fence_get_status(race.fence), status);
		if (status == -EIO) {
			ASSERT_EQ(race.set, 0);
		} else {
			ASSERT_EQ(status, -ETIMEDOUT);
			ASSERT_EQ(race.signaled, -EINVAL);
			late++;
		}
		ASSERT(eventually(is_one, &cb.calls, LONG_MS));
		dma_fence_remove_callback(race.fence, &cb.base);
		dma_fence_put(race.fence);
	}
	test_note("%d of %d timed out", late, RACES);
}
