// SPDX-License-Identifier: MIT
/* Memory from one heap, or from the first of a plan's that has some. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf/constraints.h>

#include "error.h"
#include "export.h"
#include "heaps/heaps.h"
#include "memfd.h"
#include "text.h"

/* Whatever used the memory before must not be seen by who uses it now. */
static int zero(const struct dma_buf_heap_info *info, int fd, uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return dmabuf_fail(errno, "heap %s: its memory cannot be mapped to zero it: %s",
				   info->name, strerror(errno));
	memset(memory, 0, size);
	munmap(memory, size);
	return 0;
}

/* A heap may give more than was asked for, which somebody may map as well. */
static int accept_registered(const struct dma_buf_heap_info *info, int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return dmabuf_fail(EBADF, "heap %s gave no descriptor", info->name);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < size)
		return dmabuf_fail(EIO, "heap %s gave %jd bytes instead of %" PRIu64, info->name,
				   (intmax_t)st.st_size, size);
	if (info->zeroed)
		return 0;
	return zero(info, fd, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : size);
}

static int alloc_registered(const struct dma_buf_heap_ops *ops,
			    const struct dma_buf_heap_info *info, uint64_t size)
{
	int fd = ops->alloc(size, ops->priv), err;

	if (fd < 0)
		return dmabuf_fail(-fd, "heap %s: %s", info->name, strerror(-fd));
	err = accept_registered(info, fd, size);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int alloc(const struct dma_buf_heap_info *info, const struct dma_buf_heap_ops *ops,
		 const struct heap_class *class, const char *name, uint64_t size)
{
	uint64_t granule = info->granule ? info->granule : 1;

	size = (size + granule - 1) / granule * granule;
	if (!info->available)
		return dmabuf_fail(ENODEV, "heap %s is not available: %s", info->name, info->where);
	if (info->max_size && size > info->max_size)
		return dmabuf_fail(ENOMEM,
				   "heap %s: %" PRIu64 " bytes are more than its largest, %" PRIu64,
				   info->name, size, info->max_size);
	if (ops->alloc)
		return alloc_registered(ops, info, size);
	if (class && class->alloc_from)
		return class->alloc_from(info->name, name, size);
	if (!class || !class->alloc)
		return dmabuf_fail(EOPNOTSUPP, "the library cannot allocate from heap %s",
				   info->name);
	return class->alloc(name, size);
}

static int take(const char *heap, const char *name, uint64_t size, struct dma_buf_heap_info *info)
{
	const struct heap_class *class = NULL;
	struct dma_buf_heap_ops ops;
	int err = text_check(heap, DMA_BUF_HEAP_NAME_LEN, false, "heap name");

	if (!err)
		err = text_check(name, DMA_BUF_HEAP_NAME_LEN, false, "memory's name");
	if (err)
		return err;
	if (!size || size > HEAP_MAX_SIZE)
		return dmabuf_fail(EINVAL, "heap alloc: size %" PRIu64 " must be 1 to 2^40", size);
	err = heaps_find(heap, info, &ops, &class);
	return err ? err : alloc(info, &ops, class, name, size);
}

DMABUF_PUBLIC int dma_buf_heap_alloc(const char *heap, const char *name, uint64_t size)
{
	struct dma_buf_heap_info info;

	return take(heap, name, size, &info);
}

static void note(struct heap_attempts *attempts, const char *heap, int err)
{
	struct heap_attempt *a = &attempts->list[attempts->count++];

	memset(a, 0, sizeof(*a));
	text_copy(a->heap, sizeof(a->heap), heap);
	a->error = -err;
	text_copy(a->why, sizeof(a->why), dmabuf_last_error());
}

static int fail_all(const struct heap_attempts *attempts)
{
	char words[320] = "";
	size_t used = 0;

	for (uint32_t n = 0; n < attempts->count && used < sizeof(words); n++)
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s: %s",
					 n ? "; " : "", attempts->list[n].heap,
					 strerror(attempts->list[n].error));
	return dmabuf_fail(attempts->list[attempts->count - 1].error,
			   "no heap of the plan has memory: %s", words);
}

int heaps_alloc_first(const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int count,
		      const char *name, uint64_t size, int (*accept)(int fd, uint64_t size),
		      struct dma_buf_heap_info *info, struct heap_attempts *attempts)
{
	int fd, err;

	attempts->count = 0;
	for (unsigned int n = 0; n < count; n++) {
		fd = take(heaps[n], name, size, info);
		err = fd < 0 ? fd : accept(fd, size);
		if (!err)
			return fd;
		if (fd >= 0)
			close(fd);
		note(attempts, heaps[n], err);
	}
	return count ? fail_all(attempts) : dmabuf_fail(EINVAL, "memory from no heap");
}

static int take_options(const struct dma_buf_negotiation *answer, const char *name,
			const struct dma_buf_allocation *allocation)
{
	if (!answer || answer->struct_size != sizeof(*answer) || !answer->alternative_count ||
	    answer->alternative_count > DMA_BUF_MAX_HEAPS)
		return dmabuf_fail(EINVAL, "allocation: there is no plan to allocate by");
	if (allocation && allocation->size != sizeof(*allocation))
		return dmabuf_fail(EINVAL, "allocation: size must be %zu", sizeof(*allocation));
	return text_check(name, DMA_BUF_HEAP_NAME_LEN, false, "memory's name");
}

DMABUF_PUBLIC int dma_buf_negotiation_alloc(const struct dma_buf_negotiation *answer,
					    const char *name, struct dma_buf_allocation *allocation)
{
	struct dma_buf_allocation made = { .size = sizeof(made) };
	struct heap_attempts attempts = { .count = 0 };
	char heap[DMA_BUF_HEAP_NAME_LEN];
	int fd = take_options(answer, name, allocation);

	if (fd < 0)
		return fd;
	for (uint32_t n = 0; n < answer->alternative_count; n++) {
		const struct dma_buf_alternative *a = &answer->alternatives[n];

		if (a->heap >= DMA_BUF_MAX_HEAPS)
			return dmabuf_fail(EINVAL, "allocation: the plan is no plan");
		text_copy(heap, sizeof(heap), answer->heap_names[a->heap]);
		fd = dma_buf_heap_alloc(heap, name, a->size);
		if (fd >= 0) {
			made.alternative = n;
			if (allocation)
				*allocation = made;
			return fd;
		}
		made.errors[made.attempts++] = -fd;
		note(&attempts, heap, fd);
	}
	return fail_all(&attempts);
}
