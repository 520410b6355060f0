/* SPDX-License-Identifier: MIT */
/**
 * DOC: links
 *
 * What a struct of the user's carries so that the library can keep it in a list. The functions on
 * it, in the kernel's spelling, are in <dmabuf/kernel-list.h>.
 */
#ifndef DMABUF_LIST_H
#define DMABUF_LIST_H

/**
 * struct dmabuf_list - a link in a circular list, or a list's head (kernel: struct list_head)
 * @next: the next link; the first one, seen from the head
 * @prev: the one before; the last one, seen from the head
 *
 * A link that is in no list, and the head of an empty list, point at themselves.
 */
struct dmabuf_list {
	struct dmabuf_list *next;
	struct dmabuf_list *prev;
};

#endif
