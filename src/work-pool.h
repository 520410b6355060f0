/* SPDX-License-Identifier: MIT */
/*
 * Threads for functions that may take a while. They are started when a place is reserved, so that
 * running what was reserved cannot fail, and end soon after the last place was given back. All
 * signals are blocked in them. A forked child has none of it.
 */
#ifndef DMABUF_SRC_WORK_POOL_H
#define DMABUF_SRC_WORK_POOL_H

#include "list.h"

struct work_item {
	struct dmabuf_list link; /* points at itself while it is in no queue */
	void (*func)(struct work_item *item);
};

/* A place for one item. 0, or -EAGAIN with words. */
int work_pool_reserve(void);
void work_pool_unreserve(void);

/* Run it soon; its place stays reserved. */
void work_pool_run(struct work_item *item, void (*func)(struct work_item *item));

/* True: it had not begun, and will not. */
bool work_pool_withdraw(struct work_item *item);

#endif
