/* SPDX-License-Identifier: MIT */
/* Deferred buffers for tests, and heaps that make this machine one with memory of several kinds. */
#ifndef DMABUF_TEST_DEFERRED_H
#define DMABUF_TEST_DEFERRED_H

#include <dmabuf.h>

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

#define CHUNK ((uint64_t)2 << 20)

/* What happened, in all processes of a test, and what shall. */
struct chunky {
	atomic_int allocated;
	atomic_int empty;      /* it has no memory */
	atomic_int kill_asker; /* a process that dies while memory is made for it, */
	atomic_int kill_with;  /* or gets this signal instead */
};

__attribute__((unused)) static struct chunky *chunky;

static int chunky_describe(struct dma_buf_heap_info *info, void *priv)
{
	info->chunk = CHUNK;
	info->alignment = CHUNK;
	info->granule = CHUNK;
	info->cost = *(const uint32_t *)priv;
	info->page_backed = true;
	info->cpu_mappable = true;
	info->zeroed = true;
	info->available = true;
	return 0;
}

static int chunky_alloc(uint64_t size, void *priv)
{
	pid_t victim = atomic_exchange(&chunky->kill_asker, 0);
	int with = atomic_load(&chunky->kill_with), fd;

	if (victim)
		kill(victim, with ? with : SIGKILL);
	if (atomic_load(&chunky->empty))
		return -ENOMEM;
	fd = memfd_create("chunky", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	atomic_fetch_add(&chunky->allocated, 1);
	return fd;
}

/*
 * Memory in pieces of 2 MiB: "chunky", and "chunky2", which costs more. Before anybody is forked,
 * so that all know them.
 */
__attribute__((unused)) static void chunky_register(void)
{
	static uint32_t costs[2] = { 20, 22 };
	static const char *const names[2] = { "chunky", "chunky2" };

	chunky = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(chunky != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		struct dma_buf_heap_ops ops = { .size = sizeof(ops),
						.name = names[i],
						.describe = chunky_describe,
						.alloc = chunky_alloc,
						.priv = &costs[i] };

		ASSERT_OK(dma_buf_register_heap(&ops));
	}
}

/* Has this machine other memory in such pieces? */
__attribute__((unused)) static bool huge_pages(void)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS);

	for (int i = 0; i < count; i++)
		if (!strcmp(heaps[i].name, "hugetlb"))
			return heaps[i].available;
	return false;
}

static void deferred_release(struct dma_buf *dmabuf)
{
}

__attribute__((unused)) static const struct dma_buf_ops deferred_ops = {
	.cache_sgt_mapping = true,
	.map_dma_buf = dma_buf_memory_map,
	.try_map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = deferred_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
};

__attribute__((unused)) static struct dma_buf *
deferred_export_ops(const struct dma_buf_ops *ops, size_t size, unsigned int storage)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.exp_name = "deferred-test";
	info.ops = ops;
	info.size = size;
	info.flags = O_RDWR;
	info.priv = &info;
	info.storage = storage;
	dmabuf = dma_buf_export(&info);
	if (!dmabuf)
		FAIL("export: %s", dmabuf_last_error());
	return dmabuf;
}

__attribute__((unused)) static struct dma_buf *deferred_export(size_t size)
{
	return deferred_export_ops(&deferred_ops, size, DMA_BUF_STORAGE_DEFERRED);
}

/*
 * One that anything will do for, and one that ordinary pages do not suit: it asks for an alignment
 * that only memory in large pieces promises.
 */
__attribute__((unused)) static struct dma_buf_device *loose_device(void)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p), .max_segment_size = 4 << 20 };

	return device_make("loose", &p);
}

__attribute__((unused)) static struct dma_buf_device *strict_device(void)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p), .address_alignment = CHUNK };

	return device_make("strict", &p);
}

__attribute__((unused)) static struct dma_buf_attachment *attach_ok(struct dma_buf *dmabuf,
								    struct dma_buf_device *dev)
{
	struct dma_buf_attachment *a = dma_buf_attach(dmabuf, dev);

	if (!a)
		FAIL("attach %s: %s", dma_buf_device_name(dev), dmabuf_last_error());
	return a;
}

__attribute__((unused)) static struct dma_buf_sg_table *map_ok(struct dma_buf_attachment *a)
{
	struct dma_buf_sg_table *table = dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);

	if (!table)
		FAIL("map: %s", dmabuf_last_error());
	return table;
}

__attribute__((unused)) static struct dma_buf_storage_info storage_info(struct dma_buf *dmabuf)
{
	return peer_info(dmabuf).storage;
}

/* A pattern that says where it is. */
__attribute__((unused)) static void write_pattern(struct dma_buf *dmabuf, uint32_t seed)
{
	uint32_t *words;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, dmabuf->size, DMA_TO_DEVICE));
	words = dma_buf_vmap(dmabuf);
	ASSERT(words);
	for (size_t i = 0; i < dmabuf->size / 4; i++)
		words[i] = seed + (uint32_t)i * 2654435761u;
	dma_buf_vunmap(dmabuf, words);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, dmabuf->size, DMA_TO_DEVICE));
}

__attribute__((unused)) static void check_pattern(struct dma_buf *dmabuf, uint32_t seed)
{
	uint32_t *words;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, dmabuf->size, DMA_FROM_DEVICE));
	words = dma_buf_vmap(dmabuf);
	ASSERT(words);
	for (size_t i = 0; i < dmabuf->size / 4; i++)
		if (words[i] != seed + (uint32_t)i * 2654435761u)
			FAIL("word %zu is %u", i, words[i]);
	dma_buf_vunmap(dmabuf, words);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, dmabuf->size, DMA_FROM_DEVICE));
}

#endif
