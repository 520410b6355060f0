// SPDX-License-Identifier: MIT
/* The descriptor of a sync object: readable when an attempt has ended. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dmabuf-sync-async.h"
#include "error.h"
#include "export.h"

void sync_fd_set(int fd)
{
	/* Fails only if it is full, which is readable too. */
	if (fd >= 0)
		(void)!eventfd_write(fd, 1);
}

void sync_fd_clear(int fd)
{
	eventfd_t value;

	if (fd >= 0)
		(void)!eventfd_read(fd, &value);
}

DMABUF_PUBLIC int dmabuf_sync_fd(struct dmabuf_sync *sync)
{
	int err = sync_check(sync);

	if (err)
		return err;
	if (sync->fd >= 0)
		return sync->fd;
	if (sync_is_locking(sync))
		return dmabuf_fail(EBUSY,
				   "sync object \"%s\" waits for its lock: ask for its descriptor "
				   "before",
				   sync->name);
	sync->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sync->fd >= 0)
		return sync->fd;
	return dmabuf_fail(errno, "no descriptor for sync object \"%s\": %s", sync->name,
			   strerror(errno));
}

DMABUF_PUBLIC int dmabuf_sync_set_claim(struct dmabuf_sync *sync, unsigned int claim_ms)
{
	int err = sync_check(sync);

	if (err)
		return err;
	if (claim_ms < 1 || claim_ms > DMABUF_SYNC_LEASE_MAX_MS)
		return dmabuf_fail(EINVAL, "%u ms to claim a grant: 1 to %u are possible", claim_ms,
				   DMABUF_SYNC_LEASE_MAX_MS);
	if (sync_is_locking(sync))
		return dmabuf_fail(EBUSY, "sync object \"%s\" waits for its lock", sync->name);
	sync->claim_ms = claim_ms;
	return 0;
}
