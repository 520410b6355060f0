// SPDX-License-Identifier: MIT
/*
 * Tables for devices that know physical addresses only: by made-up memory against a search of every
 * way, and by this machine's against what the kernel says of it: row F7.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "deferred.h"
#include "device.h"
#include "huge-pages.h"
#include "peer.h"
#include "seccomp.h"
#include "sg-table.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

static struct dma_buf_device_parameters physical(void)
{
	return (struct dma_buf_device_parameters){ .size = sizeof(struct dma_buf_device_parameters),
						   .physical = true };
}

/* Made-up memory: a frame for each byte, as if pages had one byte. */
#define BYTES 48

struct memory {
	uint64_t address[BYTES];
	uint64_t size;
};

static bool may_be_segment(const struct memory *m, uint64_t from, uint64_t length,
			   const struct dma_buf_device_parameters *p)
{
	uint64_t start = m->address[from], last = start + length - 1;

	for (uint64_t i = 1; i < length; i++)
		if (m->address[from + i] != start + i)
			return false;
	if (p->max_segment_size && length > p->max_segment_size)
		return false;
	if (p->segment_boundary_mask &&
	    (start & ~p->segment_boundary_mask) != (last & ~p->segment_boundary_mask))
		return false;
	if (p->address_alignment && start % p->address_alignment)
		return false;
	if (p->length_granularity && from + length != m->size && length % p->length_granularity)
		return false;
	return !p->dma_mask || last <= p->dma_mask;
}

/* Fewest segments, tried from the end; 0: there is no way. */
static unsigned int fewest(const struct memory *m, const struct dma_buf_device_parameters *p)
{
	unsigned int best[BYTES + 1] = { 0 };

	for (uint64_t from = m->size; from-- > 0;) {
		for (uint64_t length = 1; length <= m->size - from; length++) {
			unsigned int rest = best[from + length];

			if ((from + length < m->size && !rest) ||
			    !may_be_segment(m, from, length, p))
				continue;
			if (!best[from] || rest + 1 < best[from])
				best[from] = rest + 1;
		}
	}
	return p->max_segment_count && best[0] > p->max_segment_count ? 0 : best[0];
}

static uint64_t pick(const uint64_t *choices, unsigned int count)
{
	return choices[(unsigned int)rand() % count];
}

#define PICK(...)                               \
	pick((const uint64_t[]){ __VA_ARGS__ }, \
	     sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* Pieces of multiples of 4 here and there, some of which touch. */
static void make_memory(struct memory *m)
{
	uint64_t address = 4 * PICK(16, 17, 24, 31);

	m->size = 1 + (uint64_t)rand() % BYTES;
	for (uint64_t i = 0; i < m->size; i++) {
		if (i && i % 4 == 0 && rand() % 3 == 0)
			address = 4 * ((uint64_t)rand() % 64);
		m->address[i] = address++;
	}
}

static bool make_limits(struct dma_buf_device_parameters *p)
{
	*p = physical();
	p->max_segment_size = PICK(0, 0, 1, 3, 4, 8, 12, 16);
	p->max_segment_count = PICK(0, 0, 0, 0, 3, 9);
	p->segment_boundary_mask = PICK(0, 0, 0, 3, 7, 15, 31);
	p->dma_mask = PICK(0, 0, 0, 255, 511);
	p->address_alignment = PICK(0, 0, 1, 2, 4, 8);
	p->length_granularity = PICK(0, 0, 1, 2, 4, 6);
	return device_parameters_check(p) == 0;
}

static void check_segments(const struct memory *m, const struct dma_buf_sg_table *table,
			   const struct dma_buf_device_parameters *p)
{
	struct dma_buf_scatterlist *sg;
	uint64_t at = 0;
	unsigned int i;

	dma_buf_for_each_dma_sg(table, sg, i) {
		ASSERT(at + sg->dma_length <= m->size);
		ASSERT_EQ(sg->dma_address, m->address[at]);
		ASSERT(may_be_segment(m, at, sg->dma_length, p));
		at += sg->dma_length;
	}
	ASSERT_EQ(at, m->size);
}

TEST(F7_pieces_of_memory_make_the_fewest_segments_that_the_limits_allow)
{
	unsigned int possible = 0, impossible = 0;
	struct dma_buf_device_parameters p;
	struct dma_buf_sg_table table;
	struct sg_builder b;
	struct memory m;
	int err;

	srand(7);
	for (unsigned int n = 0; n < 60000; n++) {
		unsigned int want;

		make_memory(&m);
		if (!make_limits(&p))
			continue;
		want = fewest(&m, &p);
		sg_builder_init(&b, m.size, &p);
		err = 0;
		for (uint64_t i = 0; i < m.size && !err; i++)
			err = sg_builder_add(&b, m.address[i], 1);
		err = sg_builder_end(&b, err, NULL, &table);
		possible += want != 0;
		impossible += want == 0;
		if (!want) {
			ASSERT_ERR(err, E2BIG);
			continue;
		}
		ASSERT_OK(err);
		ASSERT_EQ(table.nents, want);
		ASSERT_EQ(table.orig_nents, 1);
		check_segments(&m, &table, &p);
		dma_buf_sg_free_table(&table);
	}
	ASSERT(possible > 5000);
	ASSERT(impossible > 5000);
}

TEST(F7_memory_in_pieces_is_not_contiguous)
{
	struct dma_buf_device_parameters p = physical();
	struct dma_buf_sg_table table;
	struct sg_builder b;
	int err;

	p.contiguous = true;
	sg_builder_init(&b, 3, &p);
	err = sg_builder_add(&b, 100, 1);
	err = err ? err : sg_builder_add(&b, 101, 1);
	err = err ? err : sg_builder_add(&b, 104, 1);
	ASSERT_ERR(sg_builder_end(&b, err, NULL, &table), E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "in 2 pieces, the device needs it in one");
}

/* This machine's memory. */

static struct dma_buf_sg_table *map_or_skip(struct dma_buf_attachment *attach)
{
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);

	if (!table && (errno == EPERM || errno == EOPNOTSUPP))
		SKIP("%s", dmabuf_last_error());
	if (!table)
		FAIL("%s", dmabuf_last_error());
	return table;
}

/* A device that knows physical addresses only, at a buffer of 64 KiB. */
struct rig {
	struct dma_buf *dmabuf;
	struct dma_buf_device *dev;
	struct dma_buf_attachment *attach;
};

static struct rig rig_at(struct dma_buf *dmabuf)
{
	struct dma_buf_device_parameters p = physical();
	struct rig r = { .dmabuf = dmabuf, .dev = device_make("crypto0", &p) };

	ASSERT(dmabuf);
	r.attach = dma_buf_attach(dmabuf, r.dev);
	ASSERT(r.attach);
	return r;
}

static struct rig rig_open(int flags)
{
	return rig_at(dma_buf_alloc("x", 64 * KIB, flags));
}

static void rig_close(struct rig *r)
{
	dma_buf_put(r->dmabuf);
	dma_buf_device_put(r->dev);
}

static uint64_t frame_of(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	ASSERT_OK(fd);
	ASSERT_EQ(pread(fd, &entry, 8, (off_t)((uintptr_t)at / 4096 * 8)), 8);
	close(fd);
	return entry & ((UINT64_C(1) << 55) - 1);
}

/* Each byte of the device's side is where the kernel says; pieces that touch are one. */
static void check_frames(const struct dma_buf_sg_table *table, const char *bytes, uint64_t size)
{
	struct dma_buf_scatterlist *sg;
	uint64_t at = 0;
	unsigned int i;

	dma_buf_for_each_dma_sg(table, sg, i) {
		for (uint64_t done = 0; done < sg->dma_length;) {
			uint64_t in_page = (at + done) % 4096, step = 4096 - in_page;

			ASSERT_EQ(sg->dma_address + done,
				  frame_of(bytes + at + done) * 4096 + in_page);
			done += step;
		}
		at += sg->dma_length;
	}
	ASSERT_EQ(at, size);
}

TEST(F7_a_physical_device_gets_the_addresses_that_memory_really_has)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 300 * KIB + 5, O_RDWR);
	struct dma_buf_device_parameters p = physical();
	struct dma_buf_device *any = device_make("any", &p), *small;
	struct dma_buf_attachment *one, *two;
	struct dma_buf_sg_table *table;
	struct dma_buf_scatterlist *sg;
	unsigned int i, coalesced;
	const char *bytes = dma_buf_vmap(dmabuf);

	p.max_segment_size = 1024;
	p.segment_boundary_mask = 2047;
	small = device_make("small", &p);
	one = dma_buf_attach(dmabuf, any);
	table = map_or_skip(one);
	check_frames(table, bytes, dmabuf->size);
	coalesced = table->nents;
	for (i = 1; i < table->nents; i++)
		ASSERT(table->sgl[i - 1].dma_address + table->sgl[i - 1].dma_length !=
		       table->sgl[i].dma_address);
	ASSERT_EQ(table->orig_nents, 1);
	ASSERT(table->sgl[0].vaddr == bytes);
	/* Another device's limits make another table of the same memory. */
	two = dma_buf_attach(dmabuf, small);
	table = map_or_skip(two);
	check_frames(table, bytes, dmabuf->size);
	ASSERT_EQ(table->nents, 301);
	dma_buf_for_each_dma_sg(table, sg, i)
		ASSERT(sg->dma_length <= 1024);
	ASSERT(coalesced <= 76);
	test_note("76 pages in %u pieces", coalesced);
	dma_buf_put(dmabuf);
	dma_buf_device_put(any);
	dma_buf_device_put(small);
}

/* Of memory that other heaps give the same is made. */
static char *huge_memory(int *fd, size_t size)
{
	char *memory;

	*fd = dma_buf_heap_alloc("hugetlb", "frame", size);
	if (*fd < 0)
		SKIP("%s", dmabuf_last_error());
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	ASSERT(memory != MAP_FAILED);
	memset(memory, 1, size);
	if (!frame_of(memory))
		SKIP("page frames are shown to root only");
	return memory;
}

TEST(F7_pages_of_a_huge_page_are_one_segment)
{
	struct dma_buf_device_parameters p = physical();
	struct dma_buf_sg_table table;
	struct huge_pages huge;
	char *memory;
	int fd;

	huge_pages_begin(&huge, 2);
	memory = huge_memory(&fd, 4 * MIB);
	ASSERT_OK(sg_table_build_physical(&table, memory, 4 * MIB, &p));
	/* 1024 pages, in two huge ones, which may touch. */
	ASSERT(table.nents <= 2);
	check_frames(&table, memory, 4 * MIB);
	dma_buf_sg_free_table(&table);
	p.max_segment_size = 64 * KIB;
	ASSERT_OK(sg_table_build_physical(&table, memory, 4 * MIB, &p));
	ASSERT_EQ(table.nents, 64);
	check_frames(&table, memory, 4 * MIB);
	dma_buf_sg_free_table(&table);
	/* Physical boundaries, not those of the mapping. */
	p.max_segment_size = 0;
	p.segment_boundary_mask = MIB - 1;
	ASSERT_OK(sg_table_build_physical(&table, memory + 512 * KIB, 2 * MIB, &p));
	ASSERT_EQ(table.nents, 3);
	ASSERT_EQ(table.sgl[0].dma_length, 512 * KIB);
	ASSERT_EQ(table.sgl[1].dma_length, MIB);
	check_frames(&table, memory + 512 * KIB, 2 * MIB);
	dma_buf_sg_free_table(&table);
	p.contiguous = true;
	ASSERT_OK(sg_table_build_physical(&table, memory, 2 * MIB, &p));
	ASSERT_EQ(table.nents, 2);
	dma_buf_sg_free_table(&table);
	p.dma_mask = 4096 - 1;
	p.segment_boundary_mask = 0;
	ASSERT_ERR(sg_table_build_physical(&table, memory, 2 * MIB, &p), E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "beyond the device's mask 0xfff");
	munmap(memory, 4 * MIB);
	close(fd);
	huge_pages_end(&huge);
}

/* How many rings this process has that pin memory. */
static unsigned int pinning_rings(void)
{
	unsigned int count = 0, bufs;
	char path[64], line[256];

	for (int fd = 0; fd < 256; fd++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "UserBufs:\t%u", &bufs) == 1)
				count += bufs > 0;
		if (f)
			fclose(f);
	}
	return count;
}

TEST(F7_pages_are_pinned_while_a_device_has_their_addresses)
{
	struct rig r = rig_open(O_RDWR);
	struct dma_buf_sg_table *table = map_or_skip(r.attach);

	ASSERT_EQ(pinning_rings(), 1);
	/* A kept table is one, too. */
	ASSERT_OK(dma_buf_unmap_attachment(r.attach, table, DMA_BIDIRECTIONAL));
	ASSERT_EQ(pinning_rings(), 1);
	dma_buf_detach(r.dmabuf, r.attach);
	ASSERT_EQ(pinning_rings(), 0);
	rig_close(&r);
}

static int has_no_ring(void *arg)
{
	return (int)pinning_rings();
}

TEST(F7_a_forked_child_pins_nothing)
{
	struct rig r = rig_open(O_RDWR);

	map_or_skip(r.attach);
	ASSERT_EQ(reap(spawn(has_no_ring, NULL)), 0);
	rig_close(&r);
}

TEST(F7_pages_that_cannot_be_pinned_are_not_given_to_a_device)
{
	struct rig r = rig_open(O_RDWR);

	deny(SYS_io_uring_setup, EPERM);
	ASSERT_ERRNO(dma_buf_map_attachment(r.attach, DMA_TO_DEVICE), EPERM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "crypto0");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "cannot be pinned (io_uring: Operation not");
	rig_close(&r);
}

TEST(F7_pages_of_a_read_only_share_are_locked_where_they_cannot_be_pinned)
{
	struct rig r = rig_open(O_RDONLY);
	struct dma_buf_sg_table *table;

	if (TEST_SANITIZED)
		SKIP("a sanitizer has switched mlock() off");
	deny(SYS_io_uring_setup, EPERM);
	table = dma_buf_map_attachment(r.attach, DMA_TO_DEVICE);
	if (!table && geteuid())
		SKIP("%s", dmabuf_last_error());
	ASSERT(table);
	ASSERT_EQ(locked_kb(), 64);
	check_frames(table, dma_buf_vmap(r.dmabuf), r.dmabuf->size);
	dma_buf_detach(r.dmabuf, r.attach);
	ASSERT_EQ(locked_kb(), 0);
	rig_close(&r);
}

static int map_share(struct peer *peer, struct dma_buf *dmabuf)
{
	struct rig r = rig_at(dmabuf);
	struct dma_buf_sg_table *table;

	table = dma_buf_map_attachment(r.attach, DMA_TO_DEVICE);
	if (!table && geteuid())
		SKIP("%s", dmabuf_last_error());
	ASSERT(table);
	check_frames(table, table->sgl[0].vaddr, r.dmabuf->size);
	rig_close(&r);
	return 0;
}

TEST(F7_who_can_only_read_a_share_maps_it_for_a_physical_device)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 64 * KIB, O_RDONLY);
	struct peer peer;

	if (TEST_SANITIZED)
		SKIP("a sanitizer has switched mlock() off");
	peer_start(&peer, dmabuf, map_share, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

static void drop_rights(void)
{
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
		SKIP("cannot drop root");
	ASSERT_OK(prctl(PR_SET_DUMPABLE, 1));
}

static int without_rights(struct peer *peer, struct dma_buf *dmabuf)
{
	struct rig r = rig_at(dmabuf);

	drop_rights();
	ASSERT_ERRNO(dma_buf_map_attachment(r.attach, DMA_TO_DEVICE), EPERM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "crypto0");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "CAP_SYS_ADMIN");
	ASSERT_EQ(locked_kb(), 0);
	ASSERT_EQ(pinning_rings(), 0);
	rig_close(&r);
	return 0;
}

TEST(F7_without_the_right_to_see_addresses_mapping_says_so)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 64 * KIB, O_RDWR);
	struct peer peer;

	peer_start(&peer, dmabuf, without_rights, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

static int without_memory_to_lock(struct peer *peer, struct dma_buf *dmabuf)
{
	struct rig r = rig_at(dmabuf);
	struct rlimit none = { 4096, 4096 };

	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &none));
	drop_rights();
	ASSERT_ERRNO(dma_buf_map_attachment(r.attach, DMA_TO_DEVICE), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "crypto0");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "RLIMIT_MEMLOCK");
	rig_close(&r);
	return 0;
}

TEST(F7_too_little_memory_to_hold_is_told)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 64 * KIB, O_RDWR);
	struct peer peer;

	if (TEST_SANITIZED)
		SKIP("a sanitizer has switched mlock() off");
	peer_start(&peer, dmabuf, without_memory_to_lock, NULL);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

/* A device that needs memory in one piece, at a buffer whose storage was not chosen yet. */
TEST(F5_F7_a_display_gets_a_huge_page_and_its_one_address)
{
	struct dma_buf_device_parameters p = physical();
	struct dma_buf *dmabuf = deferred_export(2 * MIB);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *display;
	struct huge_pages huge;

	huge_pages_begin(&huge, 1);
	p.contiguous = true;
	display = device_make("display", &p);
	attach = dma_buf_attach(dmabuf, display);
	if (!attach)
		SKIP("%s", dmabuf_last_error());
	table = map_or_skip(attach);
	ASSERT_EQ(table->nents, 1);
	ASSERT_EQ(table->sgl[0].dma_length, 2 * MIB);
	ASSERT_EQ(table->sgl[0].dma_address % (2 * MIB), 0);
	check_frames(table, table->sgl[0].vaddr, 2 * MIB);
	dma_buf_put(dmabuf);
	dma_buf_device_put(display);
	huge_pages_end(&huge);
}
