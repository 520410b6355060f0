// SPDX-License-Identifier: MIT
#include "buffer-resv.h"

#include <stdlib.h>

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
	ww_shared_destroy(&r->lock, ours);
	r->base.lock.shared = NULL;
	dma_resv_fini(&r->base);
	free(r);
}
