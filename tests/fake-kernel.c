// SPDX-License-Identifier: MIT
#include "fake-kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <dmabuf.h>

#include "harness/harness.h"
#include "kernel/abi.h"

#define FAKES 32
#define SYNCS 64

/* Shared with the processes that the test makes, as a kernel is. */
static struct {
	_Atomic(unsigned int) count;
	_Atomic(uint64_t) inode[FAKES];
	_Atomic(unsigned int) syncs;
	_Atomic(uint64_t) flags[SYNCS];
	_Atomic(int) error;
	_Atomic(unsigned int) errors;
	_Atomic(bool) writer, reader;
	char name[32];
} * fake;

__attribute__((constructor)) static void begin(void)
{
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake == MAP_FAILED)
		abort();
}

bool is_fake(int fd)
{
	struct stat st;
	unsigned int i;

	if (!fake->count || fstat(fd, &st) < 0)
		return false;
	for (i = 0; i < FAKES; i++)
		if (fake->inode[i] == st.st_ino)
			return true;
	return false;
}

int fake_dmabuf(size_t size)
{
	int fd = memfd_create("pretended", MFD_CLOEXEC);
	struct stat st;

	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, (off_t)size));
	ASSERT_OK(fstat(fd, &st));
	fake->inode[fake->count % FAKES] = st.st_ino;
	fake->count++;
	/* What an earlier test left. */
	fake->syncs = fake->errors = 0;
	fake->writer = fake->reader = false;
	return fd;
}

int kernel_dmabuf(size_t size)
{
	static const char *const heaps[] = { "udmabuf", "dma_heap/system" };
	int fd = -1;

	for (unsigned int i = 0; i < 2 && fd < 0; i++)
		fd = dma_buf_heap_alloc(heaps[i], "test", size);
	return fd < 0 ? fake_dmabuf(size) : fd;
}

unsigned int fake_syncs(uint64_t *flags, unsigned int room)
{
	unsigned int count = atomic_exchange(&fake->syncs, 0), i;

	for (i = 0; i < count && i < room; i++)
		flags[i] = fake->flags[i];
	return count;
}

void fake_sync_fails(int error, unsigned int count)
{
	fake->error = error;
	fake->errors = count;
}

void fake_pending(bool pending, bool write)
{
	if (write)
		fake->writer = pending;
	else
		fake->reader = pending;
}

const char *fake_name(void)
{
	return fake->name;
}

int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	int ret = __real_fstatfs64(fd, fs);

	if (!ret && is_fake(fd))
		fs->f_type = DMA_BUF_MAGIC;
	return ret;
}

int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs(int fd, struct statfs *fs)
{
	return __wrap_fstatfs64(fd, fs);
}

static int fake_sync(const struct dmabuf_abi_sync *sync)
{
	unsigned int at = atomic_fetch_add(&fake->syncs, 1);

	if (at < SYNCS)
		fake->flags[at] = sync->flags;
	if (!fake->errors)
		return 0;
	fake->errors--;
	errno = fake->error;
	return -1;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (!is_fake(fd))
		return __real_ioctl(fd, request, arg);
	if (request == DMABUF_ABI_SYNC)
		return fake_sync(arg);
	if (request == DMABUF_ABI_SET_NAME) {
		snprintf(fake->name, sizeof(fake->name), "%s", (const char *)arg);
		return 0;
	}
	errno = ENOTTY; /* as before Linux 6.0 */
	return -1;
}

static short ready(short events)
{
	if (fake->writer)
		events &= ~(POLLIN | POLLOUT);
	if (fake->reader)
		events &= ~POLLOUT;
	return events & (POLLIN | POLLOUT);
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int64_t end = now_ms() + (timeout < 0 ? 60000 : timeout);

	if (count != 1 || !is_fake(fds->fd))
		return __real_poll(fds, count, timeout);
	for (;;) {
		fds->revents = ready(fds->events);
		if (fds->revents || now_ms() >= end)
			return fds->revents != 0;
		__real_poll(NULL, 0, 1);
	}
}
