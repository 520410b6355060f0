// SPDX-License-Identifier: MIT
#include "page-frames.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "error.h"
#include "storage-deferred.h"

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_PFN ((1ull << 55) - 1)

/* The kernel registers no larger piece, and no more of them at a time. */
#define PIECE ((size_t)1 << 30)
#define PIECES 1024

static int register_pieces(int ring, char *base, size_t length)
{
	struct iovec pieces[PIECES];
	unsigned int n = 0;

	for (size_t done = 0; done < length; done += PIECE) {
		if (n == PIECES)
			return -EFBIG;
		pieces[n].iov_base = base + done;
		pieces[n++].iov_len = length - done < PIECE ? length - done : PIECE;
	}
	return syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, pieces, n) < 0 ? -errno
											    : 0;
}

/* Of the ring only the descriptor is used; a forked child closes its copy. */
int page_pin(struct page_hold *hold, void *addr, size_t length)
{
	struct io_uring_params params = { 0 };
	int err;

	hold->pinned = false;
	registry_lock();
	hold->ring.fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	err = hold->ring.fd < 0 ? -errno : 0;
	if (!err)
		registry_track_fd(&hold->ring);
	registry_unlock();
	if (err)
		return err;
	hold->pinned = true;
	err = register_pieces(hold->ring.fd, addr, length);
	if (err)
		page_unpin(hold);
	return err;
}

void page_unpin(struct page_hold *hold)
{
	registry_lock();
	/* Not there any more: this is a forked child. */
	if (hold->ring.fd >= 0) {
		registry_untrack_fd(&hold->ring);
		(void)syscall(SYS_io_uring_register, hold->ring.fd, IORING_UNREGISTER_BUFFERS, NULL,
			      0);
		close(hold->ring.fd);
		hold->ring.fd = -1;
	}
	registry_unlock();
	hold->pinned = false;
}

static int cannot_pin(int err)
{
	if (err == -ENOMEM)
		return dmabuf_fail(ENOMEM, "pages cannot be pinned: %s (RLIMIT_MEMLOCK?)",
				   strerror(ENOMEM));
	return dmabuf_fail(err == -EPERM || err == -EACCES ? EPERM : EOPNOTSUPP,
			   "pages cannot be pinned (io_uring: %s), and unpinned ones can be taken "
			   "away by whoever may write to the buffer",
			   strerror(-err));
}

int page_hold_begin(struct page_hold *hold, struct buffer *b)
{
	int err = page_pin(hold, b->storage.kept, page_round_up(b->base.size));

	if (!err)
		return 0;
	/* Whose payload is sealed cannot lose a page to anybody who punches holes. */
	if (!b->storage.read_only)
		return cannot_pin(err);
	pthread_mutex_lock(&b->access_lock);
	err = pages_lock(b);
	pthread_mutex_unlock(&b->access_lock);
	return err;
}

void page_hold_end(struct page_hold *hold, struct buffer *b)
{
	if (hold->pinned) {
		page_unpin(hold);
		return;
	}
	pthread_mutex_lock(&b->access_lock);
	pages_unlock(b);
	pthread_mutex_unlock(&b->access_lock);
}

int pages_lock(struct buffer *b)
{
	size_t length = page_round_up(b->base.size);

	/* Storage that moved since is not locked yet. */
	if (b->pfn_users++ && !b->storage.deferred)
		return 0;
	if (mlock(b->storage.kept, length) == 0)
		return 0;
	b->pfn_users--;
	return dmabuf_fail(errno == EPERM ? EPERM : ENOMEM,
			   "locking %zu bytes failed: %s (RLIMIT_MEMLOCK?)", length,
			   strerror(errno));
}

void pages_unlock(struct buffer *b)
{
	bool stays = b->storage.deferred && b->storage.deferred->view.locked;

	if (b->pfn_users && --b->pfn_users == 0 && !stays)
		munlock(b->storage.kept, page_round_up(b->base.size));
}

int page_frames_open(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return dmabuf_fail(errno == EACCES ? EPERM : errno, "page frame numbers cannot be read: %s",
			   strerror(errno));
}

/* Reads of pagemap may be short. */
static int read_pagemap(int fd, const void *addr, uint64_t *entries, size_t count)
{
	off_t at = (off_t)((uintptr_t)addr / page_size() * sizeof(*entries));
	size_t want = count * sizeof(*entries), done = 0;
	ssize_t got;

	while (done < want) {
		got = pread(fd, (char *)entries + done, want - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return dmabuf_fail(got < 0 ? errno : EIO, "reading pagemap failed");
		done += (size_t)got;
	}
	return 0;
}

int page_frames_read(int fd, const void *addr, uint64_t *frames, size_t count)
{
	int err = read_pagemap(fd, addr, frames, count);

	for (size_t i = 0; i < count && !err; i++) {
		if (!(frames[i] & PAGEMAP_PRESENT))
			return dmabuf_fail(EAGAIN, "page %zu would not stay in memory", i);
		frames[i] &= PAGEMAP_PFN;
		/* The kernel shows 0 to those who may not know. */
		if (!frames[i])
			return dmabuf_fail(EPERM, "page frame numbers need CAP_SYS_ADMIN");
	}
	return err;
}
