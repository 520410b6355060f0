/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in order: a pairing heap whose nodes live in what is timed, so that nothing here can
 * fail. Adding is one comparison, taking any node out is logarithmic in the long run.
 */
#ifndef DMABUF_SRC_TIMER_HEAP_H
#define DMABUF_SRC_TIMER_HEAP_H

#include <stdint.h>

struct timer_node {
	uint64_t when;
	struct timer_node *child; /* the first of those that are later */
	struct timer_node *next;  /* sibling to the right */
	struct timer_node *prev;  /* sibling to the left; of the first one, the parent */
};

/* The earliest of a heap is its root; NULL is an empty one. @node->when is set before. */
void timer_heap_add(struct timer_node **root, struct timer_node *node);

/* @node is in this heap. */
void timer_heap_remove(struct timer_node **root, struct timer_node *node);

#endif
