// SPDX-License-Identifier: MIT
#include "shm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "text.h"

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SEALS_REFUSED (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

size_t page_size(void)
{
	static _Atomic(size_t) size;
	size_t known = atomic_load_explicit(&size, memory_order_relaxed);

	if (!known) {
		known = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&size, known, memory_order_relaxed);
	}
	return known;
}

size_t page_round_up(size_t size)
{
	size_t page = page_size();

	return (size + page - 1) & ~(page - 1);
}

uint64_t control_whole_lines(uint64_t size)
{
	uint64_t line = cache_line_size();

	return (size + line - 1) & ~(line - 1);
}

size_t control_size(void)
{
	return page_round_up(SHM_CONTROL_SIZE);
}

static int not_a_memfd(int fd, int shown)
{
	char path[64], target[64];
	ssize_t len;

	if (errno == EBADF)
		return dmabuf_fail(EBADF, "descriptor %d is not open, or with O_PATH only", shown);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	if (len > 0) {
		target[len] = '\0';
		if (!strncmp(target, "/dmabuf:", 8) || !strncmp(target, "anon_inode:dmabuf", 17))
			return dmabuf_fail(EOPNOTSUPP,
					   "descriptor %d is a kernel dma-buf, which has no state "
					   "of its own to look at: dma_buf_get() adopts it",
					   shown);
	}
	return dmabuf_fail(EINVAL, "descriptor %d is not a dma-buf (not a memfd)", shown);
}

int control_check_fd(int fd, int shown, struct stat *st)
{
	struct statfs fs;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return not_a_memfd(fd, shown);
	if ((seals & SEALS_NEEDED) != SEALS_NEEDED)
		return dmabuf_fail(EINVAL,
				   "descriptor %d is not a dma-buf: its size is not sealed (seals "
				   "0x%x, needs 0x%x)",
				   shown, (unsigned int)seals, SEALS_NEEDED);
	if (seals & SEALS_REFUSED)
		return dmabuf_fail(EINVAL,
				   "descriptor %d is sealed against writing, so it holds no shared "
				   "state; a payload descriptor goes to dma_buf_get_split()",
				   shown);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return dmabuf_fail(EINVAL, "descriptor %d is not a dma-buf: not ordinary memory",
				   shown);
	if (fstat(fd, st) < 0)
		return dmabuf_fail(errno, "fstat of descriptor %d failed", shown);
	if (st->st_size < (off_t)control_size() || st->st_size % (off_t)page_size() ||
	    (uint64_t)st->st_size > DMA_BUF_MAX_SIZE + control_size())
		return dmabuf_fail(EINVAL,
				   "descriptor %d is not a dma-buf: %jd bytes cannot hold a buffer",
				   shown, (intmax_t)st->st_size);
	return 0;
}

void *map_for_us(int fd, size_t offset, size_t length, int prot)
{
	void *addr = mmap(NULL, length, prot, MAP_SHARED, fd, (off_t)offset);
	int err;

	if (addr == MAP_FAILED)
		return dmabuf_fail_ptr(errno, "mapping %zu bytes of descriptor %d failed: %s",
				       length, fd, strerror(errno));
	if (madvise(addr, length, MADV_DONTFORK) == 0)
		return addr;
	err = errno;
	munmap(addr, length);
	return dmabuf_fail_ptr(err, "keeping a mapping from children failed: %s", strerror(err));
}

int control_map(struct control *c, int fd, size_t file_size, bool whole, bool writable)
{
	size_t length = whole ? file_size : control_size();
	char *base, *end;

	base = map_for_us(fd, file_size - length, length, PROT_READ | (writable ? PROT_WRITE : 0));
	if (!base)
		return -errno;
	end = base + length;
	c->base = base;
	c->length = length;
	c->file_size = file_size;
	c->header = (struct shm_header *)(end - SHM_HEADER_SIZE);
	c->attachments = (struct shm_attachment *)(end - SHM_HEADER_SIZE - SHM_LIST_SIZE);
	c->resv = (struct shm_resv *)(end - SHM_RESV_OFFSET);
	c->storage = (struct shm_storage *)(end - SHM_CONTROL_SIZE);
	return 0;
}

void control_unmap(struct control *c)
{
	if (c->base)
		munmap(c->base, c->length);
	memset(c, 0, sizeof(*c));
}

void control_format(struct control *c, const struct control_facts *facts)
{
	struct shm_header *h = c->header;

	c->size = facts->size;
	h->version = SHM_VERSION;
	h->flags = facts->flags;
	h->size = facts->size;
	h->payload_dev = facts->payload_dev;
	h->payload_ino = facts->payload_ino;
	h->exporter_generation = facts->exporter_generation;
	h->resv_first = facts->resv_first;
	h->rendezvous = facts->rendezvous;
	c->resv_first = facts->resv_first;
	memcpy(h->exp_name, facts->exp_name, sizeof(h->exp_name));
	coherency_init(&h->coherency);
	if (facts->flags & SHM_DEFERRED) {
		memcpy(c->storage->home_name, facts->home_name, sizeof(facts->home_name));
		memcpy(c->storage->home_secret, facts->home_secret, sizeof(facts->home_secret));
		atomic_store(&c->resv->lines[c->resv_first].state.coherency, SHM_LOCK_STORAGE);
	}
	atomic_store_explicit(&h->magic, SHM_MAGIC, memory_order_release);
}

/* Split storage is one of a kind, and a deferred one may be fixed once it is chosen. */
static bool flags_make_sense(uint32_t flags)
{
	switch (flags & ~SHM_OWN_TABLES) {
	case 0:
	case SHM_SPLIT: /* of a kind that is not known here */
	case SHM_SPLIT | SHM_READ_ONLY:
	case SHM_SPLIT | SHM_KERNEL:
	case SHM_SPLIT | SHM_KERNEL | SHM_READ_ONLY:
	case SHM_SPLIT | SHM_DEFERRED:
	case SHM_SPLIT | SHM_DEFERRED | SHM_FIXED:
		return true;
	default:
		return false;
	}
}

int control_read(struct control *c, size_t file_size, struct control_facts *facts)
{
	const struct shm_header *h = c->header;
	struct control_facts copy;
	uint32_t version;
	size_t expected;

	if (atomic_load_explicit(&h->magic, memory_order_acquire) != SHM_MAGIC)
		return dmabuf_fail(EINVAL, "not a dma-buf: no control block in its last page");
	version = *(volatile const uint32_t *)&h->version;
	if (version != SHM_VERSION)
		return dmabuf_fail(EPROTO,
				   "the buffer's control block has layout %u, this library speaks "
				   "%u: use one version on both sides",
				   version, SHM_VERSION);
	copy.size = *(volatile const uint64_t *)&h->size;
	copy.flags = *(volatile const uint32_t *)&h->flags;
	copy.exporter_generation = *(volatile const uint32_t *)&h->exporter_generation;
	copy.payload_dev = *(volatile const uint64_t *)&h->payload_dev;
	copy.payload_ino = *(volatile const uint64_t *)&h->payload_ino;
	copy.resv_first = *(volatile const uint32_t *)&h->resv_first;
	copy.rendezvous = *(volatile const uint32_t *)&h->rendezvous;
	text_copy_untrusted(copy.exp_name, sizeof(copy.exp_name), h->exp_name, sizeof(h->exp_name));

	if (!copy.size || copy.size > DMA_BUF_MAX_SIZE)
		return dmabuf_fail(EINVAL, "control block: size %" PRIu64 " is out of range",
				   copy.size);
	if ((copy.flags & ~SHM_FLAGS) || !flags_make_sense(copy.flags))
		return dmabuf_fail(EINVAL, "control block: flags 0x%x make no sense", copy.flags);
	if (copy.resv_first >= SHM_RESV_LINES)
		return dmabuf_fail(EINVAL, "control block: reservation at line %u of %d",
				   copy.resv_first, SHM_RESV_LINES);
	expected = control_size();
	if (!(copy.flags & SHM_SPLIT))
		expected += page_round_up(copy.size);
	if (expected != file_size)
		return dmabuf_fail(
			EINVAL, "control block: size %" PRIu64 " does not fit a file of %zu bytes",
			copy.size, file_size);
	c->size = copy.size;
	c->resv_first = copy.resv_first;
	memset(copy.home_name, 0, sizeof(copy.home_name));
	memset(copy.home_secret, 0, sizeof(copy.home_secret));
	if (copy.flags & SHM_DEFERRED) {
		control_copy(copy.home_name, c->storage->home_name, sizeof(copy.home_name));
		control_copy(copy.home_secret, c->storage->home_secret, sizeof(copy.home_secret));
	}
	*facts = copy;
	return 0;
}

int control_intact(const struct control *c)
{
	if (atomic_load_explicit(&c->header->magic, memory_order_acquire) == SHM_MAGIC)
		return 0;
	return dmabuf_fail(EIO,
			   "the buffer is spoilt: a holder wiped its control block; drop it and "
			   "take a fresh one");
}

void control_get_name(const struct control *c, char *name)
{
	uint64_t words[DMA_BUF_NAME_LEN / 8];
	unsigned int i;

	for (i = 0; i < DMA_BUF_NAME_LEN / 8; i++)
		words[i] = atomic_load_explicit(&c->header->name[i], memory_order_relaxed);
	text_copy_untrusted(name, DMA_BUF_NAME_LEN, (const char *)words, sizeof(words));
}

void control_set_name(struct control *c, const char *name)
{
	uint64_t words[DMA_BUF_NAME_LEN / 8];
	unsigned int i;

	text_copy((char *)words, sizeof(words), name);
	for (i = 0; i < DMA_BUF_NAME_LEN / 8; i++)
		atomic_store_explicit(&c->header->name[i], words[i], memory_order_relaxed);
}

void control_copy(void *to, const void *from, size_t size)
{
	const uint64_t *in = from;
	uint64_t *out = to;
	size_t i;

	for (i = 0; i < size / sizeof(*out); i++)
		out[i] = __atomic_load_n(&in[i], __ATOMIC_RELAXED);
}
