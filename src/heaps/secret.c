// SPDX-License-Identifier: MIT
/*
 * Memory that only processes with its descriptor reach: the kernel takes it out of its own map, so
 * that no driver, no debugger and no other system call reads it.
 */
#include "heaps/heaps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static int create(void)
{
	return (int)syscall(SYS_memfd_secret, O_CLOEXEC);
}

static unsigned int describe(const struct heap_places *places, struct dma_buf_heap_info *list,
			     unsigned int max)
{
	int fd = create();

	heap_fill(list, "secret", 60, HEAP_PAGE, heap_highest_address(places));
	list->trust_domain = DMA_BUF_TRUST_HOLDERS;
	list->page_backed = false;
	list->available = fd >= 0;
	if (fd >= 0 && heap_lock_room(places, &list->capacity)) {
		list->available = list->capacity >= HEAP_PAGE;
		snprintf(list->where, sizeof(list->where),
			 "memfd_secret(), which counts as locked: RLIMIT_MEMLOCK leaves %" PRIu64
			 " KiB, \"ulimit -l\" raises it",
			 list->capacity >> 10);
	} else if (fd >= 0) {
		snprintf(list->where, sizeof(list->where), "memfd_secret()");
	} else {
		snprintf(list->where, sizeof(list->where), "memfd_secret(): %s%s", strerror(errno),
			 errno == ENOSYS ? "; boot with secretmem.enable=1" : "");
	}
	if (fd >= 0)
		close(fd);
	return 1;
}

static int alloc(const char *name, uint64_t size)
{
	int fd = create(), err;

	if (fd < 0)
		return dmabuf_fail(errno == ENOSYS ? ENODEV : errno,
				   "secret memory cannot be had: %s", strerror(errno));
	if (ftruncate(fd, (off_t)size) == 0)
		return fd;
	err = dmabuf_fail(errno, "sizing secret memory to %" PRIu64 " bytes failed: %s", size,
			  strerror(errno));
	close(fd);
	return err;
}

const struct heap_class heap_secret = { describe, alloc, "secret" };
