// SPDX-License-Identifier: MIT
#include "check/lease.h"

#include <stdlib.h>

#include "check/check.h"
#include "clock.h"
#include "worker.h"

/* How often one is looked at that is past its lease and has nobody waiting for it. */
#define LOOK_NS 20000000u
#define NS_PER_MS UINT64_C(1000000)

struct check_hold {
	struct worker_timer timer;
	const struct sync_member *member;
	enum dma_data_direction direction;
};

static void look(struct worker_timer *timer)
{
	struct check_hold *h = container_of(timer, struct check_hold, timer);
	const struct sync_member *m = h->member;

	if (resv_held(&m->hold))
		(void)worker_timer_start(timer, clock_ns() + LOOK_NS, look);
	else
		check_lose(m->hold.buffer->check, m->start, m->len, h->direction);
}

void check_hold_begin(struct sync_member *m, enum dma_data_direction direction)
{
	struct check_hold *h;

	if (!m->hold.buffer->check)
		return;
	h = calloc(1, sizeof(*h));
	if (!h)
		return;
	h->member = m;
	h->direction = direction;
	/* Not before: it runs from when a waiter first saw this hold. */
	if (worker_timer_start(&h->timer, clock_ns() + m->hold.lease_ms * NS_PER_MS, look) == 0)
		m->check = h;
	else
		free(h);
}

void check_hold_end(struct sync_member *m)
{
	if (!m->check)
		return;
	(void)worker_timer_stop(&m->check->timer);
	free(m->check);
	m->check = NULL;
}
