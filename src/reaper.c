// SPDX-License-Identifier: MIT
#include "reaper.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "attachment.h"
#include "error.h"
#include "exporter.h"
#include "library-thread.h"
#include "process.h"
#include "registry.h"

#define LOOK_FIRST_MS 1
#define LOOK_LAST_MS 50

/* Guarded by the registry's lock. A forked child has the parent's value, but not its thread. */
static uint64_t running_cookie;
/* No thread could be had when one was needed. */
static bool missed;

void reaper_finish(struct buffer *b)
{
	attachments_end(b);
	if (b->exporter)
		b->base.ops->release(&b->base);
	else
		exporter_close(b);
	buffer_destroy(b);
}

/* Unlinks one zombie that nobody refers to; NULL if there is none. @left: zombies remain. */
static struct buffer *take_finished(bool *left)
{
	struct buffer *b, *found = NULL;

	*left = false;
	registry_lock();
	for (b = registry_next_zombie(NULL); b && !found; b = registry_next_zombie(b)) {
		if (!buffer_unused(b))
			*left = true;
		else
			found = b;
	}
	if (found)
		registry_remove(found);
	else if (!*left)
		running_cookie = 0;
	registry_unlock();
	return found;
}

static void nap(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void *reaper(void *arg)
{
	int pause = LOOK_FIRST_MS;
	struct buffer *b;
	bool left;

	for (;;) {
		b = take_finished(&left);
		if (b) {
			reaper_finish(b);
			pause = LOOK_FIRST_MS;
			continue;
		}
		if (!left)
			return NULL;
		nap(pause);
		pause = pause * 2 > LOOK_LAST_MS ? LOOK_LAST_MS : pause * 2;
	}
}

void reaper_wake(void)
{
	uint64_t cookie = process_cookie();
	int err;

	if (running_cookie == cookie)
		return;
	err = library_thread(NULL, reaper, NULL);
	missed = err != 0;
	if (err)
		dmabuf_log(DMABUF_LOG_WARNING, "no thread for a late release: %s", strerror(err));
	else
		running_cookie = cookie;
}

void reaper_retry(void)
{
	if (missed)
		reaper_wake();
}
