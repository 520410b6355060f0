// SPDX-License-Identifier: MIT
/*
 * Requests through io_uring. Each transfer has at most one request in the ring, so the ring, as
 * deep as the device, cannot overflow. Progress is made by whoever looks: reap, unmap, release.
 */
#include "block.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "error.h"
#include "registry.h"

/* Registered buffers; tables mapped beyond that are used unregistered. */
#define MAX_SLOTS 64
/* The kernel registers no larger buffer. */
#define MAX_REGISTERED ((uint64_t)1 << 30)

/* Registered files: the device locks of so many mapped tables. The kernel allows RLIMIT_NOFILE. */
#define MAX_GUARDS 1024u
#define MIN_GUARDS 8u

struct uring {
	struct io_uring ring;
	struct registry_fd own; /* the ring's descriptor, which a forked child closes */
	/* In the submission queue, but not yet taken by the kernel: it had no memory. */
	struct block_list unsent;
	int broken; /* the kernel takes no more requests (a seccomp filter came later): -errno */
	bool has_slots;
	bool used[MAX_SLOTS];
	unsigned int guards;
	bool guarding[MAX_GUARDS];
};

/* Is io_uring_enter() allowed too, and do completions come? */
static int probe(struct io_uring *ring)
{
	struct __kernel_timespec limit = { .tv_sec = 10 };
	struct io_uring_cqe *cqe;
	int err;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	do {
		err = io_uring_submit(ring);
	} while (err == -EINTR);
	if (err < 0)
		return err;
	do {
		err = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	} while (err == -EINTR);
	if (!err)
		io_uring_cqe_seen(ring, cqe);
	return err;
}

/*
 * A forked child must have no part of the ring, descriptor or memory: the kernel ends a ring with
 * its last user, and the locks registered in it would outlive this process.
 */
static int ring_init(struct uring *u, unsigned int depth)
{
	int err;

	registry_lock();
	err = io_uring_queue_init(depth, &u->ring, 0);
	if (!err) {
		u->own.fd = u->ring.ring_fd;
		registry_track_fd(&u->own);
		err = io_uring_ring_dontfork(&u->ring);
	}
	registry_unlock();
	return err;
}

static void ring_exit(struct uring *u)
{
	registry_lock();
	if (u->own.link.next) {
		registry_untrack_fd(&u->own);
		io_uring_queue_exit(&u->ring);
	}
	registry_unlock();
}

/* An empty table for device locks. Without it a death could not be told from the end of a transfer.
 */
static int reserve_guards(struct uring *u)
{
	int none[MAX_GUARDS], err;
	struct rlimit limit;

	u->guards = MAX_GUARDS;
	/* Asked for more than that, liburing would raise the limit. */
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < u->guards)
		u->guards = (unsigned int)limit.rlim_cur;
	if (u->guards < MIN_GUARDS)
		return -EMFILE;
	memset(none, 0xff, sizeof(none));
	err = io_uring_register_files(&u->ring, none, u->guards);
	return err > 0 ? 0 : err;
}

static int uring_create(struct block_device *b)
{
	struct uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	err = ring_init(u, b->depth);
	if (!err)
		err = probe(&u->ring);
	if (!err)
		err = reserve_guards(u);
	if (err) {
		ring_exit(u);
		free(u);
		return err;
	}
	block_list_init(&u->unsent);
	err = io_uring_register_buffers_sparse(&u->ring, MAX_SLOTS);
	u->has_slots = !err;
	atomic_store(&b->register_errno, -err);
	b->poll_fd = u->ring.ring_fd;
	b->engine_priv = u;
	return 0;
}

static void uring_destroy(struct block_device *b)
{
	struct uring *u = b->engine_priv;

	ring_exit(u);
	free(u);
}

/* The descriptor was closed when the child was forked, or is by this; the memory never got here. */
static void uring_abandon(struct block_device *b)
{
	registry_lock();
	registry_unlock();
	free(b->engine_priv);
}

/* No request takes the ring's way into the kernel any more: end those that did not get there. */
static void fail_unsent(struct block_device *b, int err)
{
	struct uring *u = b->engine_priv;
	struct block_transfer *t;

	u->broken = err;
	while ((t = block_list_take(&u->unsent))) {
		t->result = err;
		t->finished = true;
		block_finish(b, t);
	}
}

static void flush(struct block_device *b)
{
	struct uring *u = b->engine_priv;
	int n;

	if (u->broken || !u->unsent.first)
		return;
	do {
		n = io_uring_submit(&u->ring);
	} while (n == -EINTR);
	if (n < 0 && n != -EAGAIN && n != -EBUSY && n != -ENOMEM)
		fail_unsent(b, n);
	while (n-- > 0)
		block_list_take(&u->unsent);
}

/* Queue the next request of @t, or finish it. */
static void issue(struct block_device *b, struct block_transfer *t)
{
	struct uring *u = b->engine_priv;
	struct block_request r;
	struct io_uring_sqe *sqe;
	int slot = t->region ? t->region->slot : -1;

	if (u->broken) {
		t->result = u->broken;
		t->finished = true;
	}
	if (!block_next(b, t, &r)) {
		block_finish(b, t);
		return;
	}
	sqe = io_uring_get_sqe(&u->ring);
	if (r.iovcnt == 1 && slot >= 0 && r.write)
		io_uring_prep_write_fixed(sqe, r.fd, r.iov->iov_base, (unsigned int)r.iov->iov_len,
					  (uint64_t)r.offset, slot);
	else if (r.iovcnt == 1 && slot >= 0)
		io_uring_prep_read_fixed(sqe, r.fd, r.iov->iov_base, (unsigned int)r.iov->iov_len,
					 (uint64_t)r.offset, slot);
	else if (r.write)
		io_uring_prep_writev(sqe, r.fd, r.iov, r.iovcnt, (uint64_t)r.offset);
	else
		io_uring_prep_readv(sqe, r.fd, r.iov, r.iovcnt, (uint64_t)r.offset);
	if (b->limits.submit_waits)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	io_uring_sqe_set_data(sqe, t);
	block_list_add(&u->unsent, t);
}

static int uring_start(struct block_device *b, struct block_transfer *t)
{
	struct uring *u = b->engine_priv;

	if (u->broken)
		return dmabuf_fail(-u->broken, "io_uring takes no more requests: %s",
				   strerror(-u->broken));
	issue(b, t);
	flush(b);
	return 0;
}

static void uring_collect(struct block_device *b)
{
	struct uring *u = b->engine_priv;
	struct block_transfer *t;
	struct io_uring_cqe *cqe;
	int64_t result;

	flush(b);
	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		t = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		block_advance(b, t, result);
		issue(b, t);
		flush(b);
	}
}

static void uring_wait(struct block_device *b, int ms)
{
	struct pollfd pfd = { .fd = b->poll_fd, .events = POLLIN };

	pthread_mutex_unlock(&b->lock);
	poll(&pfd, 1, ms < 100 ? ms : 100);
	pthread_mutex_lock(&b->lock);
	uring_collect(b);
}

static int free_slot(const struct uring *u)
{
	int slot;

	for (slot = 0; slot < MAX_SLOTS; slot++)
		if (!u->used[slot])
			return slot;
	return -ENOSPC;
}

/* Registers the region's memory, if it is one piece; if the kernel refuses, it works without. */
static int uring_map(struct block_device *b, struct block_region *region)
{
	struct uring *u = b->engine_priv;
	struct iovec iov = { block_pointer(region->sgl[0].dma_address), region->length };
	uint64_t next = region->sgl[0].dma_address;
	__u64 tag = 0;
	unsigned int i;
	int slot, n;

	if (!u->has_slots)
		return 0;
	for (i = 0; i < region->nents; next += region->sgl[i++].dma_length)
		if (region->sgl[i].dma_address != next)
			return 0;
	slot = free_slot(u);
	if (slot < 0 || region->length > MAX_REGISTERED) {
		atomic_store(&b->register_errno, slot < 0 ? ENOSPC : EFBIG);
		return 0;
	}
	n = io_uring_register_buffers_update_tag(&u->ring, (unsigned int)slot, &iov, &tag, 1);
	if (n != 1) {
		atomic_store(&b->register_errno, n < 0 ? -n : EIO);
		return 0;
	}
	u->used[slot] = true;
	region->slot = slot;
	return 0;
}

/*
 * The kernel drops a registered file when the ring goes, and that is after its last request, also
 * if the process was killed long before.
 */
static int uring_guard(struct block_device *b, struct block_region *region, int fd)
{
	struct uring *u = b->engine_priv;
	unsigned int i;
	int n;

	for (i = 0; i < u->guards && u->guarding[i]; i++)
		;
	if (i == u->guards)
		return dmabuf_fail(ENOSPC, "a block device takes %u mapped tables with transfers",
				   u->guards);
	n = io_uring_register_files_update(&u->ring, i, &fd, 1);
	if (n != 1)
		return dmabuf_fail(n < 0 ? -n : EIO,
				   "io_uring does not take the buffer's device lock: %s",
				   strerror(n < 0 ? -n : EIO));
	u->guarding[i] = true;
	region->guard = (int)i;
	return 0;
}

/* A place that cannot be emptied keeps the lock until the ring goes; never use it again. */
static void unguard(struct uring *u, struct block_region *region)
{
	int none = -1;

	if (region->guard < 0)
		return;
	if (io_uring_register_files_update(&u->ring, (unsigned int)region->guard, &none, 1) == 1)
		u->guarding[region->guard] = false;
	region->guard = -1;
}

static void uring_unmap(struct block_device *b, struct block_region *region)
{
	struct uring *u = b->engine_priv;
	struct iovec none = { NULL, 0 };
	__u64 tag = 0;

	unguard(u, region);
	if (region->slot < 0)
		return;
	/* A slot that cannot be emptied keeps its pages until the ring goes; never use it again. */
	if (io_uring_register_buffers_update_tag(&u->ring, (unsigned int)region->slot, &none, &tag,
						 1) == 1)
		u->used[region->slot] = false;
	region->slot = -1;
}

const struct block_engine_ops block_uring_engine = {
	.method = DMA_BUF_BLOCK_URING,
	.create = uring_create,
	.destroy = uring_destroy,
	.abandon = uring_abandon,
	.start = uring_start,
	.collect = uring_collect,
	.wait = uring_wait,
	.map = uring_map,
	.unmap = uring_unmap,
	.guard = uring_guard,
};
