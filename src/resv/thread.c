// SPDX-License-Identifier: MIT
#include "resv/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "futex.h"
#include "library-thread.h"
#include "process.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* the same on every architecture */
#endif

#define WORDS_MAX 128 /* what the kernel takes */
#define LINGER_NS 50000000u
/* More words than fit are slept on in turns of so long. */
#define ROUND_NS 1000000u
/* Without futex_waitv() nobody can wake us when a word changes. */
#define BLIND_NS 2000000u

static struct {
	pthread_mutex_t lock;
	uint64_t cookie; /* of the process that has the thread; 0: there is none */
	struct dmabuf_list sleepers;
	_Atomic(uint32_t) kicks; /* what the thread sleeps on besides the sleepers' words */
	_Atomic(uint32_t) asleep;
	bool blind; /* no futex_waitv() here */
} thread = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.sleepers = { &thread.sleepers, &thread.sleepers },
};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static _Thread_local bool is_self;

/* In a child, which has copies of the list but not the thread; what is in it is the parent's. */
static void forget(void)
{
	list_init(&thread.sleepers);
	thread.cookie = 0;
	atomic_store(&thread.asleep, 0);
	is_self = false;
}

static void before_fork(void)
{
	pthread_mutex_lock(&thread.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&thread.lock);
}

static void after_fork_child(void)
{
	forget();
	pthread_mutex_unlock(&thread.lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void thread_lock(void)
{
	pthread_once(&fork_once, watch_forks);
	pthread_mutex_lock(&thread.lock);
	/* A child of a bare clone() ran no fork handler. */
	if (thread.cookie && thread.cookie != process_cookie())
		forget();
}

static void thread_unlock(void)
{
	pthread_mutex_unlock(&thread.lock);
}

void resv_sleeper_init(struct resv_sleeper *s, resv_look_fn look,
		       void (*release)(struct resv_sleeper *sleeper))
{
	memset(s, 0, sizeof(*s));
	list_init(&s->link);
	atomic_init(&s->refs, 1);
	atomic_init(&s->kicked, false);
	s->look = look;
	s->release = release;
	s->until = FUTEX_FOREVER;
}

void resv_sleeper_get(struct resv_sleeper *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void resv_sleeper_put(struct resv_sleeper *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		s->release(s);
}

bool resv_thread_is_self(void)
{
	return is_self;
}

/* With the lock held, as most of what follows. True: the reference of the list is the caller's. */
static bool unlist(struct resv_sleeper *s)
{
	if (!s->listed)
		return false;
	list_remove(&s->link);
	s->listed = false;
	return true;
}

static bool is_due(const struct resv_sleeper *s, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < s->count; i++)
		if (atomic_load(s->words[i].word) != s->words[i].expected)
			return true;
	return atomic_load(&s->kicked) || now >= s->until;
}

static void look(struct resv_sleeper *s)
{
	bool more, drop = false;

	resv_sleeper_get(s);
	atomic_store(&s->kicked, false);
	thread_unlock();
	more = s->look(s);
	pthread_mutex_lock(&thread.lock);
	if (!more)
		drop = unlist(s);
	thread_unlock();
	if (drop)
		resv_sleeper_put(s);
	resv_sleeper_put(s);
	pthread_mutex_lock(&thread.lock);
}

/* Everyone once; who is added meanwhile has its turn the next time. */
static void look_at_all(void)
{
	struct dmabuf_list left;
	struct resv_sleeper *s;

	list_take(&left, &thread.sleepers);
	while (!list_empty(&left)) {
		s = container_of(left.next, struct resv_sleeper, link);
		list_remove(&s->link);
		list_add_before(&s->link, &thread.sleepers);
		if (is_due(s, clock_ns()))
			look(s);
	}
}

/* What to sleep on, the thread's own word first, and until when. */
struct nap {
	struct futex_waitv words[WORDS_MAX];
	unsigned int count;
	uint64_t until;
};

static void add_word(struct nap *nap, const _Atomic(uint32_t) *word, uint32_t expected,
		     uint32_t flags)
{
	nap->words[nap->count++] = (struct futex_waitv){ .val = expected,
							 .uaddr = (uintptr_t)word,
							 .flags = FUTEX_32 | flags };
}

static void shorten(struct nap *nap, uint64_t until)
{
	if (until < nap->until)
		nap->until = until;
}

/* False: there is no room for its words. */
static bool add_sleeper(struct nap *nap, const struct resv_sleeper *s, uint64_t now)
{
	unsigned int i;

	shorten(nap, s->until);
	if (s->count && thread.blind)
		shorten(nap, now + BLIND_NS);
	if (!s->count || thread.blind)
		return true;
	if (nap->count + s->count > WORDS_MAX) {
		shorten(nap, now + ROUND_NS);
		return false;
	}
	for (i = 0; i < s->count; i++)
		add_word(nap, s->words[i].word, s->words[i].expected, 0);
	return true;
}

/* Those that find no room now are the first the next time. */
static void plan(struct nap *nap, uint32_t kicks)
{
	struct dmabuf_list *link, *first_left = NULL;
	uint64_t now = clock_ns();

	nap->count = 0;
	nap->until = list_empty(&thread.sleepers) ? now + LINGER_NS : FUTEX_FOREVER;
	add_word(nap, &thread.kicks, kicks, FUTEX_PRIVATE_FLAG);
	for (link = thread.sleepers.next; link != &thread.sleepers; link = link->next)
		if (!add_sleeper(nap, container_of(link, struct resv_sleeper, link), now) &&
		    !first_left)
			first_left = link;
	if (!first_left)
		return;
	/* The list begins there. */
	list_remove(&thread.sleepers);
	list_add_before(&thread.sleepers, first_left);
}

static void sleep_for_kicks(uint32_t kicks, uint64_t until)
{
	futex_wait((uint32_t *)(void *)&thread.kicks, kicks, until);
}

/* Without the lock: what is slept on may go meanwhile, and is looked at by nobody then. */
static void sleep_on(const struct nap *nap, uint32_t kicks)
{
	struct timespec ts = { .tv_sec = INT_MAX };
	uint64_t blind;

	if (nap->until != FUTEX_FOREVER) {
		ts.tv_sec = (time_t)(nap->until / 1000000000u);
		ts.tv_nsec = (long)(nap->until % 1000000000u);
	}
	if (nap->count == 1) {
		sleep_for_kicks(kicks, nap->until);
		return;
	}
	if (syscall(SYS_futex_waitv, nap->words, nap->count, 0, &ts, CLOCK_MONOTONIC) >= 0 ||
	    errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR)
		return;
	if (errno == ENOSYS || errno == EPERM)
		thread.blind = true;
	blind = clock_ns() + BLIND_NS;
	sleep_for_kicks(kicks, blind < nap->until ? blind : nap->until);
}

/* False: there has been nothing to look after for so long that the thread ends. */
static bool turn(struct nap *nap)
{
	uint32_t kicks = atomic_load(&thread.kicks);

	look_at_all();
	plan(nap, kicks);
	atomic_store(&thread.asleep, 1);
	thread_unlock();
	sleep_on(nap, kicks);
	atomic_store(&thread.asleep, 0);
	pthread_mutex_lock(&thread.lock);
	return !list_empty(&thread.sleepers) || clock_ns() < nap->until ||
	       atomic_load(&thread.kicks) != kicks;
}

static void *thread_main(void *arg)
{
	struct nap nap;

	is_self = true;
	pthread_mutex_lock(&thread.lock);
	while (turn(&nap))
		;
	thread.cookie = 0;
	thread_unlock();
	return NULL;
}

static void wake(void)
{
	atomic_fetch_add(&thread.kicks, 1);
	if (atomic_load(&thread.asleep))
		futex_wake((uint32_t *)(void *)&thread.kicks, 1);
}

int resv_thread_add(struct resv_sleeper *s)
{
	uint64_t cookie = process_cookie();
	int err = cookie ? 0 : ENOMEM;

	thread_lock();
	if (!err && !thread.cookie) {
		err = library_thread(NULL, thread_main, NULL);
		if (!err)
			thread.cookie = cookie;
	}
	if (!err) {
		resv_sleeper_get(s);
		s->listed = true;
		list_add_before(&s->link, &thread.sleepers);
	}
	thread_unlock();
	/* Words outside of the lock: the log's lock is held across fork(). */
	if (err)
		return dmabuf_fail(err,
				   "the library's thread, which waits for buffers, cannot be had: "
				   "%s",
				   strerror(err));
	return 0;
}

void resv_thread_forget_words(struct resv_sleeper *s)
{
	thread_lock();
	s->count = 0;
	thread_unlock();
}

void resv_thread_remove(struct resv_sleeper *s)
{
	bool drop;

	thread_lock();
	drop = unlist(s);
	thread_unlock();
	if (drop)
		resv_sleeper_put(s);
}

void resv_thread_kick(struct resv_sleeper *s)
{
	atomic_store(&s->kicked, true);
	wake();
}
