// SPDX-License-Identifier: MIT
/*
 * A deferred buffer's life (attach, first map, every page written, moved to another heap, looked
 * at, given back) against bare memfds and memory operations that do the same work; and what an
 * access costs where storage can move.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/heap.h>
#include <dmabuf/storage.h>

#include "bench.h"

/* Where to: memory like any other, but of a heap of its own. */
#define ELSEWHERE "elsewhere"

static int describe(struct dma_buf_heap_info *info, void *priv)
{
	info->chunk = info->alignment = info->granule = 4096;
	info->cost = 100;
	info->page_backed = info->cpu_mappable = info->zeroed = info->available = true;
	return 0;
}

static int take(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	bench_check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd");
	return fd;
}

static int alloc(uint64_t size, void *priv)
{
	return take("elsewhere", size);
}

static void *map_memfd(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	bench_check(memory != MAP_FAILED, "mmap");
	return memory;
}

static void memfd_life(const struct bench_case *c, unsigned long repeat,
		       struct bench_sample *sample)
{
	void *from, *to;
	int fd, next;

	bench_begin(sample);
	while (repeat--) {
		fd = take("bench", c->size);
		from = map_memfd(fd, c->size);
		bench_write_pages(from, c->size);
		next = take("bench", c->size);
		to = map_memfd(next, c->size);
		memcpy(to, from, c->size);
		munmap(from, c->size);
		close(fd);
		bench_read_pages(to, c->size);
		munmap(to, c->size);
		close(next);
	}
	bench_end(sample);
}

static void release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops ops = {
	.cache_sgt_mapping = true,
	.map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
};

static struct dma_buf_device *device;
/* One that lives: the library's thread and socket are there, as in a program that uses them. */
static struct dma_buf *deferred, *compact;

static struct dma_buf *export(size_t size, unsigned int storage)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.exp_name = "bench";
	info.ops = &ops;
	info.size = size;
	info.flags = O_RDWR;
	info.priv = &info;
	info.storage = storage;
	dmabuf = dma_buf_export(&info);
	bench_check(dmabuf != NULL, "dma_buf_export");
	return dmabuf;
}

static void touch(struct dma_buf *dmabuf, enum dma_data_direction direction)
{
	void *memory;

	bench_check_err(dma_buf_begin_cpu_access(dmabuf, 0, dmabuf->size, direction), "begin");
	memory = dma_buf_vmap(dmabuf);
	bench_check(memory != NULL, "dma_buf_vmap");
	if (direction == DMA_TO_DEVICE)
		bench_write_pages(memory, dmabuf->size);
	else
		bench_read_pages(memory, dmabuf->size);
	dma_buf_vunmap(dmabuf, memory);
	bench_check_err(dma_buf_end_cpu_access(dmabuf, 0, dmabuf->size, direction), "end");
}

static void map_once(struct dma_buf_attachment *attach)
{
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);

	bench_check(table != NULL, "dma_buf_map_attachment");
	bench_check_err(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL), "unmap");
}

static void dmabuf_life(const struct bench_case *c, unsigned long repeat,
			struct bench_sample *sample)
{
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;

	bench_begin(sample);
	while (repeat--) {
		dmabuf = export(c->size, DMA_BUF_STORAGE_DEFERRED);
		attach = dma_buf_attach(dmabuf, device);
		bench_check(attach != NULL, "dma_buf_attach");
		map_once(attach);
		touch(dmabuf, DMA_TO_DEVICE);
		bench_check_err(dma_buf_migrate(dmabuf, ELSEWHERE, 0), "dma_buf_migrate");
		map_once(attach);
		touch(dmabuf, DMA_FROM_DEVICE);
		dma_buf_detach(dmabuf, attach);
		dma_buf_put(dmabuf);
	}
	bench_end(sample);
}

static void bracket(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	struct dma_buf *dmabuf = *(struct dma_buf *const *)c->context;

	bench_begin(sample);
	while (repeat--) {
		bench_check_err(dma_buf_begin_cpu_access(dmabuf, 0, 64, DMA_FROM_DEVICE), "begin");
		bench_check_err(dma_buf_end_cpu_access(dmabuf, 0, 64, DMA_FROM_DEVICE), "end");
	}
	bench_end(sample);
}

static void start(void)
{
	const struct dma_buf_heap_ops heap = {
		.size = sizeof(heap), .name = ELSEWHERE, .describe = describe, .alloc = alloc
	};
	const struct dma_buf_device_info info = { .size = sizeof(info), .name = "bench" };

	bench_check_err(dma_buf_register_heap(&heap), "dma_buf_register_heap");
	device = dma_buf_device_create(&info);
	bench_check(device != NULL, "dma_buf_device_create");
	deferred = export(4096, DMA_BUF_STORAGE_DEFERRED);
	compact = export(4096, 0);
	touch(deferred, DMA_TO_DEVICE);
	touch(compact, DMA_TO_DEVICE);
}

static void stop(void)
{
	dma_buf_put(deferred);
	dma_buf_put(compact);
	dma_buf_device_put(device);
	dma_buf_unregister_heap(ELSEWHERE);
}

/* clang-format off */
#define PAIR(id, text, bytes, times) \
	{ "memfd-" id, "two memfds, " text, NULL, bytes, times, 0, 0, memfd_life, NULL }, \
	{ "deferred-" id, "deferred, " text, "memfd-" id, bytes, times, 0, 0, dmabuf_life, NULL }

static const struct bench_case cases[] = {
	PAIR("64k", "64 KiB", 65536, 16),
	PAIR("1m", "1 MiB", 1048576, 6),
	PAIR("8m", "8 MiB", 8388608, 2),
	{ "bracket-compact", "CPU access, ordinary", NULL, 0, 20000, 0, 0, bracket, &compact },
	{ "bracket-deferred", "CPU access, storage can move", "bracket-compact", 0, 20000, 0, 0, bracket,
	  &deferred },
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "migrate",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = BENCH_ROUNDS,
		.start = start,
		.stop = stop,
	};

	return bench_main(argc, argv, &subject);
}
