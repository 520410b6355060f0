// SPDX-License-Identifier: MIT
#include "kernel/dmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sync_file.h>
#include <linux/types.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "futex.h"
#include "kernel/abi.h"
#include "kernel/sync-file.h"
#include "text.h"

#define FDINFO_MAX 2048

bool kernel_is_dmabuf(int fd)
{
	int saved = errno;
	struct statfs fs;
	bool is = fstatfs(fd, &fs) == 0 && fs.f_type == DMA_BUF_MAGIC;

	errno = saved;
	return is;
}

/* One line's value, which ends with the line. The first one counts: a name can hold anything. */
static void take_line(const char *text, const char *key, char *value)
{
	const char *at = text;

	while (strncmp(at, key, strlen(key)) != 0) {
		at = strchr(at, '\n');
		if (!at)
			return;
		at++;
	}
	at += strlen(key);
	at += strspn(at, "\t ");
	text_copy_untrusted(value, DMA_BUF_NAME_LEN, at, strcspn(at, "\n"));
}

void kernel_parse_fdinfo(const char *text, struct kernel_facts *facts)
{
	take_line(text, "exp_name:", facts->exp_name);
	take_line(text, "name:", facts->name);
}

/* Names are for people: without /proc there are none. */
static void read_fdinfo(int fd, struct kernel_facts *facts)
{
	char path[64], text[FDINFO_MAX];
	size_t used = 0;
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return;
	do {
		n = read(info, text + used, sizeof(text) - 1 - used);
		if (n > 0)
			used += (size_t)n;
	} while ((n > 0 && used < sizeof(text) - 1) || (n < 0 && errno == EINTR));
	close(info);
	text[used] = '\0';
	kernel_parse_fdinfo(text, facts);
}

int kernel_describe(int fd, int shown, struct kernel_facts *facts)
{
	struct stat st;
	int mode = fcntl(fd, F_GETFL);

	if (mode < 0 || fstat(fd, &st) < 0)
		return dmabuf_fail(errno, "descriptor %d: %s", shown, strerror(errno));
	memset(facts, 0, sizeof(*facts));
	facts->mode = mode & O_ACCMODE;
	if (facts->mode == O_WRONLY)
		return dmabuf_fail(
			EACCES,
			"descriptor %d is a kernel dma-buf that can only be written: have "
			"it exported with O_RDWR",
			shown);
	if (st.st_size <= 0)
		return dmabuf_fail(EINVAL, "descriptor %d: the kernel does not say its size",
				   shown);
	if ((uint64_t)st.st_size > DMA_BUF_MAX_SIZE)
		return dmabuf_fail(EFBIG, "descriptor %d has %jd bytes, more than the limit", shown,
				   (intmax_t)st.st_size);
	facts->device = st.st_dev;
	facts->inode = st.st_ino;
	facts->size = (uint64_t)st.st_size;
	text_copy(facts->exp_name, sizeof(facts->exp_name), "kernel");
	read_fdinfo(fd, facts);
	return 0;
}

int kernel_sync(int fd, uint64_t flags, uint64_t deadline)
{
	struct dmabuf_abi_sync sync = { .flags = flags };
	int err;

	do {
		err = ioctl(fd, DMABUF_ABI_SYNC, &sync) < 0 ? errno : 0;
	} while ((err == EINTR || err == EAGAIN) && clock_ns() < deadline);
	if (!err)
		return 0;
	return dmabuf_fail(err, "the kernel's sync of a dma-buf for the CPU (%s%s%s) failed: %s",
			   flags & DMABUF_ABI_SYNC_END ? "end" : "start",
			   flags & DMABUF_ABI_SYNC_READ ? " read" : "",
			   flags & DMABUF_ABI_SYNC_WRITE ? " write" : "", strerror(err));
}

static int poll_time(uint64_t deadline)
{
	uint64_t now = clock_ns(), left;

	if (deadline == FUTEX_FOREVER)
		return -1;
	if (now >= deadline)
		return 0;
	left = (deadline - now + 999999) / 1000000;
	return left > 0x7fffffff ? 0x7fffffff : (int)left;
}

int kernel_wait(int fd, bool write, uint64_t deadline, bool intr)
{
	short events = write ? POLLOUT : POLLIN;
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	for (;;) {
		n = poll(&p, 1, deadline ? poll_time(deadline) : 0);
		if (n > 0)
			return p.revents & events ? 0 : -EIO;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
		if (intr)
			return -EINTR;
	}
}

int kernel_try_set_name(int fd, const char *name)
{
	return ioctl(fd, DMABUF_ABI_SET_NAME, name) < 0 ? -errno : 0;
}

int kernel_set_name(int fd, const char *name)
{
	int err = kernel_try_set_name(fd, name);

	if (err)
		return dmabuf_fail(-err, "naming a kernel dma-buf failed: %s", strerror(-err));
	return 0;
}

int kernel_export_sync_file(int fd, bool write)
{
	struct dmabuf_abi_sync_file arg = { .flags = write ? DMABUF_ABI_SYNC_WRITE
							   : DMABUF_ABI_SYNC_READ,
					    .fd = -1 };

	if (ioctl(fd, DMABUF_ABI_EXPORT_SYNC_FILE, &arg) < 0)
		return -errno;
	return arg.fd;
}

int kernel_import_sync_file(int fd, int sync_file, bool write)
{
	struct dmabuf_abi_sync_file arg = { .flags = write ? DMABUF_ABI_SYNC_WRITE
							   : DMABUF_ABI_SYNC_READ,
					    .fd = sync_file };

	return ioctl(fd, DMABUF_ABI_IMPORT_SYNC_FILE, &arg) < 0 ? -errno : 0;
}

unsigned int kernel_pending(int fd, bool write)
{
	int file = kernel_export_sync_file(fd, write);
	unsigned int pending = 0;

	if (file >= 0) {
		pending = kernel_sync_file_pending(file, NULL);
		close(file);
	}
	return pending;
}

int kernel_report(int fd, bool write, int err)
{
	struct dmabuf_sync_fence_info fence = { .driver = "" };
	int file = kernel_export_sync_file(fd, write);

	if (file >= 0) {
		kernel_sync_file_pending(file, &fence);
		close(file);
	}
	if (!fence.driver[0])
		return dmabuf_fail(err, "a fence of the kernel's keeps the buffer");
	return dmabuf_fail(err, "a fence of the kernel's keeps the buffer: %s %s", fence.driver,
			   fence.timeline);
}
