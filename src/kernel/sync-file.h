/* SPDX-License-Identifier: MIT */
/*
 * The kernel's sync_files beside fences of our own: a descriptor of one stands for a dma_fence
 * here, which the library's thread signals when the descriptor becomes readable.
 */
#ifndef DMABUF_SRC_KERNEL_SYNC_FILE_H
#define DMABUF_SRC_KERNEL_SYNC_FILE_H

#include <stdbool.h>

#include <dmabuf/sync-file.h>

/* Is @fd one? errno is kept. */
bool kernel_is_sync_file(int fd);

/* How many of its fences have not ended; the first of them is described in @first, if not NULL. */
unsigned int kernel_sync_file_pending(int fd, struct dmabuf_sync_fence_info *first);

/* A fence that stands for it; @fd is taken over, also on failure. NULL with errno and words. */
struct dma_fence *kernel_sync_import(int fd);

/* Another descriptor of such a fence; -ENOENT: it is none, or it has ended; -EMFILE with words. */
int kernel_sync_import_dup(struct dma_fence *fence);

/* As dmabuf_sync_file_get_info(), with @info checked. */
int kernel_sync_file_info(int fd, struct dmabuf_sync_file_info *info);

/* The kernel's merge of two, close-on-exec; -errno with words. */
int kernel_sync_file_merge(int fd1, int fd2, const char *name);

#endif
