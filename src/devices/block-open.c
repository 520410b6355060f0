// SPDX-License-Identifier: MIT
/* A block device's beginning and end. */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "process.h"
#include "text.h"

static int check_options(const struct dma_buf_block_options *o)
{
	if ((unsigned int)o->method > DMA_BUF_BLOCK_THREADS)
		return dmabuf_fail(EINVAL, "block options: unknown method %u",
				   (unsigned int)o->method);
	if (o->depth > DMA_BUF_BLOCK_MAX_DEPTH)
		return dmabuf_fail(EINVAL, "block options: depth %u, at most %u", o->depth,
				   DMA_BUF_BLOCK_MAX_DEPTH);
	return 0;
}

/* A description of its own, so that O_DIRECT and O_APPEND are not shared with the caller's. */
static int open_anew(int fd, int flags, const struct stat *st)
{
	char path[64];
	struct stat again;
	int fresh, err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fresh = open(path, flags | O_CLOEXEC | O_NOCTTY);
	if (fresh < 0)
		return -errno;
	err = fstat(fresh, &again) < 0 ? errno : 0;
	if (!err && (again.st_dev != st->st_dev || again.st_ino != st->st_ino))
		err = ENOENT; /* not the /proc it looks like */
	if (err)
		close(fresh);
	return err ? -err : fresh;
}

/* The file cannot be opened again (no /proc, no permission): use the caller's description. */
static int share_description(struct block_device *b, int fd, int flags, int err)
{
	b->reopen_errno = err;
	if (err == EMFILE || err == ENFILE || err == ENOMEM)
		return dmabuf_fail(err, "opening the file for a block device: %s", strerror(err));
	if (flags & (O_APPEND | O_DIRECT))
		return dmabuf_fail(err,
				   "the file cannot be opened anew (%s), and its descriptor has %s",
				   strerror(err), flags & O_APPEND ? "O_APPEND" : "O_DIRECT");
	b->buffered_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (b->buffered_fd < 0)
		return dmabuf_fail(errno, "duplicating the file's descriptor: %s", strerror(errno));
	return 0;
}

static int open_direct(struct block_device *b, int fd, int access, const struct stat *st)
{
	if (b->wants_buffered || b->limits.direct_refused)
		return 0;
	b->direct_fd = open_anew(fd, access | O_DIRECT, st);
	if (b->direct_fd >= 0) {
		/* Reading ahead would bring pages into the cache that a direct write is changing.
		 */
		posix_fadvise(b->buffered_fd, 0, 0, POSIX_FADV_RANDOM);
		atomic_store(&b->direct, true);
		return 0;
	}
	b->direct_errno = -b->direct_fd;
	if (b->direct_errno == EMFILE || b->direct_errno == ENFILE || b->direct_errno == ENOMEM)
		return dmabuf_fail(b->direct_errno, "opening the file with O_DIRECT: %s",
				   strerror(b->direct_errno));
	return 0;
}

static int open_files(struct block_device *b, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	int access;

	if (flags < 0 || flags & O_PATH || fstat(fd, &st) < 0)
		return dmabuf_fail(EBADF, "descriptor %d is not an open file", fd);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return dmabuf_fail(
			ENOTSUP, "descriptor %d is neither a regular file nor a block device", fd);
	access = flags & O_ACCMODE;
	b->readable = access == O_RDONLY || access == O_RDWR;
	b->writable = access == O_WRONLY || access == O_RDWR;
	b->file_size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &b->file_size) < 0)
		b->file_size = 0;
	block_limits_find(&b->limits, fd, "/sys");
	b->buffered_fd = open_anew(fd, access, &st);
	if (b->buffered_fd < 0)
		return share_description(b, fd, flags, -b->buffered_fd);
	return open_direct(b, fd, access, &st);
}

static int make_engine(struct block_device *b, enum dma_buf_block_method method)
{
	int err;

	if (method != DMA_BUF_BLOCK_THREADS) {
		b->engine = &block_uring_engine;
		err = b->engine->create(b);
		if (!err)
			return 0;
		b->engine = NULL;
		b->uring_errno = -err;
		if (err == -EMFILE || err == -ENFILE)
			return dmabuf_fail(-err, "no descriptor left for io_uring");
		if (method == DMA_BUF_BLOCK_URING)
			return dmabuf_fail(err == -ENOMEM ? ENOMEM : EPERM,
					   "io_uring was asked for and is denied: %s",
					   strerror(-err));
	}
	b->engine = &block_threads_engine;
	err = b->engine->create(b);
	if (!err)
		return 0;
	b->engine = NULL;
	return dmabuf_fail(-err, "starting threads for a block device: %s", strerror(-err));
}

static int make_lists(struct block_device *b, unsigned int depth)
{
	unsigned int i;

	b->depth = depth;
	block_list_init(&b->done);
	block_list_init(&b->jobs_done);
	b->transfers = calloc(depth, sizeof(*b->transfers));
	if (!b->transfers)
		return dmabuf_fail(ENOMEM, "no memory for %u transfers", depth);
	for (i = 0; i < depth; i++) {
		b->transfers[i].next = b->unused;
		b->unused = &b->transfers[i];
	}
	b->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->done_fd < 0)
		return dmabuf_fail(errno, "eventfd for a block device: %s", strerror(errno));
	return 0;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_device(struct block_device *b)
{
	struct block_region *region;

	close_one(b->done_fd);
	close_one(b->direct_fd);
	close_one(b->buffered_fd);
	while ((region = b->regions)) {
		b->regions = region->next;
		free(region);
	}
	free(b->transfers);
	free(b);
}

void block_release(void *priv)
{
	struct block_device *b = priv;

	if (!block_queue_leave(b))
		block_free(b);
}

void block_free(struct block_device *b)
{
	bool idle;

	if (process_cookie() != b->owner) {
		block_queue_destroy(b);
		b->engine->abandon(b);
		free_device(b);
		return;
	}
	pthread_mutex_lock(&b->lock);
	idle = block_drain(b, NULL, BLOCK_DRAIN_MS);
	pthread_mutex_unlock(&b->lock);
	if (!idle) {
		dmabuf_log(DMABUF_LOG_ERROR, "block device: a transfer does not end; what it uses "
					     "is not freed");
		return;
	}
	block_queue_destroy(b);
	b->engine->destroy(b);
	pthread_cond_destroy(&b->settled);
	pthread_mutex_destroy(&b->lock);
	free_device(b);
}

static struct block_device *make_block(int fd, const struct dma_buf_block_options *o)
{
	struct block_device *b = calloc(1, sizeof(*b));
	pthread_condattr_t attr;
	int err;

	if (!b)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a block device");
	b->buffered_fd = b->direct_fd = b->done_fd = b->poll_fd = -1;
	b->wants_buffered = o->buffered;
	b->owner = process_cookie();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->settled, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&b->lock, NULL);
	err = b->owner ? open_files(b, fd)
		       : dmabuf_fail(ENOMEM, "no memory to tell this process from a forked one");
	if (!err)
		err = make_lists(b, o->depth ? o->depth : BLOCK_DEFAULT_DEPTH);
	if (!err)
		err = make_engine(b, o->method);
	if (!err)
		return b;
	free_device(b);
	errno = -err;
	return NULL;
}

static void file_name(int fd, char *name, size_t room)
{
	char path[64], target[PATH_MAX], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0) {
		text_copy(name, room, "block");
		return;
	}
	target[n] = '\0';
	slash = strrchr(target, '/');
	text_copy(name, room, slash && slash[1] ? slash + 1 : target);
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_block_open(int fd, const char *name,
							const struct dma_buf_block_options *options)
{
	struct dma_buf_block_options o = { .size = sizeof(o) };
	struct dma_buf_device_parameters parameters = { .size = sizeof(parameters) };
	struct dma_buf_device_info info = { .size = sizeof(info) };
	char own[DMA_BUF_DEVICE_NAME_LEN];
	struct dma_buf_device *dev;
	struct block_device *b;
	char text[384];

	if (options && options_take(&o, sizeof(o), options, sizeof(o.size), "block options") < 0)
		return NULL;
	if (check_options(&o) < 0)
		return NULL;
	if (!name)
		file_name(fd, own, sizeof(own));
	b = make_block(fd, &o);
	if (!b)
		return NULL;
	if (atomic_load(&b->direct))
		block_limits_parameters(&b->limits, &parameters);
	info.name = name ? name : own;
	info.parameters = &parameters;
	info.ops = &block_map_ops;
	info.priv = b;
	info.release = block_release;
	dev = dma_buf_device_create(&info);
	if (!dev) {
		int err = errno;

		block_release(b);
		errno = err;
		return NULL;
	}
	if (!dma_buf_block_describe(dev, text, sizeof(text)))
		dmabuf_log(DMABUF_LOG_INFO, "%s: %s", dev->name, text);
	return dev;
}
