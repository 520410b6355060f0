/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_ERROR_H
#define DMABUF_SRC_ERROR_H

#include <dmabuf/error.h>

/*
 * Remember why this thread's call fails and tell the log. @err is a positive errno; the words name
 * the thing and, where there is one, the fix. Sets errno. Returns -@err.
 */
int dmabuf_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for functions that return a pointer: returns NULL with errno set. */
void *dmabuf_fail_ptr(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tell the log only. Keeps errno. */
void dmabuf_log(enum dmabuf_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
