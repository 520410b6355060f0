/* SPDX-License-Identifier: MIT */
/**
 * DOC: the kernel's lists
 *
 * Opt-in, part of <dmabuf/kernel.h>: circular lists whose links are embedded in the user's structs.
 */
#ifndef DMABUF_KERNEL_LIST_H
#define DMABUF_KERNEL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <dmabuf/list.h>

#ifdef __cplusplus
extern "C" {
#endif

/** container_of - the struct that a member is in */
#ifndef container_of
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#endif

/* clang-format off */
/** LIST_HEAD_INIT - an empty list, as an initializer */
#define LIST_HEAD_INIT(name) { &(name), &(name) }
/* clang-format on */
/** LIST_HEAD - an empty list of this name */
#define LIST_HEAD(name) struct dmabuf_list name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct dmabuf_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool list_empty(const struct dmabuf_list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct dmabuf_list *link, struct dmabuf_list *head)
{
	link->next = head;
	link->prev = head->prev;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_add(struct dmabuf_list *link, struct dmabuf_list *head)
{
	list_add_tail(link, head->next);
}

static inline void list_del_init(struct dmabuf_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	INIT_LIST_HEAD(link);
}

/* The kernel poisons the link; here it is in no list afterwards. */
static inline void list_del(struct dmabuf_list *link)
{
	list_del_init(link);
}

static inline void list_move_tail(struct dmabuf_list *link, struct dmabuf_list *head)
{
	list_del_init(link);
	list_add_tail(link, head);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_next_entry(pos, member) list_entry((pos)->member.next, __typeof__(*(pos)), member)

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_entry(pos, head, member)                                                     \
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member); &(pos)->member != (head); \
	     (pos) = list_next_entry(pos, member))
#define list_for_each_entry_safe(pos, ahead, head, member)               \
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member), \
	    (ahead) = list_next_entry(pos, member);                      \
	     &(pos)->member != (head); (pos) = (ahead), (ahead) = list_next_entry(ahead, member))

#ifdef __cplusplus
}
#endif

#define list_head dmabuf_list

#endif
