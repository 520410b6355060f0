// SPDX-License-Identifier: MIT
/* The socket where visitors come, one for all homes of the process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "home/homes.h"

#define BACKLOG 64
/* Visitors taken at a time, so that a flood does not keep the thread from its other work. */
#define ACCEPTS 16
/* Until there may be a descriptor again, or room for more visitors. */
#define PAUSE_NS 50000000u
#define PAUSE_FULL_NS 5000000u

static void visitors_came(struct worker_watch *watch, uint32_t events);

static void pause_ended(struct worker_timer *timer)
{
	struct office *o = container_of(timer, struct office, pause);
	bool closing;

	homes_lock();
	closing = o->closing;
	homes_unlock();
	if (!closing && worker_watch_fd(&o->watch, o->fd, EPOLLIN, visitors_came) < 0)
		(void)worker_timer_start(timer, clock_ns() + PAUSE_NS, pause_ended);
}

/* Visitors who cannot be taken in now would be announced again at once. */
static void pause_for(struct office *o, uint64_t ns)
{
	worker_unwatch(&o->watch);
	(void)worker_timer_start(&o->pause, clock_ns() + ns, pause_ended);
}

static void visitors_came(struct worker_watch *watch, uint32_t events)
{
	struct office *o = container_of(watch, struct office, watch);
	bool room = true;
	int fd, err = 0;

	for (int i = 0; i < ACCEPTS && room; i++) {
		homes_lock();
		fd = o->closing ? -1 : accept4(o->fd, NULL, NULL, SOCK_CLOEXEC);
		err = fd < 0 ? errno : 0;
		homes_unlock();
		if (fd < 0)
			break;
		room = visit_begin(o, fd);
	}
	if (err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS)
		pause_for(o, PAUSE_NS);
	else if (!room)
		pause_for(o, PAUSE_FULL_NS);
}

/* With the lock held, so that no child has a copy that it does not know. */
static int make_socket(struct office *o)
{
	struct sockaddr_un address;
	socklen_t length = talk_address(o->name, &address);

	o->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->fd < 0 || bind(o->fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(o->fd, BACKLOG) < 0)
		return errno;
	return 0;
}

int office_open(struct office *o)
{
	int err;

	homes_lock();
	err = make_socket(o);
	homes_unlock();
	if (err)
		return dmabuf_fail(err, "no socket for the homes of buffers: %s", strerror(err));
	return worker_watch_fd(&o->watch, o->fd, EPOLLIN, visitors_came);
}

static struct visit *take_first(struct office *o)
{
	struct visit *visit = NULL;

	homes_lock();
	if (!list_empty(&o->visits)) {
		visit = container_of(o->visits.next, struct visit, link);
		visit_take(visit);
	}
	homes_unlock();
	return visit;
}

void office_close(struct office *o)
{
	struct visit *visit;
	int fd;

	homes_lock();
	o->closing = true;
	homes_unlock();
	worker_unwatch(&o->watch);
	worker_timer_stop(&o->pause);
	/* The pause may just have ended. */
	worker_unwatch(&o->watch);
	while ((visit = take_first(o)))
		visit_end(visit);
	homes_lock();
	list_remove(&o->link);
	fd = o->fd;
	homes_unlock();
	if (fd >= 0)
		talk_hang_up(fd);
	free(o);
}
