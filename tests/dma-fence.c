// SPDX-License-Identifier: MIT
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
	ASSERT_EQ(dma_fence_get_status_locked(&job->base), 0);
	ASSERT(dma_fence_is_signaled_locked(&job->base));
	dma_fence_lock_unlock(&job->lock);
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

/* From here on any system call but the end kills the process. */
static void forbid_system_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	ASSERT_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
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
