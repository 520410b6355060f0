/* SPDX-License-Identifier: MIT */
/* A consumer in a process of its own that does what it is told, one step at a time. */
#ifndef DMABUF_TEST_QUEUE_REMOTE_H
#define DMABUF_TEST_QUEUE_REMOTE_H

#include <dmabuf.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fence.h"
#include "harness.h"

#define QUEUE_SIZE 8192
#define STEP_MS 60000
#define HELD_MAX 64

struct order {
	/*
	 * c(onnect), t(ake), T(ake without waiting), r(elease the first that is held), the same
	 * with a f(ence), s(ignal the fences), w(rite and do not end), p(oll), E(vent loop until a
	 * frame comes), l(eave), (e)x(it)
	 */
	char what;
	int arg;
};

struct answer {
	int result;
	struct dmabuf_frame frame;
	uint64_t content;
	uint64_t connects;
	char words[400];
};

struct remote {
	pid_t pid;
	int socket;
	const char *path;
	int fd; /* instead of the path, or -1 */
	struct dmabuf_queue_consumer_options options;
};

struct remote_state {
	struct dmabuf_queue_consumer *consumer;
	struct dmabuf_frame held[HELD_MAX];
	unsigned int count;
	int fences[HELD_MAX]; /* pipes' other ends */
	unsigned int fence_count;
	struct dma_fence *fence;
};

__attribute__((unused)) static uint64_t first_word(const struct dmabuf_frame *frame)
{
	uint64_t word, *bytes;

	ASSERT_OK(dmabuf_queue_wait_fence(frame, STEP_MS));
	bytes = dma_buf_vmap(frame->dmabuf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE));
	word = bytes[0];
	ASSERT_OK(dma_buf_end_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE));
	dma_buf_vunmap(frame->dmabuf, bytes);
	return word;
}

static void remote_take(struct remote_state *s, struct answer *a, int ms)
{
	a->result = dmabuf_queue_take(s->consumer, &a->frame, ms);
	if (a->result == 1) {
		a->content = first_word(&a->frame);
		s->held[s->count++] = a->frame;
	}
}

static void remote_release(struct remote_state *s, struct answer *a)
{
	a->result = dmabuf_queue_release(s->consumer, &s->held[0]);
	memmove(s->held, s->held + 1, --s->count * sizeof(s->held[0]));
	/* The producer is told at once. */
	if (a->result == 0)
		ASSERT_OK(dmabuf_queue_consumer_fd(s->consumer));
}

static void remote_release_with_fence(struct remote_state *s, struct answer *a)
{
	int ends[2];

	ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
	s->fences[s->fence_count++] = ends[1];
	s->held[0].release_fence = ends[0];
	remote_release(s, a);
}

static void remote_signal(struct remote_state *s)
{
	while (s->fence_count) {
		ASSERT_EQ(write(s->fences[--s->fence_count], "x", 1), 1);
		close(s->fences[s->fence_count]);
	}
}

static void remote_poll(struct remote_state *s, struct answer *a)
{
	struct pollfd p = { .fd = dmabuf_queue_consumer_fd(s->consumer), .events = POLLIN };

	a->result = poll(&p, 1, 0);
}

/* As an event loop takes a frame: only when the descriptor says so. */
static void remote_loop(struct remote_state *s, struct answer *a)
{
	struct pollfd p = { .fd = dmabuf_queue_consumer_fd(s->consumer), .events = POLLIN };

	do {
		ASSERT_EQ(poll(&p, 1, STEP_MS), 1);
		remote_take(s, a, 0);
	} while (a->result == -ETIMEDOUT);
}

static void remote_connect(const struct remote *r, struct remote_state *s, struct answer *a)
{
	s->consumer = r->fd >= 0 ? dmabuf_queue_join(r->fd, &r->options, STEP_MS)
				 : dmabuf_queue_connect(r->path, &r->options, STEP_MS);
	a->result = s->consumer ? 0 : -errno;
}

/* Begins to write into the first frame that is held, and never ends. */
static void remote_write(struct remote_state *s)
{
	volatile char *bytes = dma_buf_vmap(s->held[0].dmabuf);

	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(s->held[0].dmabuf, 0, 1, DMA_BIDIRECTIONAL));
	bytes[0] = 77;
}

static void remote_step(const struct remote *r, struct remote_state *s, const struct order *o,
			struct answer *a)
{
	struct dmabuf_queue_stats stats = { 0 };

	switch (o->what) {
	case 'c':
		remote_connect(r, s, a);
		break;
	case 't':
		remote_take(s, a, STEP_MS);
		break;
	case 'T':
		remote_take(s, a, 0);
		break;
	case 'r':
		remote_release(s, a);
		break;
	case 'f':
		remote_release_with_fence(s, a);
		break;
	case 's':
		remote_signal(s);
		break;
	case 'F':
		s->fence = fence_new();
		s->held[0].release_fence = dmabuf_sync_file_create(s->fence, NULL);
		ASSERT_OK(s->held[0].release_fence);
		remote_release(s, a);
		break;
	case 'S':
		dma_fence_signal(s->fence);
		dma_fence_put(s->fence);
		break;
	case 'p':
		remote_poll(s, a);
		break;
	case 'E':
		remote_loop(s, a);
		break;
	case 'w':
		remote_write(s);
		break;
	case 'l':
		dmabuf_queue_leave(s->consumer);
		s->consumer = NULL;
		s->count = 0;
		break;
	default:
		FAIL("order '%c'", o->what);
	}
	if (s->consumer)
		ASSERT_OK(dmabuf_queue_consumer_get_stats(s->consumer, &stats));
	a->connects = stats.connects;
	snprintf(a->words, sizeof(a->words), "%s", dmabuf_last_error());
}

static int remote_main(void *arg)
{
	struct remote *r = arg;
	struct remote_state s = { 0 };
	struct answer a;
	struct order o;

	while (recv(r->socket, &o, sizeof(o), 0) == sizeof(o) && o.what != 'x') {
		memset(&a, 0, sizeof(a));
		remote_step(r, &s, &o, &a);
		if (send(r->socket, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			FAIL("nobody listens to the answer");
	}
	dmabuf_queue_leave(s.consumer);
	close(r->socket);
	return 0;
}

__attribute__((unused)) static void remote_order(struct remote *r, char what)
{
	struct order o = { .what = what };

	if (send(r->socket, &o, sizeof(o), MSG_NOSIGNAL) != sizeof(o))
		FAIL("the consumer is gone");
}

__attribute__((unused)) static struct answer remote_answer(struct remote *r)
{
	struct pollfd p = { .fd = r->socket, .events = POLLIN };
	struct answer a;

	if (poll(&p, 1, 2 * STEP_MS) != 1 || recv(r->socket, &a, sizeof(a), 0) != sizeof(a))
		FAIL("the consumer did not answer");
	return a;
}

__attribute__((unused)) static struct answer remote_do(struct remote *r, char what)
{
	remote_order(r, what);
	return remote_answer(r);
}

__attribute__((unused)) static void remote_start(struct remote *r, const char *path, int fd)
{
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	r->path = path;
	r->fd = fd;
	r->options.size = sizeof(r->options);
	r->socket = sockets[1];
	r->pid = spawn(remote_main, r);
	close(sockets[1]);
	r->socket = sockets[0];
}

/* One that was started connects and is let in by @q. */
__attribute__((unused)) static void remote_enter(struct remote *r, struct dmabuf_queue *q)
{
	struct dmabuf_queue_stats before, now;
	int64_t end = now_ms() + STEP_MS;

	ASSERT_OK(dmabuf_queue_get_stats(q, &before));
	remote_order(r, 'c');
	do {
		struct pollfd p = { .fd = dmabuf_queue_fd(q), .events = POLLIN };

		ASSERT(now_ms() < end);
		poll(&p, 1, 1000);
		ASSERT_OK(dmabuf_queue_dispatch(q));
		ASSERT_OK(dmabuf_queue_get_stats(q, &now));
	} while (now.connects == before.connects);
	ASSERT_EQ(remote_answer(r).result, 0);
}

__attribute__((unused)) static void remote_join(struct remote *r, struct dmabuf_queue *q,
						const char *path)
{
	remote_start(r, path, -1);
	remote_enter(r, q);
}

__attribute__((unused)) static void remote_end(struct remote *r)
{
	remote_order(r, 'x');
	ASSERT_EQ(reap(r->pid), 0);
	close(r->socket);
}

__attribute__((unused)) static void remote_kill(struct remote *r)
{
	kill(r->pid, SIGKILL);
	ASSERT_EQ(reap(r->pid), 128 + SIGKILL);
	close(r->socket);
}

static const char *queue_path(void)
{
	static _Thread_local char path[64];

	snprintf(path, sizeof(path), "@dmabuf-test-%d", (int)getpid());
	return path;
}

__attribute__((unused)) static struct dmabuf_queue *
queue_make(const struct dmabuf_queue_options *more)
{
	struct dmabuf_queue_options o = { 0 };
	struct dmabuf_queue *q;

	if (more)
		o = *more;
	o.size = sizeof(o);
	if (!o.buffer_size)
		o.buffer_size = QUEUE_SIZE;
	q = dmabuf_queue_create(&o);
	ASSERT(q);
	ASSERT_OK(dmabuf_queue_listen(q, queue_path()));
	return q;
}

/* Fill a buffer with @number and hand it out: what the first step that failed returned. */
__attribute__((unused)) static int queue_produce(struct dmabuf_queue *q, uint64_t number, int ms)
{
	struct dmabuf_frame frame;
	int err = dmabuf_queue_get(q, &frame, ms);
	uint64_t *bytes;

	if (err < 0)
		return err;
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(frame.dmabuf, 0, 8, DMA_TO_DEVICE));
	bytes[0] = number;
	ASSERT_OK(dma_buf_end_cpu_access(frame.dmabuf, 0, 8, DMA_TO_DEVICE));
	dma_buf_vunmap(frame.dmabuf, bytes);
	frame.used = 8;
	frame.sequence = number;
	frame.timestamp = 1;
	return dmabuf_queue_put(q, &frame);
}

/* How many buffers consumers have now, by all that can be known. */
__attribute__((unused)) static unsigned int queue_held(struct dmabuf_queue *q)
{
	struct dmabuf_queue_consumer_info infos[DMABUF_QUEUE_MAX_CONSUMERS];
	int count;
	unsigned int held = 0;

	ASSERT_OK(dmabuf_queue_dispatch(q));
	count = dmabuf_queue_get_consumers(q, infos, DMABUF_QUEUE_MAX_CONSUMERS);
	ASSERT_OK(count);
	for (int i = 0; i < count; i++)
		held += infos[i].held;
	return held;
}

__attribute__((unused)) static struct remote remote_block(void)
{
	struct remote r = { .options = { .policy = DMABUF_QUEUE_BLOCK } };

	return r;
}

/* For a thread, while this one connects. */
__attribute__((unused)) static void *let_in(void *arg)
{
	struct dmabuf_queue *q = arg;

	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	return NULL;
}

__attribute__((unused)) static int dispatch_until_joined(struct dmabuf_queue *q, struct remote *r)
{
	struct pollfd p[2] = { { .fd = dmabuf_queue_fd(q), .events = POLLIN },
			       { .fd = r->socket, .events = POLLIN } };

	while (!p[1].revents) {
		ASSERT(poll(p, 2, STEP_MS) > 0);
		ASSERT_OK(dmabuf_queue_dispatch(q));
	}
	return remote_answer(r).result;
}

#endif
