// SPDX-License-Identifier: MIT
/*
 * Mappings of dma_buf_mmap() of storage that can be replaced: they follow it, as the kept one does,
 * and outlive the handle, then as they are.
 */
#include "storage-deferred.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "error.h"
#include "registry.h"

struct own_mapping {
	struct window window;
	char *vaddr; /* what the caller knows */
	size_t length;
	uint64_t inode; /* of what it shows */
	struct dmabuf_list all;
};

/* All of this process, and those that it inherited; guarded by the registry's lock. */
static struct dmabuf_list all_mappings = { &all_mappings, &all_mappings };

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/*
 * Is it still what we made of it? Somebody may have used a bare munmap(), and something else be
 * there now. Not known: yes.
 */
static bool still_there(const struct own_mapping *m)
{
	uintptr_t at = (uintptr_t)m->window.base, end = at + m->window.filled;
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t from, to, inode;
	char line[512];

	if (!maps)
		return true;
	while (at < end && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &from, &to,
			   &inode) != 3 ||
		    to <= at)
			continue;
		if (from > at || inode != m->inode)
			break;
		at = to;
	}
	fclose(maps);
	return at >= end;
}

static int fill(struct own_mapping *m, const struct window_view *view)
{
	int err = window_fill(&m->window, view);

	m->inode = err ? 0 : inode_of(view->fd);
	return err;
}

void *storage_map_own(struct buffer *b, size_t offset, size_t length, int prot, bool inherit)
{
	struct deferred *d = b->storage.deferred;
	struct own_mapping *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a mapping");
	err = window_reserve(&m->window, offset, length, prot, inherit);
	if (err) {
		free(m);
		errno = -err;
		return NULL;
	}
	m->vaddr = m->window.base + (offset - m->window.offset);
	m->length = length;
	/* From the moment that it is listed, it follows. */
	pthread_mutex_lock(&d->lock);
	registry_lock();
	err = fill(m, &d->view);
	if (!err) {
		list_add_before(&m->window.link, &d->mappings);
		list_add_before(&m->all, &all_mappings);
	}
	registry_unlock();
	pthread_mutex_unlock(&d->lock);
	if (!err)
		return m->vaddr;
	window_release(&m->window);
	free(m);
	errno = -err;
	return NULL;
}

static struct own_mapping *find(const char *vaddr, size_t length, bool *part)
{
	struct dmabuf_list *link;

	*part = false;
	for (link = all_mappings.next; link != &all_mappings; link = link->next) {
		struct own_mapping *m = container_of(link, struct own_mapping, all);

		if (m->vaddr == vaddr && page_round_up(m->length) == page_round_up(length))
			return m;
		if (vaddr < m->window.base + m->window.span && vaddr + length > m->window.base)
			*part = true;
	}
	return NULL;
}

int storage_unmap_own(void *vaddr, size_t length)
{
	struct own_mapping *m;
	bool part;

	registry_lock();
	m = find(vaddr, length, &part);
	if (m) {
		list_remove(&m->window.link);
		list_remove(&m->all);
	}
	registry_unlock();
	if (!m)
		return part ? dmabuf_fail(EINVAL,
					  "munmap of %zu bytes at %p, a part of a mapping of a "
					  "deferred buffer, which goes as a whole",
					  length, vaddr)
			    : 0;
	window_release(&m->window);
	free(m);
	return 1;
}

void storage_orphan_mappings(struct deferred *d)
{
	registry_lock();
	while (!list_empty(&d->mappings))
		list_remove(d->mappings.next);
	registry_unlock();
}

/* What was taken away behind our back is forgotten; its addresses are not touched. */
static void forget(struct own_mapping *m)
{
	dmabuf_log(DMABUF_LOG_WARNING,
		   "a mapping of a deferred buffer at %p was not undone by dma_buf_munmap()",
		   (void *)m->vaddr);
	list_remove(&m->window.link);
	list_remove(&m->all);
	free(m);
}

int storage_fill_mappings(struct deferred *d, const struct window_view *view)
{
	struct dmabuf_list *link, *next;
	int err = 0;

	for (link = d->mappings.next; link != &d->mappings && !err; link = next) {
		struct own_mapping *m = container_of(link, struct own_mapping, window.link);

		next = link->next;
		if (m->inode && !still_there(m))
			forget(m);
		else
			err = fill(m, view);
	}
	return err;
}
