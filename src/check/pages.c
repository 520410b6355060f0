// SPDX-License-Identifier: MIT
/* Which pages the CPU may touch: those of the accesses that are open. */
#include "check/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "error.h"
#include "storage-deferred.h"

/* What can be protected by itself. */
static size_t granule(const struct check_buffer *c)
{
	const struct deferred *d = c->b->storage.deferred;

	return d && d->view.granule > page_size() ? d->view.granule : page_size();
}

static int cpu_needs(enum dma_data_direction direction)
{
	return direction == DMA_FROM_DEVICE ? PROT_READ : PROT_READ | PROT_WRITE;
}

/* The same from @at on up to *@until at least. */
static int allowed(const struct check_buffer *c, size_t at, size_t *until)
{
	const struct dmabuf_list *link;
	size_t g = granule(c);
	int prot = PROT_NONE;

	for (link = c->accesses.next; link != &c->accesses; link = link->next) {
		const struct check_access *a =
			container_of((struct dmabuf_list *)link, struct check_access, link);
		size_t first = a->start & ~(g - 1), end = (a->start + a->len + g - 1) & ~(g - 1);

		if (a->device || a->lost || !a->len || end <= at)
			continue;
		if (first > at) {
			*until = first < *until ? first : *until;
			continue;
		}
		prot |= cpu_needs(a->as);
		*until = end < *until ? end : *until;
	}
	return prot;
}

int check_allowed(const struct check_buffer *c, size_t offset)
{
	size_t until = SIZE_MAX;

	return allowed(c, offset & ~(granule(c) - 1), &until);
}

static bool protect(const struct check_range *r, size_t from, size_t to, int prot)
{
	return mprotect(r->base + from - r->offset, to - from, prot & r->most) == 0;
}

bool check_protect_page(const struct check_buffer *c, const struct check_range *r, size_t offset,
			int prot)
{
	size_t g = granule(c), first = offset & ~(g - 1);

	return protect(r, first, first + g, prot);
}

/* As the accesses want it, of @r what lies in [from, to). */
static bool protect_range(const struct check_buffer *c, const struct check_range *r, size_t from,
			  size_t to)
{
	size_t g = granule(c), end = (r->offset + r->length + g - 1) & ~(g - 1), until;
	size_t at = r->offset & ~(g - 1);
	int prot;

	from &= ~(g - 1);
	to = (to + g - 1) & ~(g - 1);
	at = at > from ? at : from;
	end = end < to ? end : to;
	for (; at < end; at = until) {
		until = end;
		prot = allowed(c, at, &until);
		if (!protect(r, at, until, prot))
			return false;
	}
	return true;
}

void check_give_up(struct check_buffer *c)
{
	const struct dmabuf_list *link;

	c->given_up = true;
	for (link = c->ranges.next; link != &c->ranges; link = link->next) {
		const struct check_range *r =
			container_of((struct dmabuf_list *)link, struct check_range, link);

		(void)protect(r, r->offset, r->offset + r->length, r->most);
	}
}

/* With the lock. False: it has been given up. */
static bool protect_all(struct check_buffer *c, size_t from, size_t to)
{
	const struct dmabuf_list *link;

	for (link = c->ranges.next; link != &c->ranges; link = link->next) {
		const struct check_range *r =
			container_of((struct dmabuf_list *)link, struct check_range, link);

		if (c->given_up || protect_range(c, r, from, to))
			continue;
		check_give_up(c);
		return false;
	}
	return true;
}

static void tell_given_up(const struct check_buffer *c)
{
	dmabuf_log(DMABUF_LOG_WARNING,
		   "buffer inode %llu is not checked any more: its pages cannot be protected (no "
		   "memory, or more mappings than vm.max_map_count)",
		   (unsigned long long)c->b->key.inode);
}

void check_add_range(struct check_buffer *c, struct check_range *r)
{
	bool kept;
	sigset_t old;

	check_lock(&old);
	list_add_before(&r->link, &c->ranges);
	kept = protect_all(c, r->offset, r->offset + r->length);
	check_unlock(&old);
	if (!kept)
		tell_given_up(c);
}

void check_open(struct check_buffer *c, size_t start, size_t len, enum dma_data_direction direction)
{
	struct check_access *a = malloc(sizeof(*a));
	bool kept;
	sigset_t old;

	if (a) {
		*a = (struct check_access){
			.start = start,
			.len = len,
			.as = direction,
			.writes = direction != DMA_FROM_DEVICE,
			.tid = gettid(),
			.caller = check_caller(),
		};
		prctl(PR_GET_NAME, a->who, 0, 0, 0);
	}
	check_begun(c, start, len, direction);
	check_lock(&old);
	if (a)
		list_add_before(&a->link, &c->accesses);
	else
		check_give_up(c);
	kept = a && protect_all(c, start, start + len);
	check_unlock(&old);
	if (!kept)
		tell_given_up(c);
}

/* The latest that fits: whose it was matters for words only. */
static struct check_access *find(const struct check_buffer *c, size_t start, size_t len,
				 enum dma_data_direction direction)
{
	const struct dmabuf_list *link;

	for (link = c->accesses.prev; link != &c->accesses; link = link->prev) {
		struct check_access *a =
			container_of((struct dmabuf_list *)link, struct check_access, link);

		if (!a->device && a->start == start && a->len == len && a->as == direction)
			return a;
	}
	return NULL;
}

void check_lose(struct check_buffer *c, size_t start, size_t len, enum dma_data_direction direction)
{
	struct check_access *a;
	bool kept = true;
	sigset_t old;

	check_lock(&old);
	a = find(c, start, len, direction);
	if (a) {
		a->lost = true;
		kept = protect_all(c, start, start + len);
	}
	check_unlock(&old);
	if (!kept)
		tell_given_up(c);
}

void check_close(struct check_buffer *c, size_t start, size_t len,
		 enum dma_data_direction direction)
{
	struct check_access *a;
	bool kept = true;
	sigset_t old;

	check_lock(&old);
	a = find(c, start, len, direction);
	if (a) {
		list_remove(&a->link);
		kept = protect_all(c, start, start + len);
	}
	check_unlock(&old);
	free(a);
	if (!kept)
		tell_given_up(c);
}
