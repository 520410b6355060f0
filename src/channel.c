// SPDX-License-Identifier: MIT
/* Frames from the element before to the element after. */
#include "channel.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "text.h"

/* How long a runner may not listen before an element gives up on it. */
#define CHANNEL_NOTIFY_MS 10000

int channel_notify(struct dmabuf_channel *channel, enum channel_type type, const char *key,
		   const char *value)
{
	struct channel_notice notice = {
		.head = channel_head(type),
		.frames = channel->stats.frames,
		.bytes = channel->stats.bytes,
		.waits = channel->stats.waits,
		.wait_ns = channel->stats.wait_ns,
	};
	ssize_t sent;

	if (key)
		text_copy(notice.key, sizeof(notice.key), key);
	if (value)
		text_copy(notice.value, sizeof(notice.value), value);
	do {
		sent = send(channel->control, &notice, sizeof(notice), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/* The same for what must not be missed: waits for a runner that is stopped, but not for ever. */
static int notify_surely(struct dmabuf_channel *channel, enum channel_type type, const char *key,
			 const char *value)
{
	struct pollfd poll_fd = { .fd = channel->control, .events = POLLOUT };
	uint64_t deadline = clock_ms() + CHANNEL_NOTIFY_MS;
	int err;

	for (;;) {
		err = channel_notify(channel, type, key, value);
		if (err != -EAGAIN || !clock_left(deadline))
			return err;
		(void)poll(&poll_fd, 1, clock_left(deadline));
	}
}

/* Let the runner know how far we are, now and then. */
static void maybe_send_stats(struct dmabuf_channel *channel)
{
	uint64_t now;

	if (!channel->stats_ms)
		return;
	now = clock_ns();
	if (now < channel->stats_due)
		return;
	channel->stats_due = now + (uint64_t)channel->stats_ms * 1000000u;
	/* Only for display: a runner that is not listening misses one. */
	(void)channel_notify(channel, CHANNEL_STATS, NULL, NULL);
}

/* A neighbour is gone: the runner should look for the reason there and not here. */
static int peer_gone(struct dmabuf_channel *channel, const char *which)
{
	(void)channel_notify(channel, CHANNEL_PEER_GONE, NULL, NULL);
	return dmabuf_fail(EPIPE, "the element %s this one left the pipe without an end of stream",
			   which);
}

static int check_frame(const struct dmabuf_channel *channel, const struct channel_message *m)
{
	uint64_t size;

	if (m->index >= channel->count)
		return dmabuf_fail(EPROTO, "received buffer %u of a pool of %u", m->index,
				   channel->count);
	if (channel->held[m->index])
		return dmabuf_fail(EPROTO, "received buffer %u, which is here already", m->index);
	if (channel->role == CHANNEL_SOURCE && m->index >= channel->fresh)
		return dmabuf_fail(EPROTO, "received buffer %u, which never left", m->index);
	size = channel->buffers[m->index]->size;
	if (m->used > size)
		return dmabuf_fail(EPROTO,
				   "received buffer %u with %" PRIu64 " of %" PRIu64 " bytes used",
				   m->index, m->used, size);
	if ((uint64_t)m->stride * m->height > size)
		return dmabuf_fail(
			EPROTO, "received a picture of %u lines of %u bytes in %" PRIu64 " bytes",
			m->height, m->stride, size);
	return 0;
}

static int check_message(const struct dmabuf_channel *channel, const struct channel_message *m,
			 ssize_t length)
{
	if (length != sizeof(*m) || m->head.magic != CHANNEL_MAGIC)
		return dmabuf_fail(EPROTO, "received %zd bytes that are not a channel's message",
				   length);
	if (m->head.version != CHANNEL_VERSION)
		return dmabuf_fail(EPROTO, "received a message of version %u, not %u",
				   m->head.version, CHANNEL_VERSION);
	if (m->head.type == CHANNEL_END)
		return 0;
	if (m->head.type != CHANNEL_FRAME)
		return dmabuf_fail(EPROTO, "received a message of unknown type %u", m->head.type);
	return check_frame(channel, m);
}

static void fill_frame(struct dmabuf_channel *channel, struct dmabuf_channel_frame *frame,
		       const struct channel_message *m)
{
	channel->held[m->index] = true;
	*frame = (struct dmabuf_channel_frame){ .dmabuf = channel->buffers[m->index], .index = m->index };
	if (channel->role == CHANNEL_SOURCE)
		return;
	frame->fourcc = m->fourcc;
	frame->width = m->width;
	frame->height = m->height;
	frame->stride = m->stride;
	frame->used = m->used;
	frame->sequence = m->sequence;
	frame->timestamp = m->timestamp;
	channel->stats.frames++;
	channel->stats.bytes += m->used;
	maybe_send_stats(channel);
}

/* Sleep until a message is there: 0, -ETIMEDOUT, -EINTR. */
static int wait_message(struct dmabuf_channel *channel, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = channel->in, .events = POLLIN };
	uint64_t start = clock_ns();
	int ready = poll(&poll_fd, 1, timeout_ms);
	int err = errno;

	channel->stats.waits++;
	channel->stats.wait_ns += clock_ns() - start;
	if (ready < 0)
		return dmabuf_fail(err, "waiting for a frame was interrupted");
	if (ready == 0)
		return dmabuf_fail(ETIMEDOUT, "no frame came within %d ms", timeout_ms);
	return 0;
}

/* A message that was checked: 1; 0 at the end of the stream; a negative errno. */
static int receive(struct dmabuf_channel *channel, struct channel_message *m, int timeout_ms)
{
	ssize_t got;
	int err;

	for (;;) {
		got = recv(channel->in, m, sizeof(*m), MSG_DONTWAIT | MSG_TRUNC);
		if (got >= 0 || errno == ECONNRESET)
			break;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return dmabuf_fail(errno, "cannot receive a frame");
		if (timeout_ms == 0)
			return dmabuf_fail(ETIMEDOUT, "no frame is there yet");
		err = wait_message(channel, timeout_ms);
		if (err < 0)
			return err;
	}
	if (got <= 0)
		return peer_gone(channel, "before");
	err = check_message(channel, m, got);
	if (err < 0)
		return err;
	return m->head.type == CHANNEL_FRAME;
}

DMABUF_PUBLIC int dmabuf_channel_next(struct dmabuf_channel *channel, struct dmabuf_channel_frame *frame,
				      int timeout_ms)
{
	struct channel_message m;
	int got;

	if (!channel || !frame || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "channel, frame and a timeout of 0 or more are needed");
	if (channel->ended)
		return 0;
	if (channel->role == CHANNEL_SOURCE && channel->fresh < channel->count) {
		m.index = channel->fresh++;
		fill_frame(channel, frame, &m);
		return 1;
	}
	got = receive(channel, &m, timeout_ms);
	if (got == 0)
		channel->ended = true;
	if (got <= 0)
		return got;
	fill_frame(channel, frame, &m);
	return 1;
}

static int send_message(struct dmabuf_channel *channel, const struct channel_message *m)
{
	ssize_t sent;

	do {
		sent = send(channel->out, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	if (errno != EPIPE && errno != ECONNRESET)
		return dmabuf_fail(errno, "cannot hand a frame on");
	/* A source that has finished need not stay for its empty buffers. */
	if (channel->role == CHANNEL_SINK)
		return 0;
	return peer_gone(channel, "after");
}

static int check_pass(const struct dmabuf_channel *channel, const struct dmabuf_channel_frame *frame)
{
	if (!channel || !frame)
		return dmabuf_fail(EINVAL, "a channel and a frame are needed");
	if (channel->finished)
		return dmabuf_fail(EINVAL, "the end of the stream was passed on already");
	if (frame->index >= channel->count || !channel->held[frame->index])
		return dmabuf_fail(EINVAL, "buffer %u is not held by this element", frame->index);
	if (frame->used > channel->buffers[frame->index]->size)
		return dmabuf_fail(EINVAL, "%" PRIu64 " bytes used in a buffer of %zu bytes",
				   frame->used, channel->buffers[frame->index]->size);
	return 0;
}

DMABUF_PUBLIC int dmabuf_channel_pass(struct dmabuf_channel *channel,
				      const struct dmabuf_channel_frame *frame)
{
	struct channel_message m;
	int err = check_pass(channel, frame);

	if (err < 0)
		return err;
	m = (struct channel_message){
		.head = channel_head(CHANNEL_FRAME),
		.index = frame->index,
		.fourcc = frame->fourcc,
		.width = frame->width,
		.height = frame->height,
		.stride = frame->stride,
		.used = frame->used,
		.sequence = frame->sequence,
		.timestamp = frame->timestamp,
	};
	err = send_message(channel, &m);
	if (err < 0)
		return err;
	channel->held[frame->index] = false;
	if (channel->role == CHANNEL_SOURCE) {
		channel->stats.frames++;
		channel->stats.bytes += frame->used;
		maybe_send_stats(channel);
	}
	return 0;
}

DMABUF_PUBLIC int dmabuf_channel_finish(struct dmabuf_channel *channel)
{
	struct channel_message m = { .head = channel_head(CHANNEL_END) };
	int err;

	if (!channel)
		return dmabuf_fail(EINVAL, "a channel is needed");
	if (channel->finished)
		return 0;
	err = send_message(channel, &m);
	if (err < 0)
		return err;
	channel->finished = true;
	/* Without this notice the runner takes the element for one that gave up. */
	err = notify_surely(channel, CHANNEL_FINISHED, NULL, NULL);
	return err < 0 ? dmabuf_fail(-err, "the pipe is not listening any more") : 0;
}

DMABUF_PUBLIC int dmabuf_channel_tell(struct dmabuf_channel *channel, const char *key,
				      const char *value)
{
	int err;

	if (!channel || !key || !value)
		return dmabuf_fail(EINVAL, "a channel, a key and a value are needed");
	err = text_check(key, CHANNEL_KEY_LEN, false, "key");
	if (err == 0)
		err = text_check(value, CHANNEL_VALUE_LEN, true, "value");
	if (err < 0)
		return err;
	err = notify_surely(channel, CHANNEL_TELL, key, value);
	return err < 0 ? dmabuf_fail(-err, "the pipe is not listening") : 0;
}

DMABUF_PUBLIC int dmabuf_channel_get_stats(const struct dmabuf_channel *channel,
					   struct dmabuf_channel_stats *stats)
{
	if (!channel || !stats)
		return dmabuf_fail(EINVAL, "a channel and room for statistics are needed");
	*stats = channel->stats;
	return 0;
}
