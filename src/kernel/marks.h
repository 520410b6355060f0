/* SPDX-License-Identifier: MIT */
/*
 * Marks on a kernel dma-buf, for whoever has it: {a number, a network namespace}. They say under
 * which number its shared state is found, and where. A mark is a record lock on the dma-buf's inode
 * that belongs to its one open file description: so it is there for all who have the dma-buf and
 * for nobody else to set, needs no name that somebody could take before, and goes with it.
 */
#ifndef DMABUF_SRC_KERNEL_MARKS_H
#define DMABUF_SRC_KERNEL_MARKS_H

#include <stdint.h>

/* More than so many say that somebody scribbles. */
#define KERNEL_MARKS_MAX 64
#define KERNEL_MARK_NUMBER_MAX ((1u << 28) - 1)

struct kernel_mark {
	uint32_t number; /* 1 to KERNEL_MARK_NUMBER_MAX */
	uint32_t netns;
};

/* This thread's network namespace; 0: not known (no /proc). */
uint32_t kernel_netns(void);

/* Again is fine. 0 or -errno with words. */
int kernel_mark_set(int fd, const struct kernel_mark *mark);
void kernel_mark_clear(int fd, const struct kernel_mark *mark);

/* Fills in up to KERNEL_MARKS_MAX, ascending by number. How many, or -EIO with words. */
int kernel_marks(int fd, struct kernel_mark *marks);

#endif
