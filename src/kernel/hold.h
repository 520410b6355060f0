/* SPDX-License-Identifier: MIT */
/*
 * Locks of kernel dma-bufs and the kernel's fences, in both directions: who has been granted a
 * buffer waits for the kernel's fences on it before he has it, and while he has it there is a fence
 * of his on it. In this order, so nobody waits for himself.
 */
#ifndef DMABUF_SRC_KERNEL_HOLD_H
#define DMABUF_SRC_KERNEL_HOLD_H

#include "dmabuf-sync.h"

/* Is one of them a kernel dma-buf? */
bool kernel_hold_any(struct sync_member **members, unsigned int count);

/* Would the first that the kernel keeps from us be waited for? NULL: none. */
struct sync_member *kernel_hold_blocked(struct sync_member **members, unsigned int count);

/*
 * All are granted: wait for the kernel's fences until @deadline of clock_ns(), 0: not at all. 0;
 * -EBUSY, -ETIMEDOUT with words that name the fence; -EINTR with words if @intr; -EIO.
 */
int kernel_hold_wait(struct sync_member **members, unsigned int count, uint64_t deadline,
		     bool intr);

/* As kernel_hold_wait() at the end of its patience. */
int kernel_hold_report(const struct sync_member *m, int err);

/* The kernel sees the hold, if it can; and not any more. */
void kernel_hold_begin(struct sync_member *m);
void kernel_hold_end(struct sync_member *m);

#endif
