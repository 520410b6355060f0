// SPDX-License-Identifier: MIT
#include "storage.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

/*
 * Through the published description: a mapping outlives the handle and keeps the buffer from being
 * released, as the kernel's do, but must not keep the holder's place.
 */
static void *compact_map(struct storage *s, size_t offset, size_t length, int prot)
{
	void *addr = mmap(NULL, length, prot, MAP_SHARED, s->fd, (off_t)offset);

	if (addr == MAP_FAILED)
		return dmabuf_fail_ptr(errno, "mapping %zu bytes at %zu failed: %s", length, offset,
				       strerror(errno));
	return addr;
}

static int compact_keep(struct storage *s)
{
	return 0;
}

/* The mapping and the descriptor are the handle's. */
static void compact_drop(struct storage *s)
{
	storage_set_kept(s, NULL);
	s->fd = -1;
}

static const struct storage_ops compact_ops = {
	.name = "compact",
	.map = compact_map,
	.keep = compact_keep,
	.drop = compact_drop,
};

void storage_compact(struct storage *s, int fd, const struct control *c, size_t size)
{
	memset(s, 0, sizeof(*s));
	s->ops = &compact_ops;
	s->fd = fd;
	s->size = size;
	storage_set_kept(s, c->base);
	s->may_write = true;
}
