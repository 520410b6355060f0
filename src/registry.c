// SPDX-License-Identifier: MIT
#include "registry.h"

#include <errno.h>
#include <unistd.h>

#include "attachment.h"
#include "check/check.h"
#include "error.h"
#include "exporter.h"
#include "heaps/heaps.h"
#include "process.h"
#include "storage-deferred.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct buffer *buffers;
static struct buffer *made;
static struct attachment *attachments;
static struct dmabuf_list fds = { &fds, &fds };
static uint64_t owner_cookie;

static void close_copy(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The child's copies would keep the parent's slots and references alive after the parent's death.
 */
static void forget_parent(void)
{
	struct buffer *b, *next;

	HASH_ITER(hh, buffers, b, next) {
		HASH_DEL(buffers, b);
	}
	for (b = made; b; b = b->made_next) {
		close_copy(&b->client.fd);
		close_copy(&b->client.device_fd);
		close_copy(&b->fd);
		if (b->storage.own_fd)
			close_copy(&b->storage.fd);
		if (b->storage.deferred)
			close_copy(&b->storage.deferred->socket);
	}
	while (!list_empty(&fds)) {
		close_copy(&container_of(fds.next, struct registry_fd, link)->fd);
		list_remove(fds.next);
	}
}

/* No other thread may be half-way through a table that the child will use: all locks, outer first.
 */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	exporter_hold_for_fork(true);
	heaps_hold_for_fork(true);
	process_hold_for_fork(true);
	error_hold_for_fork(true);
	check_hold_for_fork(true);
}

static void after_fork_parent(void)
{
	check_hold_for_fork(false);
	error_hold_for_fork(false);
	process_hold_for_fork(false);
	heaps_hold_for_fork(false);
	exporter_hold_for_fork(false);
	pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
	forget_parent();
	check_forked();
	owner_cookie = process_cookie();
	after_fork_parent();
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void registry_lock(void)
{
	uint64_t cookie = process_cookie();

	pthread_once(&fork_once, watch_forks);
	pthread_mutex_lock(&lock);
	/* A child of a bare clone() ran no fork handler. */
	if (owner_cookie != cookie) {
		forget_parent();
		owner_cookie = cookie;
	}
}

void registry_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void registry_track(struct buffer *b)
{
	registry_lock();
	b->made_next = made;
	if (made)
		made->made_prev = b;
	made = b;
	registry_unlock();
}

void registry_untrack(struct buffer *b)
{
	registry_lock();
	if (b->made_prev)
		b->made_prev->made_next = b->made_next;
	else
		made = b->made_next;
	if (b->made_next)
		b->made_next->made_prev = b->made_prev;
	registry_unlock();
}

void registry_track_fd(struct registry_fd *tracked)
{
	list_add_before(&tracked->link, &fds);
}

void registry_untrack_fd(struct registry_fd *tracked)
{
	list_remove(&tracked->link);
}

struct buffer *registry_find(const struct buffer_key *key)
{
	struct buffer *b;

	HASH_FIND(hh, buffers, key, sizeof(*key), b);
	return b;
}

int registry_add(struct buffer *b)
{
	HASH_ADD(hh, buffers, key, sizeof(b->key), b);
	if (b->hh.tbl)
		return 0;
	return dmabuf_fail(ENOMEM, "no memory to remember a handle");
}

void registry_remove(struct buffer *b)
{
	HASH_DEL(buffers, b);
}

struct buffer *registry_next_zombie(struct buffer *b)
{
	b = b ? b->hh.next : buffers;
	while (b && !b->zombie)
		b = b->hh.next;
	return b;
}

int registry_add_attachment(struct attachment *a)
{
	a->self = a;
	registry_lock();
	HASH_ADD_PTR(attachments, self, a);
	registry_unlock();
	if (a->hh.tbl)
		return 0;
	return dmabuf_fail(ENOMEM, "no memory to remember an attachment");
}

void registry_remove_attachment(struct attachment *a)
{
	registry_lock();
	/* uthash's table exists while anything is in it. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(attachments, a);
	registry_unlock();
}

struct attachment *registry_find_attachment(const struct dma_buf_attachment *attach)
{
	struct attachment *found;

	registry_lock();
	HASH_FIND_PTR(attachments, &attach, found);
	registry_unlock();
	return found;
}
