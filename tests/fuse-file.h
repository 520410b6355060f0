/* SPDX-License-Identifier: MIT */
/*
 * A file whose every read and write this test answers: late, short or with an error, as told. It is
 * the root of a FUSE mount that no other process sees, served by a child.
 */
#ifndef DMABUF_TEST_FUSE_FILE_H
#define DMABUF_TEST_FUSE_FILE_H

#include <linux/fuse.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "block-util.h"

#define FUSE_FILE_SIZE (1024u * 1024)
#define FUSE_FILE_PENDING 128
#define FUSE_REQUEST_SIZE (160u * 1024)

/* In memory that test and server share. */
struct fuse_file {
	int fd;	 /* the file, O_RDWR */
	int dev; /* /dev/fuse; the server's only, so that the mount ends when the server is killed
		  */
	pid_t server;
	struct gate gate;
	uint32_t flags; /* FUSE_ASYNC_DIO: who submits a transfer does not wait for its end */

	/* Told by the test */
	atomic_bool hold;		/* reads and writes wait for fuse_file_release() */
	atomic_uint shorts;		/* so many answers are short ... */
	atomic_uint short_by;		/* ... this many bytes */
	atomic_uint_fast64_t fail_from; /* from this byte on there are I/O errors */

	atomic_uint arrived; /* reads and writes asked for */
	unsigned int npending;
	unsigned char data[FUSE_FILE_SIZE];
	unsigned char request[FUSE_REQUEST_SIZE] __attribute__((aligned(8)));
	unsigned char pending[FUSE_FILE_PENDING][FUSE_REQUEST_SIZE] __attribute__((aligned(8)));
};

static inline void fuse_answer(struct fuse_file *f, uint64_t unique, int error, const void *data,
			       size_t size)
{
	struct fuse_out_header head = { (uint32_t)(sizeof(head) + size), error, unique };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)data, size } };

	/* ENOENT: the one who asked was killed. */
	if (writev(f->dev, iov, size ? 2 : 1) < 0 && errno != ENOENT)
		test_note("answering a FUSE request: %s", strerror(errno));
}

static inline void fuse_carry_out(struct fuse_file *f, const unsigned char *request)
{
	const struct fuse_in_header *in = (const void *)request;
	const struct fuse_read_in *r = (const void *)(in + 1);
	const struct fuse_write_in *w = (const void *)(in + 1);
	struct fuse_write_out out = { 0 };
	uint64_t offset = in->opcode == FUSE_READ ? r->offset : w->offset;
	uint32_t size = in->opcode == FUSE_READ ? r->size : w->size;

	if (offset >= f->fail_from) {
		fuse_answer(f, in->unique, -EIO, NULL, 0);
		return;
	}
	if (offset + size > f->fail_from)
		size = (uint32_t)(f->fail_from - offset);
	if (offset > FUSE_FILE_SIZE)
		offset = FUSE_FILE_SIZE;
	if (size > FUSE_FILE_SIZE - offset)
		size = (uint32_t)(FUSE_FILE_SIZE - offset);
	if (size > f->short_by && atomic_load(&f->shorts)) {
		atomic_fetch_sub(&f->shorts, 1);
		size = f->short_by;
	}
	if (in->opcode == FUSE_READ) {
		fuse_answer(f, in->unique, 0, f->data + offset, size);
		return;
	}
	memcpy(f->data + offset, w + 1, size);
	out.size = size;
	fuse_answer(f, in->unique, 0, &out, sizeof(out));
}

static inline void fuse_transfer(struct fuse_file *f, const unsigned char *request)
{
	const struct fuse_in_header *in = (const void *)request;

	if (atomic_load(&f->hold) && f->npending < FUSE_FILE_PENDING)
		memcpy(f->pending[f->npending++], request, in->len);
	else
		fuse_carry_out(f, request);
	atomic_fetch_add(&f->arrived, 1);
}

static inline void fuse_dispatch(struct fuse_file *f, const unsigned char *request)
{
	const struct fuse_in_header *in = (const void *)request;
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_write = 128 * 1024,
		.max_background = 64,
		.congestion_threshold = 64,
		.max_readahead = 128 * 1024,
		.flags = f->flags,
	};
	struct fuse_attr_out attr = {
		.attr = { .ino = 1,
			  .size = FUSE_FILE_SIZE,
			  .mode = S_IFREG | 0600,
			  .nlink = 1,
			  .uid = getuid(),
			  .gid = getgid(),
			  .blksize = 4096 },
	};
	struct fuse_open_out open_out = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		fuse_answer(f, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		fuse_answer(f, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_answer(f, in->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
		fuse_transfer(f, request);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
		fuse_answer(f, in->unique, 0, NULL, 0);
		break;
	default:
		fuse_answer(f, in->unique, -ENOSYS, NULL, 0);
	}
}

static inline int fuse_serve(void *data)
{
	struct fuse_file *f = data;
	struct pollfd pfds[] = { { .fd = f->dev, .events = POLLIN },
				 { .fd = f->gate.fd[0], .events = POLLIN } };
	unsigned int i, idle = 0;
	ssize_t n;

	for (;;) {
		/* A test that was killed cannot end before it has its answers. */
		if (!poll(pfds, 2, 1000) && ++idle > 60)
			atomic_store(&f->hold, false);
		if (pfds[1].revents & POLLIN)
			gate_wait(&f->gate);
		if (!atomic_load(&f->hold)) {
			for (i = 0; i < f->npending; i++)
				fuse_carry_out(f, f->pending[i]);
			f->npending = 0;
		}
		if (!pfds[0].revents)
			continue;
		n = read(f->dev, f->request, sizeof(f->request));
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			fuse_dispatch(f, f->request);
		else if (n < 0 && errno == ENODEV)
			return 0; /* unmounted */
	}
}

/* Skips the test where there is no FUSE. */
static inline struct fuse_file *fuse_file_open_with(uint32_t flags)
{
	struct fuse_file *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char path[] = "/tmp/dmabuf-fuse-XXXXXX", options[128];
	int fd, err;

	ASSERT(f != MAP_FAILED);
	f->fail_from = UINT64_MAX;
	f->flags = flags;
	if (!own_mounts())
		SKIP("no mounts of our own: %s", strerror(errno));
	f->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (f->dev < 0)
		SKIP("/dev/fuse: %s", strerror(errno));
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_OK(fd);
	close(fd);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=%u,group_id=%u", f->dev,
		 getuid(), getgid());
	err = mount("test", path, "fuse", MS_NOSUID | MS_NODEV, options) ? errno : 0;
	if (!err) {
		gate_init(&f->gate);
		f->server = spawn(fuse_serve, f);
		close(f->dev);
		f->fd = open(path, O_RDWR | O_CLOEXEC);
		ASSERT_OK(f->fd);
		umount2(path, MNT_DETACH);
	}
	unlink(path);
	if (err)
		SKIP("no FUSE mount: %s", strerror(err));
	return f;
}

static inline struct fuse_file *fuse_file_open(void)
{
	return fuse_file_open_with(0);
}

static inline void fuse_file_release(struct fuse_file *f)
{
	atomic_store(&f->hold, false);
	gate_signal(&f->gate);
}

static inline void fuse_file_close(struct fuse_file *f)
{
	close(f->fd);
	ASSERT_EQ(reap(f->server), 0);
	gate_close(&f->gate);
	munmap(f, sizeof(*f));
}

static inline bool fuse_has_arrived(void *data)
{
	return atomic_load((atomic_uint *)data) > 0;
}

/* A read that the disk has got and does not answer. */
static inline void stuck_submit(struct rig *r, struct fuse_file *f, uint64_t cookie)
{
	atomic_store(&f->hold, true);
	atomic_store(&f->arrived, 0);
	ASSERT_OK(rig_submit(r, DMA_FROM_DEVICE, 0, 4096, 0, cookie));
	ASSERT(eventually(fuse_has_arrived, &f->arrived, WAIT_MS));
}

#endif
