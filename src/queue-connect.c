// SPDX-License-Identifier: MIT
/* A consumer's connection: made, lost, made again. */
#include "queue.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "process.h"
#include "queue-report.h"
#include "text.h"

static int check_counts(struct dmabuf_queue_consumer_options *o)
{
	uint32_t least = o->policy == DMABUF_QUEUE_DROP_OLDEST ? 2 : 1;

	if (o->policy > DMABUF_QUEUE_BLOCK)
		return dmabuf_fail(EINVAL, "there is no policy %d", (int)o->policy);
	if (o->flags & ~(DMABUF_QUEUE_WRITES | DMABUF_QUEUE_DMA_WRITES))
		return dmabuf_fail(EINVAL, "consumer flags 0x%x are unknown", o->flags);
	if (o->min_buffers < least)
		o->min_buffers = least;
	if (!o->preferred_buffers)
		o->preferred_buffers = o->min_buffers > 3 ? o->min_buffers : 3;
	if (o->preferred_buffers < o->min_buffers)
		o->preferred_buffers = o->min_buffers;
	if (o->preferred_buffers > DMABUF_QUEUE_MAX_BUFFERS)
		return dmabuf_fail(EINVAL, "%u buffers for a consumer: %d are possible",
				   o->preferred_buffers, DMABUF_QUEUE_MAX_BUFFERS);
	return 0;
}

/* While there is no connection an event loop must come back and try again. */
static void set_timer(const struct dmabuf_queue_consumer *c)
{
	const struct timespec often = { .tv_nsec = CONSUMER_DIAL_NS }, never = { 0 };
	struct itimerspec when = { .it_value = c->fd < 0 ? often : never,
				   .it_interval = c->fd < 0 ? often : never };

	if (c->timer >= 0)
		(void)timerfd_settime(c->timer, 0, &when, NULL);
}

static struct dmabuf_queue_consumer *
consumer_new(const struct dmabuf_queue_consumer_options *options)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o) };
	struct dmabuf_queue_consumer *c;

	if (options && options_take(&o, sizeof(o), options, sizeof(o.size), "consumer options") < 0)
		return NULL;
	if (check_counts(&o) < 0 ||
	    (o.label && text_check(o.label, DMABUF_QUEUE_LABEL_LEN, false, "label") < 0))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a consumer");
	if (o.label)
		text_copy(c->label, sizeof(c->label), o.label);
	else
		process_label(c->label);
	o.label = NULL;
	c->options = o;
	c->fd = c->epoll = c->timer = -1;
	c->pool = 1;
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		c->buffers[i].acquire_fence = c->buffers[i].release_fence = -1;
	return c;
}

static void consumer_free(struct dmabuf_queue_consumer *c)
{
	consumer_disconnect(c);
	for (uint32_t i = 0; i < c->orphan_count; i++) {
		dma_buf_put(c->orphans[i].dmabuf);
		if (c->orphans[i].acquire_fence >= 0)
			close(c->orphans[i].acquire_fence);
	}
	if (c->timer >= 0)
		close(c->timer);
	if (c->epoll >= 0)
		close(c->epoll);
	free(c);
}

/* What is held goes on being valid until it is released; the rest is dropped. */
static void drop_buffers(struct dmabuf_queue_consumer *c)
{
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		struct consumer_buffer *b = &c->buffers[i];

		if (b->release_fence >= 0)
			close(b->release_fence);
		if (c->held & QUEUE_BIT(i))
			c->orphans[c->orphan_count++] = (struct consumer_buffer){
				.dmabuf = b->dmabuf,
				.serial = b->serial,
				.acquire_fence = b->acquire_fence,
				.release_fence = -1,
				.passed = b->passed,
				.connection = c->connection,
				.index = i,
			};
		else
			dma_buf_put(b->dmabuf);
		*b = (struct consumer_buffer){ .acquire_fence = -1, .release_fence = -1 };
	}
	c->held = c->returns = c->returns_retired = 0;
}

void consumer_disconnect(struct dmabuf_queue_consumer *c)
{
	if (c->fd < 0)
		return;
	if (c->epoll >= 0)
		(void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	queue_hang_up(c->fd);
	c->fd = -1;
	c->welcome = false;
	c->receive_ms = -1;
	set_timer(c);
	drop_buffers(c);
}

int consumer_words(const struct dmabuf_queue_consumer *c, const struct queue_packet *p)
{
	const struct queue_words *m = &p->m.words;
	char words[QUEUE_WORDS_LEN];
	int err = m->err;

	if (p->length != sizeof(*m) || p->fd_count)
		return dmabuf_fail(EPROTO, "%s sent a message of type %u with %zu bytes", c->name,
				   m->head.type, p->length);
	text_copy_untrusted(words, sizeof(words), m->words, sizeof(m->words));
	if (m->head.type == QUEUE_CUT_OFF)
		err = ECONNABORTED;
	else if (err != EUSERS && err != ENOSPC)
		err = EPROTO;
	return dmabuf_fail(err, "%s: %s", c->name, words);
}

int consumer_welcome(struct dmabuf_queue_consumer *c, const struct queue_packet *p)
{
	const struct queue_welcome *m = &p->m.welcome;
	struct ucred peer = queue_peer_of(c->fd);

	if (p->m.head.type == QUEUE_REFUSED)
		return consumer_words(c, p);
	if (m->head.type != QUEUE_WELCOME || p->length != sizeof(*m) || p->fd_count)
		return dmabuf_fail(EPROTO, "%s does not begin with a welcome", c->name);
	queue_peer_name(c->name, m->label, &peer);
	c->epoch = m->epoch;
	c->pool = m->pool <= DMABUF_QUEUE_MAX_BUFFERS ? m->pool : 1;
	c->welcome = true;
	c->retry_until = 0;
	c->stats.connects++;
	return 0;
}

/* Take @fd over and ask to be let in. */
static int begin(struct dmabuf_queue_consumer *c, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct queue_join m = {
		.head = queue_head(QUEUE_JOIN),
		.policy = c->options.policy,
		.flags = c->options.flags,
		.min = c->options.min_buffers,
		.preferred = c->options.preferred_buffers,
	};
	struct ucred peer = queue_peer_of(fd);
	int err = queue_nonblocking(fd, false);

	memcpy(m.label, c->label, sizeof(m.label));
	if (err == 0)
		err = queue_send(fd, &m, sizeof(m), NULL, 0);
	if (err == 0 && c->epoll >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err = -errno;
	if (err < 0)
		return err;
	queue_peer_name(c->name, NULL, &peer);
	c->fd = fd;
	c->receive_ms = -1;
	c->connection++;
	set_timer(c);
	return 0;
}

static bool passes(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN || err == -EPIPE;
}

/* One try: 0 or a negative errno, no words. */
static int dial(struct dmabuf_queue_consumer *c)
{
	int fd = queue_dial(&c->address, c->address_length), err;

	if (fd < 0)
		return fd;
	err = begin(c, fd);
	if (err < 0)
		close(fd);
	return err;
}

static int unreachable(const struct dmabuf_queue_consumer *c, int err, int why)
{
	return dmabuf_fail(err, "cannot reach a producer at %s: %s", c->path,
			   why == -EAGAIN ? "too many want to" : strerror(-why));
}

/* Milliseconds until the next try, but not beyond the end. */
static int pause_ms(const struct dmabuf_queue_consumer *c, uint64_t deadline, uint64_t now)
{
	int left = clock_left(deadline);
	uint64_t until = c->dial_at;

	if (c->retry_until && c->retry_until < until)
		until = c->retry_until;
	if (until <= now)
		return 0;
	until = (until - now + QUEUE_MS - 1) / QUEUE_MS;
	return until < (uint64_t)left ? (int)until : left;
}

int consumer_reconnect(struct dmabuf_queue_consumer *c, uint64_t deadline)
{
	uint64_t now;
	int err = -EAGAIN;

	for (;;) {
		now = clock_ns();
		if (c->retry_until && now >= c->retry_until)
			return unreachable(c, EPIPE, err);
		if (now >= c->dial_at) {
			err = dial(c);
			c->dial_at = now + CONSUMER_DIAL_NS;
		}
		if (err == 0)
			return 0;
		if (!passes(err))
			return unreachable(c, -err, err);
		if (!clock_left(deadline))
			return unreachable(c, ETIMEDOUT, err);
		if (poll(NULL, 0, pause_ms(c, deadline, now)) < 0 && errno == EINTR)
			return dmabuf_fail(EINTR, "connecting was interrupted");
	}
}

static int wait_readable(const struct dmabuf_queue_consumer *c, uint64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int ready;

	do {
		ready = poll(&p, 1, clock_left(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return dmabuf_fail(errno, "cannot wait for %s", c->name);
	return ready ? 0 : dmabuf_fail(ETIMEDOUT, "%s does not let us in", c->name);
}

static int await_welcome(struct dmabuf_queue_consumer *c, uint64_t deadline)
{
	struct queue_packet p;
	int err;

	do {
		err = queue_recv(c->fd, &p, false, c->name);
		if (err == -EAGAIN && wait_readable(c, deadline) < 0)
			return -errno;
	} while (err == -EAGAIN);
	if (err == 0)
		return dmabuf_fail(EPIPE, "%s closed the connection", c->name);
	if (err < 0)
		return err;
	err = consumer_welcome(c, &p);
	queue_packet_close(&p);
	return err;
}

static int check_timeout(int timeout_ms)
{
	if (timeout_ms >= 0)
		return 0;
	return dmabuf_fail(EINVAL, "timeout of %d ms: every wait has an end", timeout_ms);
}

static struct dmabuf_queue_consumer *give_up(struct dmabuf_queue_consumer *c, int err)
{
	consumer_free(c);
	errno = -err;
	return NULL;
}

/* A producer that is just ending closes what waits at its door: then the next one is tried. */
static int connect_until(struct dmabuf_queue_consumer *c, uint64_t deadline)
{
	int err;

	for (;;) {
		err = consumer_reconnect(c, deadline);
		if (err == 0)
			err = await_welcome(c, deadline);
		if (err != -EPIPE || !clock_left(deadline))
			return err;
		consumer_disconnect(c);
		c->dial_at = clock_ns() + CONSUMER_DIAL_NS;
	}
}

DMABUF_PUBLIC struct dmabuf_queue_consumer *
dmabuf_queue_connect(const char *path, const struct dmabuf_queue_consumer_options *options,
		     int timeout_ms)
{
	struct dmabuf_queue_consumer *c;
	int err;

	if (check_timeout(timeout_ms) < 0)
		return NULL;
	c = consumer_new(options);
	if (!c)
		return NULL;
	err = queue_address(path, &c->address, &c->address_length);
	if (err < 0)
		return give_up(c, err);
	snprintf(c->path, sizeof(c->path), "%s", path);
	err = connect_until(c, clock_ms() + (uint64_t)timeout_ms);
	return err < 0 ? give_up(c, err) : c;
}

DMABUF_PUBLIC struct dmabuf_queue_consumer *
dmabuf_queue_join(int socket, const struct dmabuf_queue_consumer_options *options, int timeout_ms)
{
	struct dmabuf_queue_consumer *c;
	bool listens;
	int err;

	if (check_timeout(timeout_ms) < 0 || queue_socket_check(socket, &listens) < 0)
		return NULL;
	if (listens)
		return dmabuf_fail_ptr(EINVAL, "socket %d is one on which consumers come", socket);
	c = consumer_new(options);
	if (!c)
		return NULL;
	if (c->options.reconnect_ms)
		return give_up(c, dmabuf_fail(EINVAL, "a socket cannot be connected again"));
	err = begin(c, socket);
	if (err < 0)
		err = dmabuf_fail(-err, "socket %d: %s", socket, strerror(-err));
	if (err == 0)
		err = await_welcome(c, clock_ms() + (uint64_t)timeout_ms);
	/* On failure the socket stays the caller's. */
	if (err < 0) {
		c->fd = -1;
		return give_up(c, err);
	}
	return c;
}

/* The last element takes the end of the stream; who came by himself may go when he likes. */
static bool left_well(const struct dmabuf_queue_consumer *c)
{
	return c->ended || (c->path[0] && !c->failed);
}

DMABUF_PUBLIC void dmabuf_queue_leave(struct dmabuf_queue_consumer *consumer)
{
	struct queue_head bye = queue_head(QUEUE_BYE);

	if (!consumer)
		return;
	if (consumer->fd >= 0) {
		consumer_flush(consumer);
		(void)queue_send(consumer->fd, &bye, sizeof(bye), NULL, 0);
		/* Nothing is touched any more, so nothing is kept either. */
		consumer->held = 0;
		for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
			if (consumer->buffers[i].acquire_fence >= 0)
				close(consumer->buffers[i].acquire_fence);
	}
	if (consumer->relay)
		consumer->relay->upstream = NULL;
	if (consumer->inherited && !consumer->was_relayed && left_well(consumer))
		(void)report_finished();
	if (consumer->inherited)
		report_closed(true);
	consumer_free(consumer);
}

int consumer_watch(const struct dmabuf_queue_consumer *c, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (fd < 0 || c->epoll < 0)
		return 0;
	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int make_epoll(struct dmabuf_queue_consumer *c)
{
	int err;

	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return -errno;
	if (c->options.reconnect_ms && c->timer < 0)
		c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->options.reconnect_ms && c->timer < 0)
		return -errno;
	set_timer(c);
	err = consumer_watch(c, c->timer);
	if (err == 0)
		err = consumer_watch(c, c->fd);
	return err == 0 && c->relay ? consumer_watch(c, c->relay->epoll) : err;
}

DMABUF_PUBLIC int dmabuf_queue_consumer_fd(struct dmabuf_queue_consumer *consumer)
{
	int err;

	if (!consumer)
		return dmabuf_fail(EINVAL, "no consumer (NULL)");
	consumer_flush(consumer);
	if (consumer->epoll >= 0)
		return consumer->epoll;
	err = make_epoll(consumer);
	if (err == 0)
		return consumer->epoll;
	if (consumer->epoll >= 0)
		close(consumer->epoll);
	consumer->epoll = -1;
	return dmabuf_fail(-err, "no descriptor for a consumer: %s", strerror(-err));
}
