// SPDX-License-Identifier: MIT
#include "kernel/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* Far behind any end. Every other byte, since the kernel makes one lock of two that touch. */
#define FIRST ((int64_t)1 << 62)
#define LAST (FIRST + ((int64_t)1 << 61) - 1)

static int64_t byte_of(const struct kernel_mark *mark)
{
	return FIRST + (int64_t)(((uint64_t)mark->number << 32 | mark->netns) * 2);
}

static struct kernel_mark mark_at(int64_t byte)
{
	uint64_t value = (uint64_t)(byte - FIRST) / 2;

	return (struct kernel_mark){ .number = (uint32_t)(value >> 32), .netns = (uint32_t)value };
}

uint32_t kernel_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) < 0 ? 0 : (uint32_t)st.st_ino;
}

/* Read locks: write locks would need a description that can write. */
static int set_lock(int fd, short type, int64_t byte)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int kernel_mark_set(int fd, const struct kernel_mark *mark)
{
	int err = set_lock(fd, F_RDLCK, byte_of(mark));

	if (err)
		return dmabuf_fail(-err, "marking a kernel dma-buf as adopted failed: %s",
				   strerror(-err));
	return 0;
}

void kernel_mark_clear(int fd, const struct kernel_mark *mark)
{
	(void)set_lock(fd, F_UNLCK, byte_of(mark));
}

/*
 * The first lock from @from on that is the description's; what asks is this process, to which that
 * is somebody else. 1: there is one; 0: none. Locks of processes are no marks: holders may have
 * theirs, and a range in which the kernel names one first is searched before and behind it.
 */
static int find(int fd, int64_t from, int64_t to, unsigned int depth, struct flock *found)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = to - from + 1
	};
	int64_t end;
	int ret;

	if (from > to)
		return 0;
	if (!depth || fcntl(fd, F_GETLK, &lock) < 0)
		return -EIO;
	if (lock.l_type == F_UNLCK)
		return 0;
	ret = find(fd, from, lock.l_start - 1, depth - 1, found);
	if (ret)
		return ret;
	if (lock.l_pid == -1) {
		*found = lock;
		return 1;
	}
	end = lock.l_len ? lock.l_start + lock.l_len : LAST + 1;
	return find(fd, end, to, depth - 1, found);
}

static int spoilt(void)
{
	return dmabuf_fail(EIO, "the marks on a kernel dma-buf make no sense: somebody who has it "
				"scribbles there");
}

int kernel_marks(int fd, struct kernel_mark *marks)
{
	int64_t from = FIRST;
	struct flock lock;
	int count = 0, ret;

	while ((ret = find(fd, from, LAST, KERNEL_MARKS_MAX, &lock)) > 0) {
		if (lock.l_len != 1 || count == KERNEL_MARKS_MAX)
			return spoilt();
		marks[count] = mark_at(lock.l_start);
		if (!marks[count].number || marks[count].number > KERNEL_MARK_NUMBER_MAX)
			return spoilt();
		count++;
		from = lock.l_start + 1;
	}
	return ret < 0 ? spoilt() : count;
}
