// SPDX-License-Identifier: MIT
#include "work-pool.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "fork-lock.h"
#include "library-thread.h"

#define THREADS_MAX 16
#define LINGER_MS 50

static struct {
	pthread_cond_t work;
	struct dmabuf_list items;
	unsigned int reserved;
	unsigned int threads;
} pool = {
	.work = PTHREAD_COND_INITIALIZER,
	.items = { &pool.items, &pool.items },
};

/* The threads, and what they were to do, are the parent's. */
static void forget(void)
{
	list_init(&pool.items);
	pool.reserved = 0;
	pool.threads = 0;
	pool.work = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static struct fork_lock lock = FORK_LOCK(forget);

static void lock_pool(void)
{
	fork_lock(&lock);
}

static void unlock_pool(void)
{
	fork_unlock(&lock);
}

/* With the lock held: until something comes, or nothing does for a while. */
static void linger(void)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LINGER_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (list_empty(&pool.items) && !pool.reserved && !err)
		err = pthread_cond_timedwait(&pool.work, &lock.mutex, &until);
}

/* With the lock held. False: nothing came, and nothing is to come. */
static bool wait_for_work(void)
{
	while (list_empty(&pool.items) && pool.reserved)
		pthread_cond_wait(&pool.work, &lock.mutex);
	if (list_empty(&pool.items))
		linger();
	return !list_empty(&pool.items) || pool.reserved;
}

static void *run(void *arg)
{
	struct work_item *item;

	lock_pool();
	while (wait_for_work()) {
		if (list_empty(&pool.items))
			continue;
		item = container_of(pool.items.next, struct work_item, link);
		list_remove(&item->link);
		unlock_pool();
		item->func(item);
		lock_pool();
	}
	pool.threads--;
	unlock_pool();
	return NULL;
}

static unsigned int threads_wanted(void)
{
	static unsigned int most;
	long processors;

	if (!most) {
		processors = sysconf(_SC_NPROCESSORS_ONLN);
		most = processors < 1		  ? 1
		       : processors > THREADS_MAX ? THREADS_MAX
						  : (unsigned int)processors;
	}
	return pool.reserved < most ? pool.reserved : most;
}

int work_pool_reserve(void)
{
	int err = 0;

	lock_pool();
	pool.reserved++;
	if (pool.threads < threads_wanted()) {
		err = library_thread(NULL, run, NULL);
		pool.threads += !err;
	}
	if (pool.threads)
		err = 0;
	if (err)
		pool.reserved--;
	unlock_pool();
	return err ? dmabuf_fail(EAGAIN, "no thread for queued work: %s", strerror(err)) : 0;
}

void work_pool_unreserve(void)
{
	lock_pool();
	pool.reserved--;
	/* Those that have nothing left to wait for. */
	if (!pool.reserved)
		pthread_cond_broadcast(&pool.work);
	unlock_pool();
}

void work_pool_run(struct work_item *item, void (*func)(struct work_item *item))
{
	lock_pool();
	item->func = func;
	list_add_before(&item->link, &pool.items);
	pthread_cond_signal(&pool.work);
	unlock_pool();
}

bool work_pool_withdraw(struct work_item *item)
{
	bool queued;

	lock_pool();
	queued = !list_empty(&item->link);
	list_remove(&item->link);
	unlock_pool();
	return queued;
}
