/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_LIBRARY_THREAD_H
#define DMABUF_SRC_LIBRARY_THREAD_H

#include <pthread.h>

/*
 * A thread of the library's own: all signals are blocked in it, so none of the program's handlers
 * runs there. @thread: to be joined; NULL: detached. 0 or a positive errno.
 */
int library_thread(pthread_t *thread, void *(*fn)(void *), void *arg);

#endif
