// SPDX-License-Identifier: MIT
/* The end of a stream, and of its producer. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "export.h"
#include "queue-report.h"

static struct queue_peer *who_lacks(struct dmabuf_queue *q)
{
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++)
		if (p->state == QUEUE_PEER_LIVE && !p->end_sent)
			return p;
	return NULL;
}

static int send_rest(struct dmabuf_queue *q, uint64_t deadline)
{
	struct queue_peer *p;
	int left;

	for (p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++) {
		if (p->state == QUEUE_PEER_LIVE && !p->broken)
			queue_peer_flush(q, p);
		if (p->state == QUEUE_PEER_LIVE && p->broken)
			(void)queue_peer_receive(q, p, INT32_MAX);
	}
	while (who_lacks(q)) {
		left = clock_left(deadline);
		if (queue_work(q, left) == -EINTR)
			return dmabuf_fail(EINTR, "ending the stream was interrupted");
		if (!left && who_lacks(q))
			return dmabuf_fail(ETIMEDOUT, "%s did not take the end of the stream",
					   who_lacks(q)->name);
	}
	return 0;
}

DMABUF_PUBLIC int dmabuf_queue_finish(struct dmabuf_queue *queue, int timeout_ms)
{
	bool lost;
	int err;

	if (!queue || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a queue and a timeout of 0 or more are needed");
	if (queue->finished)
		return 0;
	queue->finishing = true;
	queue->lost_blocking = false;
	queue_unlisten(queue);
	err = send_rest(queue, clock_ms() + (uint64_t)timeout_ms);
	if (err < 0)
		return err;
	queue->finished = true;
	lost = queue->lost_blocking || (queue->must_deliver && !queue->live);
	if (lost && queue->inherited)
		report_peer_gone();
	if (lost)
		return dmabuf_fail(EPIPE, "a consumer was gone before the end of the stream");
	return queue->inherited ? report_finished() : 0;
}

static void drop_peer(struct dmabuf_queue *q, struct queue_peer *p)
{
	if (p->state == QUEUE_PEER_NONE)
		return;
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		if (p->fenced & QUEUE_BIT(i))
			close(p->fence[i]);
	if (p->fd >= 0)
		queue_hang_up(p->fd);
}

/* What can be said of those that are still there. */
static void report_end(struct dmabuf_queue *q)
{
	(void)dmabuf_queue_dispatch(q);
	report_consumers(q);
	report_closed(false);
}

DMABUF_PUBLIC void dmabuf_queue_destroy(struct dmabuf_queue *queue)
{
	if (!queue)
		return;
	if (queue->inherited)
		report_end(queue);
	queue_unlisten(queue);
	for (struct queue_peer *p = queue->peers; p < queue->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++)
		drop_peer(queue, p);
	for (struct queue_buffer *b = queue->buffers; b < queue->buffers + DMABUF_QUEUE_MAX_BUFFERS;
	     b++) {
		if (b->acquire_fence >= 0 && b->owns_fence)
			close(b->acquire_fence);
		/* Nobody knows what a relay's consumers still do with it. */
		if (queue->upstream && b->state == QUEUE_BUFFER_FILLED)
			consumer_release(queue->upstream, &b->upstream, true);
		dma_buf_put(b->dmabuf);
	}
	if (queue->upstream)
		queue->upstream->relay = NULL;
	if (queue->timer >= 0)
		close(queue->timer);
	close(queue->epoll);
	free(queue);
}
