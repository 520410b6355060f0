/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_ERROR_H
#define DMABUF_SRC_ERROR_H

#include <stdbool.h>

#include <dmabuf/error.h>

/*
 * Remember why this thread's call fails and tell the log. @err is a positive errno; the words name
 * the thing and, where there is one, the fix. Sets errno. Returns -@err.
 */
int dmabuf_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyzer does not look into other files; without this it follows failures as successes. */
static inline int dmabuf_negative(int ret)
{
	if (ret >= 0)
		__builtin_unreachable();
	return ret;
}
#define dmabuf_fail(...) dmabuf_negative((dmabuf_fail)(__VA_ARGS__))
#endif

/* The same for functions that return a pointer: returns NULL with errno set. */
void *dmabuf_fail_ptr(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How often calls failed in this thread: has somebody left words in between? */
unsigned long dmabuf_failures(void);

/* Tell the log only. Keeps errno. */
void dmabuf_log(enum dmabuf_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Held across fork(), so that a child finds the log in order. */
void error_hold_for_fork(bool hold);

#endif
