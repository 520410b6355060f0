// SPDX-License-Identifier: MIT
/* What a producer waits for: sockets, fences, and moments. */
#include "queue.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"

#define EVENTS 32
/* Messages of one consumer at a time, so that none can keep the producer busy. */
#define MESSAGES 64
/* How often it is looked whether a dead consumer's last thread is gone. */
#define GHOST_LOOK_NS (5 * QUEUE_MS)

static uint64_t watch_id(enum queue_watch what, unsigned int a, unsigned int b)
{
	return (uint64_t)what << 32 | (uint64_t)a << 16 | b;
}

int queue_watch(struct dmabuf_queue *q, int fd, enum queue_watch what, unsigned int a,
		unsigned int b)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = watch_id(what, a, b) };

	return epoll_ctl(q->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void queue_unwatch(struct dmabuf_queue *q, int fd)
{
	/* Closing alone is not enough: others may have copies of the descriptor. */
	(void)epoll_ctl(q->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void queue_watch_room(struct dmabuf_queue *q, struct queue_peer *p, bool wanted)
{
	struct epoll_event event = {
		.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
		.data.u64 = watch_id(QUEUE_WATCH_PEER, queue_peer_number(q, p), 0),
	};

	p->wants_room = wanted;
	(void)epoll_ctl(q->epoll, EPOLL_CTL_MOD, p->fd, &event);
}

static uint64_t next_moment(const struct dmabuf_queue *q, uint64_t now)
{
	uint64_t at = queue_stall_deadline(q);

	if (q->retry && q->retry < at)
		at = q->retry;
	if (q->ghosts && now + GHOST_LOOK_NS < at)
		at = now + GHOST_LOOK_NS;
	for (int i = 0; i < QUEUE_MAX_JOINERS && q->joining; i++)
		if (q->joiners[i].fd >= 0 && q->joiners[i].deadline < at)
			at = q->joiners[i].deadline;
	return at;
}

void queue_set_timer(struct dmabuf_queue *q)
{
	uint64_t at;
	struct itimerspec when = { 0 };

	if (q->timer < 0)
		return;
	at = next_moment(q, clock_ns());
	if (at == q->timer_at)
		return;
	q->timer_at = at;
	if (at != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at / 1000000000u);
		when.it_value.tv_nsec = (long)(at % 1000000000u);
	}
	(void)timerfd_settime(q->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void flush_all(struct dmabuf_queue *q)
{
	q->retry = 0;
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++)
		if (p->state == QUEUE_PEER_LIVE)
			queue_peer_flush(q, p);
}

static void check_moments(struct dmabuf_queue *q)
{
	uint64_t now;

	if (!q->ghosts && !q->joining && !q->starving && !q->retry)
		return;
	now = clock_ns();
	if (q->ghosts)
		queue_ghosts_check(q, now);
	if (q->joining)
		queue_joiners_check(q, now);
	if (q->retry && now >= q->retry)
		flush_all(q);
	queue_stalls_check(q, now);
}

static void fence_event(struct dmabuf_queue *q, unsigned int a, unsigned int b)
{
	struct queue_peer *p = &q->peers[a];

	if (p->state != QUEUE_PEER_NONE && p->fenced & QUEUE_BIT(b))
		queue_peer_fence_done(q, p, b);
}

static void peer_event(struct dmabuf_queue *q, struct queue_peer *p, uint32_t events)
{
	/* It may have gone with an event before this one. */
	if (p->state == QUEUE_PEER_LIVE && events & EPOLLOUT)
		queue_peer_flush(q, p);
	if (p->state == QUEUE_PEER_LIVE && events & ~(uint32_t)EPOLLOUT)
		(void)queue_peer_receive(q, p, MESSAGES);
}

static void handle(struct dmabuf_queue *q, const struct epoll_event *event)
{
	unsigned int a = event->data.u64 >> 16 & 0xffff, b = event->data.u64 & 0xffff;
	uint64_t expired;

	switch ((enum queue_watch)(event->data.u64 >> 32)) {
	case QUEUE_WATCH_LISTENER:
		queue_accept(q);
		break;
	case QUEUE_WATCH_JOINER:
		if (q->joiners[a].fd >= 0)
			queue_joiner_receive(q, &q->joiners[a]);
		break;
	case QUEUE_WATCH_PEER:
		peer_event(q, &q->peers[a], event->events);
		break;
	case QUEUE_WATCH_FENCE:
		fence_event(q, a, b);
		break;
	case QUEUE_WATCH_TIMER:
		(void)!read(q->timer, &expired, sizeof(expired));
		q->timer_at = 0;
		break;
	}
}

/* The consumer, if there is nothing else to look after. */
static struct queue_peer *only_peer(struct dmabuf_queue *q)
{
	struct queue_peer *p = q->peers;

	if (q->live != 1 || q->listener >= 0 || q->joining || q->ghosts)
		return NULL;
	while (p->state != QUEUE_PEER_LIVE)
		p++;
	return p->fenced || p->wants_room ? NULL : p;
}

int queue_until(const struct dmabuf_queue *q, int ms)
{
	uint64_t now = clock_ns(), at = next_moment(q, now), left;

	if (at == UINT64_MAX)
		return ms;
	left = at > now ? (at - now + QUEUE_MS - 1) / QUEUE_MS : 0;
	return left < (uint64_t)ms ? (int)left : ms;
}

static int work_all(struct dmabuf_queue *q, int ms)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(q->epoll, events, EVENTS, ms);

	if (count < 0)
		return -errno;
	if (q->timer >= 0)
		q->worked_at = clock_ns();
	for (int i = 0; i < count; i++)
		handle(q, &events[i]);
	return 0;
}

static int work_only(struct dmabuf_queue *q, struct queue_peer *p, int ms)
{
	if (queue_peer_receive(q, p, 1) || !ms)
		return 0;
	return queue_peer_wait(q, p, ms);
}

int queue_work(struct dmabuf_queue *q, int ms)
{
	struct queue_peer *only = only_peer(q);
	int err;

	if (ms)
		ms = queue_until(q, ms);
	err = only ? work_only(q, only, ms) : work_all(q, ms);
	check_moments(q);
	queue_set_timer(q);
	return err;
}

DMABUF_PUBLIC int dmabuf_queue_dispatch(struct dmabuf_queue *queue)
{
	if (!queue)
		return dmabuf_fail(EINVAL, "no queue (NULL)");
	(void)work_all(queue, 0);
	check_moments(queue);
	queue_set_timer(queue);
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_fd(struct dmabuf_queue *queue)
{
	int timer, err;

	if (!queue)
		return dmabuf_fail(EINVAL, "no queue (NULL)");
	if (queue->timer >= 0)
		return queue->epoll;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer < 0)
		return dmabuf_fail(errno, "no descriptor is left for a queue's timer");
	err = queue_watch(queue, timer, QUEUE_WATCH_TIMER, 0, 0);
	if (err < 0) {
		close(timer);
		return dmabuf_fail(-err, "a queue's timer cannot be watched");
	}
	queue->timer = timer;
	queue_set_timer(queue);
	return queue->epoll;
}
