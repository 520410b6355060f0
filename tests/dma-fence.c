// SPDX-License-Identifier: MIT
#include <time.h>

#include "fence.h"

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

TEST(E3_a_fence_is_signalled_once)
{
	struct dma_fence *f = fence_new();

	ASSERT(!dma_fence_is_signaled(f));
	ASSERT_EQ(dma_fence_get_status(f), 0);
	ASSERT_OK(dma_fence_signal(f));
	ASSERT(dma_fence_is_signaled(f));
	ASSERT_EQ(dma_fence_get_status(f), 1);
	ASSERT_ERR(dma_fence_signal(f), EINVAL);
	ASSERT_ERR(dma_fence_signal_timestamp(f, 1), EINVAL);
	ASSERT_ERR(dma_fence_signal(NULL), EINVAL);
	dma_fence_lock_lock(f->lock);
	ASSERT_ERR(dma_fence_signal_locked(f), EINVAL);
	ASSERT_ERR(dma_fence_signal_timestamp_locked(f, 1), EINVAL);
	ASSERT_EQ(dma_fence_get_status_locked(f), 1);
	dma_fence_lock_unlock(f->lock);
	dma_fence_put(f);
}

TEST(E3_a_watched_fence_is_signalled_once_too)
{
	struct dma_fence *f = fence_new();

	dma_fence_enable_sw_signaling(f);
	ASSERT_OK(dma_fence_signal(f));
	ASSERT_ERR(dma_fence_signal(f), EINVAL);
	dma_fence_put(f);
}

TEST(E3_contexts_are_handed_out_in_ranges)
{
	uint64_t first = dma_fence_context_alloc(10);

	ASSERT_EQ(dma_fence_context_alloc(1), first + 10);
	ASSERT(first > 0);
}

TEST(E3_the_last_reference_releases)
{
	struct job *job = job_new();
	atomic_int released = 0;

	job->released = &released;
	ASSERT(dma_fence_get(&job->base) == &job->base);
	ASSERT(dma_fence_get_unless_zero(&job->base) == &job->base);
	dma_fence_put(&job->base);
	dma_fence_put(&job->base);
	ASSERT_EQ(released, 0);
	dma_fence_put(&job->base);
	ASSERT_EQ(released, 1);
	ASSERT(dma_fence_get(NULL) == NULL);
	dma_fence_put(NULL);
}

TEST(E3_a_fence_without_references_gives_none)
{
	struct dma_fence f;
	struct dma_fence_lock lock = DMA_FENCE_LOCK_INIT;

	dma_fence_init(&f, &job_ops, &lock, 1, 1);
	f.refcount = 0;
	ASSERT(dma_fence_get_unless_zero(&f) == NULL);
	ASSERT_EQ(f.refcount, 0);
}

TEST(E3_a_fence_without_release_is_freed)
{
	static const struct dma_fence_ops plain = {
		.get_driver_name = job_driver_name,
		.get_timeline_name = job_timeline_name,
	};
	static struct dma_fence_lock lock;
	struct dma_fence *f = malloc(sizeof(*f));

	dma_fence_init(f, &plain, &lock, 1, 1);
	dma_fence_put(f); /* LeakSanitizer and valgrind say whether it was */
}

TEST(E3_callbacks_run_once_when_the_fence_is_signalled)
{
	struct dma_fence *f = fence_new();
	struct counting_cb cb[3] = { 0 };
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_OK(dma_fence_add_callback(f, &cb[i].base, counting_call));
	ASSERT(dma_fence_remove_callback(f, &cb[1].base));
	ASSERT(!dma_fence_remove_callback(f, &cb[1].base));
	ASSERT_OK(dma_fence_signal(f));
	dma_fence_signal(f);
	ASSERT_EQ(cb[0].calls, 1);
	ASSERT_EQ(cb[1].calls, 0);
	ASSERT_EQ(cb[2].calls, 1);
	ASSERT(!dma_fence_remove_callback(f, &cb[0].base));
	dma_fence_put(f);
}

TEST(E3_a_signalled_fence_takes_no_callback)
{
	struct dma_fence *f = fence_new();
	struct counting_cb cb = { 0 };

	dma_fence_signal(f);
	ASSERT_ERR(dma_fence_add_callback(f, &cb.base, counting_call), ENOENT);
	ASSERT_EQ(cb.calls, 0);
	ASSERT(!dma_fence_remove_callback(f, &cb.base));
	ASSERT_ERR(dma_fence_add_callback(NULL, &cb.base, counting_call), EINVAL);
	ASSERT_ERR(dma_fence_add_callback(f, &cb.base, NULL), EINVAL);
	dma_fence_put(f);
}

static void locked_call(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	ASSERT(!dma_fence_lock_trylock(fence->lock));
	counting_call(fence, cb);
}

TEST(E3_callbacks_run_with_the_fences_lock_held)
{
	struct dma_fence *f = fence_new();
	struct counting_cb cb = { 0 };

	ASSERT_OK(dma_fence_add_callback(f, &cb.base, locked_call));
	dma_fence_signal(f);
	ASSERT_EQ(cb.calls, 1);
	ASSERT(dma_fence_lock_trylock(f->lock));
	dma_fence_lock_unlock(f->lock);
	dma_fence_put(f);
}

TEST(E3_signalling_is_enabled_once_by_the_first_who_watches)
{
	struct job *job = job_new();
	struct counting_cb cb[2] = { 0 };

	ASSERT_EQ(job->enabled, 0);
	ASSERT_OK(dma_fence_add_callback(&job->base, &cb[0].base, counting_call));
	ASSERT_OK(dma_fence_add_callback(&job->base, &cb[1].base, counting_call));
	dma_fence_enable_sw_signaling(&job->base);
	ASSERT_EQ(dma_fence_wait_timeout(&job->base, false, 0), 0);
	ASSERT_EQ(job->enabled, 1);
	dma_fence_signal(&job->base);
	dma_fence_put(&job->base);
}

struct late {
	struct dma_fence *fence;
	struct counting_cb cb;
	int result;
};

static void *add_late(void *arg)
{
	struct late *late = arg;

	late->result = dma_fence_add_callback(late->fence, &late->cb.base, counting_call);
	return NULL;
}

static bool lock_is_waited_for(void *arg)
{
	return __atomic_load_n(&((struct dma_fence_lock *)arg)->word, __ATOMIC_RELAXED) == 2;
}

/* Between its first look and its turn at the lock, the fence is signalled without the lock. */
TEST(E3_a_fence_signalled_while_a_callback_comes_refuses_it)
{
	struct late late = { .fence = fence_new() };
	struct dma_fence_lock *lock = late.fence->lock;
	pthread_t thread;

	dma_fence_lock_lock(lock);
	thread = thread_start(add_late, &late);
	ASSERT(eventually(lock_is_waited_for, lock, 20000));
	ASSERT_OK(dma_fence_signal(late.fence));
	dma_fence_lock_unlock(lock);
	thread_join(thread);
	ASSERT_ERR(late.result, ENOENT);
	ASSERT_EQ(late.cb.calls, 0);
	dma_fence_put(late.fence);
}

TEST(E3_enabling_that_fails_means_signalled)
{
	struct job *job = job_new();
	struct counting_cb cb = { 0 };

	job->refuse_enable = true;
	ASSERT_ERR(dma_fence_add_callback(&job->base, &cb.base, counting_call), ENOENT);
	ASSERT(dma_fence_test_signaled_flag(&job->base));
	ASSERT_EQ(cb.calls, 0);
	dma_fence_put(&job->base);
}

TEST(E3_looking_signals_a_fence_whose_driver_says_it_is_done)
{
	struct job *job = job_new();
	struct counting_cb cb = { 0 };

	ASSERT_OK(dma_fence_add_callback(&job->base, &cb.base, counting_call));
	ASSERT_EQ(dma_fence_get_status(&job->base), 0);
	job->done = true;
	ASSERT_EQ(cb.calls, 0);
	ASSERT_EQ(dma_fence_get_status(&job->base), 1);
	ASSERT_EQ(cb.calls, 1);
	dma_fence_put(&job->base);
	job = job_new();
	job->done = true;
	dma_fence_lock_lock(&job->lock);
	ASSERT(!dma_fence_test_signaled_flag(&job->base));
	ASSERT(dma_fence_is_signaled_locked(&job->base));
	dma_fence_lock_unlock(&job->lock);
	dma_fence_put(&job->base);
}

TEST(E3_the_status_asks_the_driver_with_the_lock_held_too)
{
	struct job *job = job_new();

	dma_fence_lock_lock(job->base.lock);
	ASSERT_EQ(dma_fence_get_status_locked(&job->base), 0);
	job->done = true;
	ASSERT_EQ(dma_fence_get_status_locked(&job->base), 1);
	dma_fence_lock_unlock(job->base.lock);
	ASSERT(dma_fence_test_signaled_flag(&job->base));
	dma_fence_put(&job->base);
}

TEST(E3_an_error_is_the_status_after_signalling)
{
	struct dma_fence *f = fence_new();

	ASSERT_ERR(dma_fence_set_error(f, 0), EINVAL);
	ASSERT_ERR(dma_fence_set_error(f, 5), EINVAL);
	ASSERT_ERR(dma_fence_set_error(f, -DMA_FENCE_MAX_ERRNO - 1), EINVAL);
	ASSERT_OK(dma_fence_set_error(f, -EIO));
	ASSERT_EQ(dma_fence_get_status(f), 0);
	dma_fence_signal(f);
	ASSERT_ERR(dma_fence_get_status(f), EIO);
	ASSERT_ERR(dma_fence_set_error(f, -ENOMEM), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "too late");
	ASSERT_ERR(dma_fence_get_status(f), EIO);
	dma_fence_put(f);
}

TEST(E3_a_watched_fence_is_stamped_when_it_is_signalled)
{
	struct dma_fence *f = fence_new();
	int64_t before = now_ns(), after;

	dma_fence_enable_sw_signaling(f);
	ASSERT_EQ(dma_fence_timestamp(f), 0);
	dma_fence_signal(f);
	after = now_ns();
	ASSERT(f->flags & 1ul << DMA_FENCE_FLAG_TIMESTAMP_BIT);
	ASSERT(dma_fence_timestamp(f) >= before && dma_fence_timestamp(f) <= after);
	dma_fence_put(f);
}

TEST(E3_an_unwatched_fence_is_stamped_when_first_asked)
{
	struct dma_fence *f = fence_new();
	int64_t before, stamp;

	dma_fence_signal(f);
	ASSERT(!(f->flags & 1ul << DMA_FENCE_FLAG_TIMESTAMP_BIT));
	before = now_ns();
	stamp = dma_fence_timestamp(f);
	ASSERT(stamp >= before && stamp <= now_ns());
	ASSERT_EQ(dma_fence_timestamp(f), stamp);
	dma_fence_put(f);
}

TEST(E3_the_owner_may_give_the_timestamp)
{
	struct dma_fence *f = fence_new(), *g = fence_new();

	ASSERT_OK(dma_fence_signal_timestamp(f, 12345));
	ASSERT_EQ(dma_fence_timestamp(f), 12345);
	ASSERT_ERR(dma_fence_signal_timestamp(f, 99), EINVAL);
	ASSERT_EQ(dma_fence_timestamp(f), 12345);
	dma_fence_lock_lock(g->lock);
	ASSERT_OK(dma_fence_signal_timestamp_locked(g, 6));
	dma_fence_lock_unlock(g->lock);
	ASSERT_EQ(dma_fence_timestamp(g), 6);
	dma_fence_put(f);
	dma_fence_put(g);
}

static void later_is(uint64_t a, uint64_t b, bool wide, bool want)
{
	struct dma_fence_ops ops = job_ops;

	ops.use_64bit_seqno = wide;
	ASSERT_EQ(dma_fence_seqno_is_later(a, b, &ops), want);
}

TEST(E3_seqnos_are_compared_with_and_without_wrap)
{
	later_is(2, 1, false, true);
	later_is(1, 2, false, false);
	later_is(1, 1, false, false);
	later_is(1, UINT32_MAX, false, true);
	later_is(UINT32_MAX, 1, false, false);
	later_is(1, UINT32_MAX, true, false);
	later_is(1ull << 40, UINT32_MAX, true, true);
	later_is(1ull << 40, 1, false, false);
}

TEST(E3_the_later_of_two_is_what_is_left_to_wait_for)
{
	uint64_t context = dma_fence_context_alloc(1);
	struct dma_fence *f1 = &job_new_at(context, 1)->base;
	struct dma_fence *f2 = &job_new_at(context, 2)->base;
	struct dma_fence *other = fence_new();

	ASSERT(dma_fence_is_later(f2, f1));
	ASSERT(!dma_fence_is_later(f1, f2));
	ASSERT(!dma_fence_is_later(f1, f1));
	ASSERT(!dma_fence_is_later(f2, other));
	ASSERT(dma_fence_later(f1, f2) == f2);
	ASSERT(dma_fence_later(f2, f1) == f2);
	ASSERT_ERRNO(dma_fence_later(f1, other), EINVAL);
	dma_fence_signal(f2);
	ASSERT(dma_fence_later(f1, f2) == NULL);
	dma_fence_put(f1);
	dma_fence_put(f2);
	dma_fence_put(other);
}

TEST(E3_released_with_callbacks_pending_it_ends_with_edeadlk)
{
	struct job *job = job_new();
	struct counting_cb cb = { 0 };
	atomic_int released = 0;

	job->released = &released;
	ASSERT_OK(dma_fence_add_callback(&job->base, &cb.base, counting_call));
	dma_fence_put(&job->base);
	ASSERT_EQ(cb.calls, 1);
	ASSERT_EQ(released, 1);
}

TEST(E3_stubs_are_signalled_from_birth)
{
	struct dma_fence *shared = dma_fence_get_stub(), *own = dma_fence_allocate_private_stub();

	ASSERT(shared == dma_fence_get_stub());
	ASSERT(own && own != shared);
	ASSERT(dma_fence_is_signaled(shared) && dma_fence_is_signaled(own));
	ASSERT_EQ(dma_fence_get_status(own), 1);
	ASSERT(dma_fence_timestamp(own) > 0 && dma_fence_timestamp(shared) > 0);
	ASSERT_EQ(dma_fence_wait(shared, false), 0);
	dma_fence_put(shared);
	dma_fence_put(shared);
	dma_fence_put(own);
}

TEST(E3_a_fence_is_described)
{
	struct dma_fence *f = &job_new_at(3, 17)->base;
	char text[160], little[8];

	ASSERT_OK(dma_fence_describe(f, text, sizeof(text)));
	ASSERT_STR_EQ(text, "camera frames seq 17 unsignalled");
	dma_fence_signal(f);
	ASSERT_OK(dma_fence_describe(f, text, sizeof(text)));
	ASSERT_STR_EQ(text, "camera frames seq 17 signalled");
	ASSERT_ERR(dma_fence_describe(f, little, sizeof(little)), ENOSPC);
	ASSERT_STR_EQ(little, "camera ");
	ASSERT_ERR(dma_fence_describe(f, NULL, 5), EINVAL);
	dma_fence_put(f);
}

/* Whoever embeds a fence has the flags above the library's for its own use. */
TEST(E3_a_drivers_flags_survive_signalling)
{
	struct dma_fence *f = fence_new();
	unsigned long mine = 1ul << DMA_FENCE_FLAG_USER_BITS;

	__atomic_fetch_or(&f->flags, mine, __ATOMIC_RELAXED);
	dma_fence_signal(f);
	ASSERT(f->flags & mine);
	ASSERT(dma_fence_is_signaled(f));
	dma_fence_put(f);
}
