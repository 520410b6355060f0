// SPDX-License-Identifier: MIT
/*
 * Raw access for importers that map for themselves (mission row C2).
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "page-frames.h"
#include "sg-table.h"
#include "storage-pin.h"

static struct dma_buf_sg_table *get_scatterlist(struct dma_buf *dmabuf)
{
	static const struct dma_buf_device_parameters no_limits;
	struct buffer *b = to_buffer(dmabuf);
	struct dma_buf_sg_table *table;

	if (b->storage.ops->keep(&b->storage) < 0)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a scatter table");
	if (sg_table_build(table, b->storage.kept, dmabuf->size, &no_limits) < 0) {
		free(table);
		return NULL;
	}
	table->nents = 0;
	table->sgl[0].dma_address = 0;
	table->sgl[0].dma_length = 0;
	return table;
}

/* What was got is an access until it is put. False with errno and words. */
static bool begin(struct dma_buf *dmabuf)
{
	int err = buffer_check(dmabuf);

	if (!err)
		err = storage_access_begin(to_buffer(dmabuf), STORAGE_WAIT);
	if (err)
		errno = -err;
	return !err;
}

static void end_failed(struct dma_buf *dmabuf)
{
	int err = errno;

	storage_access_end(to_buffer(dmabuf));
	errno = err;
}

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_get_scatterlist(struct dma_buf *dmabuf)
{
	struct dma_buf_sg_table *table;

	if (!begin(dmabuf))
		return NULL;
	table = get_scatterlist(dmabuf);
	if (!table)
		end_failed(dmabuf);
	return table;
}

DMABUF_PUBLIC void dma_buf_put_scatterlist(struct dma_buf *dmabuf, struct dma_buf_sg_table *table)
{
	if (!table)
		return;
	dma_buf_sg_free_table(table);
	free(table);
	if (buffer_check(dmabuf) == 0)
		storage_access_end(to_buffer(dmabuf));
}

/* Lock before asking: a page that is not there yet has no frame. */
static int find_pfns(struct buffer *b, struct dma_buf_pfns *pfns)
{
	int fd = page_frames_open(), err;

	if (fd < 0)
		return fd;
	err = pages_lock(b);
	if (!err) {
		err = page_frames_read(fd, b->storage.kept, pfns->pfns, pfns->count);
		if (err)
			pages_unlock(b);
	}
	close(fd);
	return err;
}

static struct dma_buf_pfns *get_pfns(struct dma_buf *dmabuf)
{
	struct buffer *b = to_buffer(dmabuf);
	struct dma_buf_pfns *pfns;
	size_t count;
	int err;

	if (b->storage.ops->keep(&b->storage) < 0)
		return NULL;
	count = page_round_up(dmabuf->size) / page_size();
	pfns = calloc(1, sizeof(*pfns) + count * sizeof(pfns->pfns[0]));
	if (!pfns)
		return dmabuf_fail_ptr(ENOMEM, "no memory for %zu page frames", count);
	pfns->count = count;
	pfns->pfns = (uint64_t *)(pfns + 1);
	pthread_mutex_lock(&b->access_lock);
	err = find_pfns(b, pfns);
	pthread_mutex_unlock(&b->access_lock);
	if (err) {
		free(pfns);
		errno = -err;
		return NULL;
	}
	return pfns;
}

DMABUF_PUBLIC struct dma_buf_pfns *dma_buf_get_pfns(struct dma_buf *dmabuf)
{
	struct dma_buf_pfns *pfns;

	if (!begin(dmabuf))
		return NULL;
	pfns = get_pfns(dmabuf);
	if (!pfns)
		end_failed(dmabuf);
	return pfns;
}

DMABUF_PUBLIC void dma_buf_put_pfns(struct dma_buf *dmabuf, struct dma_buf_pfns *pfns)
{
	struct buffer *b = to_buffer(dmabuf);

	if (!pfns)
		return;
	if (buffer_check(dmabuf) == 0) {
		pthread_mutex_lock(&b->access_lock);
		pages_unlock(b);
		pthread_mutex_unlock(&b->access_lock);
		storage_access_end(b);
	}
	free(pfns);
}
