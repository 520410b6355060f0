// SPDX-License-Identifier: MIT
/* What a producer sends to one consumer, and takes back from it. */
#include "queue.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "share.h"
#include "shm/layout.h"

/* What found no memory, or too many descriptors in flight, is sent again so much later. */
#define RETRY_NS (20 * QUEUE_MS)

static unsigned int outstanding(const struct queue_peer *p)
{
	return (unsigned int)__builtin_popcountll(p->sent | p->fenced);
}

static bool has_credit(const struct dmabuf_queue *q, const struct queue_peer *p)
{
	uint32_t credit = p->info.granted;

	if (q->finishing || p->info.policy == DMABUF_QUEUE_BLOCK)
		return true;
	/* Of those that are granted, one is for the frame that waits. */
	if (p->info.policy == DMABUF_QUEUE_DROP_OLDEST)
		credit--;
	return outstanding(p) < credit;
}

static int send_frame(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index)
{
	struct queue_buffer *b = &q->buffers[index];
	struct queue_frame m = b->message;
	int fds[QUEUE_MAX_FDS], err;
	unsigned int count = 0;

	m.forget = p->forget;
	m.dropped = p->skipped;
	if (p->first)
		m.flags |= DMABUF_FRAME_FIRST;
	if (p->skipped)
		m.flags |= DMABUF_FRAME_GAP;
	if (p->known[index] != b->generation)
		m.carries = count = (unsigned int)share_fds(b->dmabuf, fds);
	else
		m.turn = p->turn[index];
	if (b->acquire_fence >= 0) {
		m.carries |= QUEUE_FRAME_FENCE;
		fds[count++] = b->acquire_fence;
	}
	err = queue_send(p->fd, &m, sizeof(m), fds, count);
	if (err < 0)
		return err;
	if (p->known[index] != b->generation)
		p->slot[index] = QUEUE_NO_SLOT;
	p->known[index] = b->generation;
	p->turn[index] = m.turn;
	p->forget = p->skipped = 0;
	p->first = false;
	/* Who has nothing has made no promise to hurry: its time begins now. */
	if (!p->sent)
		p->progress = clock_ns();
	p->since[index] = clock_ns();
	p->sent |= QUEUE_BIT(index);
	p->info.frames++;
	return 0;
}

static uint32_t pop_waiting(struct queue_peer *p)
{
	uint32_t index = p->waiting[p->waiting_first];

	p->waiting_first = (p->waiting_first + 1) % DMABUF_QUEUE_MAX_BUFFERS;
	p->waiting_count--;
	return index;
}

static void send_end(struct dmabuf_queue *q, struct queue_peer *p)
{
	struct queue_head end = queue_head(QUEUE_END);
	int err = queue_send(p->fd, &end, sizeof(end), NULL, 0);

	if (err == -EAGAIN)
		queue_watch_room(q, p, true);
	else if (err < 0)
		p->broken = true;
	else
		p->end_sent = true;
}

void queue_peer_flush(struct dmabuf_queue *q, struct queue_peer *p)
{
	int err = 0;

	while (p->waiting_count && !p->broken && has_credit(q, p)) {
		err = send_frame(q, p, p->waiting[p->waiting_first]);
		if (err < 0)
			break;
		(void)pop_waiting(p);
	}
	if (p->wants_room && err != -EAGAIN)
		queue_watch_room(q, p, false);
	if (err == -EAGAIN)
		queue_watch_room(q, p, true);
	else if (err == -ENOBUFS)
		q->retry = clock_ns() + RETRY_NS;
	else if (err < 0)
		p->broken = true;
	if (q->finishing && !p->waiting_count && !p->broken && !p->end_sent)
		send_end(q, p);
}

static void drop(struct dmabuf_queue *q, struct queue_peer *p)
{
	p->info.dropped++;
	p->skipped++;
	q->stats.dropped++;
}

void queue_peer_offer(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index)
{
	/* It may have given something back that we have not looked at. */
	if (!has_credit(q, p))
		(void)queue_peer_receive(q, p, 1);
	if (p->state != QUEUE_PEER_LIVE)
		return;
	if (!has_credit(q, p) && p->info.policy == DMABUF_QUEUE_DROP_NEWEST) {
		drop(q, p);
		return;
	}
	while (p->waiting_count && p->info.policy != DMABUF_QUEUE_BLOCK) {
		queue_pool_unuse(q, queue_peer_number(q, p), pop_waiting(p));
		drop(q, p);
	}
	p->waiting[(p->waiting_first + p->waiting_count) % DMABUF_QUEUE_MAX_BUFFERS] =
		(uint8_t)index;
	p->waiting_count++;
	q->buffers[index].users |= QUEUE_BIT(queue_peer_number(q, p));
	queue_peer_flush(q, p);
}

void queue_peer_fence_done(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index)
{
	queue_unwatch(q, p->fence[index]);
	close(p->fence[index]);
	p->fence[index] = -1;
	p->fenced &= ~QUEUE_BIT(index);
	queue_pool_unuse(q, queue_peer_number(q, p), index);
	if (p->state == QUEUE_PEER_LIVE)
		queue_peer_flush(q, p);
}

static int take_fence(struct dmabuf_queue *q, struct queue_peer *p, uint32_t index,
		      struct queue_packet *packet)
{
	int fd = packet->fds[0];

	if (queue_watch(q, fd, QUEUE_WATCH_FENCE, queue_peer_number(q, p), index) < 0)
		return dmabuf_fail(EPROTO, "%s gave a release fence that cannot be polled",
				   p->name);
	packet->fd_count = 0;
	p->fence[index] = fd;
	p->fenced |= QUEUE_BIT(index);
	p->sent &= ~QUEUE_BIT(index);
	return 0;
}

static int take_return(struct dmabuf_queue *q, struct queue_peer *p, struct queue_packet *packet)
{
	const struct queue_return m = packet->m.ret;
	bool fence = m.flags & QUEUE_RETURN_FENCE;

	if (m.flags & ~(QUEUE_RETURN_FENCE | QUEUE_RETURN_RETIRE))
		return dmabuf_fail(EPROTO, "%s gave buffers back with unknown flags", p->name);
	if (!m.buffers || m.buffers & ~p->sent)
		return dmabuf_fail(EPROTO, "%s gave back a buffer that it does not have", p->name);
	if (packet->fd_count != (fence ? 1 : 0) || (fence && m.buffers & (m.buffers - 1)))
		return dmabuf_fail(EPROTO, "%s gave back %u fences for its buffers", p->name,
				   packet->fd_count);
	p->info.waits = m.waits;
	p->info.latency_ns = m.latency_ns;
	p->info.latency_max_ns = m.latency_max_ns;
	p->progress = clock_ns();
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		if (!(m.buffers & QUEUE_BIT(i)))
			continue;
		p->turn[i]++;
		if (m.flags & QUEUE_RETURN_RETIRE)
			q->buffers[i].retired = true;
		if (fence)
			return take_fence(q, p, i, packet);
		p->sent &= ~QUEUE_BIT(i);
		queue_pool_unuse(q, queue_peer_number(q, p), i);
	}
	return 0;
}

static int take_slot(struct queue_peer *p, const struct queue_slot *m)
{
	if (m->index >= DMABUF_QUEUE_MAX_BUFFERS || m->slot >= DMA_BUF_MAX_CLIENTS)
		return dmabuf_fail(EPROTO, "%s has slot %u of buffer %u, which cannot be", p->name,
				   m->slot, m->index);
	p->slot[m->index] = (uint8_t)m->slot;
	return 0;
}

/* 0; -EPROTO with words; -EPIPE: it said goodbye. */
static int take_message(struct dmabuf_queue *q, struct queue_peer *p, struct queue_packet *packet)
{
	switch (packet->m.head.type) {
	case QUEUE_RETURN:
		if (packet->length == sizeof(packet->m.ret))
			return take_return(q, p, packet);
		break;
	case QUEUE_SLOT:
		if (packet->length == sizeof(packet->m.slot))
			return take_slot(p, &packet->m.slot);
		break;
	case QUEUE_BYE:
		return -EPIPE;
	default:
		return dmabuf_fail(EPROTO, "%s sent a message of unknown type %u", p->name,
				   packet->m.head.type);
	}
	return dmabuf_fail(EPROTO, "%s sent a message of type %u with %zu bytes", p->name,
			   packet->m.head.type, packet->length);
}

/* How many there were, or -EINTR. */
static int receive(struct dmabuf_queue *q, struct queue_peer *p, int most, bool wait)
{
	struct queue_packet packet;
	int count, got, err = 0;

	for (count = 0; count < most && err == 0; count++) {
		got = queue_recv(p->fd, &packet, wait, p->name);
		if (got == -EAGAIN && p->broken)
			/* It takes nothing, but has not left. */
			err = dmabuf_fail(EPROTO, "%s closed one half of its socket", p->name);
		if (got == -EINTR)
			return -EINTR;
		if (got == -EAGAIN)
			break;
		if (got == 0) {
			queue_peer_gone(q, p, DMABUF_QUEUE_DIED, EPIPE, "is gone without a word");
			return count + 1;
		}
		err = got < 0 ? got : take_message(q, p, &packet);
		if (got > 0)
			queue_packet_close(&packet);
	}
	if (err == -EPIPE)
		queue_peer_gone(q, p, DMABUF_QUEUE_LEFT, 0, "left");
	else if (err < 0)
		queue_peer_gone(q, p, DMABUF_QUEUE_CUT_OFF, -err, dmabuf_last_error());
	else if (count && p->waiting_count)
		queue_peer_flush(q, p);
	return count;
}

int queue_peer_receive(struct dmabuf_queue *q, struct queue_peer *p, int most)
{
	return receive(q, p, most, false);
}

/* One receive that sleeps, where others would poll in between. */
int queue_peer_wait(struct dmabuf_queue *q, struct queue_peer *p, int ms)
{
	int rounded = 1 << (31 - __builtin_clz((unsigned int)ms)), ret;
	struct timeval tv = { rounded / 1000, (suseconds_t)(rounded % 1000) * 1000 };

	/* Rounded, so that the next time is seldom another. */
	if (rounded != p->receive_ms &&
	    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
		return 0;
	p->receive_ms = rounded;
	ret = receive(q, p, 1, true);
	return ret < 0 ? ret : 0;
}
