// SPDX-License-Identifier: MIT
/* The homes of this process, and what becomes of them in a child. */
#include "home/homes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "fork-lock.h"
#include "process.h"
#include "text.h"

static struct home *homes;
static uint64_t last_number;
static struct dmabuf_list offices = { &offices, &offices };
static struct office *office; /* where new homes go */
/* Held while an office is made, and not across fork(), where it begins anew. Outermost. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static void close_copy(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget_office(struct office *o)
{
	struct dmabuf_list *at;

	close_copy(&o->fd);
	for (at = o->visits.next; at != &o->visits; at = at->next)
		close_copy(&container_of(at, struct visit, link)->fd);
	for (at = o->doors.next; at != &o->doors; at = at->next)
		close_copy(&container_of(at, struct visit, link)->fd);
}

/* In a child: it serves nobody, and keeps nothing of the parent's alive. */
static void forget(void)
{
	struct home *home, *next;

	HASH_ITER(hh, homes, home, next) {
		HASH_DEL(homes, home);
		close_copy(&home->travel_fd);
		for (unsigned int i = 0; i < HOME_KEPT; i++)
			close_copy(&home->kept[i].fd);
	}
	for (struct dmabuf_list *at = offices.next; at != &offices; at = at->next)
		forget_office(container_of(at, struct office, link));
	list_init(&offices);
	jobs_forget();
	office = NULL;
	opening = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static struct fork_lock lock = FORK_LOCK(forget);

void homes_lock(void)
{
	fork_lock(&lock);
}

void homes_unlock(void)
{
	fork_unlock(&lock);
}

bool homes_wait(struct home *home, uint64_t deadline)
{
	struct timespec until = { .tv_sec = (time_t)(deadline / 1000),
				  .tv_nsec = (long)(deadline % 1000) * 1000000L };

	return pthread_cond_timedwait(&home->changed, &lock.mutex, &until) != ETIMEDOUT;
}

struct home *homes_get(const uint8_t name[16])
{
	struct home *home;
	uint64_t number;

	memcpy(&number, name + 8, sizeof(number));
	homes_lock();
	HASH_FIND(hh, homes, &number, sizeof(number), home);
	if (home && memcmp(home->address.name, name, sizeof(home->address.name)) != 0)
		home = NULL;
	if (home)
		home->refs++;
	homes_unlock();
	return home;
}

bool homes_are_here(const uint8_t name[16])
{
	bool here = false;

	homes_lock();
	for (struct dmabuf_list *at = offices.next; at != &offices; at = at->next)
		here |= !memcmp(container_of(at, struct office, link)->name, name, 8);
	homes_unlock();
	return here;
}

void homes_put(struct home *home)
{
	bool last;

	homes_lock();
	last = --home->refs == 0;
	homes_unlock();
	if (!last)
		return;
	worker_timer_stop(&home->abandoned);
	pthread_cond_destroy(&home->changed);
	free(home);
}

static int fill_random(void *bytes, size_t count)
{
	return getrandom(bytes, count, 0) == (ssize_t)count
		       ? 0
		       : dmabuf_fail(EIO, "no random bytes for a home's address");
}

static struct office *office_get(void)
{
	struct office *taken;

	homes_lock();
	taken = office;
	if (taken)
		taken->homes++;
	homes_unlock();
	return taken;
}

/* With @opening held: one for all homes, with a place in it for one more. */
static int office_take(struct office **taken)
{
	struct office *o = office_get();
	int err;

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return dmabuf_fail(ENOMEM, "no memory for the homes of buffers");
		o->fd = -1;
		o->homes = 1;
		list_init(&o->visits);
		list_init(&o->doors);
		err = fill_random(o->name, sizeof(o->name));
		homes_lock();
		list_add_before(&o->link, &offices);
		homes_unlock();
		if (!err)
			err = office_open(o);
		if (err) {
			office_close(o);
			return err;
		}
		homes_lock();
		office = o;
		homes_unlock();
	}
	*taken = o;
	return 0;
}

static void make_condition(pthread_cond_t *changed)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(changed, &attr);
	pthread_condattr_destroy(&attr);
}

static struct home *make_home(const char *name, uint64_t size, const struct home_ops *ops,
			      void *priv)
{
	struct home *home = process_cookie() ? calloc(1, sizeof(*home)) : NULL;

	if (!home)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a buffer's home");
	if (fill_random(home->address.secret, sizeof(home->address.secret))) {
		free(home);
		return NULL;
	}
	text_copy(home->name, sizeof(home->name), name);
	make_condition(&home->changed);
	home->cookie = process_cookie();
	home->size = (size + HEAP_PAGE - 1) / HEAP_PAGE * HEAP_PAGE;
	home->ops = ops;
	home->priv = priv;
	home->refs = 1;
	home->travel_fd = -1;
	for (unsigned int i = 0; i < HOME_KEPT; i++)
		home->kept[i].fd = -1;
	return home;
}

static bool move_in(struct home *home, struct office *o)
{
	bool added;

	homes_lock();
	home->office = o;
	home->number = ++last_number;
	memcpy(home->address.name, o->name, 8);
	memcpy(home->address.name + 8, &home->number, 8);
	HASH_ADD(hh, homes, number, sizeof(home->number), home);
	added = home->hh.tbl != NULL;
	homes_unlock();
	return added;
}

static bool leave(struct office *o)
{
	bool last;

	homes_lock();
	last = --o->homes == 0;
	if (last && office == o)
		office = NULL;
	homes_unlock();
	return last;
}

int home_open(struct home **home, struct home_address *address, const char *name, uint64_t size,
	      const struct home_ops *ops, void *priv)
{
	struct office *o = NULL;
	struct home *made;
	int err;

	if (!size || size > HEAP_MAX_SIZE)
		return dmabuf_fail(EINVAL, "a home for a buffer of 0x%jx bytes", (uintmax_t)size);
	made = make_home(name, size, ops, priv);
	if (!made)
		return -errno;
	pthread_mutex_lock(&opening);
	err = office_take(&o);
	pthread_mutex_unlock(&opening);
	if (!err && !move_in(made, o)) {
		if (leave(o))
			office_close(o);
		err = dmabuf_fail(ENOMEM, "no memory to remember a home");
	}
	if (err) {
		homes_put(made);
		return err;
	}
	*address = made->address;
	*home = made;
	return 0;
}

/* In a child everything but the memory is gone already. */
static void close_inherited(struct home *home)
{
	struct dmabuf_list *at, *next;
	struct office *o = home->office;

	if (leave(o)) {
		for (at = o->visits.next; at != &o->visits; at = next) {
			next = at->next;
			free(container_of(at, struct visit, link));
		}
		free(o);
	}
	free(home->door);
	free(home);
}

void home_close(struct home *home)
{
	int fds[HOME_KEPT], travel_fd;
	struct office *o;
	struct visit *door;
	unsigned int count;

	if (!home)
		return;
	homes_lock();
	if (home->cookie != lock.cookie) {
		homes_unlock();
		close_inherited(home);
		return;
	}
	HASH_DEL(homes, home);
	home->closed = true;
	pthread_cond_broadcast(&home->changed);
	count = storages_take(home, UINT64_MAX, fds);
	travel_fd = home->travel_fd;
	home->travel_fd = -1;
	door = home->door && visit_take(home->door) ? home->door : NULL;
	home->door = NULL;
	o = home->office;
	homes_unlock();
	if (door)
		visit_end(door);
	if (travel_fd >= 0)
		close(travel_fd);
	storages_close(fds, count);
	if (leave(o))
		office_close(o);
	homes_put(home);
}

/* With the lock held, so that no child has a copy that it does not know. 0 or -errno, no words. */
static int make_door(struct home *home, struct visit *door)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	home->travel_fd = ends[0];
	home->door = door;
	*door = (struct visit){
		.office = home->office, .home = home, .fd = ends[1], .state = VISIT_DOOR
	};
	list_add_before(&door->link, &home->office->doors);
	return 0;
}

int home_connect(struct home *home)
{
	struct visit *door = malloc(sizeof(*door));
	int fd = -1, err = 0;
	bool made = false;

	if (!door)
		return dmabuf_fail(ENOMEM, "no memory for a way to a buffer's home");
	homes_lock();
	if (home->cookie != lock.cookie) {
		err = -EPERM;
	} else if (home->travel_fd < 0) {
		err = make_door(home, door);
		made = !err;
	}
	if (!err) {
		fd = fcntl(home->travel_fd, F_DUPFD_CLOEXEC, 0);
		err = fd < 0 ? -errno : 0;
	}
	homes_unlock();
	if (!made)
		free(door);
	else if (!err)
		err = visit_open_door(door);
	else
		(void)visit_open_door(door);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return dmabuf_fail(-err, "no way to a buffer's home: %s", strerror(-err));
}
