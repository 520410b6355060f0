/* SPDX-License-Identifier: MIT */
/* A file, a buffer and a block device between them, for the tests of block devices. */
#ifndef DMABUF_TEST_BLOCK_UTIL_H
#define DMABUF_TEST_BLOCK_UTIL_H

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf/block.h>
#include <dmabuf/error.h>

#include "harness.h"

#define WAIT_MS 60000

struct rig {
	struct dma_buf *dmabuf;
	struct dma_buf_device *dev;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	unsigned char *cpu; /* the buffer as the CPU sees it */
	size_t size;
};

/* Every way of transfer; tests run in each that the machine has. */
struct way {
	const char *name;
	enum dma_buf_block_method method;
	bool buffered;
};

static const struct way ways[] = {
	{ "io_uring, direct", DMA_BUF_BLOCK_URING, false },
	{ "io_uring, buffered", DMA_BUF_BLOCK_URING, true },
	{ "threads, direct", DMA_BUF_BLOCK_THREADS, false },
	{ "threads, buffered", DMA_BUF_BLOCK_THREADS, true },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* A nameless file on the disk that tests are run on (tmpfs is no disk). */
static inline int scratch_file(int flags)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd, again;

	snprintf(path, sizeof(path), "%s/dmabuf-block-XXXXXX", dir ? dir : ".");
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT_OK(fd);
	again = open(path, flags | O_CLOEXEC);
	ASSERT_OK(again);
	unlink(path);
	close(fd);
	return again;
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ASSERT_OK(fd);
	ASSERT_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A mount namespace of our own, with the help of a user namespace for those who are not root. */
static inline bool own_mounts(void)
{
	unsigned int uid = getuid(), gid = getgid();
	char map[32];

	if (unshare(CLONE_NEWNS)) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
			return false;
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_text("/proc/self/gid_map", map);
	}
	return !mount("none", "/", "none", MS_REC | MS_PRIVATE, "");
}

/* Bytes that differ from place to place and from seed to seed. */
static inline void fill(unsigned char *p, size_t size, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (unsigned char)(x >> 24);
	}
}

static inline void put_file(int fd, const unsigned char *p, size_t size)
{
	ASSERT_EQ(pwrite(fd, p, size, 0), size);
	ASSERT_OK(fdatasync(fd));
}

static inline struct dma_buf_block_info get_info(struct dma_buf_device *dev)
{
	struct dma_buf_block_info info = { .size = sizeof(info) };

	ASSERT_OK(dma_buf_block_get_info(dev, &info));
	return info;
}

static inline const char *describe(struct dma_buf_device *dev)
{
	static char text[384];

	ASSERT_OK(dma_buf_block_describe(dev, text, sizeof(text)));
	return text;
}

/* False if the machine denies this way, which is noted. */
static inline bool rig_open_depth(struct rig *r, int fd, const struct way *way, size_t size,
				  unsigned int depth)
{
	struct dma_buf_block_options o = {
		.size = sizeof(o),
		.method = way->method,
		.depth = depth,
		.buffered = way->buffered,
	};

	memset(r, 0, sizeof(*r));
	r->dev = dma_buf_block_open(fd, "disk", &o);
	if (!r->dev && errno == EPERM && way->method == DMA_BUF_BLOCK_URING) {
		test_note("left out: %s (%s)", way->name, dmabuf_last_error());
		return false;
	}
	if (!r->dev)
		FAIL("%s: %s", way->name, dmabuf_last_error());
	r->size = size;
	r->dmabuf = dma_buf_alloc("block-test", size, O_RDWR);
	ASSERT(r->dmabuf);
	r->attach = dma_buf_attach(r->dmabuf, r->dev);
	ASSERT(r->attach);
	r->table = dma_buf_map_attachment(r->attach, DMA_BIDIRECTIONAL);
	if (!r->table)
		FAIL("map: %s", dmabuf_last_error());
	r->cpu = dma_buf_vmap(r->dmabuf);
	ASSERT(r->cpu);
	return true;
}

static inline bool rig_open(struct rig *r, int fd, const struct way *way, size_t size)
{
	return rig_open_depth(r, fd, way, size, 64);
}

static inline void rig_close(struct rig *r)
{
	dma_buf_vunmap(r->dmabuf, r->cpu);
	ASSERT_OK(dma_buf_unmap_attachment(r->attach, r->table, DMA_BIDIRECTIONAL));
	dma_buf_detach(r->dmabuf, r->attach);
	dma_buf_put(r->dmabuf);
	dma_buf_device_put(r->dev);
}

static inline int rig_submit(struct rig *r, enum dma_data_direction direction,
			     uint64_t buffer_offset, uint64_t length, uint64_t file_offset,
			     uint64_t cookie)
{
	return dma_buf_block_submit(r->attach, r->table, direction, buffer_offset, length,
				    file_offset, cookie);
}

/* One completion; its result. */
static inline int64_t rig_reap(struct rig *r, uint64_t *cookie)
{
	struct dma_buf_block_completion c;

	ASSERT_EQ(dma_buf_block_reap(r->dev, &c, 1, WAIT_MS), 1);
	if (cookie)
		*cookie = c.cookie;
	return c.result;
}

static inline int64_t rig_transfer(struct rig *r, enum dma_data_direction direction,
				   uint64_t buffer_offset, uint64_t length, uint64_t file_offset)
{
	static uint64_t next = 1000;
	uint64_t cookie;
	int64_t result;

	if (rig_submit(r, direction, buffer_offset, length, file_offset, ++next))
		FAIL("submit: %s", dmabuf_last_error());
	result = rig_reap(r, &cookie);
	ASSERT_EQ(cookie, next);
	return result;
}

#endif
