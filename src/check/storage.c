// SPDX-License-Identifier: MIT
/* Storage that is checked: what it was before, and the CPU's addresses apart from the devices'. */
#include "check/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "process.h"
#include "resv/resv.h"
#include "storage-deferred.h"

static struct check_buffer *checker(struct storage *s)
{
	return container_of(s, struct buffer, storage)->check;
}

static int most(const struct storage *s)
{
	return PROT_READ | (s->may_write ? PROT_WRITE : 0);
}

/*
 * The exporter's way to write to a read-only share is the one mapping from before the seal: of
 * which the kernel makes a second one when it is asked to grow what is not there.
 */
static void *copy_mapping(struct storage *s, size_t length)
{
	void *at = mremap(s->kept, 0, length, MREMAP_MAYMOVE);

	if (at == MAP_FAILED)
		return dmabuf_fail_ptr(errno, "no second mapping of a read-only share: %s",
				       strerror(errno));
	if (madvise(at, length, MADV_DONTFORK) == 0 && mprotect(at, length, PROT_NONE) == 0)
		return at;
	munmap(at, length);
	return dmabuf_fail_ptr(ENOMEM, "a mapping cannot be protected");
}

/* The CPU's own mapping of all of it. Not through a published description: it is the handle's. */
static void *map_view(struct buffer *b, size_t length)
{
	struct storage *s = &b->storage;

	if (s->deferred)
		return storage_map_own(b, 0, length, PROT_NONE, false);
	if (s->read_only && s->may_write)
		return copy_mapping(s, length);
	return map_for_us(s->own_fd ? s->fd : b->client.fd, 0, length, PROT_NONE);
}

static int make_view(struct check_buffer *c)
{
	size_t length = page_round_up(c->b->base.size);
	void *base;

	if (c->view.base || !c->b->storage.kept)
		return 0;
	base = map_view(c->b, length);
	if (!base)
		return -errno;
	c->view = (struct check_range){ .base = base,
					.length = length,
					.most = most(&c->b->storage) };
	check_add_range(c, &c->view);
	c->b->storage.cpu = base;
	return 0;
}

static int checked_keep(struct storage *s)
{
	struct check_buffer *c = checker(s);
	int err = c->under->keep(s);

	if (err)
		return err;
	pthread_mutex_lock(&c->view_lock);
	err = make_view(c);
	pthread_mutex_unlock(&c->view_lock);
	return err;
}

static void *checked_map(struct storage *s, size_t offset, size_t length, int prot)
{
	struct check_buffer *c = checker(s);
	struct check_range *r = malloc(sizeof(*r));

	if (!r)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a mapping that is checked");
	*r = (struct check_range){ .length = page_round_up(length),
				   .offset = offset,
				   .most = prot };
	r->base = c->under->map(s, offset, length, PROT_NONE);
	if (!r->base) {
		free(r);
		return NULL;
	}
	check_add_range(c, r);
	return r->base;
}

static int checked_begin(struct storage *s, size_t start, size_t len,
			 enum dma_data_direction direction)
{
	struct check_buffer *c = checker(s);
	int err = c->under->begin ? c->under->begin(s, start, len, direction) : 0;

	if (!err)
		err = checked_keep(s);
	if (!err)
		check_open(c, start, len, direction);
	else if (c->under->end)
		(void)c->under->end(s, start, len, direction);
	return err;
}

static int checked_end(struct storage *s, size_t start, size_t len,
		       enum dma_data_direction direction)
{
	struct check_buffer *c = checker(s);

	check_close(c, start, len, direction);
	return c->under->end ? c->under->end(s, start, len, direction) : 0;
}

static void free_checker(struct check_buffer *c)
{
	struct dmabuf_list *link, *next;

	for (link = c->accesses.next; link != &c->accesses; link = next) {
		struct check_access *a = container_of(link, struct check_access, link);

		next = link->next;
		list_remove(link);
		/* Of a device that does not end: check_transfer_end() frees it. */
		if (!a->device)
			free(a);
	}
	for (link = c->ranges.next; link != &c->ranges; link = next) {
		next = link->next;
		list_remove(link);
		if (link != &c->view.link)
			free(container_of(link, struct check_range, link));
	}
	pthread_mutex_destroy(&c->view_lock);
	free(c);
}

/* What outlives the handle is not checked any more. */
static void checked_drop(struct storage *s)
{
	struct check_buffer *c = checker(s);
	sigset_t old;

	check_left_open(c, "lets go of the buffer with");
	check_lock(&old);
	list_remove(&c->link);
	if (c->view.base)
		list_remove(&c->view.link);
	check_give_up(c);
	check_unlock(&old);
	if (c->view.base && s->deferred)
		(void)storage_unmap_own(c->view.base, c->view.length);
	else if (c->view.base)
		munmap(c->view.base, c->view.length);
	c->b->check = NULL;
	s->ops = c->under;
	s->cpu = s->kept;
	s->ops->drop(s);
	free_checker(c);
}

int check_adopt(struct buffer *b)
{
	struct check_buffer *c;
	sigset_t old;

	if (!check_is_wanted())
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return dmabuf_fail(ENOMEM, "no memory to check a buffer");
	c->b = b;
	c->cookie = b->cookie;
	c->under = b->storage.ops;
	c->ops = (struct storage_ops){ .name = c->under->name,
				       .map = checked_map,
				       .keep = checked_keep,
				       .drop = checked_drop,
				       .begin = checked_begin,
				       .end = checked_end };
	pthread_mutex_init(&c->view_lock, NULL);
	list_init(&c->ranges);
	list_init(&c->accesses);
	/* Locks have more to do than to take the word: in all processes, which does not hurt. */
	atomic_fetch_or(&resv_state_line(&b->control, 0)->coherency, SHM_LOCK_CHECKED);
	check_lock(&old);
	b->check = c;
	b->storage.ops = &c->ops;
	list_add_before(&c->link, &check_buffers);
	check_unlock(&old);
	return 0;
}

void check_forget(struct buffer *b)
{
	sigset_t old;

	if (!b->check)
		return;
	b->storage.ops = b->check->under;
	check_lock(&old);
	list_remove(&b->check->link);
	check_unlock(&old);
	free_checker(b->check);
	b->check = NULL;
}

void check_forked(void)
{
	while (!list_empty(&check_buffers)) {
		struct check_buffer *c =
			container_of(check_buffers.next, struct check_buffer, link);

		/* The view was not inherited. */
		if (c->view.base)
			list_remove(&c->view.link);
		check_give_up(c);
		list_remove(&c->link);
	}
}

/* What is undone in part is not checked any more. With the lock. */
static struct check_range *forget_range(struct check_buffer *c, const char *from, size_t length)
{
	struct dmabuf_list *link;

	for (link = c->ranges.next; link != &c->ranges; link = link->next) {
		struct check_range *r = container_of(link, struct check_range, link);

		if (link == &c->view.link || from >= r->base + r->length ||
		    r->base >= from + length)
			continue;
		(void)mprotect(r->base, r->length, r->most);
		list_remove(link);
		return r;
	}
	return NULL;
}

void check_unmapping(const void *vaddr, size_t length)
{
	struct check_range *gone;
	struct dmabuf_list *link;
	sigset_t old;

	do {
		gone = NULL;
		check_lock(&old);
		for (link = check_buffers.next; link != &check_buffers && !gone; link = link->next)
			gone = forget_range(container_of(link, struct check_buffer, link), vaddr,
					    page_round_up(length));
		check_unlock(&old);
		free(gone);
	} while (gone);
}

/* The program ends, without letting go of what it has. */
static __attribute__((destructor)) void check_at_exit(void)
{
	if (check_is_on())
		check_left_open(NULL, "ends with");
}
