// SPDX-License-Identifier: MIT
#include "lifecycle.h"

#include <errno.h>
#include <fcntl.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/share.h>

#include "bench.h"

#define TIMEOUT_MS 10000

static void use(struct dma_buf *dmabuf, bool touch, enum dma_data_direction direction)
{
	void *memory = dma_buf_vmap(dmabuf);

	bench_check(memory != NULL, "dma_buf_vmap");
	bench_check_err(dma_buf_begin_cpu_access(dmabuf, 0, dmabuf->size, direction),
			"dma_buf_begin_cpu_access");
	if (touch && direction == DMA_TO_DEVICE)
		bench_write_pages(memory, dmabuf->size);
	else if (touch)
		bench_read_pages(memory, dmabuf->size);
	bench_check_err(dma_buf_end_cpu_access(dmabuf, 0, dmabuf->size, direction),
			"dma_buf_end_cpu_access");
	dma_buf_vunmap(dmabuf, memory);
}

static void owner(int buffers, int control, const struct lifecycle *l)
{
	struct dma_buf *dmabuf = dma_buf_alloc("bench", l->size, O_RDWR);
	char done;

	bench_check(dmabuf != NULL, "dma_buf_alloc");
	use(dmabuf, l->touch, DMA_TO_DEVICE);
	bench_check_err(dma_buf_send(buffers, dmabuf, TIMEOUT_MS), "dma_buf_send");
	bench_read(control, &done, 1);
	dma_buf_put(dmabuf);
}

static void peer(int buffers, int control, const struct lifecycle *l)
{
	struct dma_buf *dmabuf = dma_buf_recv(buffers, TIMEOUT_MS);
	char done = 0;

	bench_check(dmabuf != NULL, "dma_buf_recv");
	use(dmabuf, l->touch, DMA_FROM_DEVICE);
	dma_buf_put(dmabuf);
	bench_write(control, &done, 1);
}

const struct lifecycle_kind lifecycle_dmabuf = { .owner = owner, .peer = peer };
