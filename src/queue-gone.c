// SPDX-License-Identifier: MIT
/*
 * Consumers that go, in order or not, and what becomes of the buffers they held:
 *
 *	left in order			empty at once
 *	died, only read			empty at once
 *	died, could write		empty once none of its threads is left (its slot's lock is
 *free) died, had devices write		replaced: nobody knows when they are done cut off, may be
 *alive		replaced: it keeps the old memory gave it back with a fence	empty when that
 *signals
 *
 * What takes too long is replaced as well.
 */
#include "queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "error.h"
#include "text.h"

/* What a dead consumer's threads, or a fence, may take before the buffer is replaced. */
#define GHOST_NS (2000 * QUEUE_MS)

uint64_t queue_peer_oldest(const struct queue_peer *p)
{
	uint64_t oldest = 0;

	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		if ((p->sent | p->fenced) & QUEUE_BIT(i) && (!oldest || p->since[i] < oldest))
			oldest = p->since[i];
	return oldest;
}

static void finish_ghost(struct dmabuf_queue *q, struct queue_peer *p)
{
	if (p->sent || p->fenced)
		return;
	p->state = QUEUE_PEER_NONE;
	q->ghosts--;
}

static void retire(struct dmabuf_queue *q, struct queue_peer *p, uint64_t buffers)
{
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++) {
		if (!(buffers & QUEUE_BIT(i)))
			continue;
		q->buffers[i].retired = true;
		if (p->fenced & QUEUE_BIT(i)) {
			queue_peer_fence_done(q, p, i);
			continue;
		}
		p->sent &= ~QUEUE_BIT(i);
		queue_pool_unuse(q, queue_peer_number(q, p), i);
	}
}

static void unuse(struct dmabuf_queue *q, struct queue_peer *p, uint64_t buffers)
{
	p->sent &= ~buffers;
	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		if (buffers & QUEUE_BIT(i))
			queue_pool_unuse(q, queue_peer_number(q, p), i);
}

static void drop_waiting(struct dmabuf_queue *q, struct queue_peer *p)
{
	while (p->waiting_count) {
		uint32_t index = p->waiting[p->waiting_first];

		p->waiting_first = (p->waiting_first + 1) % DMABUF_QUEUE_MAX_BUFFERS;
		p->waiting_count--;
		queue_pool_unuse(q, queue_peer_number(q, p), index);
	}
}

/* Buffers of which @p has told its slot: of the others it had not even taken the memory. */
static uint64_t adopted(const struct queue_peer *p)
{
	uint64_t buffers = 0;

	for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		if (p->slot[i] != QUEUE_NO_SLOT)
			buffers |= QUEUE_BIT(i);
	return buffers;
}

static void release_held(struct dmabuf_queue *q, struct queue_peer *p, enum dmabuf_queue_event how)
{
	bool writes = p->flags & DMABUF_QUEUE_WRITES;

	if (how == DMABUF_QUEUE_CUT_OFF ||
	    (how == DMABUF_QUEUE_DIED && p->flags & DMABUF_QUEUE_DMA_WRITES))
		retire(q, p, p->sent);
	else
		unuse(q, p, how == DMABUF_QUEUE_DIED && writes ? p->sent & ~adopted(p) : p->sent);
}

/* It should know why, but need not. */
static void say_why(const struct queue_peer *p, int err, const char *words)
{
	struct queue_words m = { .head = queue_head(QUEUE_CUT_OFF), .err = err };

	text_copy(m.words, sizeof(m.words), words);
	(void)queue_send(p->fd, &m, sizeof(m), NULL, 0);
}

static void gone_words(const struct queue_peer *p, const char *words, char *text, size_t room)
{
	int held = __builtin_popcountll(p->sent | p->fenced);
	bool named = strstr(words, p->name) != NULL;
	const char *name = named ? "" : p->name, *space = named ? "" : " ";

	if (held)
		snprintf(text, room, "%s%s%s; it held %d buffer%s", name, space, words, held,
			 held > 1 ? "s" : "");
	else
		snprintf(text, room, "%s%s%s", name, space, words);
}

void queue_peer_gone(struct dmabuf_queue *q, struct queue_peer *p, enum dmabuf_queue_event how,
		     int err, const char *words)
{
	char text[QUEUE_WORDS_LEN];

	gone_words(p, words, text, sizeof(text));
	if (how == DMABUF_QUEUE_CUT_OFF)
		say_why(p, err, text);
	queue_unwatch(q, p->fd);
	queue_hang_up(p->fd);
	p->fd = -1;
	q->live--;
	q->ghosts++;
	p->state = QUEUE_PEER_GHOST;
	p->deadline = clock_ns() + GHOST_NS;
	if (how != DMABUF_QUEUE_LEFT && p->info.policy == DMABUF_QUEUE_BLOCK)
		q->lost_blocking = true;
	queue_tell(q, how, &p->info, text);
	queue_pool_share(q);
	drop_waiting(q, p);
	release_held(q, p, how);
	finish_ghost(q, p);
}

static bool lives(const struct dmabuf_queue *q, const struct queue_peer *p, uint32_t index)
{
	/* Through the description that is not the dead one's, whatever slot it claimed. */
	return client_alive(to_buffer(q->buffers[index].dmabuf)->client.fd, p->slot[index]);
}

void queue_ghosts_check(struct dmabuf_queue *q, uint64_t now)
{
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++) {
		if (p->state != QUEUE_PEER_GHOST)
			continue;
		for (uint32_t i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
			if (p->sent & QUEUE_BIT(i) && !lives(q, p, i))
				unuse(q, p, QUEUE_BIT(i));
		if (now >= p->deadline)
			retire(q, p, p->sent | p->fenced);
		finish_ghost(q, p);
	}
}

static uint64_t stall_begin(const struct dmabuf_queue *q, const struct queue_peer *p)
{
	return q->starving > p->progress ? q->starving : p->progress;
}

static bool may_stall(const struct dmabuf_queue *q, const struct queue_peer *p)
{
	return p->state == QUEUE_PEER_LIVE && p->info.policy == DMABUF_QUEUE_BLOCK &&
	       (p->sent || p->fenced || p->waiting_count) && q->options.stall_ms >= 0;
}

uint64_t queue_stall_deadline(const struct dmabuf_queue *q)
{
	uint64_t first = UINT64_MAX, at;

	if (!q->starving)
		return first;
	for (const struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++) {
		if (!may_stall(q, p))
			continue;
		at = stall_begin(q, p) + (uint64_t)q->options.stall_ms * QUEUE_MS;
		if (at < first)
			first = at;
	}
	return first;
}

void queue_stalls_check(struct dmabuf_queue *q, uint64_t now)
{
	char words[QUEUE_WORDS_LEN];

	if (!q->starving)
		return;
	for (struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS; p++) {
		if (!may_stall(q, p) ||
		    now < stall_begin(q, p) + (uint64_t)q->options.stall_ms * QUEUE_MS)
			continue;
		snprintf(words, sizeof(words),
			 "is cut off: it gave nothing back for %" PRIu64 " ms",
			 (now - p->progress) / QUEUE_MS);
		queue_peer_gone(q, p, DMABUF_QUEUE_CUT_OFF, ETIMEDOUT, words);
	}
}

static size_t add_holder(const struct queue_peer *p, uint64_t now, char *text, size_t room)
{
	uint64_t held = p->sent | p->fenced;
	size_t at = 0;

	at += (size_t)snprintf(text, room, "%s%s holds ", p->name,
			       p->state == QUEUE_PEER_GHOST ? ", which is gone," : "");
	for (uint32_t i = 0, n = 0; i < DMABUF_QUEUE_MAX_BUFFERS && at < room; i++) {
		if (!(held & QUEUE_BIT(i)))
			continue;
		if (n++ < 4)
			at += (size_t)snprintf(text + at, room - at, n == 1 ? "%u" : ", %u", i);
	}
	if (__builtin_popcountll(held) > 4 && at < room)
		at += (size_t)snprintf(text + at, room - at, ", ... (%d)",
				       __builtin_popcountll(held));
	if (at < room)
		at += (size_t)snprintf(text + at, room - at, "%s for %" PRIu64 " ms",
				       p->fenced == held ? " until its fence signals" : "",
				       (now - queue_peer_oldest(p)) / QUEUE_MS);
	return at < room ? at : room;
}

void queue_holders(const struct dmabuf_queue *q, char *text, size_t room)
{
	uint64_t now = clock_ns();
	size_t at = 0;

	text[0] = '\0';
	for (const struct queue_peer *p = q->peers; p < q->peers + DMABUF_QUEUE_MAX_CONSUMERS;
	     p++) {
		if (p->state == QUEUE_PEER_NONE || !(p->sent | p->fenced))
			continue;
		if (at && at < room)
			at += (size_t)snprintf(text + at, room - at, "; ");
		if (at < room)
			at += add_holder(p, now, text + at, room - at);
	}
}
