// SPDX-License-Identifier: MIT
#include "kernel/sync-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "dma-fence.h"
#include "error.h"
#include "list.h"
#include "registry.h"
#include "text.h"
#include "worker.h"

#define KERNEL_NAME "anon_inode:sync_file"
/* More fences than this in one file are not looked at one by one. */
#define FENCES_MAX 4096
/* Between two looks a file's fences can only get fewer, but for a merge into it that cannot be. */
#define LOOKS 4

_Static_assert(DMABUF_SYNC_FILE_NAME_LEN == sizeof(((struct sync_file_info *)0)->name),
	       "names as the kernel's");

/* What the kernel says of a file. */
struct looked {
	struct sync_file_info info;
	struct sync_fence_info *fences;
};

bool kernel_is_sync_file(int fd)
{
	char path[64], target[sizeof(KERNEL_NAME) + 1];
	struct sync_file_info info = { 0 };
	int saved = errno;
	ssize_t n;
	bool is;

	/* A path begins with a slash, so no file can be called so. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	is = n == sizeof(KERNEL_NAME) - 1 && !memcmp(target, KERNEL_NAME, (size_t)n) &&
	     ioctl(fd, SYNC_IOC_FILE_INFO, &info) == 0;
	errno = saved;
	return is;
}

static int file_info(int fd, struct sync_file_info *info)
{
	int ret;

	do
		ret = ioctl(fd, SYNC_IOC_FILE_INFO, info);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

/* 0: @looked->fences is to be freed; -errno with words. */
static int look(int fd, struct looked *looked)
{
	unsigned int room = 0, turn;
	int err;

	for (turn = 0; turn < LOOKS; turn++) {
		struct sync_file_info info = { .num_fences = 0 };

		err = file_info(fd, &info);
		if (err)
			return dmabuf_fail(-err, "a sync_file of the kernel's says nothing: %s",
					   strerror(-err));
		room = info.num_fences < FENCES_MAX ? info.num_fences : FENCES_MAX;
		looked->info = info;
		looked->fences = calloc(room + 1u, sizeof(*looked->fences));
		if (!looked->fences)
			return dmabuf_fail(ENOMEM, "no memory to look at %u fences", room);
		if (!room)
			return 0;
		looked->info.num_fences = room;
		looked->info.sync_fence_info = (uintptr_t)looked->fences;
		err = file_info(fd, &looked->info);
		if (!err && looked->info.num_fences <= room)
			return 0;
		free(looked->fences);
	}
	return dmabuf_fail(EIO, "a sync_file of the kernel's says nothing: %u fences", room);
}

static void fence_info(struct dmabuf_sync_fence_info *to, const struct sync_fence_info *from)
{
	*to = (struct dmabuf_sync_fence_info){ .status = from->status,
					       .timestamp = (int64_t)from->timestamp_ns };
	text_copy_untrusted(to->driver, sizeof(to->driver), from->driver_name,
			    sizeof(from->driver_name));
	text_copy_untrusted(to->timeline, sizeof(to->timeline), from->obj_name,
			    sizeof(from->obj_name));
}

unsigned int kernel_sync_file_pending(int fd, struct dmabuf_sync_fence_info *first)
{
	unsigned int pending = 0, i;
	struct looked looked;

	if (look(fd, &looked))
		return 0;
	for (i = 0; i < looked.info.num_fences; i++) {
		if (looked.fences[i].status)
			continue;
		if (!pending++ && first)
			fence_info(first, &looked.fences[i]);
	}
	free(looked.fences);
	return pending;
}

int kernel_sync_file_info(int fd, struct dmabuf_sync_file_info *info)
{
	unsigned int room = info->fences ? info->num_fences : 0, i;
	struct looked looked;
	int err = look(fd, &looked);

	if (err)
		return err;
	if (room && room < looked.info.num_fences) {
		free(looked.fences);
		return dmabuf_fail(EINVAL, "there are %u fences, and room for %u",
				   looked.info.num_fences, room);
	}
	for (i = 0; room && i < looked.info.num_fences; i++)
		fence_info(&info->fences[i], &looked.fences[i]);
	text_copy_untrusted(info->name, sizeof(info->name), looked.info.name,
			    sizeof(looked.info.name));
	info->status = looked.info.status;
	info->num_fences = looked.info.num_fences;
	free(looked.fences);
	return 0;
}

int kernel_sync_file_merge(int fd1, int fd2, const char *name)
{
	struct sync_merge_data merge = { .fd2 = fd2, .fence = -1 };
	int ret;

	text_copy(merge.name, sizeof(merge.name), name ? name : "merged");
	do
		ret = ioctl(fd1, SYNC_IOC_MERGE, &merge);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	if (ret < 0)
		return dmabuf_fail(errno, "the kernel does not merge two sync_files: %s",
				   strerror(errno));
	return merge.fence;
}

/* As fences: an import. */

struct kernel_import {
	struct dma_fence base;
	struct dma_fence_lock lock;
	struct worker_watch watch;
	struct worker_timer timer;
	pthread_mutex_t look_lock; /* guards what follows */
	struct registry_fd file;   /* -1 once it has ended, and in a forked child */
	bool ended;
	int status;
	int64_t timestamp;
	uint64_t deadline;
	char driver[DMABUF_SYNC_FILE_NAME_LEN];
	char timeline[DMABUF_SYNC_FILE_NAME_LEN];
};

static struct kernel_import *import_of(struct dma_fence *fence)
{
	return container_of(fence, struct kernel_import, base);
}

static const char *import_driver_name(struct dma_fence *fence)
{
	return import_of(fence)->driver;
}

static const char *import_timeline_name(struct dma_fence *fence)
{
	return import_of(fence)->timeline;
}

/* How it ended: the error of any of its fences, and when the last of them did. */
static void read_end(struct kernel_import *import)
{
	struct looked looked;
	unsigned int i;

	import->status = 1;
	import->timestamp = 0;
	if (look(import->file.fd, &looked))
		return;
	if (looked.info.status < 0)
		import->status = looked.info.status;
	for (i = 0; i < looked.info.num_fences; i++)
		if ((int64_t)looked.fences[i].timestamp_ns > import->timestamp)
			import->timestamp = (int64_t)looked.fences[i].timestamp_ns;
	free(looked.fences);
}

/* The kernel's clock for them is CLOCK_MONOTONIC, but of no time namespace. */
static void decide(struct kernel_import *import, int status, int64_t timestamp)
{
	import->ended = true;
	import->status = status;
	import->timestamp = timestamp > 0 ? timestamp : (int64_t)clock_ns();
	fence_decide(&import->base, import->status, import->timestamp);
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, 0);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Has it ended? The first look that finds so decides how. */
static bool import_look(struct kernel_import *import)
{
	bool ended;

	pthread_mutex_lock(&import->look_lock);
	if (!import->ended && import->file.fd >= 0 && readable(import->file.fd)) {
		read_end(import);
		decide(import, import->status, import->timestamp);
	}
	if (!import->ended && clock_ns() >= import->deadline)
		decide(import, -ETIMEDOUT, 0);
	ended = import->ended;
	pthread_mutex_unlock(&import->look_lock);
	return ended;
}

static bool import_signaled(struct dma_fence *fence)
{
	return import_look(import_of(fence));
}

/* The look lock is inside of the registry's here, and nobody takes them the other way round. */
static void close_file(struct kernel_import *import)
{
	registry_lock();
	pthread_mutex_lock(&import->look_lock);
	if (import->file.fd >= 0) {
		close(import->file.fd);
		registry_untrack_fd(&import->file);
	}
	import->file.fd = -1;
	pthread_mutex_unlock(&import->look_lock);
	registry_unlock();
}

static void import_retire(struct kernel_import *import)
{
	worker_unwatch(&import->watch);
	worker_timer_stop(&import->timer);
	close_file(import);
}

static void import_release(struct dma_fence *fence)
{
	struct kernel_import *import = import_of(fence);

	import_retire(import);
	pthread_mutex_destroy(&import->look_lock);
	free(import);
}

static const struct dma_fence_ops import_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = import_driver_name,
	.get_timeline_name = import_timeline_name,
	.signaled = import_signaled,
	.release = import_release,
};

/* In the library's thread. Not if the last reference has just gone: whoever dropped it waits. */
static void import_end(struct kernel_import *import)
{
	if (!dma_fence_get_unless_zero(&import->base))
		return;
	if (import_look(import)) {
		import_retire(import);
		dma_fence_signal(&import->base);
	}
	dma_fence_put(&import->base);
}

static void import_readable(struct worker_watch *watch, uint32_t events)
{
	import_end(container_of(watch, struct kernel_import, watch));
}

static void import_timed_out(struct worker_timer *timer)
{
	import_end(container_of(timer, struct kernel_import, timer));
}

static void name_import(struct kernel_import *import, const struct looked *looked)
{
	bool one = looked->info.num_fences == 1;
	struct dmabuf_sync_fence_info first = { .driver = "kernel", .timeline = "several" };

	if (one)
		fence_info(&first, looked->fences);
	memcpy(import->driver, first.driver, sizeof(import->driver));
	memcpy(import->timeline, first.timeline, sizeof(import->timeline));
}

static int import_begin(struct kernel_import *import)
{
	int err;

	if (dma_fence_is_signaled(&import->base)) {
		close_file(import);
		return 0;
	}
	err = worker_timer_start(&import->timer, import->deadline, import_timed_out);
	if (!err)
		err = worker_watch_fd(&import->watch, import->file.fd, EPOLLIN, import_readable);
	return err;
}

static struct kernel_import *import_new(int fd, const struct looked *looked)
{
	struct kernel_import *import = calloc(1, sizeof(*import));

	if (!import) {
		close(fd);
		return dmabuf_fail_ptr(ENOMEM, "no memory for a fence of the kernel's");
	}
	name_import(import, looked);
	import->deadline = clock_ns() + DMA_FENCE_TIMEOUT_MAX * (uint64_t)1000000;
	pthread_mutex_init(&import->look_lock, NULL);
	dma_fence_lock_init(&import->lock);
	/* The kernel does not say which timeline a fence is of: each is on one of its own. */
	dma_fence_init(&import->base, &import_ops, &import->lock, dma_fence_context_alloc(1), 1);
	import->file.fd = fd;
	registry_lock();
	registry_track_fd(&import->file);
	registry_unlock();
	return import;
}

struct dma_fence *kernel_sync_import(int fd)
{
	struct kernel_import *import;
	struct looked looked;
	int err = look(fd, &looked);

	if (err) {
		close(fd);
		errno = -err;
		return NULL;
	}
	import = import_new(fd, &looked);
	free(looked.fences);
	if (!import)
		return NULL;
	err = import_begin(import);
	if (!err)
		return &import->base;
	dma_fence_put(&import->base);
	errno = -err;
	return NULL;
}

int kernel_sync_import_dup(struct dma_fence *fence)
{
	struct kernel_import *import = import_of(fence);
	int fd = -ENOENT;

	if (fence->ops != &import_ops || dma_fence_is_signaled(fence))
		return -ENOENT;
	pthread_mutex_lock(&import->look_lock);
	if (import->file.fd >= 0) {
		fd = fcntl(import->file.fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = dmabuf_fail(errno, "no descriptor for a fence: %s", strerror(errno));
	}
	pthread_mutex_unlock(&import->look_lock);
	return fd;
}
