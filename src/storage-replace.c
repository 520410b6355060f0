// SPDX-License-Identifier: MIT
/*
 * Other storage is prepared, gets the bytes, and is put in force (mission row F6); up to the one
 * store that does so the old one is in force, whatever becomes of whoever does it.
 */
#include "storage-migrate.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "ownership.h"
#include "storage-deferred.h"

/* Memory that nobody wrote to stays that way. */
static void copy_bytes(char *to, const char *from, size_t size)
{
	static const char zeros[4096];
	size_t done, part;

	for (done = 0; done < size; done += part) {
		part = size - done < sizeof(zeros) ? size - done : sizeof(zeros);
		if (memcmp(from + done, zeros, part) != 0)
			memcpy(to + done, from + done, part);
		else if (memcmp(to + done, zeros, part) != 0)
			memset(to + done, 0, part);
	}
}

static int copy(struct buffer *b, int fd, const struct home_storage *info)
{
	char *to;
	int err;

	/* What a device wrote is in memory, and perhaps not in our caches. */
	err = ownership_cpu_begin(b, 0, b->base.size, DMA_FROM_DEVICE);
	if (err)
		return err;
	to = map_for_us(fd, 0, info->size, PROT_READ | PROT_WRITE);
	if (to) {
		copy_bytes(to, b->storage.kept, b->base.size);
		munmap(to, info->size);
	} else {
		err = -errno;
	}
	(void)ownership_cpu_end(b, 0, b->base.size, DMA_FROM_DEVICE);
	return err;
}

/* False: somebody scribbled over the word. */
static bool put_in_force(struct buffer *b, uint64_t old, uint64_t next)
{
	_Atomic(uint64_t) *place = &shared_storage(b)->state;
	uint64_t state = atomic_load(place);
	int turns;

	for (turns = 0; turns < STORAGE_TURNS && storage_generation(state) == old &&
			(state & SHM_STORAGE_MOVING);
	     turns++)
		if (atomic_compare_exchange_weak(place, &state, storage_state(next)))
			return true;
	return false;
}

/* @fd has the bytes: from here on it is the buffer's storage. */
static int commit(struct buffer *b, int fd, const struct home_storage *info,
		  const struct heap_attempts *attempts)
{
	struct deferred *d = b->storage.deferred;
	uint64_t old = d->generation;
	int err = storage_record(b, fd, info, attempts);

	if (err)
		return err;
	ownership_replaced(b);
	if (!put_in_force(b, old, info->generation))
		return dmabuf_fail(EIO,
				   "the buffer is spoilt: somebody wrote over the state of its "
				   "storage");
	return 0;
}

int storage_replace(struct buffer *b, const struct storage_plan *plan)
{
	struct heap_attempts attempts = { .count = 0 };
	struct deferred *d = b->storage.deferred;
	struct home_storage info;
	int fd, err;

	fd = storage_prepare(b, d->generation, plan, &info, &attempts);
	if (fd < 0)
		return fd;
	err = copy(b, fd, &info);
	if (!err)
		err = commit(b, fd, &info, &attempts);
	if (err) {
		close(fd);
		return err;
	}
	/* It is done; whoever could not map it tries again at his next access. */
	pthread_mutex_lock(&d->lock);
	(void)storage_install(b, fd, &info);
	pthread_mutex_unlock(&d->lock);
	return 0;
}
