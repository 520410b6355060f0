/* SPDX-License-Identifier: MIT */
/*
 * A cache that is seen: the buffer's memory plays the CPU's, what non-coherent devices see is an
 * array that all processes share. Lines are written back and prefetched at random, and an operation
 * that is missing shows as a wrong byte.
 */
#ifndef DMABUF_TEST_SHADOW_WORLD_H
#define DMABUF_TEST_SHADOW_WORLD_H

#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "peer.h"

#define LINE 64
#define LINES 48
#define SIZE (LINES * LINE)

/* Shared by the processes. */
struct world {
	pthread_mutex_t lock; /* of all below */
	uint8_t memory[SIZE]; /* what non-coherent devices see */
	uint8_t loaded[SIZE]; /* the cache's lines as they were when they were clean */
	uint8_t truth[SIZE];
	uint64_t seed;
	unsigned int operations;
	enum dma_buf_cache_op last_op;
	size_t last_start, last_len;
	unsigned int deaths;
	int refuse;
};

static struct world *world;
static uint8_t *cpu; /* what this process's CPU and coherent devices see */

static inline uint32_t random_below(uint32_t n)
{
	world->seed ^= world->seed << 13;
	world->seed ^= world->seed >> 7;
	world->seed ^= world->seed << 17;
	return (uint32_t)(world->seed >> 32) % n;
}

static inline void maintain(enum dma_buf_cache_op op, size_t at)
{
	bool dirty = memcmp(cpu + at, world->loaded + at, LINE) != 0;

	if (dirty && op != DMA_BUF_CACHE_INVALIDATE)
		memcpy(world->memory + at, cpu + at, LINE);
	if (op != DMA_BUF_CACHE_CLEAN)
		memcpy(cpu + at, world->memory + at, LINE);
	memcpy(world->loaded + at, cpu + at, LINE);
}

/* Where the coherency lock is held. */
static void (*in_sync)(void);

static inline int shadow_sync(struct dma_buf *dmabuf, enum dma_buf_cache_op op, size_t start,
			      size_t len)
{
	if (in_sync)
		in_sync();
	if (world->refuse)
		return world->refuse;
	pthread_mutex_lock(&world->lock);
	world->operations++;
	world->last_op = op;
	world->last_start = start;
	world->last_len = len;
	for (size_t at = start & ~(size_t)(LINE - 1); at < start + len; at += LINE)
		maintain(op, at);
	pthread_mutex_unlock(&world->lock);
	return 0;
}

/* What caches do when nobody asked them. */
static inline void prefetch_and_evict(void)
{
	pthread_mutex_lock(&world->lock);
	for (unsigned int i = 0; i < 8; i++)
		maintain(random_below(2) ? DMA_BUF_CACHE_CLEAN : DMA_BUF_CACHE_FLUSH,
			 LINE * (size_t)random_below(LINES));
	pthread_mutex_unlock(&world->lock);
}

static inline void shadow_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops shadow_ops = {
	.map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = shadow_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
	.cache_sync = shadow_sync,
};

/* One process's part: its attachment, and the mapping that it may have left open. */
struct side {
	struct dma_buf *dmabuf;
	struct dma_buf_device *dev;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	enum dma_data_direction direction;
};

static inline void side_open(struct side *s, struct dma_buf *dmabuf)
{
	struct dma_buf_device_parameters limits = { .size = sizeof(limits), .noncoherent = true };

	memset(s, 0, sizeof(*s));
	s->dmabuf = dmabuf;
	cpu = dma_buf_vmap(dmabuf);
	ASSERT(cpu);
	s->dev = device_make("noncoherent", &limits);
	s->attach = dma_buf_attach(dmabuf, s->dev);
	ASSERT(s->attach);
}

static inline void side_close(struct side *s)
{
	dma_buf_detach(s->dmabuf, s->attach);
	dma_buf_device_put(s->dev);
	dma_buf_put(s->dmabuf);
}

static inline struct dma_buf *world_make(void)
{
	static const struct dma_buf_exporter class = { .size = sizeof(class),
						       .name = "shadow",
						       .ops = &shadow_ops };
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	pthread_mutexattr_t attr;
	struct dma_buf *dmabuf;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	ASSERT(world != MAP_FAILED);
	world->seed = 0x6c62272e07bb0142u;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&world->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	ASSERT_OK(dma_buf_register_exporter(&class)); /* for the other process */
	info.exp_name = "shadow";
	info.ops = &shadow_ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = world;
	dmabuf = dma_buf_export(&info);
	ASSERT(dmabuf);
	return dmabuf;
}

static inline void touch(uint8_t *bytes, size_t at, bool reads, bool writes)
{
	if (reads)
		ASSERT_EQ(bytes[at], world->truth[at]);
	if (writes)
		bytes[at] = world->truth[at] = (uint8_t)random_below(256);
}

static inline void cpu_touches(size_t start, size_t len, enum dma_data_direction direction)
{
	pthread_mutex_lock(&world->lock);
	for (unsigned int i = 0; i < 12; i++)
		touch(cpu, start + random_below((uint32_t)len), true, direction != DMA_FROM_DEVICE);
	pthread_mutex_unlock(&world->lock);
}

static inline void device_touches(uint8_t *bytes, enum dma_data_direction direction)
{
	pthread_mutex_lock(&world->lock);
	for (unsigned int i = 0; i < 12; i++)
		touch(bytes, random_below(SIZE), direction != DMA_FROM_DEVICE,
		      direction != DMA_TO_DEVICE);
	pthread_mutex_unlock(&world->lock);
}

#endif
