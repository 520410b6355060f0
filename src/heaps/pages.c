// SPDX-License-Identifier: MIT
/* Ordinary memory: as it comes, in huge pages where the system allows, and locked. */
#include "heaps/heaps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "memfd.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static unsigned int describe_memfd(const struct heap_places *places, struct dma_buf_heap_info *list,
				   unsigned int max)
{
	heap_fill(list, "memfd", 10, HEAP_PAGE, heap_highest_address(places));
	snprintf(list->where, sizeof(list->where), "memfd_create()");
	return 1;
}

static int alloc_memfd(const char *name, uint64_t size)
{
	return memfd_make(name, size);
}

const struct heap_class heap_memfd = { describe_memfd, alloc_memfd, "memfd" };

/* The word in brackets. */
static bool chosen(const char *text, char *word, size_t size)
{
	const char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;

	if (!to || (size_t)(to - from) > size)
		return false;
	memcpy(word, from + 1, (size_t)(to - from) - 1);
	word[to - from - 1] = '\0';
	return true;
}

static unsigned int describe_thp(const struct heap_places *places, struct dma_buf_heap_info *list,
				 unsigned int max)
{
	char text[128], word[32];

	heap_fill(list, "thp", 12, HEAP_PAGE, heap_highest_address(places));
	list->usual_chunk = HEAP_HUGE_PAGE;
	if (!heap_read_text(places, SHMEM_ENABLED, text, sizeof(text)) ||
	    !chosen(text, word, sizeof(word))) {
		list->available = false;
		snprintf(list->where, sizeof(list->where),
			 "this kernel has no transparent huge pages for shared memory");
		return 1;
	}
	list->available = strcmp(word, "never") != 0 && strcmp(word, "deny") != 0;
	snprintf(list->where, sizeof(list->where),
		 list->available ? "shmem_enabled is \"%s\""
				 : "shmem_enabled is \"%s\": as root, echo advise >" SHMEM_ENABLED,
		 word);
	return 1;
}

/* Huge pages come when memory is first touched, so that is done here. */
static int alloc_thp(const char *name, uint64_t size)
{
	int fd = memfd_make(name, size);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int err = dmabuf_fail(errno, "mapping %" PRIu64 " bytes failed: %s", size,
				      strerror(errno));

		close(fd);
		return err;
	}
	/* Without these it is ordinary memory, which the heap's description allows. */
	if (madvise(memory, size, MADV_HUGEPAGE) == 0)
		(void)madvise(memory, size, MADV_POPULATE_WRITE);
	munmap(memory, size);
	return fd;
}

const struct heap_class heap_thp = { describe_thp, alloc_thp, "thp" };

/* A lock belongs to a mapping, not to a descriptor: whoever maps the memory locks it. */
static unsigned int describe_locked(const struct heap_places *places,
				    struct dma_buf_heap_info *list, unsigned int max)
{
	heap_fill(list, "locked", 20, HEAP_PAGE, heap_highest_address(places));
	if (!heap_lock_room(places, &list->capacity)) {
		snprintf(list->where, sizeof(list->where), "memory may be locked without limit");
		return 1;
	}
	list->available = list->capacity >= HEAP_PAGE;
	snprintf(list->where, sizeof(list->where),
		 "RLIMIT_MEMLOCK leaves %" PRIu64
		 " KiB: \"ulimit -l\" raises it, CAP_IPC_LOCK lifts it",
		 list->capacity >> 10);
	return 1;
}

static int cannot_lock(int err, uint64_t size, uint64_t room)
{
	return dmabuf_fail(err,
			   "%" PRIu64 " bytes cannot be locked: RLIMIT_MEMLOCK leaves %" PRIu64
			   " here; \"ulimit -l\" raises it, CAP_IPC_LOCK lifts it",
			   size, room);
}

/* Who cannot lock it would be told so only after all have agreed on it. */
static int alloc_locked(const char *name, uint64_t size)
{
	static const struct heap_places here = { .root = "" };
	uint64_t room;

	if (heap_lock_room(&here, &room) && size > room)
		return cannot_lock(ENOMEM, size, room);
	return memfd_make(name, size);
}

int heap_lock(const void *memory, size_t length)
{
	static const struct heap_places here = { .root = "" };
	uint64_t room;
	int err;

	if (mlock(memory, length) == 0)
		return 0;
	err = errno;
	if (heap_lock_room(&here, &room) && length > room)
		return cannot_lock(err, length, room);
	return dmabuf_fail(err, "%zu bytes cannot be locked: %s", length, strerror(err));
}

const struct heap_class heap_locked = { describe_locked, alloc_locked, "locked" };
