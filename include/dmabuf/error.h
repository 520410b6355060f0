/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_ERROR_H
#define DMABUF_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum dmabuf_log_level - how much a message matters
 * @DMABUF_LOG_ERROR: a call failed; the same words are in dmabuf_last_error()
 * @DMABUF_LOG_WARNING: something was repaired or is slower than it could be
 * @DMABUF_LOG_INFO: a choice that was made (which storage, which way of transfer)
 */
enum dmabuf_log_level {
	DMABUF_LOG_ERROR = 0,
	DMABUF_LOG_WARNING = 1,
	DMABUF_LOG_INFO = 2,
};

/**
 * dmabuf_log_fn - receives the library's words
 * @level: how much it matters
 * @message: one line, no newline; valid during the call only
 * @data: what was given to dmabuf_set_log()
 *
 * Called in the thread that met the event, with no lock of the library held that the callback
 * could need; it may call dmabuf_last_error() but nothing else of this library.
 */
typedef void (*dmabuf_log_fn)(enum dmabuf_log_level level, const char *message, void *data);

#ifndef DMABUF_DISABLED
/**
 * dmabuf_set_log - say where the library's words go
 * @fn: the callback, or NULL for silence (the default)
 * @data: handed to @fn as it is
 *
 * The library never prints. Set it before other threads use the library; changing it later is
 * safe, but a call under way may still use the former pair. Never blocks, never fails.
 */
void dmabuf_set_log(dmabuf_log_fn fn, void *data);

/**
 * dmabuf_last_error - why the last failing call of this thread failed
 *
 * Names the thing and, where there is one, the fix. A successful call does not clear it, so look
 * only after a failure.
 *
 * Return: a string that stays valid until this thread's next failing call; "" if none failed yet.
 * Never NULL. Async-signal-safe.
 */
const char *dmabuf_last_error(void);

/**
 * dmabuf_version - the library's version
 *
 * Return: "major.minor.patch", static. Async-signal-safe.
 */
const char *dmabuf_version(void);
#else
#include <dmabuf/stubs/error.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
