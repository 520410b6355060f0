/* SPDX-License-Identifier: MIT */
/**
 * DOC: storage that is chosen late, and moved
 *
 * A buffer that is exported with DMA_BUF_STORAGE_DEFERRED has no storage at first. The first access
 * (a map, a CPU access, a lock, dma_buf_vmap(), dma_buf_mmap()) takes it, once, however many
 * processes come at the same time: from the cheapest heap that suits all devices attached by then,
 * in any order (mission row F5). If that heap has no memory, from the next that suits;
 * dma_buf_get_info() tells which failed.
 *
 * A device that attaches later and needs other storage has the buffer migrate: at once if no access
 * is held, else before the next access that finds none held, or when the device is mapped (row F6).
 * Accesses are CPU access between begin and end, locks, mapped tables, and what
 * dma_buf_get_scatterlist() and dma_buf_get_pfns() gave. What is only kept (the table of an
 * unmapped attachment, addresses of dma_buf_vmap() and dma_buf_mmap()) is none: it is renewed
 * before the next access, the addresses stay the same. So bytes are to be touched only during an
 * access, else they may be those of the former storage.
 *
 * Storage comes from the exporting process. Who has it mapped keeps it when that process ends; who
 * has not cannot get it any more.
 */
#ifndef DMABUF_STORAGE_H
#define DMABUF_STORAGE_H

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DMABUF_DISABLED
/**
 * dma_buf_migrate - move a buffer to other storage, its content with it
 * @dmabuf: a deferred buffer
 * @heap: where to; NULL: where the storage does not suit all attached devices, to the first heap
 *	that does and has memory, else nowhere
 * @timeout_ms: how long to wait for accesses to end, 0: not at all. Accesses that begin meanwhile
 *	in processes that have none wait behind it, for 5 s at most.
 *
 * Whoever dies in the middle of it leaves the buffer as it was, and others can migrate it. A buffer
 * without storage gets some. This thread must not have locks or CPU access to the buffer.
 *
 * Return: 0, also if it is there already; -EINVAL (NULL, negative timeout, a heap that does not
 * suit the devices, or none does), -ENAMETOOLONG, -EBUSY (the words say which: the buffer is not
 * deferred; exported with DMA_BUF_STORAGE_FIXED; its payload was handed out by
 * dma_buf_payload_fd(); the exporter's op says no; with a timeout of 0, accesses are held, by
 * whom), -ETIMEDOUT (accesses were held until then, by whom), -ENOMEM (no heap has memory),
 * -EHOSTDOWN (the exporting process has ended), -EDEADLK (from the exporter's attach or detach),
 * -EIO (a holder spoilt the shared state), -EMFILE, -ECHILD. May block: the time limit
 * is that of waiting, not of copying. Row F6.
 */
int dma_buf_migrate(struct dma_buf *dmabuf, const char *heap, long timeout_ms);
#else
#include <dmabuf/stubs/storage.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
