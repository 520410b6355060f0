// SPDX-License-Identifier: MIT
/* The producer: empty buffers out, filled ones in. */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "process.h"
#include "queue-format.h"
#include "queue-report.h"

static int check_numbers(struct dmabuf_queue_options *o)
{
	if (!o->min_buffers)
		o->min_buffers = o->max_buffers && o->max_buffers < 2 ? 1 : 2;
	if (!o->max_buffers)
		o->max_buffers = DMABUF_QUEUE_MAX_BUFFERS;
	if (!o->max_consumers)
		o->max_consumers = 32;
	if (!o->stall_ms)
		o->stall_ms = 5000;
	if (o->max_buffers > DMABUF_QUEUE_MAX_BUFFERS || o->min_buffers > o->max_buffers)
		return dmabuf_fail(EINVAL, "a queue of %u to %u buffers: 1 to %d are possible",
				   o->min_buffers, o->max_buffers, DMABUF_QUEUE_MAX_BUFFERS);
	if (o->max_consumers > DMABUF_QUEUE_MAX_CONSUMERS)
		return dmabuf_fail(EINVAL, "a queue for %u consumers: %d are possible",
				   o->max_consumers, DMABUF_QUEUE_MAX_CONSUMERS);
	return 0;
}

int queue_check_options(struct dmabuf_queue_options *o, const struct dmabuf_queue_options *from,
			bool relay)
{
	int err = 0;

	*o = (struct dmabuf_queue_options){ .size = sizeof(*o) };
	if (from)
		err = options_take(o, sizeof(*o), from, sizeof(o->size), "queue options");
	if (err < 0)
		return err;
	if (!o->buffer_flags)
		o->buffer_flags = O_RDWR;
	if (!relay && (!o->buffer_size || o->buffer_size > DMA_BUF_MAX_SIZE))
		return dmabuf_fail(EINVAL, "a queue's buffers have %" PRIu64 " bytes",
				   o->buffer_size);
	if (o->buffer_flags != O_RDWR && o->buffer_flags != O_RDONLY)
		return dmabuf_fail(EINVAL, "buffer flags 0x%x: O_RDWR or O_RDONLY",
				   o->buffer_flags);
	return check_numbers(o);
}

struct dmabuf_queue *queue_new(const struct dmabuf_queue_options *o)
{
	struct dmabuf_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a queue");
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (q->epoll < 0) {
		free(q);
		return dmabuf_fail_ptr(errno, "no descriptor is left for a queue");
	}
	q->options = *o;
	q->timer = q->listener = -1;
	/* Tells one start of a producer from the next. */
	q->epoch = clock_ns() ^ (uint64_t)getpid() << 48;
	process_label(q->label);
	for (int i = 0; i < QUEUE_MAX_JOINERS; i++)
		q->joiners[i].fd = -1;
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		q->buffers[i].acquire_fence = -1;
	return q;
}

DMABUF_PUBLIC struct dmabuf_queue *dmabuf_queue_create(const struct dmabuf_queue_options *options)
{
	struct dmabuf_queue_options o;

	if (!options)
		return dmabuf_fail_ptr(EINVAL, "a queue needs options: the size of its buffers");
	if (queue_check_options(&o, options, false) < 0)
		return NULL;
	return queue_new(&o);
}

DMABUF_PUBLIC struct dmabuf_queue *
dmabuf_queue_create_relay(struct dmabuf_queue_consumer *consumer,
			  const struct dmabuf_queue_options *options)
{
	struct dmabuf_queue_options o;
	struct dmabuf_queue *q;

	if (!consumer)
		return dmabuf_fail_ptr(EINVAL, "a relay needs a consumer");
	if (consumer->relay)
		return dmabuf_fail_ptr(EBUSY, "the consumer has a relay already");
	if (queue_check_options(&o, options, true) < 0)
		return NULL;
	q = queue_new(&o);
	if (!q)
		return NULL;
	q->relay = true;
	q->upstream = consumer;
	if (consumer_watch(consumer, q->epoll) < 0) {
		q->upstream = NULL;
		dmabuf_queue_destroy(q);
		return dmabuf_fail_ptr(ENOMEM, "a relay cannot be watched");
	}
	consumer->relay = q;
	consumer->was_relayed = true;
	return q;
}

static int starve(struct dmabuf_queue *q, int timeout_ms)
{
	char holders[320];

	queue_holders(q, holders, sizeof(holders));
	return dmabuf_fail(ETIMEDOUT, "no empty buffer within %d ms of %u: %s", timeout_ms,
			   q->buffer_count, holders[0] ? holders : "the producer has them itself");
}

/* @looked: what came back was looked at just now. */
static int wait_empty(struct dmabuf_queue *q, int timeout_ms, bool looked)
{
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms, start = clock_ns();
	int index = queue_pool_take(q), err = 0, left;

	while (index == -EAGAIN) {
		if (!q->starving)
			q->starving = start;
		left = clock_left(deadline);
		if (left || !looked)
			err = queue_work(q, left);
		index = queue_pool_take(q);
		if (index == -EAGAIN && err == -EINTR)
			return dmabuf_fail(EINTR, "waiting for an empty buffer was interrupted");
		if (index == -EAGAIN && !left)
			return starve(q, timeout_ms);
	}
	if (q->starving) {
		q->starving = 0;
		q->stats.waits++;
		q->stats.wait_ns += clock_ns() - start;
	}
	return index;
}

/*
 * Who comes while there are always empty buffers must not wait at the door. An event loop, which
 * dispatches what comes, need not be helped with each of several buffers in a row.
 */
static bool look_at_door(const struct dmabuf_queue *q)
{
	if (q->joining || q->ghosts)
		return true;
	if (q->listener < 0)
		return false;
	return q->timer < 0 || clock_ns() - q->worked_at >= QUEUE_MS;
}

DMABUF_PUBLIC int dmabuf_queue_get(struct dmabuf_queue *queue, struct dmabuf_frame *frame,
				   int timeout_ms)
{
	bool looked;
	int index;

	if (!queue || !frame || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "queue, frame and a timeout of 0 or more are needed");
	if (queue->relay)
		return dmabuf_fail(EINVAL, "a relay has no empty buffers: take its consumer's");
	if (queue->finishing)
		return dmabuf_fail(EINVAL, "the stream was ended");
	looked = look_at_door(queue);
	if (looked)
		(void)queue_work(queue, 0);
	index = wait_empty(queue, timeout_ms, looked);
	if (index < 0)
		return index;
	*frame = (struct dmabuf_frame){
		.dmabuf = queue->buffers[index].dmabuf,
		.index = (uint32_t)index,
		.epoch = queue->epoch,
		.acquire_fence = -1,
		.release_fence = -1,
	};
	return 0;
}

static int check_frame(const struct dmabuf_frame *frame, uint64_t size)
{
	const char *wrong = queue_format_check(frame, size);

	if (frame->used > size)
		return dmabuf_fail(EINVAL, "%" PRIu64 " bytes used in a buffer of %" PRIu64,
				   frame->used, size);
	if (wrong)
		return dmabuf_fail(EINVAL, "the picture makes no sense: %s", wrong);
	return 0;
}

static struct queue_frame to_message(const struct dmabuf_frame *frame, uint32_t index)
{
	struct queue_frame m = {
		.head = queue_head(QUEUE_FRAME),
		.index = index,
		.flags = frame->flags & ~(DMABUF_FRAME_USER - 1),
		.fourcc = frame->fourcc,
		.width = frame->width,
		.height = frame->height,
		.plane_count = frame->plane_count,
		.modifier = frame->modifier,
		.used = frame->used,
		.sequence = frame->sequence,
		.timestamp = frame->timestamp,
	};

	memcpy(m.planes, frame->planes, sizeof(m.planes));
	return m;
}

static int find_relayed(struct dmabuf_queue *q, const struct dmabuf_frame *frame)
{
	const struct consumer_buffer *b = q->upstream ? consumer_find(q->upstream, frame) : NULL;
	int index;

	if (!b)
		return dmabuf_fail(EINVAL, "buffer %u is not held by the relay's consumer",
				   frame->index);
	index = queue_pool_relay(q, frame, b->serial);
	return index < 0 ? dmabuf_fail(EINVAL, "the relay has no room") : index;
}

/* The buffer's number in this queue, taken by the producer. */
static int find_taken(struct dmabuf_queue *q, const struct dmabuf_frame *frame)
{
	if (q->relay)
		return find_relayed(q, frame);
	if (frame->index >= DMABUF_QUEUE_MAX_BUFFERS ||
	    q->buffers[frame->index].state != QUEUE_BUFFER_TAKEN)
		return dmabuf_fail(EINVAL, "buffer %u is not held by this producer", frame->index);
	return (int)frame->index;
}

/* From here on the frame is the relay's, which knows when it goes back. */
static void mark_passed(struct dmabuf_queue *q, const struct dmabuf_frame *frame,
			struct queue_buffer *relayed)
{
	struct consumer_buffer *b = consumer_find(q->upstream, frame);

	b->passed = true;
	relayed->owns_fence = frame->acquire_fence != b->acquire_fence;
}

static int check_put(const struct dmabuf_queue *q, const struct dmabuf_frame *frame)
{
	if (!q || !frame)
		return dmabuf_fail(EINVAL, "a queue and a frame are needed");
	if (q->finishing)
		return dmabuf_fail(EINVAL, "the stream was ended");
	return 0;
}

/* Nobody will ever get it: for a queue that must deliver that is a failure. */
static int check_delivery(struct dmabuf_queue *q)
{
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++)
		if (p->state == QUEUE_PEER_LIVE && p->broken)
			(void)queue_peer_receive(q, p, INT32_MAX);
	if (q->must_deliver && !q->live)
		return dmabuf_fail(EPIPE, "the consumer is gone");
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_put(struct dmabuf_queue *queue, const struct dmabuf_frame *frame)
{
	struct queue_buffer *b;
	uint32_t index;
	int err = check_put(queue, frame);

	if (err < 0)
		return err;
	err = find_taken(queue, frame);
	if (err < 0)
		return err;
	index = (uint32_t)err;
	b = &queue->buffers[index];
	err = check_frame(frame, b->dmabuf->size);
	if (err < 0 && queue->relay)
		queue_pool_unrelay(b);
	if (err < 0)
		return err;
	b->owns_fence = true;
	if (queue->relay)
		mark_passed(queue, frame, b);
	b->message = to_message(frame, index);
	b->acquire_fence = frame->acquire_fence;
	queue->stats.frames++;
	queue->stats.bytes += frame->used;
	for (struct queue_peer *p = queue->peers; p < queue->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++)
		if (p->state == QUEUE_PEER_LIVE && !p->broken)
			queue_peer_offer(queue, p, index);
	b->state = QUEUE_BUFFER_FILLED;
	queue->filled++;
	if (!b->users)
		queue_pool_empty(queue, index);
	err = check_delivery(queue);
	if (queue->inherited && err < 0)
		report_peer_gone();
	else if (queue->inherited && !queue->relay)
		report_frame();
	queue_set_timer(queue);
	return err;
}

DMABUF_PUBLIC int dmabuf_queue_cancel(struct dmabuf_queue *queue, const struct dmabuf_frame *frame)
{
	int index;

	if (!queue || !frame || queue->relay)
		return dmabuf_fail(EINVAL, "a queue that is no relay and a frame are needed");
	index = find_taken(queue, frame);
	if (index < 0)
		return index;
	queue_pool_empty(queue, (uint32_t)index);
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_wait_consumers(struct dmabuf_queue *queue, unsigned int count,
					      int timeout_ms)
{
	uint64_t deadline;
	int left;

	if (!queue || !count || count > DMABUF_QUEUE_MAX_CONSUMERS || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a queue, 1 to %d consumers and a timeout are needed",
				   DMABUF_QUEUE_MAX_CONSUMERS);
	deadline = clock_ms() + (uint64_t)timeout_ms;
	while (queue->live < count) {
		left = clock_left(deadline);
		if (queue_work(queue, left) == -EINTR)
			return dmabuf_fail(EINTR, "waiting for consumers was interrupted");
		if (queue->live < count && !left)
			return dmabuf_fail(ETIMEDOUT, "%u of %u consumers came within %d ms",
					   queue->live, count, timeout_ms);
	}
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_get_consumers(struct dmabuf_queue *queue,
					     struct dmabuf_queue_consumer_info *infos,
					     unsigned int count)
{
	unsigned int n = 0;
	uint64_t oldest;

	if (!queue || (count && !infos))
		return dmabuf_fail(EINVAL, "a queue and room for its consumers are needed");
	for (struct queue_peer *p = queue->peers; p < queue->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++) {
		if (p->state == QUEUE_PEER_NONE)
			continue;
		oldest = queue_peer_oldest(p);
		p->info.held = (uint32_t)__builtin_popcountll(p->sent | p->fenced);
		p->info.waiting = p->waiting_count;
		p->info.oldest_ns = oldest ? clock_ns() - oldest : 0;
		if (n < count)
			infos[n] = p->info;
		n++;
	}
	return (int)n;
}

DMABUF_PUBLIC int dmabuf_queue_get_stats(const struct dmabuf_queue *queue,
					 struct dmabuf_queue_stats *stats)
{
	if (!queue || !stats)
		return dmabuf_fail(EINVAL, "a queue and room for statistics are needed");
	*stats = queue->stats;
	return 0;
}
