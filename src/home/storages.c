// SPDX-License-Identifier: MIT
/* What a home has in force, and what it has prepared. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "home/homes.h"

/* A descriptor of @kept for somebody. No words. */
static int give(const struct kept *kept, struct home_storage *storage)
{
	int fd = fcntl(kept->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*storage = kept->storage;
	return fd;
}

int storages_fetch(struct home *home, uint64_t generation, struct home_storage *storage)
{
	int fd;

	homes_lock();
	fd = home->closed ? -EOWNERDEAD : -ESTALE;
	for (struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++)
		if (k->fd >= 0 && k->storage.generation == generation)
			fd = give(k, storage);
	homes_unlock();
	if (fd >= 0)
		return fd;
	if (fd == -ESTALE)
		return dmabuf_fail(ESTALE,
				   "%s: there is no storage with number %" PRIu64 " (any more)",
				   home->name, generation);
	return dmabuf_fail(-fd, "%s: its storage cannot be handed out: %s", home->name,
			   fd == -EOWNERDEAD ? "the exporter has let the buffer go"
					     : strerror(-fd));
}

unsigned int storages_take(struct home *home, uint64_t generation, int fds[HOME_KEPT])
{
	unsigned int count = 0;

	for (struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++) {
		if (k->fd < 0 || k->storage.generation >= generation)
			continue;
		fds[count++] = k->fd;
		k->fd = -1;
	}
	return count;
}

void storages_close(const int *fds, unsigned int count)
{
	while (count)
		close(fds[--count]);
}

/* With the lock held: is this number one that the home gave? 0 is. */
static bool known(const struct home *home, uint64_t generation)
{
	for (const struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++)
		if (k->fd >= 0 && k->storage.generation == generation)
			return true;
	return generation == 0;
}

/*
 * With the lock held: what is in force, and all that came before goes. The number comes from memory
 * that others can write: one that is not known changes nothing.
 */
static int look(struct home *home, uint64_t *current, int fds[HOME_KEPT], unsigned int *count)
{
	*count = 0;
	if (home->closed)
		return -EOWNERDEAD;
	*current = home->ops->generation(home->priv);
	if (!known(home, *current))
		return -ESTALE;
	*count = storages_take(home, *current, fds);
	return 0;
}

int storages_settle(struct home *home)
{
	int fds[HOME_KEPT], err;
	unsigned int count;
	uint64_t current;

	homes_lock();
	err = look(home, &current, fds, &count);
	homes_unlock();
	storages_close(fds, count);
	return err ? dmabuf_fail(-err, "%s: its storage is not what the control block says",
				 home->name)
		   : 0;
}

static bool listed(const char *heap, const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(heap, heaps[i]))
			return true;
	return false;
}

/* With the lock held: prepared before, and good for this list. */
static struct kept *find_prepared(struct home *home, uint64_t current,
				  const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int count)
{
	for (struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++)
		if (k->fd >= 0 && k->storage.generation > current &&
		    listed(k->storage.heap, heaps, count))
			return k;
	return NULL;
}

static int seal(int fd, uint64_t size)
{
	uint64_t have;

	/* What has no seals is checked by what it is. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return home_check_storage(fd, size, &have, "this heap");
}

static uint64_t at_least_a_page(uint64_t value)
{
	return value > HEAP_PAGE ? value : HEAP_PAGE;
}

static int allocate(struct home *home, const char (*heaps)[DMA_BUF_HEAP_NAME_LEN],
		    unsigned int count, struct home_storage *s, struct heap_attempts *attempts)
{
	struct dma_buf_heap_info info;
	int fd = heaps_alloc_first(heaps, count, home->name, home->size, seal, &info, attempts);

	if (fd < 0)
		return fd;
	memset(s, 0, sizeof(*s));
	s->granule = at_least_a_page(info.granule);
	s->alignment = at_least_a_page(info.alignment);
	s->size = (home->size + s->granule - 1) / s->granule * s->granule;
	memcpy(s->heap, info.name, sizeof(s->heap));
	s->flags = (info.cpu_mappable ? HOME_CPU_MAPPABLE : 0) |
		   (info.coherent ? HOME_COHERENT : 0) | (info.page_backed ? HOME_PAGE_BACKED : 0) |
		   (strcmp(info.name, "locked") ? 0 : HOME_LOCKED);
	return fd;
}

/* With the lock held. What was prepared longest ago makes room, and goes to *@old. */
static int keep(struct home *home, uint64_t current, int fd, struct home_storage *storage, int *old)
{
	struct kept *place = NULL;

	if (home->closed)
		return -EOWNERDEAD;
	for (struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++) {
		if (k->fd < 0) {
			place = k;
			break;
		}
		if (k->storage.generation != current &&
		    (!place || k->storage.generation < place->storage.generation))
			place = k;
	}
	*old = place->fd;
	place->fd = fd;
	storage->generation = ++home->last_generation;
	place->storage = *storage;
	return give(place, storage);
}

/*
 * With the lock held: what is neither in force nor can come into force any more goes, and is the
 * caller's to close. False: not now, look again.
 */
static bool let_go(struct home *home, int fds[HOME_KEPT], unsigned int *count)
{
	uint64_t current;

	*count = 0;
	if (home->closed)
		return true;
	/* Whoever was at work before the number is read has put it there, or never will. */
	if (home->ops->at_work(home->priv) || look(home, &current, fds, count))
		return false;
	for (struct kept *k = home->kept; k < home->kept + HOME_KEPT; k++) {
		if (k->fd < 0 || k->storage.generation == current)
			continue;
		fds[(*count)++] = k->fd;
		k->fd = -1;
	}
	return true;
}

static void expect_somebody(struct home *home);

static void nobody_came(struct worker_timer *timer)
{
	struct home *home = container_of(timer, struct home, abandoned);
	int fds[HOME_KEPT];
	unsigned int count;
	bool done;

	homes_lock();
	done = let_go(home, fds, &count);
	homes_unlock();
	storages_close(fds, count);
	if (!done)
		expect_somebody(home);
}

/* It cannot fail as long as the library's thread is there; if it is not, four of them stay. */
static void expect_somebody(struct home *home)
{
	(void)worker_timer_start(&home->abandoned, clock_ns() + HOME_ABANDONED_NS, nobody_came);
}

/* The lock is held when it is called and when it returns. What is to be closed is added to @old. */
static int prepare_new(struct home *home, uint64_t current,
		       const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int count,
		       struct home_storage *storage, struct heap_attempts *attempts, int *old)
{
	struct home_storage made;
	int fd, given;

	home->preparing = true;
	homes_unlock();
	fd = allocate(home, heaps, count, &made, attempts);
	homes_lock();
	home->preparing = false;
	pthread_cond_broadcast(&home->changed);
	if (fd < 0)
		return fd;
	given = keep(home, current, fd, &made, old);
	if (given >= 0)
		*storage = made;
	else if (given == -EOWNERDEAD)
		*old = fd;
	return given;
}

int storages_prepare(struct home *home, uint64_t base, const char (*heaps)[DMA_BUF_HEAP_NAME_LEN],
		     unsigned int count, uint64_t deadline, struct home_storage *storage,
		     struct heap_attempts *attempts)
{
	int fds[HOME_KEPT], result = 0, evicted = -1;
	unsigned int old = 0;
	uint64_t current = 0;
	struct kept *ready;
	bool said = false;

	attempts->count = 0;
	homes_lock();
	while (home->preparing && !home->closed && !result)
		result = homes_wait(home, deadline) ? 0 : -ETIMEDOUT;
	if (!result)
		result = look(home, &current, fds, &old);
	if (!result && current != base)
		result = -ESTALE;
	if (!result) {
		ready = find_prepared(home, current, heaps, count);
		said = !ready;
		result = ready ? give(ready, storage)
			       : prepare_new(home, current, heaps, count, storage, attempts,
					     &evicted);
	}
	homes_unlock();
	storages_close(fds, old);
	if (evicted >= 0)
		close(evicted);
	if (result >= 0)
		expect_somebody(home);
	if (result >= 0 || (said && attempts->count))
		return result;
	return dmabuf_fail(-result, "%s: no storage can be prepared: %s", home->name,
			   result == -ESTALE ? "other storage came into force" : strerror(-result));
}
