// SPDX-License-Identifier: MIT
/*
 * Asking the home. It turns visitors away while many are there; that is no answer, so they come
 * again, until their time is over.
 */
#include "storage-deferred.h"

#include <time.h>

#include "clock.h"

#define PAUSE_FIRST_US 500u
#define PAUSE_LAST_US 16000u

struct visit {
	uint64_t deadline; /* of clock_ms() */
	unsigned int pause_us;
};

static struct visit visit_begin(void)
{
	return (struct visit){ clock_ms() + STORAGE_HOME_MS, PAUSE_FIRST_US };
}

static int time_left(const struct visit *v)
{
	return clock_left(v->deadline);
}

/* Was that no answer, and is there time to try again? */
static bool come_again(struct visit *v, int answer)
{
	struct timespec pause = { .tv_nsec = (long)v->pause_us * 1000 };

	if (answer != -EBUSY || !time_left(v))
		return false;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	if (v->pause_us < PAUSE_LAST_US)
		v->pause_us *= 2;
	return true;
}

/* That it has ended is no torn content, which -EOWNERDEAD says elsewhere. */
static int answer_of(int answer)
{
	return answer == -EOWNERDEAD ? -EHOSTDOWN : answer;
}

int storage_fetch(struct buffer *b, uint64_t generation, struct home_storage *info)
{
	struct deferred *d = b->storage.deferred;
	struct visit v = visit_begin();
	int fd;

	do {
		fd = home_fetch(&d->address, d->socket, generation, time_left(&v), info);
	} while (come_again(&v, fd));
	return answer_of(fd);
}

int storage_prepare(struct buffer *b, uint64_t base, const struct storage_plan *plan,
		    struct home_storage *info, struct heap_attempts *attempts)
{
	struct deferred *d = b->storage.deferred;
	struct visit v = visit_begin();
	int fd;

	do {
		fd = home_prepare(&d->address, d->socket, base, plan->heaps, plan->count,
				  time_left(&v), info, attempts);
	} while (come_again(&v, fd));
	return answer_of(fd);
}

int storage_home_heaps(struct buffer *b, struct dma_buf_heap_info *list)
{
	struct deferred *d = b->storage.deferred;
	struct visit v = visit_begin();
	int count;

	do {
		count = home_heaps(&d->address, d->socket, time_left(&v), list);
	} while (come_again(&v, count));
	return count;
}
