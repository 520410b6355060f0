/* SPDX-License-Identifier: MIT */
/* Processes that, as they are told, lock a buffer and touch it by the CPU or a device. */
#ifndef DMABUF_TEST_COHERENCY_ACTOR_H
#define DMABUF_TEST_COHERENCY_ACTOR_H

#include "exporter.h"
#include "shadow-world.h"

static const struct access {
	const char *name;
	unsigned int type;
} accesses[] = {
	{ "R", DMA_BUF_ACCESS_R },
	{ "W", DMA_BUF_ACCESS_W },
	{ "DMA_R", DMA_BUF_ACCESS_DMA_R },
	{ "DMA_W", DMA_BUF_ACCESS_DMA_W },
};

#define ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

/* One access, of which @len bytes from @start are touched. */
struct order {
	unsigned int type;
	unsigned int
		dies; /* in the middle of it; no bool, as padding would go through the socket */
	size_t start, len;
};

static inline void touch_by(unsigned int type, size_t start, size_t len)
{
	enum dma_data_direction cpu_direction =
		type & DMA_BUF_ACCESS_W ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	enum dma_data_direction device_direction =
		type & DMA_BUF_ACCESS_W ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;

	/* Not only where it happens to look. */
	pthread_mutex_lock(&world->lock);
	if (type & DMA_BUF_ACCESS_DMA)
		ASSERT(memcmp(world->memory, world->truth, SIZE) == 0);
	else
		ASSERT(memcmp(cpu + start, world->truth + start, len) == 0);
	pthread_mutex_unlock(&world->lock);
	if (type & DMA_BUF_ACCESS_DMA)
		device_touches(world->memory, device_direction);
	else
		cpu_touches(start, len, cpu_direction);
}

static inline int carry_out(struct dma_buf *dmabuf, const struct order *o)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "actor");
	int err;

	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get_range(sync, dmabuf, o->type, o->start, o->len));
	err = dmabuf_sync_lock(sync);
	if (err && err != -EOWNERDEAD)
		FAIL("lock: %s", dmabuf_last_error());
	touch_by(o->type, o->start, o->len);
	if (o->dies)
		raise(SIGKILL);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	return err;
}

/* Maps for good, and parks by one lock that does nothing. */
static inline void settle_in(struct side *s, struct dma_buf *dmabuf)
{
	struct order o = { DMA_BUF_ACCESS_DMA_R, false, 0, SIZE };

	side_open(s, dmabuf);
	s->direction = DMA_BIDIRECTIONAL;
	s->table = dma_buf_map_attachment(s->attach, s->direction);
	ASSERT(s->table);
	carry_out(dmabuf, &o);
}

static inline void leave(struct side *s)
{
	ASSERT_OK(dma_buf_unmap_attachment(s->attach, s->table, s->direction));
	side_close(s);
}

/* Does what it is told, until the other side closes. */
static inline int actor(struct peer *peer, struct dma_buf *dmabuf)
{
	struct order o;
	struct side s;

	settle_in(&s, dmabuf);
	peer_tell(peer);
	while (recv(peer->socket, &o, sizeof(o), 0) == sizeof(o)) {
		carry_out(dmabuf, &o);
		peer_tell(peer);
	}
	leave(&s);
	return 0;
}

static inline void end_actor(struct peer *peer)
{
	shutdown(peer->socket, SHUT_WR);
	peer_end(peer);
}

/* By the peer, or by ourselves if there is none. */
static inline void have_done(struct dma_buf *dmabuf, struct peer *peer, unsigned int type,
			     size_t start, size_t len)
{
	struct order o = { type, false, start, len };

	if (!peer) {
		carry_out(dmabuf, &o);
		return;
	}
	ASSERT_EQ(send(peer->socket, &o, sizeof(o), MSG_NOSIGNAL), sizeof(o));
	peer_wait(peer);
}

static inline void have_done_whole(struct dma_buf *dmabuf, struct peer *peer, unsigned int type)
{
	have_done(dmabuf, peer, type, 0, SIZE);
}

static inline struct dma_buf_counters counters_of(struct dma_buf *dmabuf)
{
	struct dma_buf_counters c;

	ASSERT_OK(dma_buf_get_counters(dmabuf, &c));
	return c;
}

static inline void make_clean(struct dma_buf *dmabuf)
{
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
}

#endif
