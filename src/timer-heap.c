// SPDX-License-Identifier: MIT
#include "timer-heap.h"

#include <stddef.h>

/* Two heaps, neither of which has siblings, become one. */
static struct timer_node *meld(struct timer_node *a, struct timer_node *b)
{
	struct timer_node *first, *later;

	if (!a || !b)
		return a ? a : b;
	first = a->when <= b->when ? a : b;
	later = first == a ? b : a;
	later->prev = first;
	later->next = first->child;
	if (later->next)
		later->next->prev = later;
	first->child = later;
	return first;
}

/* One heap of a row of siblings: pairs from the left, then the pairs from the right. */
static struct timer_node *meld_row(struct timer_node *row)
{
	struct timer_node *pairs = NULL, *a, *b, *all = NULL;

	while ((a = row)) {
		b = a->next;
		row = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while ((a = pairs)) {
		pairs = a->next;
		a->next = NULL;
		all = meld(all, a);
	}
	if (all)
		all->prev = NULL;
	return all;
}

void timer_heap_add(struct timer_node **root, struct timer_node *node)
{
	node->child = NULL;
	node->next = NULL;
	node->prev = NULL;
	*root = meld(*root, node);
}

void timer_heap_remove(struct timer_node **root, struct timer_node *node)
{
	struct timer_node *below = meld_row(node->child);

	if (node == *root) {
		*root = below;
		return;
	}
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
	*root = meld(*root, below);
}
