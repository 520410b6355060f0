// SPDX-License-Identifier: MIT
/*
 * A payload in a memfd of its own, sealed against new writers. The exporter maps it writable first;
 * F_SEAL_FUTURE_WRITE then leaves that mapping alone and refuses every other way to write, to root
 * and to the owner too: writable mappings and their later upgrade, write(), hole punching, and
 * writing through a descriptor opened anew.
 */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "error.h"
#include "memfd.h"

#define SEALS_FINAL (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE)

static void *read_only_map(struct storage *s, size_t offset, size_t length, int prot)
{
	void *addr;

	if (prot & PROT_WRITE)
		return dmabuf_fail_ptr(EACCES,
				       "the buffer is a read-only share: map it with PROT_READ, or "
				       "have it exported with O_RDWR");
	addr = mmap(NULL, length, prot, MAP_SHARED, s->fd, (off_t)offset);
	if (addr == MAP_FAILED)
		return dmabuf_fail_ptr(errno, "mapping %zu bytes at %zu failed: %s", length, offset,
				       strerror(errno));
	return addr;
}

static int read_only_keep(struct storage *s)
{
	void *addr;

	if (s->kept)
		return 0;
	addr = map_for_us(s->fd, 0, page_round_up(s->size), PROT_READ);
	if (!addr)
		return -errno;
	storage_set_kept(s, addr);
	return 0;
}

static void read_only_drop(struct storage *s)
{
	if (s->kept)
		munmap(s->kept, page_round_up(s->size));
	if (s->fd >= 0)
		close(s->fd);
	storage_set_kept(s, NULL);
	s->fd = -1;
}

static const struct storage_ops read_only_ops = {
	.name = "read-only share",
	.map = read_only_map,
	.keep = read_only_keep,
	.drop = read_only_drop,
};

static void prepare(struct storage *s, size_t size)
{
	memset(s, 0, sizeof(*s));
	s->ops = &read_only_ops;
	s->fd = -1;
	s->size = size;
	s->own_fd = true;
	s->read_only = true;
}

static int identify(struct storage *s)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return dmabuf_fail(errno, "fstat of a payload failed: %s", strerror(errno));
	s->device = st.st_dev;
	s->inode = st.st_ino;
	if ((size_t)st.st_size != page_round_up(s->size))
		return dmabuf_fail(EINVAL, "the payload has %jd bytes, the buffer %zu",
				   (intmax_t)st.st_size, s->size);
	return 0;
}

int storage_create_read_only(struct storage *s, size_t size)
{
	size_t length = page_round_up(size);
	int err;

	prepare(s, size);
	s->fd = memfd_make("dmabuf-payload", length);
	if (s->fd < 0)
		return s->fd;
	storage_set_kept(s, map_for_us(s->fd, 0, length, PROT_READ | PROT_WRITE));
	if (!s->kept) {
		err = -errno;
		goto fail;
	}
	err = memfd_seal(s->fd, SEALS_FINAL);
	if (!err)
		err = identify(s);
	if (err)
		goto fail;
	s->may_write = true;
	return 0;
fail:
	read_only_drop(s);
	return err;
}

static int check_seals(int fd)
{
	struct statfs fs;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS_FINAL) != SEALS_FINAL)
		return dmabuf_fail(EINVAL,
				   "the payload is not sealed against resizing, punching and new "
				   "writers, so it is no read-only share");
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return dmabuf_fail(EINVAL, "the payload is not ordinary memory");
	return 0;
}

int storage_adopt_read_only(struct storage *s, int fd, const struct control_facts *facts)
{
	int err;

	prepare(s, facts->size);
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return dmabuf_fail(errno, "duplicating payload descriptor %d failed: %s", fd,
				   strerror(errno));
	err = check_seals(s->fd);
	if (!err)
		err = identify(s);
	if (!err && (s->device != facts->payload_dev || s->inode != facts->payload_ino))
		err = dmabuf_fail(EINVAL, "descriptor %d is the payload of another buffer", fd);
	if (!err)
		err = read_only_keep(s);
	if (err)
		read_only_drop(s);
	return err;
}
