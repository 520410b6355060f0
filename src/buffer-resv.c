// SPDX-License-Identifier: MIT
#include "buffer-resv.h"

#include <stdlib.h>

/* The next fence is likely to come soon. More would leave too few for others: all of a buffer's
 * holders may have one, beside one for the lock. */
#define KEPT 1

struct buffer_resv *buffer_resv_new(struct buffer *b)
{
	struct buffer_resv *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->buffer = b;
	dma_resv_init(&r->base);
	ww_shared_init(&r->lock, b);
	r->base.lock.shared = &r->lock;
	return r;
}

void buffer_resv_free(struct buffer_resv *r, bool ours)
{
	if (!r)
		return;
	if (ours) {
		resv_proxy_return(r);
		resv_publish_trim(r, 0);
	}
	ww_shared_destroy(&r->lock, ours);
	/* Fences of a parent are left alone by its child. */
	if (ours) {
		r->base.lock.shared = NULL;
		dma_resv_fini(&r->base);
	}
	free(r);
}

void buffer_resv_unlocking(struct buffer_resv *r)
{
	resv_proxy_return(r);
	resv_publish_trim(r, KEPT);
}
