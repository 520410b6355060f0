// SPDX-License-Identifier: MIT
/*
 * The thread sleeps in epoll_wait(). A timer descriptor among what it watches has the earliest
 * deadline; setting that is also how others rouse it. Events name their watch by a number that is
 * never used again, so an event that comes after worker_unwatch() finds nobody.
 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "fork-lock.h"
#include "library-thread.h"
#include "list.h"
#include "process.h"

#define NEVER UINT64_MAX
#define LINGER_NS 50000000u
#define EVENTS_AT_ONCE 16
/* What the events of the timer descriptor name. */
#define TIMER_ID 0

static struct {
	pthread_cond_t returned; /* a function */
	uint64_t cookie;	 /* of the process that has the thread; 0: there is none */
	int epoll_fd;
	int timer_fd;
	struct timer_node *timers;
	struct worker_watch *watches;
	uint64_t last_id;
	uint64_t armed;	     /* when timer_fd fires */
	uint64_t idle_since; /* when the last watch or timer went */
	const void *running; /* the watch or the timer whose function runs */
} worker = {
	.returned = PTHREAD_COND_INITIALIZER,
	.armed = NEVER,
};

static struct worker_timer *timer_of(struct timer_node *node)
{
	return container_of(node, struct worker_timer, node);
}

static void close_fds(void)
{
	close(worker.epoll_fd);
	close(worker.timer_fd);
	worker.cookie = 0;
	worker.armed = NEVER;
}

/* In a child, which has copies of it all but not the thread. */
static void forget(void)
{
	struct worker_watch *watch, *next;

	if (!worker.cookie)
		return;
	close_fds();
	HASH_ITER(hh, worker.watches, watch, next) {
		HASH_DEL(worker.watches, watch);
	}
	while (worker.timers) {
		timer_of(worker.timers)->pending = false;
		timer_heap_remove(&worker.timers, worker.timers);
	}
	worker.running = NULL;
	worker.returned = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static struct fork_lock lock = FORK_LOCK(forget);

static void worker_lock(void)
{
	fork_lock(&lock);
}

static void worker_unlock(void)
{
	fork_unlock(&lock);
}

/* With the lock held, as all of what follows. */
static void arm(uint64_t when)
{
	struct itimerspec spec = { 0 };

	if (when == worker.armed)
		return;
	worker.armed = when;
	if (when != NEVER) {
		spec.it_value.tv_sec = (time_t)(when / 1000000000u);
		spec.it_value.tv_nsec = (long)(when % 1000000000u);
		if (!when)
			spec.it_value.tv_nsec = 1;
	}
	timerfd_settime(worker.timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static bool idle(void)
{
	return !worker.timers && !worker.watches;
}

/* Something is not watched any more: if it was the last, the thread is to end soon. */
static void note_idle(void)
{
	if (!worker.cookie || !idle())
		return;
	worker.idle_since = clock_ns();
	if (worker.armed > worker.idle_since + LINGER_NS)
		arm(worker.idle_since + LINGER_NS);
}

static void run_timers(void)
{
	struct worker_timer *timer;
	uint64_t now = clock_ns();

	while (worker.timers && worker.timers->when <= now) {
		timer = timer_of(worker.timers);
		timer_heap_remove(&worker.timers, worker.timers);
		timer->pending = false;
		worker.running = timer;
		note_idle();
		worker_unlock();
		timer->func(timer);
		worker_lock();
		worker.running = NULL;
		pthread_cond_broadcast(&worker.returned);
	}
}

static void run_watch(uint64_t id, uint32_t events)
{
	struct worker_watch *watch;

	HASH_FIND(hh, worker.watches, &id, sizeof(id), watch);
	if (!watch)
		return;
	worker.running = watch;
	worker_unlock();
	watch->func(watch, events);
	worker_lock();
	worker.running = NULL;
	pthread_cond_broadcast(&worker.returned);
}

/* false: there has been nothing to do for so long that the thread may end. */
static bool plan_next(void)
{
	uint64_t next = worker.timers ? worker.timers->when : NEVER;

	if (idle()) {
		next = worker.idle_since + LINGER_NS;
		if (clock_ns() >= next)
			return false;
	}
	arm(next);
	return true;
}

static _Thread_local bool is_worker;

static void *worker_main(void *arg)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	bool more;
	int n, i, epoll_fd;

	is_worker = true;
	worker_lock();
	epoll_fd = worker.epoll_fd;
	do {
		worker_unlock();
		n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
		worker_lock();
		for (i = 0; i < n; i++) {
			if (events[i].data.u64 == TIMER_ID)
				worker.armed = 0; /* fired: whatever comes is set anew */
			else
				run_watch(events[i].data.u64, events[i].events);
		}
		run_timers();
		more = plan_next();
	} while (more);
	close_fds();
	worker_unlock();
	return NULL;
}

static int make_fds(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = TIMER_ID };

	worker.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker.epoll_fd < 0)
		return errno;
	worker.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker.timer_fd >= 0 &&
	    epoll_ctl(worker.epoll_fd, EPOLL_CTL_ADD, worker.timer_fd, &event) == 0)
		return 0;
	return errno;
}

/* With the lock held, so without words: the log's lock is held across fork(), and its user may
 * call. */
static int start(void)
{
	uint64_t cookie = process_cookie();
	int err;

	if (!cookie)
		return -ENOMEM;
	if (worker.cookie)
		return 0;
	worker.timer_fd = -1;
	worker.cookie = cookie;
	worker.idle_since = clock_ns();
	err = make_fds();
	if (!err)
		err = library_thread(NULL, worker_main, NULL);
	if (!err)
		return 0;
	if (worker.epoll_fd >= 0)
		close(worker.epoll_fd);
	if (worker.timer_fd >= 0)
		close(worker.timer_fd);
	worker.cookie = 0;
	return -err;
}

static int no_thread(int err)
{
	return dmabuf_fail(-err,
			   "the library's thread, for fences and deadlines, cannot be had: %s; it "
			   "takes one thread and two descriptors",
			   strerror(-err));
}

/* As start(). */
static int watch_add(struct worker_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int err;

	watch->id = ++worker.last_id;
	event.data.u64 = watch->id;
	HASH_ADD(hh, worker.watches, id, sizeof(watch->id), watch);
	if (!watch->hh.tbl) {
		note_idle();
		return -ENOMEM;
	}
	if (epoll_ctl(worker.epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0)
		return 0;
	err = -errno;
	HASH_DEL(worker.watches, watch);
	note_idle();
	return err;
}

int worker_watch_fd(struct worker_watch *watch, int fd, uint32_t events, worker_watch_fn func)
{
	int no_start, err;

	watch->fd = fd;
	watch->func = func;
	worker_lock();
	no_start = start();
	err = no_start ? no_start : watch_add(watch, events);
	if (err)
		watch->id = 0;
	worker_unlock();
	if (no_start)
		return no_thread(no_start);
	return err ? dmabuf_fail(-err, "descriptor %d cannot be watched: %s", fd, strerror(-err))
		   : 0;
}

static void wait_for_return(const void *item)
{
	if (worker.cookie && is_worker)
		return;
	while (worker.running == item)
		pthread_cond_wait(&worker.returned, &lock.mutex);
}

void worker_unwatch(struct worker_watch *watch)
{
	struct worker_watch *found;

	worker_lock();
	HASH_FIND(hh, worker.watches, &watch->id, sizeof(watch->id), found);
	if (found && found == watch) {
		epoll_ctl(worker.epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		HASH_DEL(worker.watches, watch);
		note_idle();
	}
	watch->id = 0;
	wait_for_return(watch);
	worker_unlock();
}

int worker_timer_start(struct worker_timer *timer, uint64_t when, worker_timer_fn func)
{
	int err;

	worker_lock();
	err = timer->pending ? 0 : start();
	if (!err) {
		if (timer->pending)
			timer_heap_remove(&worker.timers, &timer->node);
		timer->node.when = when;
		timer->func = func;
		timer->pending = true;
		timer_heap_add(&worker.timers, &timer->node);
		if (when < worker.armed)
			arm(when);
	}
	worker_unlock();
	return err ? no_thread(err) : 0;
}

static bool cancel(struct worker_timer *timer)
{
	bool pending = timer->pending;

	if (pending)
		timer_heap_remove(&worker.timers, &timer->node);
	timer->pending = false;
	if (pending)
		note_idle();
	return pending;
}

bool worker_timer_cancel(struct worker_timer *timer)
{
	bool pending;

	worker_lock();
	pending = cancel(timer);
	worker_unlock();
	return pending;
}

bool worker_timer_stop(struct worker_timer *timer)
{
	bool pending;

	worker_lock();
	pending = cancel(timer);
	wait_for_return(timer);
	worker_unlock();
	return pending;
}
