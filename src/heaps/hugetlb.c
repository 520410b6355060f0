// SPDX-License-Identifier: MIT
/* Huge pages of 2 MiB from the pool that the administrator set apart: contiguous up to the page. */
#include "heaps/heaps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB"

static unsigned int describe(const struct heap_places *places, struct dma_buf_heap_info *list,
			     unsigned int max)
{
	uint64_t unused = 0, reserved = 0, total = 0, extra = 0, taken = 0;
	bool known;

	heap_fill(list, "hugetlb", 40, HEAP_HUGE_PAGE, heap_highest_address(places));
	known = heap_read_number(places, POOL "/free_hugepages", &unused);
	heap_read_number(places, POOL "/resv_hugepages", &reserved);
	heap_read_number(places, POOL "/nr_hugepages", &total);
	/* What the kernel may add to the pool when asked, if it finds memory in one piece. */
	heap_read_number(places, POOL "/nr_overcommit_hugepages", &extra);
	heap_read_number(places, POOL "/surplus_hugepages", &taken);
	if (extra > taken && extra - taken <= HEAP_MAX_SIZE / HEAP_HUGE_PAGE)
		unused += extra - taken;
	if (unused > reserved && unused - reserved <= HEAP_MAX_SIZE / HEAP_HUGE_PAGE)
		list->capacity = (unused - reserved) * HEAP_HUGE_PAGE;
	list->available = list->capacity > 0;
	if (!known)
		snprintf(list->where, sizeof(list->where),
			 "this kernel has no huge pages of 2 MiB");
	else if (list->available)
		snprintf(list->where, sizeof(list->where),
			 "%" PRIu64 " pages to be had, %" PRIu64 " in the pool", unused - reserved,
			 total);
	else
		snprintf(list->where, sizeof(list->where),
			 "no free page in the pool: as root, echo 16 >" POOL "/nr_hugepages");
	return 1;
}

/* Pages are taken now: a mapping that finds the pool empty would be killed by SIGBUS. */
static int alloc(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB);
	int err;

	if (fd < 0)
		return dmabuf_fail(errno == EINVAL || errno == ENOSYS ? ENODEV : errno,
				   "huge pages cannot be had: %s", strerror(errno));
	do {
		err = ftruncate(fd, (off_t)size) < 0 || fallocate(fd, 0, 0, (off_t)size) < 0 ? errno
											     : 0;
	} while (err == EINTR);
	if (!err)
		return fd;
	close(fd);
	return dmabuf_fail(err == ENOSPC ? ENOMEM : err,
			   "%" PRIu64 " huge pages are not to be had: %s", size / HEAP_HUGE_PAGE,
			   strerror(err));
}

const struct heap_class heap_hugetlb = { describe, alloc, "hugetlb" };
