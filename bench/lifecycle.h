/* SPDX-License-Identifier: MIT */
/*
 * The life of one buffer in two processes: its owner makes, fills and sends it, its peer takes,
 * reads and drops it and says so, then the owner drops it.
 */
#ifndef DMABUF_BENCH_LIFECYCLE_H
#define DMABUF_BENCH_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>

struct lifecycle {
	size_t size;
	bool touch; /* write every page there, read every page here */
};

/* One way of doing it. @buffers passes descriptors, @control one byte back. */
struct lifecycle_kind {
	void (*owner)(int buffers, int control, const struct lifecycle *l);
	void (*peer)(int buffers, int control, const struct lifecycle *l);
};

extern const struct lifecycle_kind lifecycle_dmabuf;
extern const struct lifecycle_kind lifecycle_memfd;

#endif
