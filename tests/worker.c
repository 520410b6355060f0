// SPDX-License-Identifier: MIT
/* The library's thread, from inside: it runs what it is to run, and nothing else is left of it. */
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"
#include "list.h"

#define LONG_MS 60000
#define MS 1000000u

struct item {
	struct worker_watch watch;
	struct worker_timer timer;
	atomic_int calls;
	atomic_int order;
	atomic_bool inside;
	atomic_bool hold;
	sigset_t blocked;
};

static atomic_int sequence;

static void item_watched(struct worker_watch *watch, uint32_t events)
{
	struct item *item = container_of(watch, struct item, watch);

	item->inside = true;
	while (item->hold)
		usleep(100);
	item->inside = false;
	worker_unwatch(watch);
	item->calls++;
}

static void item_timed(struct worker_timer *timer)
{
	struct item *item = container_of(timer, struct item, timer);

	pthread_sigmask(SIG_SETMASK, NULL, &item->blocked);
	item->inside = true;
	while (item->hold)
		usleep(100);
	item->inside = false;
	item->order = ++sequence;
	item->calls++;
}

static bool called(void *arg)
{
	return ((struct item *)arg)->calls == 1;
}

static bool inside(void *arg)
{
	return ((struct item *)arg)->inside;
}

static bool fds_are(void *arg)
{
	return open_fds() == *(int *)arg;
}

/* The thread is in here until hold is taken back: however slowly timers are set, none comes first.
 */
static void keep_busy(struct item *item)
{
	item->hold = true;
	ASSERT_OK(worker_timer_start(&item->timer, 0, item_timed));
	ASSERT(eventually(inside, item, LONG_MS));
}

TEST(E3_the_thread_runs_timers_in_the_order_of_their_deadlines)
{
	static const int ms[] = { 30, 10, 50, 20, 40, 10, 60, 5 };
	struct item items[8] = { 0 }, busy = { .calls = 0 };
	uint64_t now = clock_ns();
	int before = open_fds(), i, j;

	sequence = 0;
	keep_busy(&busy);
	for (i = 0; i < 8; i++)
		ASSERT_OK(worker_timer_start(&items[i].timer, now + (uint64_t)ms[i] * MS,
					     item_timed));
	busy.hold = false;
	for (i = 0; i < 8; i++)
		ASSERT(eventually(called, &items[i], LONG_MS));
	for (i = 0; i < 8; i++)
		for (j = 0; j < 8; j++)
			ASSERT(ms[i] >= ms[j] || items[i].order < items[j].order);
	ASSERT_EQ(sigismember(&items[0].blocked, SIGINT), 1);
	ASSERT_EQ(sigismember(&items[0].blocked, SIGALRM), 1);
	/* The thread goes when there is nothing left, with all it had, and comes again. */
	ASSERT(eventually(fds_are, &before, LONG_MS));
	items[0].calls = 0;
	ASSERT_OK(worker_timer_start(&items[0].timer, 0, item_timed));
	ASSERT(eventually(called, &items[0], LONG_MS));
}

TEST(E3_a_timer_that_is_cancelled_does_not_run)
{
	struct item a = { .calls = 0 }, b = { .calls = 0 }, busy = { .calls = 0 };
	uint64_t now = clock_ns();

	keep_busy(&busy);
	ASSERT_OK(worker_timer_start(&a.timer, now + 10 * MS, item_timed));
	ASSERT_OK(worker_timer_start(&b.timer, now + 20 * MS, item_timed));
	ASSERT(worker_timer_cancel(&a.timer));
	ASSERT(!worker_timer_cancel(&a.timer));
	busy.hold = false;
	ASSERT(eventually(called, &b, LONG_MS));
	ASSERT_EQ(a.calls, 0);
	ASSERT(!worker_timer_stop(&b.timer));
}

TEST(E3_a_timer_can_be_set_anew)
{
	struct item item = { .calls = 0 };

	ASSERT_OK(worker_timer_start(&item.timer, clock_ns() + 3600000ull * MS, item_timed));
	ASSERT_OK(worker_timer_start(&item.timer, clock_ns() + MS, item_timed));
	ASSERT(eventually(called, &item, LONG_MS));
}

static void *let_go(void *arg)
{
	struct item *item = arg;

	usleep(20000);
	item->hold = false;
	return NULL;
}

TEST(E3_stopping_waits_for_a_function_that_runs)
{
	struct item item = { .hold = true };
	pthread_t thread;
	int fd = eventfd(1, EFD_CLOEXEC);

	ASSERT_OK(worker_timer_start(&item.timer, 0, item_timed));
	ASSERT(eventually(inside, &item, LONG_MS));
	ASSERT(!worker_timer_cancel(&item.timer));
	pthread_create(&thread, NULL, let_go, &item);
	ASSERT(!worker_timer_stop(&item.timer));
	ASSERT_EQ(item.calls, 1);
	pthread_join(thread, NULL);
	item = (struct item){ .hold = true };
	ASSERT_OK(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched));
	ASSERT(eventually(inside, &item, LONG_MS));
	pthread_create(&thread, NULL, let_go, &item);
	worker_unwatch(&item.watch);
	ASSERT_EQ(item.calls, 1);
	pthread_join(thread, NULL);
	close(fd);
}

TEST(E3_a_descriptor_is_watched_until_it_is_not)
{
	struct item item = { .calls = 0 };
	int fd = eventfd(0, EFD_CLOEXEC), before = open_fds();

	ASSERT_OK(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched));
	worker_unwatch(&item.watch);
	worker_unwatch(&item.watch);
	ASSERT_OK(eventfd_write(fd, 1));
	ASSERT(eventually(fds_are, &before, LONG_MS));
	ASSERT_EQ(item.calls, 0);
	ASSERT_OK(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched));
	ASSERT(eventually(called, &item, LONG_MS));
	close(fd);
}

TEST(E3_what_cannot_be_watched_is_refused)
{
	struct item item = { .calls = 0 };
	int fd = memfd_create("plain", MFD_CLOEXEC);

	ASSERT_ERR(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched), EPERM);
	worker_unwatch(&item.watch);
	close(fd);
	ASSERT_ERR(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched), EBADF);
}

/* How many descriptors the parent had without the thread's. */
static int fds_before;

static int child(void *arg)
{
	struct item *item = arg, own = { .calls = 0 };

	/* With the first word to the library at the latest. */
	ASSERT(!worker_timer_cancel(&item->timer));
	ASSERT_EQ(open_fds(), fds_before);
	worker_unwatch(&item->watch);
	ASSERT_OK(worker_timer_start(&own.timer, 0, item_timed));
	ASSERT(eventually(called, &own, LONG_MS));
	ASSERT_EQ(item->calls, 0);
	return 0;
}

static int forked(void *arg)
{
	ASSERT_EQ(open_fds(), fds_before);
	return child(arg);
}

/* Which runs no fork handler. */
static pid_t bare_clone(int (*fn)(void *arg), void *arg)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(fn(arg));
	return pid;
}

static void has_a_child(pid_t (*make)(int (*fn)(void *arg), void *arg), int (*fn)(void *arg))
{
	struct item item = { .calls = 0 };
	int fd = eventfd(0, EFD_CLOEXEC);

	if (TEST_SANITIZED)
		SKIP("fork beside a thread");
	fds_before = open_fds();
	ASSERT_OK(worker_watch_fd(&item.watch, fd, EPOLLIN, item_watched));
	ASSERT_OK(worker_timer_start(&item.timer, clock_ns() + 1000u * MS * 60, item_timed));
	ASSERT_EQ(reap(make(fn, &item)), 0);
	ASSERT_OK(eventfd_write(fd, 1));
	ASSERT(eventually(called, &item, LONG_MS));
	ASSERT(worker_timer_stop(&item.timer));
	close(fd);
}

TEST(E3_a_forked_child_has_none_of_it)
{
	has_a_child(spawn, forked);
}

TEST(E3_nor_has_a_bare_clone)
{
	has_a_child(bare_clone, child);
}

#define MANY 2000

/* The heap against a plain minimum, with removals from anywhere. */
TEST(E3_the_heap_gives_the_earliest_whatever_is_taken_out)
{
	static struct timer_node nodes[MANY];
	static bool in[MANY];
	struct timer_node *root = NULL;
	unsigned int seed = 1, i, j, k;
	uint64_t least;

	for (i = 0; i < 20000; i++) {
		j = (unsigned int)rand_r(&seed) % MANY;
		if (in[j]) {
			timer_heap_remove(&root, &nodes[j]);
		} else {
			nodes[j].when = (uint64_t)rand_r(&seed) % 1000;
			timer_heap_add(&root, &nodes[j]);
		}
		in[j] = !in[j];
		if (i % 100)
			continue;
		least = UINT64_MAX;
		for (k = 0; k < MANY; k++)
			if (in[k] && nodes[k].when < least)
				least = nodes[k].when;
		ASSERT_EQ(root ? root->when : UINT64_MAX, least);
	}
	for (least = 0; root; timer_heap_remove(&root, root)) {
		ASSERT(root->when >= least);
		least = root->when;
	}
}
