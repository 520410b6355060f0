// SPDX-License-Identifier: MIT
/* The kernel's own heaps, whose memory is a kernel dma-buf. */
#include "heaps/heaps.h"
#include "heaps/kernel-alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define DMA_HEAPS "/dev/dma_heap"
#define UDMABUF "/dev/udmabuf"

/* May it be opened? Opening has no other effect. */
static bool try_open(const struct heap_places *places, const char *path, int flags,
		     struct dma_buf_heap_info *info)
{
	char full[PATH_MAX];
	int fd, err;

	snprintf(full, sizeof(full), "%s%s", places->root, path);
	fd = open(full, flags | O_CLOEXEC | O_NONBLOCK);
	err = fd < 0 ? errno : 0;
	info->available = fd >= 0;
	if (fd >= 0)
		close(fd);
	snprintf(info->where, sizeof(info->where), "%.64s%s%.28s%s", path, fd < 0 ? ": " : "",
		 fd < 0 ? strerror(err) : "",
		 fd < 0 && err == EACCES ? ": root decides who may" : "");
	errno = err;
	return info->available;
}

/* What a heap is follows from its name, which is all that the kernel says. */
static void describe_one(const struct heap_places *places, const char *name,
			 struct dma_buf_heap_info *info)
{
	bool contiguous = strstr(name, "cma") || strstr(name, "reserved");
	char path[PATH_MAX], full[64];

	snprintf(full, sizeof(full), "dma_heap/%.22s", name);
	heap_fill(info, full, contiguous ? 50 : 30, contiguous ? 0 : HEAP_PAGE,
		  heap_highest_address(places));
	/* Mapped by page frames: the kernel does not let other drivers find the pages there. */
	info->page_backed = false;
	info->coherent = strstr(name, "uncached") != NULL;
	snprintf(path, sizeof(path), DMA_HEAPS "/%s", name);
	try_open(places, path, O_RDONLY, info);
}

static int by_name(const void *a, const void *b)
{
	const struct dma_buf_heap_info *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static unsigned int describe_dma_heaps(const struct heap_places *places,
				       struct dma_buf_heap_info *list, unsigned int max)
{
	const struct dirent *entry;
	unsigned int count = 0;
	char path[PATH_MAX];
	DIR *dir;

	snprintf(path, sizeof(path), "%s" DMA_HEAPS, places->root);
	dir = opendir(path);
	while (dir && count < max && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			describe_one(places, entry->d_name, &list[count++]);
	if (dir)
		closedir(dir);
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	return count;
}

static void describe_udmabuf(const struct heap_places *places, struct dma_buf_heap_info *info)
{
	uint64_t limit = 64;

	heap_fill(info, "udmabuf", 15, HEAP_PAGE, heap_highest_address(places));
	heap_read_number(places, "/sys/module/udmabuf/parameters/size_limit_mb", &limit);
	if (limit < HEAP_MAX_SIZE >> 20)
		info->max_size = limit << 20;
	if (!try_open(places, UDMABUF, O_RDWR, info) && errno == ENOENT)
		snprintf(info->where, sizeof(info->where),
			 "no " UDMABUF ": the kernel needs CONFIG_UDMABUF, or modprobe udmabuf");
}

static unsigned int describe(const struct heap_places *places, struct dma_buf_heap_info *list,
			     unsigned int max)
{
	unsigned int count;

	describe_udmabuf(places, &list[0]);
	count = 1 + describe_dma_heaps(places, list + 1, max - 1);
	if (count > 1 || max < 2)
		return count;
	heap_fill(&list[1], "dma_heap/system", 30, HEAP_PAGE, 0);
	list[1].page_backed = list[1].available = false;
	snprintf(list[1].where, sizeof(list[1].where),
		 "no " DMA_HEAPS
		 ": the kernel needs CONFIG_DMABUF_HEAPS and CONFIG_DMABUF_HEAPS_SYSTEM");
	return 2;
}

const struct heap_class heap_kernel = { .describe = describe,
					.name = "",
					.alloc_from = kernel_heap_alloc };
