// SPDX-License-Identifier: MIT
#include "holding.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/share.h>

#include "bench.h"
#include "memfd.h"

#define TIMEOUT_MS 10000

/* For either way; filled with zeroes, so that its own pages are there before anybody looks. */
struct held {
	struct dma_buf *dmabuf;
	void *memory;
	int fd;
};

static struct held *held;

int holding_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static double blocks(int fd)
{
	struct stat st;

	bench_check(fstat(fd, &st) == 0, "fstat");
	return 512.0 * (double)st.st_blocks;
}

static void prepare(int count)
{
	held = malloc((size_t)count * sizeof(*held));
	bench_check(held != NULL, "allocation");
	memset(held, 0, (size_t)count * sizeof(*held));
}

static void prepare_dmabuf(int count)
{
	prepare(count);
	/* What the library needs once in a process is not any buffer's cost. */
	dma_buf_put(dma_buf_alloc("bench", 1, O_RDWR));
}

static void memfd_hold_make(int i, size_t size, int socket)
{
	held[i].fd = memfd_make(size);
	held[i].memory = memfd_map(held[i].fd, size);
	bench_write_pages(held[i].memory, size);
	memfd_send(socket, held[i].fd);
}

static void memfd_hold_take(int i, int socket)
{
	size_t size;

	held[i].fd = memfd_recv(socket);
	size = memfd_check(held[i].fd);
	held[i].memory = memfd_map(held[i].fd, size);
	bench_read_pages(held[i].memory, size);
}

static double memfd_resident(int i)
{
	return blocks(held[i].fd);
}

static void access_pages(struct held *h, enum dma_data_direction direction)
{
	size_t size = h->dmabuf->size;

	h->memory = dma_buf_vmap(h->dmabuf);
	bench_check(h->memory != NULL, "dma_buf_vmap");
	bench_check_err(dma_buf_begin_cpu_access(h->dmabuf, 0, size, direction), "begin");
	if (direction == DMA_TO_DEVICE)
		bench_write_pages(h->memory, size);
	else
		bench_read_pages(h->memory, size);
	bench_check_err(dma_buf_end_cpu_access(h->dmabuf, 0, size, direction), "end");
}

static void dmabuf_hold_make(int i, size_t size, int socket)
{
	held[i].dmabuf = dma_buf_alloc("bench", size, O_RDWR);
	bench_check(held[i].dmabuf != NULL, "dma_buf_alloc");
	access_pages(&held[i], DMA_TO_DEVICE);
	bench_check_err(dma_buf_send(socket, held[i].dmabuf, TIMEOUT_MS), "dma_buf_send");
}

static void dmabuf_hold_take(int i, int socket)
{
	held[i].dmabuf = dma_buf_recv(socket, TIMEOUT_MS);
	bench_check(held[i].dmabuf != NULL, "dma_buf_recv");
	access_pages(&held[i], DMA_FROM_DEVICE);
}

static double dmabuf_resident(int i)
{
	int fd = dma_buf_fd(held[i].dmabuf, O_CLOEXEC);
	double bytes;

	bench_check_err(fd, "dma_buf_fd");
	bytes = blocks(fd);
	close(fd);
	return bytes;
}

const struct holding_kind holding_memfd = {
	.name = "memfd",
	.prepare = prepare,
	.make = memfd_hold_make,
	.take = memfd_hold_take,
	.resident = memfd_resident,
};

const struct holding_kind holding_dmabuf = {
	.name = "dmabuf",
	.prepare = prepare_dmabuf,
	.make = dmabuf_hold_make,
	.take = dmabuf_hold_take,
	.resident = dmabuf_resident,
};
