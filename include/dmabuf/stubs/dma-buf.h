/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-buf.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_BUF_H
#define DMABUF_STUBS_DMA_BUF_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf *dma_buf_export(const struct dma_buf_export_info *info)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf *dma_buf_alloc(const char *name, size_t size, int flags)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_fd(struct dma_buf *dmabuf, int flags)
{
	return -ENODEV;
}

static inline int dma_buf_payload_fd(struct dma_buf *dmabuf, int flags)
{
	return -ENODEV;
}

static inline const char *dma_buf_kernel_fences_missing(void)
{
	return "the library is not there";
}

static inline int dma_buf_kernel_fd(struct dma_buf *dmabuf, int flags)
{
	return -ENODEV;
}

static inline struct dma_buf *dma_buf_get(int fd)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf *dma_buf_adopt(int fd, unsigned int flags)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf *dma_buf_get_split(int fd, int payload_fd)
{
	errno = ENODEV;
	return NULL;
}

static inline void get_dma_buf(struct dma_buf *dmabuf)
{
}

static inline void dma_buf_put(struct dma_buf *dmabuf)
{
}

static inline int dma_buf_set_name(struct dma_buf *dmabuf, const char *name)
{
	return -ENODEV;
}

static inline int dma_buf_register_exporter(const struct dma_buf_exporter *exporter)
{
	return -ENODEV;
}

static inline int dma_buf_unregister_exporter(const char *name)
{
	return -ENODEV;
}

static inline struct dma_buf_attachment *dma_buf_attach(struct dma_buf *dmabuf,
							struct dma_buf_device *dev)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
}

static inline struct dma_buf_sg_table *dma_buf_map_attachment(struct dma_buf_attachment *attach,
							      enum dma_data_direction direction)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf_sg_table *
dma_buf_map_attachment_attrs(struct dma_buf_attachment *attach, enum dma_data_direction direction,
			     unsigned int attrs)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf_sg_table *dma_buf_try_map_attachment(struct dma_buf_attachment *attach,
								  enum dma_data_direction direction)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_unmap_attachment(struct dma_buf_attachment *attach,
					   struct dma_buf_sg_table *table,
					   enum dma_data_direction direction)
{
	return -ENODEV;
}

static inline int dma_buf_sync_sg_for_cpu(struct dma_buf_attachment *attach,
					  struct dma_buf_sg_table *table,
					  enum dma_data_direction direction)
{
	return -ENODEV;
}

static inline int dma_buf_sync_sg_for_device(struct dma_buf_attachment *attach,
					     struct dma_buf_sg_table *table,
					     enum dma_data_direction direction)
{
	return -ENODEV;
}

static inline struct dma_buf_sg_table *dma_buf_get_scatterlist(struct dma_buf *dmabuf)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_put_scatterlist(struct dma_buf *dmabuf, struct dma_buf_sg_table *table)
{
}

static inline struct dma_buf_pfns *dma_buf_get_pfns(struct dma_buf *dmabuf)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_put_pfns(struct dma_buf *dmabuf, struct dma_buf_pfns *pfns)
{
}

static inline int dma_buf_begin_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
					   enum dma_data_direction direction)
{
	return -ENODEV;
}

static inline int dma_buf_end_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
					 enum dma_data_direction direction)
{
	return -ENODEV;
}

static inline int dma_buf_begin_cpu_access_many(const struct dma_buf_access *accesses, size_t count)
{
	return -ENODEV;
}

static inline int dma_buf_end_cpu_access_many(const struct dma_buf_access *accesses, size_t count)
{
	return -ENODEV;
}

static inline void *dma_buf_kmap(struct dma_buf *dmabuf, unsigned long page)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_kunmap(struct dma_buf *dmabuf, unsigned long page, void *vaddr)
{
}

static inline void *dma_buf_kmap_atomic(struct dma_buf *dmabuf, unsigned long page)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_kunmap_atomic(struct dma_buf *dmabuf, unsigned long page, void *vaddr)
{
}

static inline void *dma_buf_vmap(struct dma_buf *dmabuf)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_vunmap(struct dma_buf *dmabuf, void *vaddr)
{
}

static inline void *dma_buf_mmap(struct dma_buf *dmabuf, size_t offset, size_t length, int prot)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_munmap(void *vaddr, size_t length)
{
	return -ENODEV;
}

static inline struct dma_buf_sg_table *dma_buf_memory_map(struct dma_buf_attachment *attach,
							  enum dma_data_direction direction)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_memory_unmap(struct dma_buf_attachment *attach,
					struct dma_buf_sg_table *table,
					enum dma_data_direction direction)
{
}

static inline void *dma_buf_memory_kmap(struct dma_buf *dmabuf, unsigned long page)
{
	errno = ENODEV;
	return NULL;
}

#pragma GCC diagnostic pop
#endif
