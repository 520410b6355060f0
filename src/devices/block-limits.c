// SPDX-License-Identifier: MIT
/*
 * What a file's disk asks for. Three sources, each optional:
 *
 * - STATX_DIOALIGN: the file system's own word on alignment for O_DIRECT (since 6.1);
 * - the queue of the disk in sysfs, of a partition the whole disk's;
 * - BLKSSZGET, for a block device whose sysfs is hidden.
 *
 * Where there is neither, as on overlay, btrfs or tmpfs, which have no one disk, 4096 bytes suit
 * every disk there is.
 */
#include "block.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "text.h"

#define CONSERVATIVE 4096u
/* Beyond this a number is no alignment of a disk but a mistake. */
#define MAX_ALIGNMENT 65536u
/* Without a number from the queue: what the kernel takes in one call. */
#define DEFAULT_SEGMENTS IOV_MAX

struct queue {
	char disk[64];
	uint64_t max_segments, max_segment_size, virt_boundary_mask;
	uint32_t dma_alignment, logical_block_size; /* in bytes; 0: unknown */
};

static bool is_alignment(uint64_t value)
{
	return value && value <= MAX_ALIGNMENT && !(value & (value - 1));
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* One number from a file below the directory @dir; false if there is none. */
static bool read_number(int dir, const char *name, uint64_t *ret)
{
	char text[32], *end;
	ssize_t n;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return false;
	text[n] = '\0';
	*ret = strtoull(text, &end, 10);
	return *end == '\n' || *end == '\0';
}

static void disk_name(const char *directory, struct queue *queue)
{
	char resolved[PATH_MAX], *slash;

	if (!realpath(directory, resolved))
		return;
	slash = strrchr(resolved, '/');
	if (slash)
		text_copy(queue->disk, sizeof(queue->disk), slash + 1);
}

/* Opens the queue of disk @dev; a partition has none of its own, its parent directory does. */
static int open_queue(const char *sysfs, dev_t dev, struct queue *queue)
{
	static const char *const up[] = { "", "/.." };
	char path[PATH_MAX], directory[PATH_MAX];
	unsigned int i;
	int fd;

	for (i = 0; i < 2; i++) {
		snprintf(directory, sizeof(directory), "%s/dev/block/%u:%u%s", sysfs, major(dev),
			 minor(dev), up[i]);
		if (snprintf(path, sizeof(path), "%s/queue", directory) >= (int)sizeof(path))
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			disk_name(directory, queue);
			return fd;
		}
	}
	return -1;
}

static bool find_queue(const char *sysfs, dev_t dev, struct queue *queue)
{
	uint64_t value;
	int dir;

	memset(queue, 0, sizeof(*queue));
	/* Major 0: a file system without a disk. */
	dir = major(dev) ? open_queue(sysfs, dev, queue) : -1;
	if (dir < 0)
		return false;
	if (read_number(dir, "max_segments", &value) && value)
		queue->max_segments = value;
	if (read_number(dir, "max_segment_size", &value) && value)
		queue->max_segment_size = value;
	if (read_number(dir, "virt_boundary_mask", &value) && is_alignment(value + 1))
		queue->virt_boundary_mask = value;
	if (read_number(dir, "dma_alignment", &value) && is_alignment(value + 1))
		queue->dma_alignment = (uint32_t)value + 1;
	if (read_number(dir, "logical_block_size", &value) && is_alignment(value))
		queue->logical_block_size = (uint32_t)value;
	close(dir);
	return true;
}

#ifdef STATX_DIOALIGN
static bool find_dioalign(int fd, struct block_limits *limits)
{
	struct statx stx = { 0 };

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 ||
	    !(stx.stx_mask & STATX_DIOALIGN))
		return false;
	if (!stx.stx_dio_offset_align) {
		limits->direct_refused = true;
		return true;
	}
	if (!is_alignment(stx.stx_dio_mem_align) || !is_alignment(stx.stx_dio_offset_align))
		return false;
	limits->memory_alignment = stx.stx_dio_mem_align;
	limits->offset_alignment = stx.stx_dio_offset_align;
	return true;
}
#else
static bool find_dioalign(int fd, struct block_limits *limits)
{
	return false;
}
#endif

/* Kernels before 6.0 want memory aligned as the file offset is, so that holds for both here. */
static void align_to_block(struct block_limits *limits, uint32_t block, uint32_t dma)
{
	limits->offset_alignment = block;
	limits->memory_alignment = larger(block, dma);
}

static void take_queue(struct block_limits *limits, const struct queue *queue)
{
	limits->max_segment_size = queue->max_segment_size;
	limits->virt_boundary_mask = queue->virt_boundary_mask;
	if (queue->max_segments && queue->max_segments < DEFAULT_SEGMENTS)
		limits->max_segments = (uint32_t)queue->max_segments;
}

/*
 * Where a direct write may begin and end. Page cache and disk must not both hold part of one page
 * while they are written at the same time: a page that is written back later carries the bytes
 * beside its own as they were before. So direct writes cover whole pages, or whole blocks of the
 * file system where these are larger (st_blksize; beyond 64 KiB it is only a hint for good speed).
 */
static uint32_t find_write_alignment(const struct stat *st, uint32_t offset_alignment)
{
	uint32_t align = larger((uint32_t)sysconf(_SC_PAGESIZE), offset_alignment);

	if (S_ISREG(st->st_mode) && is_alignment((uint64_t)st->st_blksize))
		align = larger(align, (uint32_t)st->st_blksize);
	return align;
}

/* A FUSE server need not know asynchronous transfer, and the kernel does not tell. */
static bool find_submit_waits(int fd)
{
	struct statfs fs;

	/* Only such a server can fail to answer this one, too. */
	return fstatfs(fd, &fs) < 0 || fs.f_type == FUSE_SUPER_MAGIC;
}

void block_limits_find(struct block_limits *limits, int fd, const char *sysfs)
{
	bool is_disk, dioalign, has_queue;
	struct queue queue;
	struct stat st;
	int block = 0;

	memset(limits, 0, sizeof(*limits));
	limits->memory_alignment = CONSERVATIVE;
	limits->offset_alignment = CONSERVATIVE;
	limits->max_segments = DEFAULT_SEGMENTS;
	if (fstat(fd, &st) < 0)
		memset(&st, 0, sizeof(st));
	is_disk = S_ISBLK(st.st_mode);
	has_queue = find_queue(sysfs, is_disk ? st.st_rdev : st.st_dev, &queue);
	if (has_queue)
		take_queue(limits, &queue);
	dioalign = find_dioalign(fd, limits);
	if (has_queue) {
		if (!dioalign && queue.logical_block_size)
			align_to_block(limits, queue.logical_block_size, queue.dma_alignment);
		snprintf(limits->source, sizeof(limits->source), "limits of %s from its queue%s",
			 queue.disk, dioalign ? ", alignment by STATX_DIOALIGN" : "");
	} else if (dioalign) {
		snprintf(limits->source, sizeof(limits->source),
			 "no disk found below device %u:%u, alignment by STATX_DIOALIGN",
			 major(st.st_dev), minor(st.st_dev));
	} else if (is_disk && !ioctl(fd, BLKSSZGET, &block) && is_alignment((uint64_t)block)) {
		align_to_block(limits, (uint32_t)block, 0);
		snprintf(limits->source, sizeof(limits->source),
			 "no queue of device %u:%u in sysfs, alignment from its sector size",
			 major(st.st_rdev), minor(st.st_rdev));
	} else {
		snprintf(limits->source, sizeof(limits->source),
			 "no limits found for device %u:%u, %u bytes assumed", major(st.st_dev),
			 minor(st.st_dev), CONSERVATIVE);
	}
	limits->submit_waits = find_submit_waits(fd);
	limits->write_alignment = find_write_alignment(&st, limits->offset_alignment);
}

/*
 * - max_segment_count stays 0: it would limit a whole buffer, while the disk limits one request;
 *   requests are cut instead (block-plan.c).
 * - segment_boundary_mask stays 0: virt_boundary_mask does not forbid to cross a boundary, it
 *   forbids gaps between segments of one request: each but the last has to end on a boundary,
 *   which is what length_granularity says.
 */
void block_limits_parameters(const struct block_limits *limits,
			     struct dma_buf_device_parameters *parameters)
{
	uint64_t granularity = limits->virt_boundary_mask + 1;
	uint64_t most = limits->max_segment_size;

	if (granularity < limits->offset_alignment)
		granularity = limits->offset_alignment;
	if (most)
		most = most < granularity ? granularity : most / granularity * granularity;
	memset(parameters, 0, sizeof(*parameters));
	parameters->size = sizeof(*parameters);
	parameters->max_segment_size = most;
	parameters->address_alignment = limits->memory_alignment;
	parameters->length_granularity = granularity;
	/* The kernel pins the pages of a direct transfer. */
	parameters->page_backed = true;
	if (most && parameters->address_alignment > most)
		parameters->max_segment_size = parameters->address_alignment;
}

bool block_limits_of_disk(struct block_limits *limits, dev_t dev, const char *sysfs)
{
	struct queue queue;

	if (!find_queue(sysfs, dev, &queue))
		return false;
	memset(limits, 0, sizeof(*limits));
	limits->max_segments = DEFAULT_SEGMENTS;
	take_queue(limits, &queue);
	align_to_block(limits, queue.logical_block_size ? queue.logical_block_size : CONSERVATIVE,
		       queue.dma_alignment);
	/* Since 6.0 memory need not be aligned as the file's offset is. */
	if (queue.dma_alignment)
		limits->memory_alignment = queue.dma_alignment;
	return true;
}
