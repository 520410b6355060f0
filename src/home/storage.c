// SPDX-License-Identifier: MIT
/* What can be storage: nobody who merely holds its descriptor can take its bytes away. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "error.h"
#include "home/home.h"

#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif
#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SEALS_FORBIDDEN (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static const char *check_seals(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return "is a file, which whoever holds it can truncate: it takes a sealed memfd";
	if ((seals & SEALS_NEEDED) != SEALS_NEEDED)
		return "is a memfd that is not sealed against resizing and further seals";
	return seals & SEALS_FORBIDDEN ? "is a memfd that is sealed against writing" : NULL;
}

/* NULL, or what is wrong with it. */
static const char *check_kind(int fd)
{
	struct statfs fs;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstatfs(fd, &fs) < 0)
		return "is no open descriptor";
	if ((flags & O_ACCMODE) != O_RDWR || flags & O_PATH)
		return "is not open for reading and writing";
	switch (fs.f_type) {
	case SECRETMEM_MAGIC: /* its size is set once */
	case DMA_BUF_MAGIC:
		return NULL;
	case TMPFS_MAGIC:
	case HUGETLBFS_MAGIC:
		return check_seals(fd);
	default:
		return "is neither a memfd, nor secret memory, nor a kernel dma-buf";
	}
}

/* The size of a dma-buf is where its end is. */
static int64_t size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	return S_ISREG(st.st_mode) && st.st_size ? st.st_size : lseek(fd, 0, SEEK_END);
}

int home_check_storage(int fd, uint64_t size, uint64_t *have, const char *whose)
{
	const char *wrong = check_kind(fd);
	int64_t got;

	if (wrong)
		return dmabuf_fail(EPROTO, "%s: descriptor %d %s", whose, fd, wrong);
	got = size_of(fd);
	if (got < 0 || (uint64_t)got < size)
		return dmabuf_fail(EPROTO, "%s: %" PRId64 " bytes of storage instead of %" PRIu64,
				   whose, got, size);
	*have = (uint64_t)got;
	return 0;
}
