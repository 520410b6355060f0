// SPDX-License-Identifier: MIT
/* A process's view of storage that can be replaced. */
#include "storage-deferred.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include "error.h"
#include "registry.h"
#include "shm/lock.h"

/* A number may be out of force before its storage arrives, so often. */
#define RENEWALS_MAX 16

static struct buffer *buffer_of(struct storage *s)
{
	return container_of(s, struct buffer, storage);
}

static void *deferred_map(struct storage *s, size_t offset, size_t length, int prot)
{
	return storage_map_own(buffer_of(s), offset, length, prot, true);
}

static int deferred_keep(struct storage *s)
{
	return storage_renew(buffer_of(s));
}

static void free_deferred(struct storage *s)
{
	struct deferred *d = s->deferred;

	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->migration);
	free(d);
	s->deferred = NULL;
	s->ops = NULL;
}

static void deferred_drop(struct storage *s)
{
	struct deferred *d = s->deferred;

	storage_close_home(s);
	storage_orphan_mappings(d);
	window_release(&d->kept);
	storage_set_kept(s, NULL);
	registry_lock();
	buffer_close_fd(&s->fd);
	buffer_close_fd(&d->socket);
	registry_unlock();
	free_deferred(s);
}

void storage_close_home(struct storage *s)
{
	if (!s->deferred)
		return;
	home_close(s->deferred->home);
	s->deferred->home = NULL;
}

/* Its descriptors were closed at the fork, and its kept mapping is not there. */
void storage_forget(struct storage *s)
{
	if (!s->deferred)
		return;
	home_close(s->deferred->home);
	storage_orphan_mappings(s->deferred);
	free_deferred(s);
}

static const struct storage_ops deferred_ops = {
	.name = "deferred",
	.map = deferred_map,
	.keep = deferred_keep,
	.drop = deferred_drop,
};

static struct deferred *prepare(struct storage *s, size_t size)
{
	struct deferred *d = calloc(1, sizeof(*d));

	if (!d)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a deferred buffer");
	d->socket = -1;
	atomic_init(&d->current, STORAGE_NONE);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->migration, NULL);
	list_init(&d->mappings);
	memset(s, 0, sizeof(*s));
	s->ops = &deferred_ops;
	s->fd = -1;
	s->size = size;
	s->own_fd = true;
	s->may_write = true;
	s->deferred = d;
	return d;
}

/* What is in force, for the home. It may be a number that nobody gave out; the home minds that. */
static uint64_t in_force(void *priv)
{
	const struct buffer *b = priv;

	return storage_in_force(b);
}

/* What the home prepared is put in force under one of these two. */
static bool at_work(void *priv)
{
	struct buffer *b = priv;

	return lock_list_held(&b->client, &b->control) ||
	       storage_owner_alive(b, atomic_load(&shared_storage(b)->owner));
}

int storage_create_deferred(struct buffer *b, size_t size, bool fixed)
{
	static const struct home_ops ops = { .generation = in_force, .at_work = at_work };
	struct deferred *d = prepare(&b->storage, size);

	if (!d)
		return -ENOMEM;
	d->fixed = fixed;
	return home_open(&d->home, &d->address, "dmabuf-storage", page_round_up(size), &ops, b);
}

static int copy_fd(int fd, int *copy)
{
	int err = 0;

	if (fd < 0)
		return 0;
	registry_lock();
	*copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (*copy < 0)
		err = dmabuf_fail(errno, "duplicating descriptor %d failed: %s", fd,
				  strerror(errno));
	registry_unlock();
	return err;
}

int storage_adopt_deferred(struct buffer *b, const struct control_facts *facts, int payload_fd,
			   int socket)
{
	struct deferred *d = prepare(&b->storage, facts->size);

	if (!d)
		return -ENOMEM;
	d->fixed = facts->flags & SHM_FIXED;
	memcpy(d->address.name, facts->home_name, sizeof(d->address.name));
	memcpy(d->address.secret, facts->home_secret, sizeof(d->address.secret));
	return copy_fd(socket, &d->socket);
}

int storage_home_socket(struct buffer *b)
{
	struct deferred *d = b->storage.deferred;
	int fd;

	if (!d)
		return -1;
	pthread_mutex_lock(&d->lock);
	if (d->socket < 0 && d->home) {
		fd = home_connect(d->home);
		registry_lock();
		d->socket = fd < 0 ? -1 : fd;
		registry_unlock();
	}
	fd = d->socket;
	pthread_mutex_unlock(&d->lock);
	return fd;
}

/* With deferred.lock held. */
static int fill(struct deferred *d, size_t size)
{
	int err = 0;

	if (!d->kept.base)
		err = window_reserve(&d->kept, 0, size, PROT_READ | PROT_WRITE, false);
	if (!err)
		err = window_fill(&d->kept, &d->view);
	if (!err)
		err = storage_fill_mappings(d, &d->view);
	return err;
}

static void set_view(struct window_view *view, int fd, const struct home_storage *info)
{
	view->fd = fd;
	view->size = info->size;
	view->granule = info->granule > page_size() ? info->granule : page_size();
	view->locked = info->flags & HOME_LOCKED;
}

int storage_install(struct buffer *b, int fd, const struct home_storage *info)
{
	struct deferred *d = b->storage.deferred;
	void *kept;
	int err = 0;

	if (info->granule > WINDOW_UNIT || info->size < b->base.size) {
		close(fd);
		return dmabuf_fail(EOPNOTSUPP,
				   "storage of heap %s comes in pieces of %zu bytes, more than can "
				   "be mapped here",
				   info->heap, (size_t)info->granule);
	}
	registry_lock();
	buffer_close_fd(&b->storage.fd);
	b->storage.fd = fd;
	set_view(&d->view, fd, info);
	err = fill(d, page_round_up(b->base.size));
	registry_unlock();
	/* Whoever comes next tries again. */
	d->generation = err ? 0 : info->generation;
	kept = err ? NULL : d->kept.base;
	/* Others may be looking at it, and it hardly ever changes. */
	if (b->storage.kept != kept)
		storage_set_kept(&b->storage, kept);
	atomic_store(&d->current, err ? STORAGE_NONE : storage_state(info->generation));
	return err;
}

/* With deferred.lock held. */
static int renew(struct buffer *b)
{
	struct deferred *d = b->storage.deferred;
	struct home_storage info = { .generation = 0 };
	uint64_t generation;
	int fd = -ESTALE, tries;

	for (tries = 0; tries < RENEWALS_MAX && fd == -ESTALE; tries++) {
		generation = in_force(b);
		if (!generation || generation == d->generation)
			return 0;
		fd = storage_fetch(b, generation, &info);
	}
	return fd < 0 ? fd : storage_install(b, fd, &info);
}

int storage_renew(struct buffer *b)
{
	struct deferred *d = b->storage.deferred;
	int err;

	pthread_mutex_lock(&d->lock);
	err = renew(b);
	pthread_mutex_unlock(&d->lock);
	return err;
}
