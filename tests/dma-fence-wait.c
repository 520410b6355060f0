// SPDX-License-Identifier: MIT
/* Waiting for fences, and what signalling costs when nobody does. */
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "fence.h"
#include "seccomp.h"

TEST(E3_waiting_for_a_signalled_fence_returns_the_timeout)
{
	struct dma_fence *f = fence_new();

	dma_fence_signal(f);
	ASSERT_EQ(dma_fence_wait_timeout(f, false, 0), 1);
	ASSERT_EQ(dma_fence_wait_timeout(f, false, 1), 1);
	ASSERT_EQ(dma_fence_wait_timeout(f, true, 1234), 1234);
	ASSERT_EQ(dma_fence_wait_timeout(f, true, DMA_FENCE_WAIT_FOREVER), DMA_FENCE_WAIT_FOREVER);
	ASSERT_EQ(dma_fence_wait(f, true), 0);
	dma_fence_put(f);
}

TEST(E3_waiting_ends_with_the_timeout)
{
	struct dma_fence *f = fence_new();
	int64_t start = now_ms();

	ASSERT_EQ(dma_fence_wait_timeout(f, false, 0), 0);
	ASSERT_EQ(dma_fence_wait_timeout(f, false, 20), 0);
	ASSERT(now_ms() - start >= 19);
	ASSERT_EQ(dma_fence_wait_any_timeout(&f, 1, false, 20, NULL), 0);
	ASSERT_EQ(dma_fence_wait_any_timeout(&f, 1, false, 0, NULL), 0);
	ASSERT_ERR(dma_fence_wait_timeout(f, false, -1), EINVAL);
	ASSERT_ERR(dma_fence_default_wait(f, false, -1), EINVAL);
	ASSERT_EQ(f->waiters, 0);
	dma_fence_put(f);
}

static void *wait_for_it(void *arg)
{
	ASSERT_EQ(dma_fence_wait(arg, false), 0);
	return NULL;
}

static bool has_8_waiters(void *arg)
{
	return __atomic_load_n(&((struct dma_fence *)arg)->waiters, __ATOMIC_RELAXED) == 8;
}

TEST(E3_signalling_wakes_all_who_wait)
{
	struct dma_fence *f = fence_new();
	pthread_t threads[8];
	int i;

	for (i = 0; i < 8; i++)
		threads[i] = thread_start(wait_for_it, f);
	ASSERT(eventually(has_8_waiters, f, 20000));
	ASSERT_OK(dma_fence_signal(f));
	for (i = 0; i < 8; i++)
		thread_join(threads[i]);
	dma_fence_put(f);
}

static void *signal_it(void *arg)
{
	dma_fence_signal(arg);
	return NULL;
}

TEST(E3_waiting_for_any_says_which)
{
	struct dma_fence *f[3] = { fence_new(), fence_new(), fence_new() };
	uint32_t idx = 77;
	pthread_t thread = thread_start(signal_it, f[1]);
	int i;

	ASSERT(dma_fence_wait_any_timeout(f, 3, true, 20000, &idx) > 0);
	ASSERT_EQ(idx, 1);
	thread_join(thread);
	idx = 77;
	ASSERT_EQ(dma_fence_wait_any_timeout(f, 3, true, 0, &idx), 1);
	ASSERT_EQ(idx, 1);
	ASSERT_EQ(dma_fence_wait_any_timeout(f, 3, true, 500, NULL), 500);
	ASSERT_ERR(dma_fence_wait_any_timeout(f, 0, true, 1, &idx), EINVAL);
	ASSERT_ERR(dma_fence_wait_any_timeout(NULL, 3, true, 1, &idx), EINVAL);
	ASSERT_ERR(dma_fence_wait_any_timeout(f, 3, true, -1, &idx), EINVAL);
	/* No callback of the wait is left behind. */
	for (i = 0; i < 3; i++) {
		ASSERT(f[i]->cb_list.next == &f[i]->cb_list);
		dma_fence_put(f[i]);
	}
}

static void on_signal(int number)
{
}

struct interrupted {
	struct dma_fence *fence;
	bool any;
	atomic_bool running;
	atomic_bool ended;
	long result;
};

static void *wait_interruptibly(void *arg)
{
	struct interrupted *i = arg;

	i->running = true;
	i->result = i->any ? dma_fence_wait_any_timeout(&i->fence, 1, true, 20000, NULL)
			   : dma_fence_wait(i->fence, true);
	i->ended = true;
	return NULL;
}

static void interrupt(struct interrupted *i)
{
	pthread_t thread = thread_start(wait_interruptibly, i);
	int64_t start = now_ms();

	while (!i->ended && now_ms() < start + 20000) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	thread_join(thread);
	ASSERT_ERR(i->result, EINTR);
}

TEST(E3_a_signal_handler_ends_an_interruptible_wait)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct interrupted one = { .fence = fence_new() }, any = { .any = true };

	ASSERT_OK(sigaction(SIGUSR1, &action, NULL));
	interrupt(&one);
	any.fence = one.fence;
	interrupt(&any);
	ASSERT_EQ(one.fence->waiters, 0);
	dma_fence_put(one.fence);
}

TEST(E3_a_signal_handler_does_not_end_an_uninterruptible_wait)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct dma_fence *f = fence_new();
	pthread_t thread;
	int i;

	ASSERT_OK(sigaction(SIGUSR1, &action, NULL));
	thread = thread_start(wait_for_it, f);
	for (i = 0; i < 200; i++) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	dma_fence_signal(f);
	thread_join(thread);
	dma_fence_put(f);
}

static long own_wait(struct dma_fence *fence, bool intr, long timeout)
{
	return 4711;
}

TEST(E3_a_driver_may_wait_its_own_way)
{
	static const struct dma_fence_ops ops = {
		.get_driver_name = job_driver_name,
		.get_timeline_name = job_timeline_name,
		.wait = own_wait,
	};
	struct dma_fence_lock lock = DMA_FENCE_LOCK_INIT;
	struct dma_fence f;

	dma_fence_init(&f, &ops, &lock, 1, 1);
	ASSERT_EQ(dma_fence_wait_timeout(&f, true, 5), 4711);
	ASSERT_EQ(dma_fence_wait(&f, true), 0);
}

static int signal_without_system_calls(void *arg)
{
	struct dma_fence *unwatched = fence_new(), *watched = fence_new(), *called = fence_new();
	DMABUF_DEFINE_WW_CLASS(ww_class);
	struct dmabuf_ww_acquire_ctx ctx;
	struct dmabuf_ww_mutex mutex;
	struct counting_cb cb = { 0 };
	int bad = 0;

	dma_fence_wait_timeout(watched, false, 1); /* somebody waited, but not any more */
	dma_fence_add_callback(called, &cb.base, counting_call);
	dmabuf_ww_mutex_init(&mutex, &ww_class);
	dmabuf_ww_acquire_init(&ctx, &ww_class); /* a process's first one finds out who it is */
	forbid_system_calls();
	bad |= dma_fence_signal(unwatched);
	bad |= dma_fence_signal(watched);
	bad |= dma_fence_signal(called);
	bad |= cb.calls != 1;
	dmabuf_ww_acquire_init(&ctx, &ww_class);
	bad |= dmabuf_ww_mutex_lock(&mutex, &ctx);
	bad |= dmabuf_ww_mutex_unlock(&mutex);
	_exit(bad ? 1 : 0);
}

TEST(E3_signalling_with_nobody_waiting_makes_no_system_call)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("a sanitizer's runtime makes system calls of its own");
#endif
	if (test_is_slow())
		SKIP("valgrind makes system calls of its own");
	ASSERT_EQ(reap(spawn(signal_without_system_calls, NULL)), 0);
}
