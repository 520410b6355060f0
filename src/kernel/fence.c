// SPDX-License-Identifier: MIT
#include "kernel/fence.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>

#include "clock.h"
#include "export.h"
#include "kernel/dmabuf.h"
#include "kernel/vgem.h"
#include "process.h"
#include "registry.h"

/* More than so many carriers are not kept for the next holds. */
#define IDLE_MAX 16
#define LOOK_AGAIN_NS 1000000000u

struct kernel_fence {
	uint64_t cookie;
	struct vgem_carrier carrier;
	struct registry_fd carried; /* the carrier's descriptor, as the fork handler knows it */
	uint32_t number;
	struct kernel_fence *next; /* idle */
};

/* All of it guarded by the registry's lock; a forked child begins anew. */
static struct {
	uint64_t cookie;
	struct registry_fd device; /* -1: could not be opened; @error says why */
	int error;
	uint64_t look_again; /* for it, on clock_ns() */
	struct kernel_fence *idle;
	unsigned int idle_count;
	unsigned int used; /* fences that are out */
} maker;

/* The parent's descriptors were closed in the child; what they were kept in is not freed there. */
static void begin_anew(uint64_t cookie)
{
	maker.cookie = cookie;
	maker.idle = NULL;
	maker.idle_count = 0;
	maker.used = 0;
	maker.device.fd = vgem_open();
	maker.error = maker.device.fd < 0 ? -maker.device.fd : 0;
	if (!maker.error)
		registry_track_fd(&maker.device);
}

/* Modules come and go, but not with every lock. */
static bool has_device(void)
{
	uint64_t cookie = process_cookie(), now = clock_ns();

	if (maker.cookie != cookie ||
	    (maker.device.fd < 0 && (!maker.error || now >= maker.look_again))) {
		begin_anew(cookie);
		maker.look_again = now + LOOK_AGAIN_NS;
	}
	return !maker.error;
}

static struct kernel_fence *take_idle(void)
{
	struct kernel_fence *f = maker.idle;

	if (f) {
		maker.idle = f->next;
		maker.idle_count--;
	}
	return f;
}

static void drop_carrier(struct kernel_fence *f)
{
	registry_untrack_fd(&f->carried);
	vgem_carrier_drop(maker.device.fd, &f->carrier);
	free(f);
}

static struct kernel_fence *make(void)
{
	struct kernel_fence *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->cookie = maker.cookie;
	if (vgem_carrier_make(maker.device.fd, &f->carrier)) {
		free(f);
		return NULL;
	}
	f->carried.fd = f->carrier.dmabuf;
	registry_track_fd(&f->carried);
	return f;
}

/* Nothing is left that needs the device: a process that had one lock is not to keep it open. */
static void close_unused(void)
{
	struct kernel_fence *f;

	if (maker.used)
		return;
	while ((f = take_idle()))
		drop_carrier(f);
	close(maker.device.fd);
	registry_untrack_fd(&maker.device);
	maker.device.fd = -1;
}

static int put_on(struct kernel_fence *f, int dmabuf, bool write)
{
	int file = vgem_fence(maker.device.fd, &f->carrier, &f->number), err;

	if (file < 0)
		return file;
	err = kernel_import_sync_file(dmabuf, file, write);
	close(file);
	if (err)
		vgem_signal(maker.device.fd, f->number);
	return err;
}

static struct kernel_fence *begin(int dmabuf, bool write)
{
	struct kernel_fence *f = take_idle();

	if (!f)
		f = make();
	if (f && put_on(f, dmabuf, write)) {
		drop_carrier(f);
		f = NULL;
	}
	if (f)
		maker.used++;
	return f;
}

struct kernel_fence *kernel_fence_begin(int dmabuf, bool write)
{
	struct kernel_fence *f = NULL;

	registry_lock();
	if (has_device())
		f = begin(dmabuf, write);
	registry_unlock();
	return f;
}

void kernel_fence_end(struct kernel_fence *f)
{
	if (!f)
		return;
	if (f->cookie != process_cookie()) {
		free(f);
		return;
	}
	registry_lock();
	vgem_signal(maker.device.fd, f->number);
	maker.used--;
	if (maker.idle_count < IDLE_MAX) {
		f->next = maker.idle;
		maker.idle = f;
		maker.idle_count++;
	} else {
		drop_carrier(f);
	}
	registry_unlock();
}

void kernel_fences_unused(void)
{
	registry_lock();
	if (maker.cookie == process_cookie() && maker.device.fd >= 0)
		close_unused();
	registry_unlock();
}

DMABUF_PUBLIC const char *dma_buf_kernel_fences_missing(void)
{
	int err;

	registry_lock();
	maker.look_again = 0;
	err = has_device() ? 0 : maker.error;
	if (!err && !maker.used && !maker.idle)
		close_unused();
	registry_unlock();
	if (!err)
		return "";
	return err == ENODEV ? "there is no vgem: as root, modprobe vgem"
			     : "vgem's node cannot be opened: root, or who is in group video, may";
}
