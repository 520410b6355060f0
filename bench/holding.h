/* SPDX-License-Identifier: MIT */
/* Two processes that hold many buffers, in two ways. */
#ifndef DMABUF_BENCH_HOLDING_H
#define DMABUF_BENCH_HOLDING_H

#include <stddef.h>

/**
 * struct holding_kind - one way
 * @name: identifies it in the results
 * @prepare: room for @count buffers, and what a process needs once
 * @make: make buffer @i, write its pages, send it
 * @take: receive buffer @i, read its pages
 * @resident: bytes of memory behind buffer @i
 */
struct holding_kind {
	const char *name;
	void (*prepare)(int count);
	void (*make)(int i, size_t size, int socket);
	void (*take)(int i, int socket);
	double (*resident)(int i);
};

extern const struct holding_kind holding_memfd;
extern const struct holding_kind holding_dmabuf;

int holding_is_open(int fd);

#endif
