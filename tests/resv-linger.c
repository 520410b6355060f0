// SPDX-License-Identifier: MIT
/*
 * Before the queue: who leaves a word free wakes one of those who sleep on it, whatever became of
 * the word meanwhile, nobody who sleeps there is forgotten, and the wait there ends.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"
#include "resv/fast.h"
#include "resv/linger.h"
#include "shm/sleep.h"

#define SLEEP_NS 5000000000u

static struct dma_buf *dmabuf;
static struct resv_hold first = { .lease_ms = 10000 }, second = { .lease_ms = 10000 };

static void begin(uint64_t kind)
{
	dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	ASSERT(dmabuf);
	ASSERT_OK(resv_claim(&first, to_buffer(dmabuf), 0, "first"));
	ASSERT_OK(resv_claim(&second, to_buffer(dmabuf), 0, "second"));
	ASSERT(resv_take(&first, kind));
}

static void end(void)
{
	resv_unclaim(&second);
	resv_unclaim(&first);
	dma_buf_put(dmabuf);
}

static uint64_t word(void)
{
	return atomic_load(&first.state->word);
}

struct sleeper {
	_Atomic(uint32_t) tid;
	uint32_t expected;
	int ret;
};

static void *sleep_on_the_word(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, (uint32_t)syscall(SYS_gettid));
	s->ret = shm_futex_wait(resv_low_half(&first.state->word), s->expected,
				clock_ns() + SLEEP_NS);
	return NULL;
}

static bool is_asleep(void *arg)
{
	char path[64], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%u/syscall",
		 atomic_load((_Atomic(uint32_t) *)arg));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	snprintf(path, sizeof(path), "%d ", SYS_futex);
	return strncmp(text, path, strlen(path)) == 0;
}

/* Somebody watches, as resv_linger() does, but with more patience. */
static pthread_t watch(struct sleeper *s)
{
	pthread_t thread;

	atomic_store(&s->tid, 0);
	atomic_fetch_add(&first.state->watchers, 1);
	atomic_fetch_or(&first.state->word, RESV_WATCHED);
	s->expected = (uint32_t)word();
	ASSERT_EQ(pthread_create(&thread, NULL, sleep_on_the_word, s), 0);
	if (!eventually(is_asleep, &s->tid, 60000))
		test_note("cannot see whether it sleeps");
	return thread;
}

static void is_woken(struct sleeper *s, pthread_t thread)
{
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	atomic_fetch_sub(&first.state->watchers, 1);
	if (s->ret == -ETIMEDOUT)
		FAIL("nobody woke it");
	ASSERT_EQ(resv_word_mode(word()), RESV_FREE);
	ASSERT(!(word() & RESV_WATCHED));
}

TEST(D4_who_gives_back_wakes_one_who_watches)
{
	struct sleeper s;
	pthread_t thread;

	begin(RESV_WRITE);
	thread = watch(&s);
	ASSERT_OK(resv_unlock(&first));
	is_woken(&s, thread);
	end();
}

TEST(D4_the_last_of_several_readers_wakes_one_who_watches)
{
	struct sleeper s;
	pthread_t thread;

	begin(0);
	thread = watch(&s);
	ASSERT(resv_take(&second, 0));
	ASSERT(word() & RESV_WATCHED);
	ASSERT_OK(resv_unlock(&first));
	ASSERT_EQ(resv_word_mode(word()), RESV_SHARED);
	ASSERT(word() & RESV_WATCHED);
	ASSERT_OK(resv_unlock(&second));
	is_woken(&s, thread);
	end();
}

TEST(D4_who_leaves_the_queue_last_wakes_one_who_watches)
{
	struct sleeper s;
	pthread_t thread;

	begin(RESV_WRITE);
	atomic_fetch_or(&first.state->word, RESV_WATCHED);
	ASSERT_ERR(resv_enqueue(&second, RESV_WRITE), EAGAIN);
	ASSERT_EQ(resv_word_mode(word()), RESV_SLOW);
	/* Neither freezing nor joining forgets the mark. */
	ASSERT(word() & RESV_WATCHED);
	ASSERT_OK(resv_unlock(&first));
	ASSERT(resv_held(&second));
	ASSERT(word() & RESV_WATCHED);
	thread = watch(&s);
	ASSERT_OK(resv_unlock(&second));
	is_woken(&s, thread);
	end();
}

static _Atomic(uint32_t) lingers;

static void *linger(void *arg)
{
	int *ret = arg;

	resv_arm(&second, RESV_WRITE);
	atomic_store(&lingers, (uint32_t)syscall(SYS_gettid));
	*ret = resv_linger(&second, clock_ns(), FUTEX_FOREVER, false);
	return NULL;
}

static bool watches(void *arg)
{
	return atomic_load(&first.state->watchers) == 2 && is_asleep(arg);
}

/* It may run out of patience before it is woken; then it is tried again. */
static bool others_are_kept(void)
{
	pthread_t thread;
	bool kept;
	int ret;

	atomic_store(&lingers, 0);
	ASSERT_EQ(pthread_create(&thread, NULL, linger, &ret), 0);
	while (!atomic_load(&lingers) || (word() & RESV_WATCHED) == 0)
		sched_yield();
	eventually(watches, &lingers, 1);
	ASSERT_OK(resv_unlock(&first));
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	kept = !ret && (word() & RESV_WATCHED);
	if (!ret)
		ASSERT_OK(resv_unlock(&second));
	ASSERT(resv_take_word(&first, RESV_WRITE));
	return kept;
}

TEST(D4_who_was_woken_keeps_the_others_from_being_forgotten)
{
	int64_t began = now_ms();
	bool kept = false;

	begin(RESV_WRITE);
	/* Another one who watches; nobody needs to know what he does. */
	atomic_store(&first.state->watchers, 1);
	while (!kept && now_ms() - began < 5000)
		kept = others_are_kept();
	ASSERT(kept);
	ASSERT_EQ(atomic_load(&first.state->watchers), 1);
	atomic_store(&first.state->watchers, 0);
	ASSERT_OK(resv_unlock(&first));
	end();
}

TEST(D4_patience_ends)
{
	begin(RESV_WRITE);
	resv_arm(&second, RESV_WRITE);
	ASSERT_ERR(resv_linger(&second, clock_ns(), FUTEX_FOREVER, false), EAGAIN);
	ASSERT_EQ(atomic_load(&second.state->watchers), 0);
	ASSERT_ERR(resv_linger(&second, clock_ns(), clock_ns(), false), EAGAIN);
	ASSERT_OK(resv_unlock(&first));
	ASSERT_OK(resv_linger(&second, clock_ns(), FUTEX_FOREVER, false));
	ASSERT(resv_held(&second));
	ASSERT_OK(resv_unlock(&second));
	end();
}

static void handler(int signal)
{
}

TEST(D1_a_handler_ends_the_wait_before_the_queue)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	int64_t began = now_ms();
	int ret, uninterrupted = -EAGAIN, i;

	begin(RESV_WRITE);
	resv_arm(&second, RESV_WRITE);
	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &often, NULL));
	for (i = 0; i < 100 && uninterrupted == -EAGAIN; i++)
		uninterrupted = resv_linger(&second, clock_ns(), FUTEX_FOREVER, false);
	do {
		ret = resv_linger(&second, clock_ns(), FUTEX_FOREVER, true);
	} while (ret == -EAGAIN && now_ms() - began < 5000);
	ASSERT_OK(setitimer(ITIMER_REAL, &never, NULL));
	ASSERT_ERR(uninterrupted, EAGAIN);
	ASSERT_ERR(ret, EINTR);
	ASSERT_EQ(atomic_load(&second.state->watchers), 0);
	ASSERT_OK(resv_unlock(&first));
	end();
}
