// SPDX-License-Identifier: MIT
#include "error.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "export.h"

#define MESSAGE_LEN 1280

static _Thread_local char last_error[MESSAGE_LEN];
static _Thread_local unsigned long failures;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static dmabuf_log_fn log_fn;
static void *log_data;

static void log_message(enum dmabuf_log_level level, const char *message)
{
	dmabuf_log_fn fn;
	void *data;

	pthread_mutex_lock(&log_lock);
	fn = log_fn;
	data = log_data;
	pthread_mutex_unlock(&log_lock);
	if (fn)
		fn(level, message, data);
}

__attribute__((format(printf, 2, 0))) static int vfail(int err, const char *format, va_list args)
{
	failures++;
	vsnprintf(last_error, sizeof(last_error), format, args);
	log_message(DMABUF_LOG_ERROR, last_error);
	errno = err;
	return -err;
}

int(dmabuf_fail)(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(err, format, args);
	va_end(args);
	return -err;
}

void *dmabuf_fail_ptr(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(err, format, args);
	va_end(args);
	return NULL;
}

unsigned long dmabuf_failures(void)
{
	return failures;
}

void dmabuf_log(enum dmabuf_log_level level, const char *format, ...)
{
	int saved = errno;
	char message[MESSAGE_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	log_message(level, message);
	errno = saved;
}

DMABUF_PUBLIC void dmabuf_set_log(dmabuf_log_fn fn, void *data)
{
	pthread_mutex_lock(&log_lock);
	log_fn = fn;
	log_data = data;
	pthread_mutex_unlock(&log_lock);
}

DMABUF_PUBLIC const char *dmabuf_last_error(void)
{
	return last_error;
}

DMABUF_PUBLIC const char *dmabuf_version(void)
{
	return DMABUF_VERSION;
}

void error_hold_for_fork(bool hold)
{
	if (hold)
		pthread_mutex_lock(&log_lock);
	else
		pthread_mutex_unlock(&log_lock);
}
