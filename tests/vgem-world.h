/* SPDX-License-Identifier: MIT */
/* A kernel dma-buf, and a driver (vgem) that puts fences on it when the test says so. */
#ifndef DMABUF_TEST_VGEM_WORLD_H
#define DMABUF_TEST_VGEM_WORLD_H

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"
#include "kernel/vgem.h"

#define SIZE 4096

/* A vgem dma-buf, and the driver's node that puts fences on it. */
struct world {
	int device;
	struct vgem_carrier own; /* the buffer */
	int fd;
	uint32_t fence;
};

static inline void world_begin(struct world *w)
{
	w->device = vgem_open();
	if (w->device < 0)
		SKIP("no vgem: %s", strerror(-w->device));
	ASSERT_OK(vgem_carrier_make(w->device, &w->own));
	w->fd = w->own.dmabuf;
}

static inline void world_end(struct world *w)
{
	vgem_carrier_drop(w->device, &w->own);
	close(w->device);
}

/* Somebody's device writes. */
static inline void fence_begin(struct world *w)
{
	int file = vgem_fence(w->device, &w->own, &w->fence);

	ASSERT_OK(file);
	close(file);
}

static inline void fence_end(struct world *w)
{
	vgem_signal(w->device, w->fence);
}

static inline bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

static inline bool is_readable(void *arg)
{
	return ready(*(int *)arg, POLLIN);
}

#endif
