// SPDX-License-Identifier: MIT
#include "library-thread.h"

#include <signal.h>
#include <stddef.h>

int library_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, saved;
	pthread_t made;
	int err = pthread_attr_init(&attr);

	if (err)
		return err;
	if (!thread)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(thread ? thread : &made, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	return err;
}
