/* SPDX-License-Identifier: MIT */
/*
 * Addresses at which storage is seen, that stay the same when the storage is replaced: a range that
 * is kept free from the beginning, large enough and aligned for huge pages, and filled with
 * whatever the buffer's bytes are in now.
 */
#ifndef DMABUF_SRC_WINDOW_H
#define DMABUF_SRC_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

#define WINDOW_UNIT ((size_t)2 << 20)

struct window {
	char *base;    /* NULL: there is none */
	size_t span;   /* bytes that are kept free from there, in units */
	size_t filled; /* of those, bytes that show storage */
	size_t offset; /* of @base in the payload, in units */
	int prot;
	bool inherit; /* a forked child shall see it */
	struct dmabuf_list link;
};

/* What a window shows. */
struct window_view {
	int fd;
	size_t size;	/* of the descriptor */
	size_t granule; /* a power of two, at most a unit */
	bool locked;
};

/* Keep addresses free for [offset, offset + length) of a payload. 0 or -errno with words. */
int window_reserve(struct window *w, size_t offset, size_t length, int prot, bool inherit);

/*
 * Show @view in place of what was there, which goes in the same moment. On failure nothing is to be
 * seen there until the next try. 0 or -errno with words.
 */
int window_fill(struct window *w, const struct window_view *view);

void window_release(struct window *w);

#endif
