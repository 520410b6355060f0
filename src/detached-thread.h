/* SPDX-License-Identifier: MIT */
/* Threads of the library: nobody joins them, and no signal of the program's is handled in them. */
#ifndef DMABUF_SRC_DETACHED_THREAD_H
#define DMABUF_SRC_DETACHED_THREAD_H

#include <pthread.h>
#include <signal.h>

/* 0 or a positive errno. */
static inline int detached_thread_start(pthread_t *thread, void *(*main)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, saved;
	int err = pthread_attr_init(&attr);

	if (err)
		return err;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(thread, &attr, main, arg);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

#endif
