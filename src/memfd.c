// SPDX-License-Identifier: MIT
#include "memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* Linux 6.3 has MFD_NOEXEC_SEAL, and a sysctl that demands it; older kernels refuse it. */
static int create(const char *name)
{
	static atomic_uint noexec = MFD_NOEXEC_SEAL;
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | atomic_load(&noexec));

	if (fd < 0 && errno == EINVAL && atomic_load(&noexec)) {
		fd = memfd_create(name, flags);
		if (fd >= 0)
			atomic_store(&noexec, 0);
	}
	return fd;
}

int memfd_make(const char *name, size_t size)
{
	int fd = create(name);
	int err;

	if (fd < 0)
		return dmabuf_fail(errno, "creating a memfd failed: %s", strerror(errno));
	if (ftruncate(fd, (off_t)size) == 0)
		return fd;
	err = dmabuf_fail(errno, "sizing a memfd to %zu bytes failed: %s", size, strerror(errno));
	close(fd);
	return err;
}

int memfd_seal(int fd, int seals)
{
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return dmabuf_fail(errno, "sealing a memfd failed: %s", strerror(errno));
	return 0;
}
