// SPDX-License-Identifier: MIT
#include "fork-lock.h"

#include <stddef.h>

#include "process.h"

static struct fork_lock *_Atomic locks; /* none ever goes */
/* By this thread's fork(): from here on. */
static _Thread_local struct fork_lock *held;

static void before_fork(void)
{
	held = atomic_load(&locks);
	for (struct fork_lock *l = held; l; l = l->next)
		pthread_mutex_lock(&l->mutex);
}

static void after_fork_parent(void)
{
	for (struct fork_lock *l = held; l; l = l->next)
		pthread_mutex_unlock(&l->mutex);
}

static void after_fork_child(void)
{
	for (struct fork_lock *l = held; l; l = l->next) {
		l->forget();
		l->cookie = process_cookie();
	}
	after_fork_parent();
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void list(struct fork_lock *l)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	if (atomic_exchange(&l->listed, true))
		return;
	l->next = atomic_load(&locks);
	while (!atomic_compare_exchange_weak(&locks, &l->next, l))
		;
}

void fork_lock(struct fork_lock *l)
{
	uint64_t cookie = process_cookie();

	if (!atomic_load_explicit(&l->listed, memory_order_acquire))
		list(l);
	pthread_mutex_lock(&l->mutex);
	if (l->cookie == cookie)
		return;
	if (l->cookie)
		l->forget();
	l->cookie = cookie;
}

void fork_unlock(struct fork_lock *l)
{
	pthread_mutex_unlock(&l->mutex);
}
