/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interface to its dma-bufs, in words of our own: <linux/dma-buf.h> defines names that
 * <dmabuf/dma-buf.h> has too, and older ones lack half of it. Numbers and layouts are the kernel's
 * and never change.
 */
#ifndef DMABUF_SRC_KERNEL_ABI_H
#define DMABUF_SRC_KERNEL_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif

struct dmabuf_abi_sync {
	__u64 flags;
};

#define DMABUF_ABI_SYNC_READ 1u
#define DMABUF_ABI_SYNC_WRITE 2u
#define DMABUF_ABI_SYNC_START 0u
#define DMABUF_ABI_SYNC_END 4u

/* EXPORT_SYNC_FILE and IMPORT_SYNC_FILE, since Linux 6.0 */
struct dmabuf_abi_sync_file {
	__u32 flags;
	__s32 fd;
};

#define DMABUF_ABI_SYNC _IOW('b', 0, struct dmabuf_abi_sync)
#define DMABUF_ABI_SET_NAME _IOW('b', 1, __u64)
#define DMABUF_ABI_EXPORT_SYNC_FILE _IOWR('b', 2, struct dmabuf_abi_sync_file)
#define DMABUF_ABI_IMPORT_SYNC_FILE _IOW('b', 3, struct dmabuf_abi_sync_file)

#endif
