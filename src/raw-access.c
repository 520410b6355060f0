// SPDX-License-Identifier: MIT
/*
 * Raw access for importers that map for themselves (mission row C2).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "sg-table.h"

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_PFN ((1ull << 55) - 1)

DMABUF_PUBLIC struct dma_buf_sg_table *dma_buf_get_scatterlist(struct dma_buf *dmabuf)
{
	static const struct dma_buf_device_parameters no_limits;
	struct buffer *b = to_buffer(dmabuf);
	struct dma_buf_sg_table *table;

	if (buffer_check(dmabuf) < 0 || b->storage.ops->keep(&b->storage) < 0)
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

DMABUF_PUBLIC void dma_buf_put_scatterlist(struct dma_buf *dmabuf, struct dma_buf_sg_table *table)
{
	if (!table)
		return;
	dma_buf_sg_free_table(table);
	free(table);
}

/* Reads of pagemap may be short. */
static int read_pagemap(int fd, const void *addr, uint64_t *entries, size_t count)
{
	off_t at = (off_t)((uintptr_t)addr / page_size() * sizeof(*entries));
	size_t want = count * sizeof(*entries), done = 0;
	ssize_t got;

	while (done < want) {
		got = pread(fd, (char *)entries + done, want - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return dmabuf_fail(got < 0 ? errno : EIO, "reading pagemap failed");
		done += (size_t)got;
	}
	return 0;
}

static int take_pfns(struct dma_buf_pfns *pfns)
{
	size_t i;

	for (i = 0; i < pfns->count; i++) {
		if (!(pfns->pfns[i] & PAGEMAP_PRESENT))
			return dmabuf_fail(EAGAIN, "page %zu would not stay in memory", i);
		pfns->pfns[i] &= PAGEMAP_PFN;
		/* The kernel shows 0 to those who may not know. */
		if (!pfns->pfns[i])
			return dmabuf_fail(EPERM, "page frame numbers need CAP_SYS_ADMIN");
	}
	return 0;
}

/* Lock before asking: a page that is not there yet has no frame. */
static int find_pfns(struct buffer *b, struct dma_buf_pfns *pfns)
{
	size_t length = pfns->count * page_size();
	int fd, err;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dmabuf_fail(errno == EACCES ? EPERM : errno,
				   "page frame numbers cannot be read: %s", strerror(errno));
	if (mlock(b->storage.kept, length) < 0)
		err = dmabuf_fail(errno == EPERM ? EPERM : ENOMEM,
				  "locking %zu bytes failed: %s (RLIMIT_MEMLOCK?)", length,
				  strerror(errno));
	else
		err = read_pagemap(fd, b->storage.kept, pfns->pfns, pfns->count);
	close(fd);
	return err ? err : take_pfns(pfns);
}

DMABUF_PUBLIC struct dma_buf_pfns *dma_buf_get_pfns(struct dma_buf *dmabuf)
{
	struct buffer *b = to_buffer(dmabuf);
	struct dma_buf_pfns *pfns;
	size_t count;
	int err;

	if (buffer_check(dmabuf) < 0 || b->storage.ops->keep(&b->storage) < 0)
		return NULL;
	count = page_round_up(dmabuf->size) / page_size();
	pfns = calloc(1, sizeof(*pfns) + count * sizeof(pfns->pfns[0]));
	if (!pfns)
		return dmabuf_fail_ptr(ENOMEM, "no memory for %zu page frames", count);
	pfns->count = count;
	pfns->pfns = (uint64_t *)(pfns + 1);
	pthread_mutex_lock(&b->access_lock);
	err = find_pfns(b, pfns);
	if (!err)
		b->pfn_users++;
	else if (!b->pfn_users)
		munlock(b->storage.kept, count * page_size());
	pthread_mutex_unlock(&b->access_lock);
	if (err) {
		free(pfns);
		errno = -err;
		return NULL;
	}
	return pfns;
}

DMABUF_PUBLIC void dma_buf_put_pfns(struct dma_buf *dmabuf, struct dma_buf_pfns *pfns)
{
	struct buffer *b = to_buffer(dmabuf);

	if (!pfns)
		return;
	if (buffer_check(dmabuf) == 0) {
		pthread_mutex_lock(&b->access_lock);
		if (b->pfn_users && --b->pfn_users == 0)
			munlock(b->storage.kept, pfns->count * page_size());
		pthread_mutex_unlock(&b->access_lock);
	}
	free(pfns);
}
