/* SPDX-License-Identifier: MIT */
/**
 * DOC: the kernel's spellings
 *
 * Opt-in: with this header driver code that speaks of struct device, struct sg_table and GFP_KERNEL
 * compiles against the library. Include it after everything else: `device`, `sg_table` and
 * `scatterlist` are macros from here on, because C has no aliases for struct tags. One consequence:
 * struct dma_buf_attachment_info's member of the name `device` cannot be named below this line.
 *
 * What is different from the kernel even so:
 *
 * - Errors travel as NULL and errno, not in the pointer. ERR_PTR(), IS_ERR() and PTR_ERR() are made
 *   to match: IS_ERR(NULL) is true, and PTR_ERR() is -errno, so call it right after the failure.
 * - GFP flags are accepted and mean nothing.
 * - sg_virt() is the entry's address; entries are an array, there is no chaining.
 */
#ifndef DMABUF_KERNEL_H
#define DMABUF_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <dmabuf.h>
#include <dmabuf/kernel-sync.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t dma_addr_t;
typedef unsigned int gfp_t;

#ifndef GFP_KERNEL
#define GFP_KERNEL 0u
#define GFP_ATOMIC 0u
#define GFP_NOWAIT 0u
#define GFP_USER 0u
#define __GFP_ZERO 0u
#define __GFP_NOWARN 0u
#endif

#ifndef PAGE_SIZE
#define PAGE_SIZE ((unsigned long)sysconf(_SC_PAGESIZE))
#endif
#ifndef PAGE_ALIGN
#define PAGE_ALIGN(bytes) (((bytes) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))
#endif

static inline void *ERR_PTR(long error)
{
	errno = (int)-error;
	return NULL;
}

static inline long PTR_ERR(const void *pointer)
{
	return pointer ? 0 : -errno;
}

static inline bool IS_ERR(const void *pointer)
{
	return !pointer;
}

static inline bool IS_ERR_OR_NULL(const void *pointer)
{
	return !pointer;
}

static inline int PTR_ERR_OR_ZERO(const void *pointer)
{
	return (int)PTR_ERR(pointer);
}

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	(void)gfp;
	return malloc(size);
}

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	(void)gfp;
	return calloc(1, size);
}

static inline void *kcalloc(size_t count, size_t size, gfp_t gfp)
{
	(void)gfp;
	return calloc(count, size);
}

static inline void kfree(const void *memory)
{
	free((void *)(uintptr_t)memory);
}

static inline struct dma_buf_device *get_device(struct dma_buf_device *dev)
{
	return dma_buf_device_get(dev);
}

static inline void put_device(struct dma_buf_device *dev)
{
	dma_buf_device_put(dev);
}

static inline const char *dev_name(const struct dma_buf_device *dev)
{
	return dma_buf_device_name(dev);
}

static inline void *dev_get_drvdata(const struct dma_buf_device *dev)
{
	return dma_buf_device_priv(dev);
}

/* As in the kernel, the answer is a number even where there is no limit. */
static inline unsigned int dma_get_max_seg_size(const struct dma_buf_device *dev)
{
	const struct dma_buf_device_parameters *p = dma_buf_device_get_parameters(dev);

	if (!p || !p->max_segment_size || p->max_segment_size > UINT32_MAX)
		return UINT32_MAX;
	return (unsigned int)p->max_segment_size;
}

static inline unsigned long dma_get_seg_boundary(const struct dma_buf_device *dev)
{
	const struct dma_buf_device_parameters *p = dma_buf_device_get_parameters(dev);

	return p && p->segment_boundary_mask ? (unsigned long)p->segment_boundary_mask : ~0ul;
}

static inline uint64_t dma_get_mask(const struct dma_buf_device *dev)
{
	const struct dma_buf_device_parameters *p = dma_buf_device_get_parameters(dev);

	return p && p->dma_mask ? p->dma_mask : UINT64_MAX;
}

static inline int sg_alloc_table(struct dma_buf_sg_table *table, unsigned int nents, gfp_t gfp)
{
	(void)gfp;
	return dma_buf_sg_alloc_table(table, nents);
}

static inline void sg_free_table(struct dma_buf_sg_table *table)
{
	dma_buf_sg_free_table(table);
}

static inline void sg_set_buf(struct dma_buf_scatterlist *sg, const void *memory,
			      unsigned int length)
{
	sg->vaddr = (void *)(uintptr_t)memory;
	sg->length = length;
}

#define sg_virt(sg) ((sg)->vaddr)
#define sg_dma_address(sg) ((sg)->dma_address)
#define sg_dma_len(sg) ((sg)->dma_length)

#define for_each_sg(sgl, sg, count, i) for ((i) = 0, (sg) = (sgl); (i) < (count); (i)++, (sg)++)
#define for_each_sgtable_sg(table, sg, i) dma_buf_for_each_sg(table, sg, i)
#define for_each_sgtable_dma_sg(table, sg, i) dma_buf_for_each_dma_sg(table, sg, i)

#ifdef __cplusplus
}
#endif

#define device dma_buf_device
#define device_dma_parameters dma_buf_device_parameters
#define scatterlist dma_buf_scatterlist
#define sg_table dma_buf_sg_table

#endif
