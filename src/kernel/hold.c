// SPDX-License-Identifier: MIT
#include "kernel/hold.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "kernel/dmabuf.h"
#include "kernel/fence.h"
#include "kernel/storage.h"

static bool is_kernel(const struct sync_member *m)
{
	return storage_is_kernel(&m->hold.buffer->storage);
}

static bool writes(const struct sync_member *m)
{
	return m->hold.kind & RESV_WRITE;
}

bool kernel_hold_any(struct sync_member **members, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count && !is_kernel(members[i]); i++)
		;
	return i < count;
}

struct sync_member *kernel_hold_blocked(struct sync_member **members, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (is_kernel(members[i]) &&
		    kernel_wait(members[i]->hold.buffer->storage.fd, writes(members[i]), 0, false))
			return members[i];
	return NULL;
}

int kernel_hold_report(const struct sync_member *m, int err)
{
	return kernel_report(m->hold.buffer->storage.fd, writes(m), err);
}

static int wait_for(const struct sync_member *m, uint64_t deadline, bool intr)
{
	int err = kernel_wait(m->hold.buffer->storage.fd, writes(m), deadline, intr);

	if (err == -ETIMEDOUT)
		return kernel_hold_report(m, deadline ? ETIMEDOUT : EBUSY);
	if (err == -EINTR)
		return dmabuf_fail(EINTR, "the wait for a fence of the kernel's was interrupted");
	return err ? dmabuf_fail(-err, "polling a kernel dma-buf failed: %s", strerror(-err)) : 0;
}

int kernel_hold_wait(struct sync_member **members, unsigned int count, uint64_t deadline, bool intr)
{
	unsigned int i;
	int err = 0;

	if (!kernel_hold_blocked(members, count))
		return 0;
	/* It is not had yet, so no lease has begun. */
	sync_say_acquiring(members, count, true, 0);
	for (i = 0; !err && i < count; i++)
		if (is_kernel(members[i]))
			err = wait_for(members[i], deadline, intr);
	sync_say_acquiring(members, count, false, 0);
	return err ? err : sync_still_held(members, count);
}

void kernel_hold_begin(struct sync_member *m)
{
	struct storage *s = &m->hold.buffer->storage;

	if (!is_kernel(m))
		return;
	m->fence = kernel_fence_begin(s->fd, writes(m));
	if (m->fence)
		storage_kernel_own_fence(s, 1);
}

void kernel_hold_end(struct sync_member *m)
{
	if (!m->fence)
		return;
	kernel_fence_end(m->fence);
	storage_kernel_own_fence(&m->hold.buffer->storage, -1);
	m->fence = NULL;
}
