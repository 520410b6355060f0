// SPDX-License-Identifier: MIT
/* A consumer gives buffers back. */
#include "queue.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"

/* These have been given back: the next frame in one of them comes after that, or is false. */
static void count_turns(struct dmabuf_queue_consumer *c, uint64_t buffers)
{
	c->returns &= ~buffers;
	for (; buffers; buffers &= buffers - 1)
		c->buffers[__builtin_ctzll(buffers)].turn++;
}

static int send_returns(struct dmabuf_queue_consumer *c, uint64_t buffers, uint32_t flags,
			int fence)
{
	struct queue_return m = {
		.head = queue_head(QUEUE_RETURN),
		.buffers = buffers,
		.flags = flags | (fence >= 0 ? QUEUE_RETURN_FENCE : 0),
		.waits = c->stats.waits,
		.latency_ns = c->stats.latency_ns,
		.latency_max_ns = c->stats.latency_max_ns,
	};

	return queue_send(c->fd, &m, sizeof(m), &fence, fence >= 0);
}

static void flush_fences(struct dmabuf_queue_consumer *c)
{
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		struct consumer_buffer *b = &c->buffers[i];
		bool retired = c->returns_retired & QUEUE_BIT(i);

		if (!(c->returns & QUEUE_BIT(i)) || b->release_fence < 0)
			continue;
		if (send_returns(c, QUEUE_BIT(i), retired ? QUEUE_RETURN_RETIRE : 0,
				 b->release_fence) < 0)
			continue;
		close(b->release_fence);
		b->release_fence = -1;
		count_turns(c, QUEUE_BIT(i));
		c->fenced_returns--;
	}
}

/*
 * A producer that waits for buffers is woken by each message, and a wake-up costs its sender more
 * than all the rest of a frame. With a few in hand it needs none in between. A relay passes on what
 * others give back together already. Who drops has the next frame sent only when one came back, and
 * an event loop sleeps without our knowing.
 */
uint32_t consumer_batch(const struct dmabuf_queue_consumer *c)
{
	if (c->options.policy != DMABUF_QUEUE_BLOCK || c->epoll >= 0)
		return 1;
	if (c->pool >= 8)
		return c->pool / 4;
	return c->pool >= 4 && !c->relay ? 2 : 1;
}

/* Slow frames are told of one by one: the producer measures who holds it up. */
#define TOGETHER_NS (20 * QUEUE_MS)

static bool may_wait(const struct dmabuf_queue_consumer *c)
{
	return (uint32_t)__builtin_popcountll(c->returns) < consumer_batch(c) &&
	       clock_ns() - c->told_at < TOGETHER_NS;
}

void consumer_flush(struct dmabuf_queue_consumer *c)
{
	uint64_t plain, fenced = 0;

	if (!c->returns || c->fd < 0)
		return;
	c->told_at = clock_ns();
	if (c->fenced_returns) {
		flush_fences(c);
		for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
			if (c->buffers[i].release_fence >= 0)
				fenced |= QUEUE_BIT(i);
	}
	/* What cannot be sent now stays for the next time; a producer that is gone shows elsewhere.
	 */
	plain = c->returns & ~c->returns_retired & ~fenced;
	if (plain && send_returns(c, plain, 0, -1) == 0)
		count_turns(c, plain);
	plain = c->returns & c->returns_retired & ~fenced;
	if (plain && send_returns(c, plain, QUEUE_RETURN_RETIRE, -1) == 0)
		count_turns(c, plain);
	c->returns_retired &= c->returns;
}

static struct consumer_buffer *find_any(struct dmabuf_queue_consumer *c,
					const struct dmabuf_frame *frame)
{
	if (c->fd >= 0 && frame->connection == c->connection)
		return frame->index < DMABUF_QUEUE_MAX_BUFFERS && c->held & QUEUE_BIT(frame->index)
			       ? &c->buffers[frame->index]
			       : NULL;
	for (uint32_t i = 0; i < c->orphan_count; i++)
		if (c->orphans[i].connection == frame->connection &&
		    c->orphans[i].index == frame->index)
			return &c->orphans[i];
	return NULL;
}

struct consumer_buffer *consumer_find(struct dmabuf_queue_consumer *c,
				      const struct dmabuf_frame *frame)
{
	struct consumer_buffer *b = find_any(c, frame);

	return b && !b->passed ? b : NULL;
}

static void close_fence(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Its producer is gone: there is nobody to tell. */
static void release_orphan(struct dmabuf_queue_consumer *c, struct consumer_buffer *b, int fence)
{
	close_fence(&fence);
	close_fence(&b->acquire_fence);
	dma_buf_put(b->dmabuf);
	*b = c->orphans[--c->orphan_count];
}

void consumer_release(struct dmabuf_queue_consumer *c, const struct dmabuf_frame *frame,
		      bool retired)
{
	struct consumer_buffer *b = find_any(c, frame);

	if (b >= c->orphans && b < c->orphans + DMABUF_QUEUE_MAX_BUFFERS) {
		release_orphan(c, b, frame->release_fence);
		return;
	}
	close_fence(&b->acquire_fence);
	b->release_fence = frame->release_fence;
	b->passed = false;
	c->fenced_returns += frame->release_fence >= 0;
	c->held &= ~QUEUE_BIT(frame->index);
	c->returns |= QUEUE_BIT(frame->index);
	if (retired)
		c->returns_retired |= QUEUE_BIT(frame->index);
	if (b->forgotten) {
		dma_buf_put(b->dmabuf);
		b->dmabuf = NULL;
		b->forgotten = false;
	}
	if (!may_wait(c))
		consumer_flush(c);
}

DMABUF_PUBLIC int dmabuf_queue_release(struct dmabuf_queue_consumer *consumer,
				       const struct dmabuf_frame *frame)
{
	if (!consumer || !frame)
		return dmabuf_fail(EINVAL, "a consumer and a frame are needed");
	if (!consumer_find(consumer, frame))
		return dmabuf_fail(EINVAL, "buffer %u is not held by this consumer", frame->index);
	consumer_release(consumer, frame, false);
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_wait_fence(const struct dmabuf_frame *frame, int timeout_ms)
{
	struct pollfd p = { .events = POLLIN };
	int ready;

	if (!frame || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a frame and a timeout of 0 or more are needed");
	if (frame->acquire_fence < 0)
		return 0;
	p.fd = frame->acquire_fence;
	ready = poll(&p, 1, timeout_ms);
	if (ready < 0)
		return dmabuf_fail(errno, "waiting for a frame's fence was interrupted");
	if (!ready)
		return dmabuf_fail(ETIMEDOUT,
				   "the acquire fence of buffer %u did not signal within %d ms",
				   frame->index, timeout_ms);
	if (p.revents & POLLNVAL)
		return dmabuf_fail(EINVAL, "the acquire fence of buffer %u is closed",
				   frame->index);
	return 0;
}
