// SPDX-License-Identifier: MIT
#include <dmabuf/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "registry.h"
#include "text.h"

#define POOL_MAX 4096

struct dma_buf_pool {
	pthread_mutex_t lock;
	char name[DMA_BUF_NAME_LEN];
	size_t size;
	unsigned int max;
	unsigned int count;
	struct dma_buf *kept[];
};

DMABUF_PUBLIC struct dma_buf_pool *dma_buf_pool_create(const char *name, size_t size,
						       unsigned int max)
{
	struct dma_buf_pool *pool;

	if (text_check(name, DMA_BUF_NAME_LEN, false, "pool name") < 0)
		return NULL;
	if (!size || !max || max > POOL_MAX)
		return dmabuf_fail_ptr(EINVAL,
				       "pool %s: %u buffers of %zu bytes; 1 to %d, not empty", name,
				       max, size, POOL_MAX);
	if (size > DMA_BUF_MAX_SIZE)
		return dmabuf_fail_ptr(EFBIG, "pool %s: buffers of %zu bytes are over the limit",
				       name, size);
	pool = calloc(1, sizeof(*pool) + max * sizeof(pool->kept[0]));
	if (!pool)
		return dmabuf_fail_ptr(ENOMEM, "no memory for pool %s", name);
	pthread_mutex_init(&pool->lock, NULL);
	text_copy(pool->name, sizeof(pool->name), name);
	pool->size = size;
	pool->max = max;
	return pool;
}

DMABUF_PUBLIC void dma_buf_pool_destroy(struct dma_buf_pool *pool)
{
	if (!pool)
		return;
	while (pool->count)
		dma_buf_put(pool->kept[--pool->count]);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

DMABUF_PUBLIC struct dma_buf *dma_buf_pool_get(struct dma_buf_pool *pool)
{
	struct dma_buf *dmabuf = NULL;

	if (!pool)
		return dmabuf_fail_ptr(EINVAL, "no pool (NULL)");
	pthread_mutex_lock(&pool->lock);
	if (pool->count)
		dmabuf = pool->kept[--pool->count];
	pthread_mutex_unlock(&pool->lock);
	return dmabuf ? dmabuf : dma_buf_alloc(pool->name, pool->size, O_RDWR);
}

/* Nobody else can have it, and nothing of its last use is left. */
static bool reusable(struct buffer *b, size_t size)
{
	bool idle = b->base.size == size && !atomic_load(&b->escaped);

	registry_lock();
	idle = idle && b->refs == 1;
	registry_unlock();
	pthread_mutex_lock(&b->access_lock);
	idle = idle && !b->vmap_count && !b->bracket_count && !b->pfn_users;
	pthread_mutex_unlock(&b->access_lock);
	pthread_mutex_lock(&b->list_mutex);
	idle = idle && !b->attachments;
	pthread_mutex_unlock(&b->list_mutex);
	return idle;
}

DMABUF_PUBLIC void dma_buf_pool_put(struct dma_buf_pool *pool, struct dma_buf *dmabuf)
{
	bool kept = false;

	if (!dmabuf)
		return;
	if (pool && buffer_check(dmabuf) == 0 && reusable(to_buffer(dmabuf), pool->size)) {
		pthread_mutex_lock(&pool->lock);
		kept = pool->count < pool->max;
		if (kept)
			pool->kept[pool->count++] = dmabuf;
		pthread_mutex_unlock(&pool->lock);
	}
	if (!kept)
		dma_buf_put(dmabuf);
}
