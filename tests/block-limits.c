// SPDX-License-Identifier: MIT
/* Where a block device's limits come from, and how transfers are cut by them. */
#include <dirent.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "block-util.h"
#include "device.h"
#include "devices/block.h"

#define MIB (1024ul * 1024)

/* A directory that looks like /sys, with the queue of the disk that scratch files are on. */
struct sysfs {
	char root[64], queue[256];
};

static void make_dir(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		FAIL("mkdir %s: %s", path, strerror(errno));
}

static void set(const struct sysfs *s, const char *name, const char *value)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->queue, name);
	f = fopen(path, "we");
	ASSERT(f);
	fprintf(f, "%s\n", value);
	fclose(f);
}

static void sysfs_open(struct sysfs *s, dev_t dev, bool partition)
{
	char path[512], target[64];

	strcpy(s->root, "/tmp/dmabuf-sysfs-XXXXXX");
	ASSERT(mkdtemp(s->root));
	snprintf(path, sizeof(path), "%s/dev", s->root);
	make_dir(path);
	snprintf(path, sizeof(path), "%s/dev/block", s->root);
	make_dir(path);
	snprintf(path, sizeof(path), "%s/sdq", s->root);
	make_dir(path);
	snprintf(path, sizeof(path), "%s/sdq/sdq7", s->root);
	make_dir(path);
	snprintf(s->queue, sizeof(s->queue), "%s/sdq/queue", s->root);
	make_dir(s->queue);
	snprintf(target, sizeof(target), "../../sdq%s", partition ? "/sdq7" : "");
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", s->root, major(dev), minor(dev));
	ASSERT_OK(symlink(target, path));
	set(s, "max_segments", "33");
	set(s, "max_segment_size", "4294967295");
	set(s, "virt_boundary_mask", "4095");
	set(s, "dma_alignment", "3");
	set(s, "logical_block_size", "512");
}

static void sysfs_close(struct sysfs *s)
{
	ASSERT_EQ(reap(spawn_exec((char *[]){ "rm", "-rf", s->root, NULL }, NULL)), 0);
}

/* A file with a disk below; its device goes to @dev. */
static int file_on_disk(dev_t *dev)
{
	int fd = scratch_file(O_RDWR);
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	if (!major(st.st_dev))
		SKIP("no single disk below this directory");
	*dev = st.st_dev;
	return fd;
}

TEST(F1_a_disks_limits_are_known_without_opening_it)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	struct block_limits limits;
	struct sysfs s;

	sysfs_open(&s, makedev(7, 77), false);
	ASSERT(!block_limits_of_disk(&limits, makedev(7, 78), s.root));
	ASSERT(block_limits_of_disk(&limits, makedev(7, 77), s.root));
	block_limits_parameters(&limits, &p);
	ASSERT_EQ(p.address_alignment, 4);
	ASSERT_EQ(p.length_granularity, 4096);
	ASSERT_EQ(p.max_segment_size, 4294963200);
	ASSERT(p.page_backed);
	sysfs_close(&s);
	ASSERT_ERR(dma_buf_block_get_parameters(0, &p), ENOENT);
	p.size = 1;
	ASSERT_ERR(dma_buf_block_get_parameters(makedev(7, 77), &p), EINVAL);
	ASSERT_ERR(dma_buf_block_get_parameters(makedev(7, 77), NULL), EINVAL);
}

/* As on a kernel before 6.1: alignment has to be found elsewhere. */
static void deny_statx(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_statx, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	ASSERT_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		SKIP("no seccomp filters here");
}

static void nvme_limits(bool partition)
{
	struct dma_buf_device_parameters p;
	struct block_limits limits;
	struct sysfs s;
	dev_t dev;
	int fd = file_on_disk(&dev);

	deny_statx();
	sysfs_open(&s, dev, partition);
	block_limits_find(&limits, fd, s.root);
	ASSERT_EQ(limits.max_segments, 33);
	ASSERT_EQ(limits.offset_alignment, 512);
	ASSERT_EQ(limits.memory_alignment, 512);
	ASSERT_EQ(limits.write_alignment, 4096);
	ASSERT_STR_EQ(limits.source, "limits of sdq from its queue");
	block_limits_parameters(&limits, &p);
	ASSERT_EQ(p.max_segment_size, 4294967295 / 4096 * 4096);
	ASSERT_EQ(p.address_alignment, 512);
	ASSERT_EQ(p.length_granularity, 4096);
	ASSERT_EQ(p.max_segment_count, 0);
	ASSERT(!p.noncoherent);
	ASSERT_OK(device_parameters_check(&p));
	sysfs_close(&s);
	close(fd);
}

TEST(H1_block_limits_come_from_the_queue_of_the_disk)
{
	nvme_limits(false);
}

TEST(H1_block_limits_of_a_partition_are_the_whole_disks)
{
	nvme_limits(true);
}

TEST(H1_block_limits_alignment_is_the_larger_of_block_and_dma)
{
	struct block_limits limits;
	struct sysfs s;
	dev_t dev;
	int fd = file_on_disk(&dev);

	deny_statx();
	sysfs_open(&s, dev, false);
	set(&s, "dma_alignment", "2047");
	block_limits_find(&limits, fd, s.root);
	ASSERT_EQ(limits.memory_alignment, 2048);
	ASSERT_EQ(limits.offset_alignment, 512);
	set(&s, "logical_block_size", "16384");
	block_limits_find(&limits, fd, s.root);
	ASSERT_EQ(limits.memory_alignment, 16384);
	ASSERT_EQ(limits.offset_alignment, 16384);
	ASSERT_EQ(limits.write_alignment, 16384);
	sysfs_close(&s);
	close(fd);
}

TEST(H1_block_limits_are_conservative_where_nothing_is_known)
{
	struct block_limits limits;
	int fd = scratch_file(O_RDWR);

	deny_statx();
	block_limits_find(&limits, fd, "/nonexistent");
	ASSERT_EQ(limits.memory_alignment, 4096);
	ASSERT_EQ(limits.offset_alignment, 4096);
	ASSERT_EQ(limits.max_segment_size, 0);
	ASSERT_EQ(limits.max_segments, IOV_MAX);
	ASSERT_STR_CONTAINS(limits.source, "no limits found");
	ASSERT_STR_CONTAINS(limits.source, "4096 bytes assumed");
	close(fd);
}

TEST(H1_block_limits_that_make_no_sense_are_ignored)
{
	static const char *const nonsense[] = { "",
						"-1",
						"abc",
						"99999999999999999999",
						"0x10",
						"12 monkeys",
						"18446744073709551615" };
	static const char *const names[] = { "max_segments", "max_segment_size",
					     "virt_boundary_mask", "dma_alignment",
					     "logical_block_size" };
	struct dma_buf_device_parameters p;
	struct block_limits limits;
	struct sysfs s;
	unsigned int i, j;
	dev_t dev;
	int fd = file_on_disk(&dev);

	deny_statx();
	sysfs_open(&s, dev, false);
	for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		for (j = 0; j < 5; j++)
			set(&s, names[j], nonsense[i]);
		block_limits_find(&limits, fd, s.root);
		ASSERT_EQ(limits.memory_alignment, 4096);
		ASSERT_EQ(limits.offset_alignment, 4096);
		ASSERT_EQ(limits.max_segments, IOV_MAX);
		block_limits_parameters(&limits, &p);
		ASSERT_OK(device_parameters_check(&p));
	}
	sysfs_close(&s);
	close(fd);
}

TEST(H1_block_limits_always_make_parameters_that_a_device_may_have)
{
	static const uint64_t sizes[] = { 0, 1, 512, 4095, 4096, 65536, UINT32_MAX, UINT64_MAX };
	struct dma_buf_device_parameters p;
	struct block_limits l = { .max_segments = 1 };
	unsigned int i, mem, offset, boundary;

	for (i = 0; i < 8; i++)
		for (mem = 1; mem <= 65536; mem *= 2)
			for (offset = 1; offset <= 65536; offset *= 2)
				for (boundary = 1; boundary <= 65536; boundary *= 2) {
					l.max_segment_size = sizes[i];
					l.memory_alignment = mem;
					l.offset_alignment = offset;
					l.virt_boundary_mask = boundary - 1;
					block_limits_parameters(&l, &p);
					ASSERT_OK(device_parameters_check(&p));
				}
}

static uint64_t number_in(const char *dir, const char *name, uint64_t otherwise)
{
	unsigned long long value;
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	if (fscanf(f, "%llu", &value) != 1)
		value = otherwise;
	fclose(f);
	return value;
}

/* Against sysfs, read here in another way. */
static void expect_queue(struct dma_buf_device *dev, const char *dir)
{
	const struct dma_buf_device_parameters *p = dma_buf_device_get_parameters(dev);
	uint64_t size = number_in(dir, "max_segment_size", 0);
	uint64_t boundary = number_in(dir, "virt_boundary_mask", 0);
	struct dma_buf_block_info info = get_info(dev);

	test_note("%s", describe(dev));
	ASSERT(info.direct);
	ASSERT(info.max_segments <= number_in(dir, "max_segments", IOV_MAX));
	ASSERT(p->max_segment_size <= size);
	ASSERT(p->max_segment_size > size - 65536);
	ASSERT_EQ(p->length_granularity % (boundary + 1), 0);
	ASSERT_EQ(p->length_granularity % number_in(dir, "logical_block_size", 1), 0);
	ASSERT_EQ(p->address_alignment % (number_in(dir, "dma_alignment", 0) + 1), 0);
}

TEST(H1_block_a_file_takes_the_limits_of_the_real_disk_below)
{
	struct dma_buf_device *device;
	char path[64], up[96];
	dev_t dev;
	int fd = file_on_disk(&dev);

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue", major(dev), minor(dev));
	snprintf(up, sizeof(up), "/sys/dev/block/%u:%u/../queue", major(dev), minor(dev));
	device = dma_buf_block_open(fd, NULL, NULL);
	ASSERT(device);
	if (access(path, F_OK) && access(up, F_OK))
		SKIP("sysfs does not show the disk");
	if (!get_info(device).direct)
		SKIP("%s", describe(device));
	expect_queue(device, access(path, F_OK) ? up : path);
	dma_buf_device_put(device);
	close(fd);
}

/* Cutting: a device that is not there, on memory that is not touched. */

struct plan_rig {
	struct block_device b;
	struct block_region region;
	struct dma_buf_scatterlist sgl[300];
	struct block_transfer t;
	bool odd; /* entries of lengths that suit no disk */
};

static unsigned int pick(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % below;
}

/* @broken: pieces that are not neighbours */
static void make_region(struct plan_rig *p, unsigned int *seed, bool broken, bool odd)
{
	uint64_t address = 1ull << 40;
	unsigned int i;

	p->odd = odd;
	p->region.sgl = p->sgl;
	p->region.nents = 1 + pick(seed, 300);
	p->region.slot = -1;
	p->region.length = 0;
	for (i = 0; i < p->region.nents; i++) {
		p->sgl[i].dma_address = address;
		p->sgl[i].dma_length = odd ? 1 + pick(seed, 9000) : 4096u * (1 + pick(seed, 3));
		p->region.length += p->sgl[i].dma_length;
		address += p->sgl[i].dma_length;
		if (broken && pick(seed, 2))
			address += odd ? 1 + pick(seed, 100) : 4096;
	}
}

/* The device address of a byte of the region; UINT64_MAX past the end. */
static uint64_t address_of(const struct plan_rig *p, uint64_t offset)
{
	unsigned int i;

	for (i = 0; i < p->region.nents; i++) {
		if (offset < p->sgl[i].dma_length)
			return p->sgl[i].dma_address + offset;
		offset -= p->sgl[i].dma_length;
	}
	return UINT64_MAX;
}

static unsigned int entries_in(const struct plan_rig *p, uint64_t from, uint64_t length)
{
	uint64_t start = 0, end;
	unsigned int i, n = 0;

	for (i = 0; i < p->region.nents; i++, start = end) {
		end = start + p->sgl[i].dma_length;
		n += start < from + length && end > from;
	}
	return n;
}

/* One request is what the disk can do, and its memory is what the file offset is to go with. */
static uint64_t check_request(const struct plan_rig *p, const struct block_request *r)
{
	const struct block_limits *l = &p->b.limits;
	bool direct = r->fd == p->b.direct_fd;
	uint64_t at = p->t.buffer_offset + (uint64_t)r->offset - p->t.file_offset;
	uint64_t total = 0, i, n;

	ASSERT(r->iovcnt > 0 && r->iovcnt <= IOV_MAX);
	for (i = 0; i < r->iovcnt; total += r->iov[i++].iov_len) {
		uint64_t address = (uint64_t)(uintptr_t)r->iov[i].iov_base;

		ASSERT(r->iov[i].iov_len > 0);
		ASSERT_EQ(address, address_of(p, at + total));
		n = r->iov[i].iov_len;
		ASSERT_EQ(address + n - 1, address_of(p, at + total + n - 1));
		if (direct) {
			ASSERT_EQ(address % l->memory_alignment, 0);
			ASSERT_EQ(n % l->offset_alignment, 0);
		}
	}
	if (direct) {
		ASSERT_EQ((uint64_t)r->offset % l->offset_alignment, 0);
		ASSERT_EQ(total % l->offset_alignment, 0);
	}
	/* Entries smaller than a block have to be taken together, however many. */
	if (!p->odd || !direct)
		ASSERT(entries_in(p, at, total) <= l->max_segments + 1);
	return total;
}

/* Where a write changes between direct and buffered, a page begins. */
static void check_seam(const struct plan_rig *p, const struct block_request *r, int *last_fd)
{
	if (p->t.write && *last_fd >= 0 && r->fd != *last_fd)
		ASSERT_EQ((uint64_t)r->offset % p->b.limits.write_alignment, 0);
	*last_fd = r->fd;
}

static void run_plan(struct plan_rig *p, unsigned int *seed)
{
	uint64_t total, moved = 0;
	bool cut_short = false;
	int last_fd = -1;
	struct block_request r;
	unsigned int steps = 0;

	ASSERT(block_plan(&p->t, &p->b.limits, true));
	while (block_next(&p->b, &p->t, &r)) {
		ASSERT(++steps < 100000);
		ASSERT_EQ((uint64_t)r.offset - p->t.file_offset, moved);
		total = check_request(p, &r);
		if (!cut_short)
			check_seam(p, &r, &last_fd);
		/* Now and then it is interrupted, or moves fewer bytes. */
		if (!pick(seed, 8)) {
			block_advance(&p->b, &p->t, -EINTR);
			continue;
		}
		if (!pick(seed, 8)) {
			total = 1 + pick(seed, (unsigned int)total);
			total = pick(seed, 2) && total > 512 ? total / 512 * 512 : total;
			cut_short = true;
		}
		moved += total;
		block_advance(&p->b, &p->t, (int64_t)total);
	}
	ASSERT_EQ(p->t.result, p->t.length);
	ASSERT_EQ(moved, p->t.length);
	block_plan_free(&p->t);
}

TEST(H1_block_requests_are_what_the_disk_takes_whatever_the_table)
{
	struct plan_rig *p = calloc(1, sizeof(*p));
	unsigned int seed = 42, round;

	ASSERT(p);
	p->b.direct_fd = 1;
	p->b.buffered_fd = 2;
	for (round = 0; round < 5000; round++) {
		p->b.limits.offset_alignment = 512u << pick(&seed, 4);
		p->b.limits.memory_alignment = 4u << pick(&seed, 11);
		p->b.limits.write_alignment = 4096;
		p->b.limits.max_segments = 1 + pick(&seed, 20);
		make_region(p, &seed, pick(&seed, 2), pick(&seed, 2));
		p->t.region = &p->region;
		p->t.write = pick(&seed, 2);
		p->t.buffer_offset = pick(&seed, (unsigned int)p->region.length);
		p->t.length =
			pick(&seed, (unsigned int)(p->region.length - p->t.buffer_offset)) + 1;
		p->t.file_offset = pick(&seed, 100000);
		/* Half of them so that direct transfer may be. */
		if (pick(&seed, 2))
			p->t.file_offset += (p->t.buffer_offset - p->t.file_offset) & 4095;
		run_plan(p, &seed);
	}
	ASSERT(atomic_load(&p->b.bounced) > 0);
	free(p);
}

/* 300 pages one by one, neighbours in memory, for a disk that takes 33 at a time. */
TEST(H1_block_a_transfer_is_cut_into_requests_of_as_many_entries_as_the_disk_takes)
{
	struct plan_rig *p = calloc(1, sizeof(*p));
	struct block_request r;
	unsigned int i, requests = 0;

	ASSERT(p);
	p->b.direct_fd = 1;
	p->b.limits = (struct block_limits){ .offset_alignment = 512,
					     .memory_alignment = 512,
					     .write_alignment = 4096,
					     .max_segments = 33 };
	for (i = 0; i < 300; i++) {
		p->sgl[i].dma_address = (1ull << 40) + i * 4096;
		p->sgl[i].dma_length = 4096;
	}
	p->region = (struct block_region){ .sgl = p->sgl, .nents = 300, .length = 300 * 4096 };
	p->t.region = &p->region;
	p->t.length = p->region.length;
	ASSERT(block_plan(&p->t, &p->b.limits, true));
	while (block_next(&p->b, &p->t, &r)) {
		ASSERT_EQ(r.iovcnt, 1);
		ASSERT(r.iov[0].iov_len == 33 * 4096 || r.iov[0].iov_len == 3 * 4096);
		block_advance(&p->b, &p->t, (int64_t)r.iov[0].iov_len);
		requests++;
	}
	ASSERT_EQ(requests, 10);
	block_plan_free(&p->t);
	free(p);
}

TEST(H1_block_a_request_that_never_gets_anywhere_is_given_up)
{
	struct plan_rig *p = calloc(1, sizeof(*p));
	struct block_request r;
	unsigned int seed = 1, tries = 0;

	ASSERT(p);
	p->b.limits = (struct block_limits){ .offset_alignment = 512,
					     .memory_alignment = 512,
					     .write_alignment = 4096,
					     .max_segments = 33 };
	make_region(p, &seed, false, false);
	p->t.region = &p->region;
	p->t.length = 4096;
	ASSERT(block_plan(&p->t, &p->b.limits, true));
	while (block_next(&p->b, &p->t, &r)) {
		block_advance(&p->b, &p->t, -EAGAIN);
		ASSERT(++tries <= 2 * BLOCK_MAX_RETRIES);
	}
	ASSERT_EQ(p->t.result, -EAGAIN);
	block_plan_free(&p->t);
	free(p);
}

static int request_fd(struct plan_rig *p, int64_t result)
{
	struct block_request r;

	if (!block_next(&p->b, &p->t, &r))
		return -1;
	block_advance(&p->b, &p->t, result);
	return r.fd;
}

/* Memory that a driver has mapped without pages: EFAULT from a direct transfer. */
TEST(H1_block_memory_that_cannot_be_pinned_goes_through_the_page_cache)
{
	struct plan_rig *p = calloc(1, sizeof(*p));
	unsigned int seed = 1;

	ASSERT(p);
	p->b.limits = (struct block_limits){ .offset_alignment = 512,
					     .memory_alignment = 512,
					     .write_alignment = 4096,
					     .max_segments = 33 };
	p->b.buffered_fd = 1;
	p->b.direct_fd = 2;
	make_region(p, &seed, false, false);
	p->t.region = &p->region;
	p->t.length = 8192;
	atomic_store(&p->b.direct, true);
	ASSERT(block_plan(&p->t, &p->b.limits, true));
	ASSERT_EQ(request_fd(p, -EFAULT), 2);
	ASSERT(atomic_load(&p->region.unpinnable));
	ASSERT_EQ(request_fd(p, 8192), 1);
	ASSERT_EQ(request_fd(p, 0), -1);
	ASSERT_EQ(p->t.result, 8192);
	ASSERT_EQ(atomic_load(&p->b.bounced), 8192);
	ASSERT(atomic_load(&p->b.direct)); /* other memory goes direct as before */
	block_plan_free(&p->t);
	/* What the CPU cannot reach either is an error; and nothing is copied where that is not
	 * wanted.
	 */
	p->t.span = p->t.nspans = 0;
	ASSERT(block_plan(&p->t, &p->b.limits, true));
	ASSERT_EQ(request_fd(p, -EFAULT), 2);
	ASSERT_EQ(request_fd(p, -EFAULT), 1);
	ASSERT_EQ(request_fd(p, 0), -1);
	ASSERT_EQ(p->t.result, -EFAULT);
	block_plan_free(&p->t);
	p->t.span = p->t.nspans = 0;
	p->t.zero_copy = true;
	ASSERT(block_plan(&p->t, &p->b.limits, true));
	ASSERT_EQ(request_fd(p, -EFAULT), 2);
	ASSERT_EQ(request_fd(p, 0), -1);
	ASSERT_EQ(p->t.result, -EFAULT);
	block_plan_free(&p->t);
	free(p);
}

/* The disk turns out to want more than was known: EINVAL from the transfer itself. */
TEST(H1_block_o_direct_refused_by_a_transfer_falls_back_and_it_is_said)
{
	unsigned char want[8192];
	unsigned int way;

	fill(want, sizeof(want), 17);
	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct block_device *b;
		struct rig r;

		put_file(fd, want, sizeof(want));
		if (!rig_open(&r, fd, &ways[way], 8192)) {
			close(fd);
			continue;
		}
		b = block_of(r.dev);
		b->limits.memory_alignment = b->limits.offset_alignment = 1;
		if (get_info(r.dev).direct) {
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 3, 8001, 77), 8001);
			ASSERT(memcmp(r.cpu + 3, want + 77, 8001) == 0);
			ASSERT(!get_info(r.dev).direct);
			ASSERT_STR_CONTAINS(describe(r.dev),
					    "page cache (O_DIRECT was refused by a transfer)");
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 8192, 0), 8192);
		}
		rig_close(&r);
		close(fd);
	}
}

TEST(F7_o_direct_refused_by_a_transfer_fails_it_where_nothing_may_be_copied)
{
	for (unsigned int way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		unsigned char bytes[8192] = { 0 };
		struct block_device *b;
		struct rig r;

		put_file(fd, bytes, sizeof(bytes));
		if (!rig_open(&r, fd, &ways[way], 8192)) {
			close(fd);
			continue;
		}
		b = block_of(r.dev);
		b->limits.memory_alignment = b->limits.offset_alignment = 1;
		if (get_info(r.dev).direct) {
			ASSERT_OK(dma_buf_unmap_attachment(r.attach, r.table, DMA_BIDIRECTIONAL));
			r.table = dma_buf_map_attachment_attrs(r.attach, DMA_BIDIRECTIONAL,
							       DMA_BUF_MAP_ZERO_COPY);
			ASSERT(r.table);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 3, 8001, 77), -EINVAL);
			ASSERT(get_info(r.dev).direct);
			ASSERT_EQ(get_info(r.dev).bounced, 0);
		}
		rig_close(&r);
		close(fd);
	}
}

/* Allocations that fail: the n-th from now on. Sanitizers have their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

#ifndef OWN_ALLOCATOR
static atomic_int allocations_left = -1;

void *__libc_calloc(size_t count, size_t size);
void *calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
	int left = atomic_load(&allocations_left);

	if (left >= 0 && !left) {
		errno = ENOMEM;
		return NULL;
	}
	if (left > 0)
		atomic_fetch_sub(&allocations_left, 1);
	return __libc_calloc(count, size);
}

TEST(H1_block_without_memory_open_and_map_fail_at_each_step_and_leave_nothing)
{
	int fd = scratch_file(O_RDWR), before = open_fds(), n;
	struct dma_buf *dmabuf = dma_buf_alloc("memory", 4096, O_RDWR);
	unsigned int way;
	void *volatile ours;

	ASSERT(dmabuf);
	atomic_store(&allocations_left, 0);
	ours = calloc(1, 1);
	atomic_store(&allocations_left, -1);
	free(ours);
	if (ours)
		SKIP("the allocator is somebody else's (valgrind)");
	ASSERT(dma_buf_vmap(dmabuf));
	before = open_fds();
	for (way = 0; way < WAYS; way++) {
		struct dma_buf_block_options o = {
			.size = sizeof(o),
			.method = ways[way].method,
			.buffered = ways[way].buffered,
		};
		struct dma_buf_device *dev = NULL;
		struct dma_buf_attachment *attach;
		struct dma_buf_sg_table *table = NULL;

		for (n = 0; n < 50 && !dev; n++) {
			atomic_store(&allocations_left, n);
			dev = dma_buf_block_open(fd, "disk", &o);
			atomic_store(&allocations_left, -1);
			if (!dev && errno == EPERM)
				break;
			if (dev)
				break;
			/* EAGAIN is pthread_create()'s word for it. */
			ASSERT(errno == ENOMEM || errno == EAGAIN);
			ASSERT_EQ(open_fds(), before);
		}
		if (!dev)
			continue;
		ASSERT(n > 2);
		attach = dma_buf_attach(dmabuf, dev);
		ASSERT(attach);
		for (n = 0; n < 50 && !table; n++) {
			atomic_store(&allocations_left, n);
			table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
			atomic_store(&allocations_left, -1);
			if (!table)
				ASSERT_EQ(errno, ENOMEM);
		}
		ASSERT(n > 3);
		dma_buf_detach(dmabuf, attach);
		dma_buf_device_put(dev);
		ASSERT_EQ(open_fds(), before);
	}
	dma_buf_put(dmabuf);
	close(fd);
}
#endif
