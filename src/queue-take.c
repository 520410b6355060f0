// SPDX-License-Identifier: MIT
/* A consumer takes frames. */
#include "queue.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "error.h"
#include "export.h"
#include "queue-format.h"
#include "queue-report.h"
#include "share.h"

static int check_carried(const struct dmabuf_queue_consumer *c, const struct queue_packet *p)
{
	const struct queue_frame *m = &p->m.frame;
	unsigned int count = m->carries & QUEUE_FRAME_BUFFER_FDS;

	if (p->length != sizeof(*m))
		return dmabuf_fail(EPROTO, "%s sent a frame of %zu bytes", c->name, p->length);
	if (m->index >= DMABUF_QUEUE_MAX_BUFFERS)
		return dmabuf_fail(EPROTO, "%s sent buffer %u, which cannot be", c->name, m->index);
	if ((c->held | c->returns) & QUEUE_BIT(m->index))
		return dmabuf_fail(EPROTO, "%s sent buffer %u, which is here already", c->name,
				   m->index);
	if (count > SHARE_MAX_FDS || m->carries & ~(QUEUE_FRAME_BUFFER_FDS | QUEUE_FRAME_FENCE) ||
	    p->fd_count != count + !!(m->carries & QUEUE_FRAME_FENCE))
		return dmabuf_fail(EPROTO,
				   "%s sent buffer %u with %u descriptors, not as announced",
				   c->name, m->index, p->fd_count);
	if (!count && !c->buffers[m->index].dmabuf)
		return dmabuf_fail(EPROTO, "%s sent buffer %u, which never came", c->name,
				   m->index);
	/* Sent again before it was given back, but only now taken. */
	if (m->turn != (count ? 0 : c->buffers[m->index].turn))
		return dmabuf_fail(EPROTO, "%s sent buffer %u, which was here still", c->name,
				   m->index);
	return 0;
}

static void forget(struct dmabuf_queue_consumer *c, uint64_t buffers)
{
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		if (!(buffers & QUEUE_BIT(i)))
			continue;
		if (c->held & QUEUE_BIT(i)) {
			c->buffers[i].forgotten = true;
			continue;
		}
		dma_buf_put(c->buffers[i].dmabuf);
		c->buffers[i].dmabuf = NULL;
	}
}

/* Whoever waits for our end must know by which lock. */
static int tell_slot(struct dmabuf_queue_consumer *c, uint32_t index)
{
	struct queue_slot m = {
		.head = queue_head(QUEUE_SLOT),
		.index = index,
		.slot = to_buffer(c->buffers[index].dmabuf)->client.slot,
	};
	int err;

	if (!(c->options.flags & (DMABUF_QUEUE_WRITES | DMABUF_QUEUE_DMA_WRITES)))
		return 0;
	err = queue_send(c->fd, &m, sizeof(m), NULL, 0);
	/* A producer that is gone is noticed with the next message. */
	if (err < 0 && err != -EPIPE)
		return dmabuf_fail(-err, "%s does not listen: %s", c->name, strerror(-err));
	return 0;
}

static int adopt(struct dmabuf_queue_consumer *c, struct queue_packet *p)
{
	unsigned int count = p->m.frame.carries & QUEUE_FRAME_BUFFER_FDS;
	struct consumer_buffer *b = &c->buffers[p->m.frame.index];
	struct dma_buf *dmabuf;
	int fence = p->fds[count];

	if (!count)
		return 0;
	/* What is not a buffer's is the last, if there is any. */
	p->fd_count -= count;
	dmabuf = share_adopt(p->fds, count);
	p->fds[0] = fence;
	if (!dmabuf)
		return -errno;
	dma_buf_put(b->dmabuf);
	b->dmabuf = dmabuf;
	b->serial = ++c->serials;
	b->turn = 0;
	return tell_slot(c, p->m.frame.index);
}

static void count_frame(struct dmabuf_queue_consumer *c, const struct dmabuf_frame *frame)
{
	uint64_t now = clock_ns();
	uint64_t latency = now > frame->timestamp && frame->timestamp ? now - frame->timestamp : 0;

	c->stats.frames++;
	c->stats.bytes += frame->used;
	c->stats.dropped += frame->dropped;
	c->stats.latency_ns += latency;
	if (latency > c->stats.latency_max_ns)
		c->stats.latency_max_ns = latency;
}

static int check_content(const struct dmabuf_queue_consumer *c, const struct dmabuf_frame *frame)
{
	uint64_t size = frame->dmabuf->size;
	const char *wrong = queue_format_check(frame, size);

	if (frame->used > size)
		return dmabuf_fail(EPROTO,
				   "%s sent buffer %u with %" PRIu64 " of %" PRIu64 " bytes used",
				   c->name, frame->index, frame->used, size);
	if (wrong)
		return dmabuf_fail(EPROTO, "%s sent a picture that makes no sense: %s", c->name,
				   wrong);
	return 0;
}

static struct dmabuf_frame to_frame(const struct dmabuf_queue_consumer *c,
				    const struct queue_frame *m)
{
	struct dmabuf_frame frame = {
		.dmabuf = c->buffers[m->index].dmabuf,
		.index = m->index,
		.flags = m->flags,
		.fourcc = m->fourcc,
		.width = m->width,
		.height = m->height,
		.plane_count = m->plane_count,
		.modifier = m->modifier,
		.used = m->used,
		.sequence = m->sequence,
		.timestamp = m->timestamp,
		.epoch = c->epoch,
		.acquire_fence = -1,
		.release_fence = -1,
		.dropped = m->dropped,
		.connection = c->connection,
	};

	memcpy(frame.planes, m->planes, sizeof(frame.planes));
	return frame;
}

static int take_frame(struct dmabuf_queue_consumer *c, struct queue_packet *p,
		      struct dmabuf_frame *result)
{
	const struct queue_frame *m = &p->m.frame;
	struct dmabuf_frame frame;
	int err = check_carried(c, p);

	if (err < 0)
		return err;
	forget(c, m->forget);
	err = adopt(c, p);
	if (err < 0)
		return err;
	/* The mask may have named this very buffer: a producer's fault, not ours to crash on. */
	if (!c->buffers[m->index].dmabuf)
		return dmabuf_fail(EPROTO, "%s sent buffer %u and took it away", c->name, m->index);
	frame = to_frame(c, m);
	err = check_content(c, &frame);
	if (err < 0)
		return err;
	if (p->fd_count) {
		frame.acquire_fence = p->fds[0];
		p->fd_count = 0;
	}
	c->buffers[m->index].acquire_fence = frame.acquire_fence;
	c->buffers[m->index].passed = false;
	c->held |= QUEUE_BIT(m->index);
	count_frame(c, &frame);
	*result = frame;
	return 1;
}

static int handle(struct dmabuf_queue_consumer *c, struct queue_packet *p,
		  struct dmabuf_frame *frame)
{
	if (!c->welcome) {
		int err = consumer_welcome(c, p);

		return err < 0 ? err : -EAGAIN;
	}
	switch (p->m.head.type) {
	case QUEUE_FRAME:
		return take_frame(c, p, frame);
	case QUEUE_END:
		if (p->length == sizeof(p->m.head) && !p->fd_count)
			return 0;
		break;
	case QUEUE_CUT_OFF:
		return consumer_words(c, p);
	default:
		break;
	}
	return dmabuf_fail(EPROTO, "%s sent a message of unknown type %u", c->name, p->m.head.type);
}

static void set_receive_timeout(struct dmabuf_queue_consumer *c, int ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (ms == c->receive_ms)
		return;
	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0)
		c->receive_ms = ms;
}

/* The relay's consumers may have given back what the producer is waiting for. */
static int wait_with_relay(struct dmabuf_queue_consumer *c, int ms)
{
	struct pollfd fds[2] = { { .fd = c->fd, .events = POLLIN },
				 { .fd = c->relay->epoll, .events = POLLIN } };

	int ready = poll(fds, 2, queue_until(c->relay, ms));

	if (ready < 0)
		return -errno;
	if (!ready || fds[1].revents)
		(void)queue_work(c->relay, 0);
	return -EAGAIN;
}

/* Sleep for a message, at most @ms: as queue_recv(). */
static int sleep_for(struct dmabuf_queue_consumer *c, struct queue_packet *p, int ms)
{
	uint64_t start = clock_ns();
	int got;

	if (c->relay) {
		got = wait_with_relay(c, ms);
	} else {
		set_receive_timeout(c, ms);
		got = queue_recv(c->fd, p, true, c->name);
	}
	c->stats.waits++;
	c->stats.wait_ns += clock_ns() - start;
	return got;
}

static int lost(struct dmabuf_queue_consumer *c, int err)
{
	if (err == -EPIPE)
		(void)dmabuf_fail(EPIPE, "%s is gone without an end of stream", c->name);
	if (!c->options.reconnect_ms || err == -EPROTO) {
		c->failed = err;
		return err;
	}
	if (c->orphan_count + (uint32_t)__builtin_popcountll(c->held) > DMABUF_QUEUE_MAX_BUFFERS) {
		c->failed = -ENOBUFS;
		return dmabuf_fail(ENOBUFS, "too many frames of lost producers are held");
	}
	/* Who was not even let in must not try again and again without a pause. */
	c->dial_at = c->welcome ? 0 : clock_ns() + CONSUMER_DIAL_NS;
	consumer_disconnect(c);
	if (!c->retry_until)
		c->retry_until = clock_ns() + c->options.reconnect_ms * QUEUE_MS;
	return -EAGAIN;
}

/* One message, or one sleep: 1, 0; -EAGAIN: go on. */
static int step(struct dmabuf_queue_consumer *c, struct dmabuf_frame *frame, int timeout_ms,
		uint64_t deadline, bool *slept)
{
	struct queue_packet p = { .fd_count = 0 };
	int got = queue_recv(c->fd, &p, false, c->name), ms;

	if (got == -EAGAIN) {
		if (c->relay && c->relay->filled)
			(void)queue_work(c->relay, 0);
		consumer_flush(c);
		ms = clock_left(deadline);
		if (!ms)
			return -ETIMEDOUT;
		/* The same time again is no call to set it. */
		got = sleep_for(c, &p, *slept ? ms : timeout_ms);
		*slept = true;
	}
	if (got == -EAGAIN || got == -EINTR)
		return got;
	if (got == 0)
		return lost(c, -EPIPE);
	if (got > 0) {
		got = handle(c, &p, frame);
		queue_packet_close(&p);
	}
	return got < 0 && got != -EAGAIN ? lost(c, got) : got;
}

static int take_until(struct dmabuf_queue_consumer *c, struct dmabuf_frame *frame, int timeout_ms)
{
	uint64_t deadline = timeout_ms ? clock_ms() + (uint64_t)timeout_ms : 0;
	bool slept = false;
	int got;

	do {
		got = 0;
		if (c->fd < 0)
			got = consumer_reconnect(c, deadline);
		if (got < 0 && got != -ETIMEDOUT && got != -EINTR)
			c->failed = got;
		if (got == 0)
			got = step(c, frame, timeout_ms, deadline, &slept);
	} while (got == -EAGAIN);
	if (got == -EINTR)
		return dmabuf_fail(EINTR, "waiting for a frame was interrupted");
	if (got == -ETIMEDOUT)
		return dmabuf_fail(ETIMEDOUT, "no frame came within %d ms", timeout_ms);
	return got;
}

static void drain_timer(struct dmabuf_queue_consumer *c)
{
	uint64_t expired;

	if (c->timer >= 0)
		(void)!read(c->timer, &expired, sizeof(expired));
}

DMABUF_PUBLIC int dmabuf_queue_take(struct dmabuf_queue_consumer *consumer,
				    struct dmabuf_frame *frame, int timeout_ms)
{
	int got;

	if (!consumer || !frame || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "consumer, frame and a timeout of 0 or more are needed");
	if (consumer->ended)
		return 0;
	if (consumer->failed)
		return dmabuf_fail(-consumer->failed, "the connection to %s was lost before",
				   consumer->name);
	drain_timer(consumer);
	if (consumer->relay && consumer->relay->filled >= consumer_batch(consumer) &&
	    ++consumer->since_work >= consumer_batch(consumer)) {
		consumer->since_work = 0;
		(void)queue_work(consumer->relay, 0);
	}
	got = take_until(consumer, frame, timeout_ms);
	if (got == 0)
		consumer->ended = true;
	if (consumer->inherited && got == 1)
		report_frame();
	if (consumer->inherited && (got == -EPIPE || got == -ECONNABORTED))
		report_peer_gone();
	return got;
}

DMABUF_PUBLIC int dmabuf_queue_consumer_get_stats(const struct dmabuf_queue_consumer *consumer,
						  struct dmabuf_queue_stats *stats)
{
	if (!consumer || !stats)
		return dmabuf_fail(EINVAL, "a consumer and room for statistics are needed");
	*stats = consumer->stats;
	return 0;
}
