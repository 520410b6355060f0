/* SPDX-License-Identifier: MIT */
/*
 * A hold of ours as a fence in the kernel, so that the kernel's drivers, poll() and sync_files wait
 * for it. It needs somebody in the kernel who makes fences for programs, which in stock kernels is
 * vgem; where that is not there, the kernel does not see our holds.
 */
#ifndef DMABUF_SRC_KERNEL_FENCE_H
#define DMABUF_SRC_KERNEL_FENCE_H

#include <stdbool.h>

struct kernel_fence;

/*
 * Whoever comes to @dmabuf from now on waits as for a write, or as for a read, until the end of it.
 * NULL: there is nobody who makes fences, or none can be had.
 */
struct kernel_fence *kernel_fence_begin(int dmabuf, bool write);

/* NULL is ignored. In a forked child only the memory goes. */
void kernel_fence_end(struct kernel_fence *fence);

/* No buffer of the kernel's is left here: its device is closed once no fence is out. */
void kernel_fences_unused(void);

#endif
