// SPDX-License-Identifier: MIT
/* The buffers of a producer: how many, which are empty, which are replaced. */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t queue_pool_target(const struct dmabuf_queue *q)
{
	uint32_t target = q->options.min_buffers;

	if (q->fixed)
		return q->fixed;

	for (const struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++) {
		if (p->state == QUEUE_PEER_LIVE)
			target += p->info.granted;
		if (p->state == QUEUE_PEER_GHOST)
			target += (uint32_t)__builtin_popcountll(p->sent | p->fenced);
	}
	return least(target, q->options.max_buffers);
}

static uint32_t minimum(const struct dmabuf_queue *q)
{
	uint32_t sum = q->options.min_buffers;

	for (const struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++)
		if (p->state == QUEUE_PEER_LIVE)
			sum += p->info.min;
	return sum;
}

bool queue_pool_fits(const struct dmabuf_queue *q, uint32_t min)
{
	/* A relay has no buffers of its own to share out, and some share theirs whatever comes. */
	return q->relay || q->fixed || minimum(q) + min <= q->options.max_buffers;
}

void queue_pool_share(struct dmabuf_queue *q)
{
	uint32_t used = minimum(q), more;
	uint32_t spare = used < q->options.max_buffers ? q->options.max_buffers - used : 0;

	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++) {
		if (p->state != QUEUE_PEER_LIVE)
			continue;
		more = least(p->preferred - p->info.min, spare);
		p->info.granted = p->info.min + more;
		spare -= more;
	}
}

static struct dma_buf *allocate(const struct dmabuf_queue *q, uint32_t index)
{
	const struct dmabuf_queue_options *o = &q->options;
	char name[DMA_BUF_NAME_LEN];
	struct dma_buf *dmabuf;

	if (q->fixed && q->given[index]) {
		get_dma_buf(q->given[index]);
		return q->given[index];
	}
	snprintf(name, sizeof(name), "queue %d/%u", (int)getpid(), index);
	if (!o->allocate)
		return dma_buf_alloc(name, o->buffer_size, o->buffer_flags);
	dmabuf = o->allocate(o->data, name, o->buffer_size);
	if (dmabuf && dmabuf->size < o->buffer_size) {
		dma_buf_put(dmabuf);
		return dmabuf_fail_ptr(EINVAL,
				       "the program's allocator gave less than the %llu "
				       "bytes that the queue needs",
				       (unsigned long long)o->buffer_size);
	}
	return dmabuf;
}

static int grow(struct dmabuf_queue *q)
{
	struct queue_buffer *b;
	uint32_t index = 0;

	while (q->buffers[index].state != QUEUE_BUFFER_NONE)
		index++;
	b = &q->buffers[index];
	b->dmabuf = allocate(q, index);
	if (!b->dmabuf)
		return -errno;
	b->generation = ++q->next_generation;
	b->state = QUEUE_BUFFER_EMPTY;
	b->retired = false;
	q->buffer_count++;
	return (int)index;
}

int queue_pool_take(struct dmabuf_queue *q)
{
	int index = -EAGAIN;

	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS && index < 0; i++)
		if (q->buffers[i].state == QUEUE_BUFFER_EMPTY)
			index = i;
	if (index < 0 && q->buffer_count < queue_pool_target(q))
		index = grow(q);
	if (index >= 0)
		q->buffers[index].state = QUEUE_BUFFER_TAKEN;
	return index;
}

void queue_pool_drop(struct dmabuf_queue *q, uint32_t index)
{
	struct queue_buffer *b = &q->buffers[index];

	if (!q->relay)
		dma_buf_put(b->dmabuf);
	b->dmabuf = NULL;
	b->state = QUEUE_BUFFER_NONE;
	q->buffer_count--;
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++)
		if (p->state == QUEUE_PEER_LIVE && p->known[index] == b->generation) {
			p->known[index] = 0;
			p->forget |= QUEUE_BIT(index);
		}
}

static void give_back_upstream(struct dmabuf_queue *q, struct queue_buffer *b)
{
	if (q->upstream)
		consumer_release(q->upstream, &b->upstream, b->retired);
	b->retired = false;
	queue_pool_unrelay(b);
}

void queue_pool_unrelay(struct queue_buffer *b)
{
	dma_buf_put(b->dmabuf);
	b->dmabuf = NULL;
	b->state = QUEUE_BUFFER_EMPTY;
}

void queue_pool_empty(struct dmabuf_queue *q, uint32_t index)
{
	struct queue_buffer *b = &q->buffers[index];

	if (b->acquire_fence >= 0 && b->owns_fence)
		close(b->acquire_fence);
	b->acquire_fence = -1;
	q->filled -= b->state == QUEUE_BUFFER_FILLED;
	b->state = QUEUE_BUFFER_EMPTY;
	if (q->relay)
		give_back_upstream(q, b);
	else if (b->retired || q->buffer_count > queue_pool_target(q))
		queue_pool_drop(q, index);
}

void queue_pool_unuse(struct dmabuf_queue *q, unsigned int n, uint32_t index)
{
	struct queue_buffer *b = &q->buffers[index];

	b->users &= ~QUEUE_BIT(n);
	if (!b->users && b->state == QUEUE_BUFFER_FILLED)
		queue_pool_empty(q, index);
}

int queue_pool_relay(struct dmabuf_queue *q, const struct dmabuf_frame *frame, uint64_t serial)
{
	int index = -EAGAIN, fresh = -EAGAIN, oldest = -EAGAIN;
	struct queue_buffer *b;

	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS && index < 0; i++) {
		b = &q->buffers[i];
		if (b->state == QUEUE_BUFFER_NONE && fresh < 0)
			fresh = i;
		if (b->state != QUEUE_BUFFER_EMPTY)
			continue;
		if (b->serial == serial)
			index = i;
		if (oldest < 0 || b->serial < q->buffers[oldest].serial)
			oldest = i;
	}
	if (index < 0 && fresh < 0 && oldest >= 0) {
		queue_pool_drop(q, (uint32_t)oldest);
		fresh = oldest;
	}
	if (index < 0 && fresh >= 0) {
		index = fresh;
		q->buffers[index].generation = ++q->next_generation;
		q->buffers[index].serial = serial;
		q->buffer_count++;
	}
	if (index < 0)
		return index;
	b = &q->buffers[index];
	/* Its consumer may leave before the relay's do. */
	get_dma_buf(frame->dmabuf);
	b->dmabuf = frame->dmabuf;
	b->upstream = *frame;
	b->upstream.release_fence = -1;
	b->state = QUEUE_BUFFER_TAKEN;
	return index;
}
