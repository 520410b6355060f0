/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_LIST_H
#define DMABUF_SRC_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <dmabuf/list.h>

#define container_of(member_pointer, type, member) \
	((type *)(void *)((char *)(member_pointer)-offsetof(type, member)))

static inline void list_init(struct dmabuf_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_empty(const struct dmabuf_list *list)
{
	return list->next == list;
}

static inline void list_add_before(struct dmabuf_list *link, struct dmabuf_list *before)
{
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

/* The link is in no list afterwards, and says so. */
static inline void list_remove(struct dmabuf_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* All that is in @from goes to @to, which was not initialized. */
static inline void list_take(struct dmabuf_list *to, struct dmabuf_list *from)
{
	list_init(to);
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

#endif
