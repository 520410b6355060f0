// SPDX-License-Identifier: MIT
/*
 * An import is a fence whose owner is another process: the library's thread watches its descriptor
 * and signals it. One descriptor, by what fstat says of the socket, is one import. Contexts are
 * numbers of this process that stand for {process, context} of the owner, so that fences of one
 * timeline have their order here too. Which process that is, is what the kernel says and not what
 * the name says: nobody can put a fence of his own on another's timeline.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "kernel/sync-file.h"
#include "list.h"
#include "sync-file.h"
#include "sync-socket.h"
#include "worker.h"

struct socket_key {
	uint64_t device;
	uint64_t inode;
};

struct timeline_key {
	uint64_t maker;
	uint64_t instance;
	uint64_t context;
};

struct timeline {
	struct timeline_key key;
	uint64_t context; /* here */
	unsigned int imports;
	UT_hash_handle hh;
};

struct import {
	struct dma_fence base;
	struct dma_fence_lock lock;
	struct socket_key key;
	struct sync_name name;
	struct timeline *timeline; /* NULL: the context is its own */
	uint64_t deadline;
	struct worker_watch watch;
	struct worker_timer timer;
	pthread_mutex_t look_lock; /* guards what follows */
	bool ended;
	struct sync_record end;
	int fd;
	bool listed; /* in the table */
	UT_hash_handle hh;
};

static struct import *imports;
static struct timeline *timelines;

static struct import *import_of(struct dma_fence *fence)
{
	return container_of(fence, struct import, base);
}

static const char *import_driver_name(struct dma_fence *fence)
{
	return import_of(fence)->name.driver;
}

static const char *import_timeline_name(struct dma_fence *fence)
{
	return import_of(fence)->name.timeline;
}

/* Has it ended? The first look that finds so decides how. */
static bool import_look(struct import *import, bool readable)
{
	bool ended;

	pthread_mutex_lock(&import->look_lock);
	if (!import->ended && import->fd >= 0)
		import->ended = sync_socket_look(import->fd, readable, &import->end);
	if (!import->ended && clock_ns() >= import->deadline) {
		import->end = sync_record_make(-ETIMEDOUT, (int64_t)clock_ns());
		import->ended = true;
	}
	ended = import->ended;
	if (ended)
		fence_decide(&import->base, import->end.status, import->end.timestamp);
	pthread_mutex_unlock(&import->look_lock);
	return ended;
}

static bool import_signaled(struct dma_fence *fence)
{
	return import_look(import_of(fence), false);
}

/* With sync_lock() held. */
static void timeline_put(struct timeline *timeline)
{
	if (!timeline || --timeline->imports)
		return;
	HASH_DEL(timelines, timeline);
	free(timeline);
}

/* Not found any more, not watched any more, its descriptor closed. */
static void import_retire(struct import *import)
{
	worker_unwatch(&import->watch);
	worker_timer_stop(&import->timer);
	sync_lock();
	if (import->listed)
		HASH_DEL(imports, import);
	import->listed = false;
	sync_unlock();
	pthread_mutex_lock(&import->look_lock);
	if (import->fd >= 0)
		close(import->fd);
	import->fd = -1;
	pthread_mutex_unlock(&import->look_lock);
}

static void import_release(struct dma_fence *fence)
{
	struct import *import = import_of(fence);

	import_retire(import);
	sync_lock();
	timeline_put(import->timeline);
	sync_unlock();
	pthread_mutex_destroy(&import->look_lock);
	free(import);
}

static const struct dma_fence_ops narrow_ops = {
	.get_driver_name = import_driver_name,
	.get_timeline_name = import_timeline_name,
	.signaled = import_signaled,
	.release = import_release,
};

static const struct dma_fence_ops wide_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = import_driver_name,
	.get_timeline_name = import_timeline_name,
	.signaled = import_signaled,
	.release = import_release,
};

static bool is_import(const struct dma_fence *fence)
{
	return fence->ops == &narrow_ops || fence->ops == &wide_ops;
}

int sync_import_dup(struct dma_fence *fence)
{
	struct import *import = import_of(fence);
	int fd = -ENOENT;

	if (!is_import(fence))
		return kernel_sync_import_dup(fence);
	if (dma_fence_is_signaled(fence))
		return -ENOENT;
	pthread_mutex_lock(&import->look_lock);
	if (import->fd >= 0) {
		fd = fcntl(import->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = dmabuf_fail(errno, "no descriptor for a fence: %s", strerror(errno));
	}
	pthread_mutex_unlock(&import->look_lock);
	return fd;
}

void sync_imports_forget(void)
{
	struct timeline *timeline = timelines, *next;
	struct import *import;

	for (import = imports; import; import = import->hh.next) {
		import->listed = false;
		import->timeline = NULL;
		close(import->fd);
		import->fd = -1;
	}
	HASH_CLEAR(hh, imports);
	HASH_CLEAR(hh, timelines);
	for (; timeline; timeline = next) {
		next = timeline->hh.next;
		free(timeline);
	}
}

/* In the library's thread. Not if the last reference has just gone: whoever dropped it waits. */
static void import_end(struct import *import, bool readable)
{
	if (!dma_fence_get_unless_zero(&import->base))
		return;
	if (import_look(import, readable)) {
		import_retire(import);
		dma_fence_signal(&import->base);
	}
	dma_fence_put(&import->base);
}

static void import_readable(struct worker_watch *watch, uint32_t events)
{
	import_end(container_of(watch, struct import, watch), true);
}

static void import_timed_out(struct worker_timer *timer)
{
	import_end(container_of(timer, struct import, timer), false);
}

/* With sync_lock() held. NULL: no memory. */
static struct timeline *timeline_get(const struct timeline_key *key)
{
	struct timeline *timeline;

	HASH_FIND(hh, timelines, key, sizeof(*key), timeline);
	if (!timeline) {
		timeline = calloc(1, sizeof(*timeline));
		if (!timeline)
			return NULL;
		timeline->key = *key;
		timeline->context = dma_fence_context_alloc(1);
		HASH_ADD(hh, timelines, key, sizeof(timeline->key), timeline);
		if (!timeline->hh.tbl) {
			free(timeline);
			return NULL;
		}
	}
	timeline->imports++;
	return timeline;
}

static bool made_here(const struct sync_name *name, pid_t maker)
{
	return maker == getpid() && name->instance == sync_instance();
}

/* Fences of a maker who cannot be told from others have no order, not even among themselves. */
static int import_find_context(struct import *import, pid_t maker)
{
	struct timeline_key key = { (uint64_t)maker, import->name.instance, import->name.context };

	if (made_here(&import->name, maker)) {
		import->base.context = key.context;
	} else if (maker <= 0) {
		import->base.context = dma_fence_context_alloc(1);
	} else {
		sync_lock();
		import->timeline = timeline_get(&key);
		sync_unlock();
		if (!import->timeline)
			return dmabuf_fail(ENOMEM, "no memory for the timeline of a fence");
		import->base.context = import->timeline->context;
	}
	return 0;
}

/* The import that there is already for this socket, or NULL. With sync_lock() held. */
static struct dma_fence *import_find(const struct socket_key *key)
{
	struct import *import;

	/* The analyzer takes what fstat() filled in for garbage. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	HASH_FIND(hh, imports, key, sizeof(*key), import);
	return import ? dma_fence_get_unless_zero(&import->base) : NULL;
}

/* Watched from now on, in the table, unless there is one for the same socket: then that. */
static struct dma_fence *import_begin(struct import *import)
{
	struct dma_fence *other;
	int err = 0;

	sync_lock();
	other = import_find(&import->key);
	if (!other) {
		HASH_ADD(hh, imports, key, sizeof(import->key), import);
		import->listed = import->hh.tbl != NULL;
	}
	sync_unlock();
	if (other) {
		dma_fence_put(&import->base);
		return other;
	}
	if (!import->listed)
		err = dmabuf_fail(ENOMEM, "no memory to remember a fence");
	if (!err)
		err = worker_timer_start(&import->timer, import->deadline, import_timed_out);
	if (!err)
		err = worker_watch_fd(&import->watch, import->fd, EPOLLIN, import_readable);
	if (!err)
		return &import->base;
	dma_fence_put(&import->base);
	errno = -err;
	return NULL;
}

/* @fd is the import's from here on, also on failure. */
static struct import *import_new(int fd, const struct sync_name *name, const struct socket_key *key)
{
	struct import *import = calloc(1, sizeof(*import));

	if (!import) {
		close(fd);
		return dmabuf_fail_ptr(ENOMEM, "no memory for another's fence");
	}
	import->fd = fd;
	import->name = *name;
	import->key = *key;
	import->deadline = clock_ns() + name->timeout_ms * (uint64_t)1000000;
	pthread_mutex_init(&import->look_lock, NULL);
	dma_fence_lock_init(&import->lock);
	dma_fence_init(&import->base, name->wide ? &wide_ops : &narrow_ops, &import->lock, 0,
		       name->seqno);
	return import;
}

static struct dma_fence *import_make(int fd, const struct sync_name *name,
				     const struct socket_key *key, pid_t maker)
{
	struct import *import = import_new(fd, name, key);
	int err;

	if (!import)
		return NULL;
	err = import_find_context(import, maker);
	if (err) {
		dma_fence_put(&import->base);
		errno = -err;
		return NULL;
	}
	if (!dma_fence_is_signaled(&import->base))
		return import_begin(import);
	close(import->fd);
	import->fd = -1;
	return &import->base;
}

/* What @fd's fence is here already, if it is. */
static struct dma_fence *known(const struct sync_name *name, const struct socket_key *key,
			       pid_t maker)
{
	struct dma_fence *fence = made_here(name, maker) ? sync_export_find(name->id) : NULL;

	if (!fence) {
		sync_lock();
		fence = import_find(key);
		sync_unlock();
	}
	return fence;
}

struct dma_fence *sync_import(int fd)
{
	/* Of one's own: others may close the caller's while we look at it. */
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct dma_fence *fence;
	struct socket_key key;
	struct sync_name name;
	struct stat st = { 0 };
	pid_t maker;
	int err;

	if (copy < 0)
		return dmabuf_fail_ptr(errno, "descriptor %d cannot be duplicated: %s", fd,
				       strerror(errno));
	if (kernel_is_sync_file(copy))
		return kernel_sync_import(copy);
	err = sync_socket_check(copy, &name);
	if (!err && fstat(copy, &st))
		err = dmabuf_fail(errno, "descriptor %d: %s", fd, strerror(errno));
	if (err) {
		close(copy);
		errno = -err;
		return NULL;
	}
	key = (struct socket_key){ st.st_dev, st.st_ino };
	maker = sync_socket_maker(copy);
	fence = known(&name, &key, maker);
	if (!fence)
		return import_make(copy, &name, &key, maker);
	close(copy);
	return fence;
}
