/* SPDX-License-Identifier: MIT */
/*
 * Kernel dma-bufs for kernels without any: memfds that the library's calls, through the linker's
 * --wrap, take for dma-bufs. Locks on them are the kernel's real ones. Where the kernel has an
 * exporter, kernel_dmabuf() gives the real thing, and nothing is pretended.
 */
#ifndef DMABUF_TEST_FAKE_KERNEL_H
#define DMABUF_TEST_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One that is pretended, of pages that are zero. */
int fake_dmabuf(size_t size);

/* A real one if this kernel has an exporter for us, else pretended. */
int kernel_dmabuf(size_t size);
bool is_fake(int fd);

/* What SYNC was called with since the last look, oldest first; how many. Pretended ones only. */
unsigned int fake_syncs(uint64_t *flags, unsigned int room);

/* The next @count calls of SYNC fail with @error. */
void fake_sync_fails(int error, unsigned int count);

/* Is there a fence of a writer (or, @write false, of a reader) on every pretended one? */
void fake_pending(bool pending, bool write);

/* The name that was set. */
const char *fake_name(void);

#endif
