// SPDX-License-Identifier: MIT
/* dmabuf_sync objects: one for each buffer, and one for each pair of buffers. */
#include <fcntl.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/dmabuf-sync.h>

#include "bench.h"
#include "lock-kind.h"

#define SIZE 4096

static unsigned int count;
static struct dma_buf *buffers[LOCK_KIND_MOST];
static int fds[LOCK_KIND_MOST];
/* [i][i]: of buffer i alone */
static struct dmabuf_sync *syncs[LOCK_KIND_MOST][LOCK_KIND_MOST];

static void make(unsigned int n)
{
	unsigned int i;

	count = n;
	for (i = 0; i < n; i++) {
		buffers[i] = dma_buf_alloc("bench", SIZE, O_RDWR);
		bench_check(buffers[i] != NULL, "dma_buf_alloc");
		fds[i] = dma_buf_fd(buffers[i], O_CLOEXEC);
		bench_check_err(fds[i], "dma_buf_fd");
	}
}

static void drop(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		close(fds[i]);
		dma_buf_put(buffers[i]);
	}
}

static void join(unsigned int self)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		buffers[i] = dma_buf_get(fds[i]);
		bench_check(buffers[i] != NULL, "dma_buf_get");
	}
}

static void leave(void)
{
	unsigned int i, j;

	for (i = 0; i < count; i++)
		for (j = i; j < count; j++)
			dmabuf_sync_fini(syncs[i][j]);
	for (i = 0; i < count; i++)
		dma_buf_put(buffers[i]);
}

/* Made when first used, as a program makes them that does not use all. */
static struct dmabuf_sync *sync_of(unsigned int i, unsigned int j)
{
	struct dmabuf_sync *sync = syncs[i][j];

	if (sync)
		return sync;
	sync = dmabuf_sync_init(NULL, "bench");
	bench_check(sync != NULL, "dmabuf_sync_init");
	bench_check_err(dmabuf_sync_get(sync, buffers[i], DMA_BUF_ACCESS_W), "dmabuf_sync_get");
	if (i != j)
		bench_check_err(dmabuf_sync_get(sync, buffers[j], DMA_BUF_ACCESS_W),
				"dmabuf_sync_get");
	syncs[i][j] = sync;
	return sync;
}

static void take_two(unsigned int i, unsigned int j)
{
	int err = dmabuf_sync_lock(i < j ? sync_of(i, j) : sync_of(j, i));

	bench_check_err(err == -EOWNERDEAD ? 0 : err, "dmabuf_sync_lock");
}

static void give_two(unsigned int i, unsigned int j)
{
	bench_check_err(dmabuf_sync_unlock(i < j ? syncs[i][j] : syncs[j][i]),
			"dmabuf_sync_unlock");
}

static void take(unsigned int i)
{
	take_two(i, i);
}

static void give(unsigned int i)
{
	give_two(i, i);
}

const struct lock_kind lock_kind_dmabuf = {
	make, drop, join, leave, take, give, take_two, give_two
};
