// SPDX-License-Identifier: MIT
/*
 * What a context asked for, once it had to back off. Ages are what others say of themselves, so
 * they alone get nobody through; after BACK_OFFS the context takes all of it in the order that
 * groups use, where nobody waits for ever.
 */
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "list.h"
#include "ww-shared.h"

struct dmabuf_ww_set {
	unsigned int count;
	unsigned int room;
	struct dmabuf_ww_shared **members; /* ascending; a reference to each one's buffer */
};

/* 0, or -ENOMEM. */
static int make_room(struct dmabuf_ww_set *set)
{
	unsigned int room = set->room ? set->room * 2 : 8;
	struct dmabuf_ww_shared **more;

	if (set->count < set->room)
		return 0;
	more = reallocarray(set->members, room, sizeof(struct dmabuf_ww_shared *));
	if (!more)
		return -ENOMEM;
	set->members = more;
	set->room = room;
	return 0;
}

static int add(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_shared *s)
{
	struct dmabuf_ww_set *set = ctx->set;
	unsigned int i;

	if (!set)
		ctx->set = set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	for (i = 0; i < set->count && set->members[i] != s; i++)
		;
	if (i < set->count)
		return 0;
	if (make_room(set))
		return -ENOMEM;
	for (i = set->count; i > 0 && buffer_before(s->buffer, set->members[i - 1]->buffer); i--)
		set->members[i] = set->members[i - 1];
	set->members[i] = s;
	set->count++;
	get_dma_buf(&s->buffer->base);
	return 0;
}

/* Without memory for it the context goes on as before: ages alone, or the next back-off. */
void ww_set_back_off(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_shared *s)
{
	struct dmabuf_list *link;

	ctx->back_offs++;
	if (add(ctx, s))
		return;
	for (link = ctx->shared.next; link != &ctx->shared; link = link->next)
		if (add(ctx, container_of(link, struct ww_hold, of_ctx)->of))
			return;
}

int ww_set_take(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_shared *s, bool intr)
{
	struct dmabuf_list *link;
	unsigned int i;
	int ret = add(ctx, s);

	ctx->ordered = !ret;
	for (i = 0; !ret && i < ctx->set->count; i++)
		ret = ww_shared_take(ctx->set->members[i], ctx, intr, true);
	if (ret) {
		ww_set_leave(ctx);
		return ret;
	}
	for (link = ctx->shared.next; link != &ctx->shared; link = link->next) {
		struct ww_hold *h = container_of(link, struct ww_hold, of_ctx);

		if (h->of == s) {
			h->ahead = false;
			ctx->acquired++;
		}
	}
	return 0;
}

void ww_set_free(struct dmabuf_ww_acquire_ctx *ctx)
{
	struct dmabuf_ww_set *set = ctx->set;

	if (!set)
		return;
	ctx->set = NULL;
	while (set->count)
		dma_buf_put(&set->members[--set->count]->buffer->base);
	free(set->members);
	free(set);
}
