// SPDX-License-Identifier: MIT
/* Block devices: what is transferred is what was asked for, in every way of transfer. */
#include <sys/mman.h>

#include "block-util.h"

#define KIB 1024ul
#define MIB (1024ul * 1024)

static unsigned char *bytes(size_t size)
{
	unsigned char *p = malloc(size);

	ASSERT(p);
	return p;
}

/* The file's bytes by another descriptor. */
static void expect_file(int fd, const unsigned char *want, size_t size)
{
	unsigned char *got = bytes(size);
	size_t i;

	ASSERT_EQ(pread(fd, got, size, 0), size);
	for (i = 0; i < size; i++)
		if (got[i] != want[i])
			FAIL("byte %zu of the file is %02x, not %02x", i, got[i], want[i]);
	free(got);
}

static void write_and_read_back(int fd, const struct way *way)
{
	unsigned char *want = bytes(MIB);
	struct rig r;

	if (!rig_open(&r, fd, way, MIB))
		goto out;
	fill(want, MIB, 7);
	memcpy(r.cpu, want, MIB);
	ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, MIB, 0), MIB);
	ASSERT_OK(dma_buf_block_sync(r.dev));
	expect_file(fd, want, MIB);
	memset(r.cpu, 0, MIB);
	ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, MIB, 0), MIB);
	ASSERT(memcmp(r.cpu, want, MIB) == 0);
	rig_close(&r);
out:
	free(want);
}

TEST(H1_block_what_is_written_is_read_back_in_every_way)
{
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		int fd = scratch_file(O_RDWR);

		write_and_read_back(fd, &ways[i]);
		close(fd);
	}
}

TEST(H1_block_aligned_direct_transfers_do_not_touch_the_page_cache)
{
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		int fd = scratch_file(O_RDWR);
		struct dma_buf_block_info info;
		struct rig r;

		if (!rig_open(&r, fd, &ways[i], MIB)) {
			close(fd);
			continue;
		}
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, MIB, 0), MIB);
		ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, MIB, 0), MIB);
		info = get_info(r.dev);
		if (info.direct) {
			unsigned char resident[MIB / 4096];
			void *map = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
			unsigned int page, count = 0;

			ASSERT(map != MAP_FAILED);
			ASSERT_OK(mincore(map, MIB, resident));
			for (page = 0; page < sizeof(resident); page++)
				count += resident[page] & 1;
			ASSERT_EQ(count, 0);
			ASSERT_EQ(info.bounced, 0);
			/* One contiguous entry: one request each way. */
			if (r.table->nents == 1)
				ASSERT_EQ(info.requests, 2);
			munmap(map, MIB);
		} else {
			ASSERT_EQ(info.bounced, 2 * MIB);
		}
		rig_close(&r);
		close(fd);
	}
}

/* A file and a buffer as they should be, beside the real ones. */
struct model {
	unsigned char *file, *buffer;
	size_t file_size, file_room, buffer_size;
};

static unsigned int pick(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % below;
}

/* Often a multiple of a block, a few bytes off one, or anything. */
static size_t pick_place(unsigned int *seed, size_t below)
{
	static const size_t blocks[] = { 512, 4096, 65536 };
	size_t block = blocks[pick(seed, 3)];
	size_t place = pick(seed, (unsigned int)(below / block + 1)) * block;

	switch (pick(seed, 4)) {
	case 0:
		place = pick(seed, (unsigned int)below);
		break;
	case 1:
		place += pick(seed, 5);
		break;
	case 2:
		place -= place ? pick(seed, 3) : 0;
		break;
	}
	return place % below;
}

static void model_step(struct rig *r, struct model *m, unsigned int *seed, unsigned int step)
{
	bool write = pick(seed, 2);
	size_t at = pick_place(seed, m->file_room), from = pick_place(seed, m->buffer_size);
	size_t length = pick_place(seed, 160 * KIB), want;
	int64_t got;

	/* Half of them so that memory and file have the same alignment, and direct transfer may. */
	if (pick(seed, 2))
		from = (from & ~(size_t)4095) + at % 4096;
	if (from > m->buffer_size)
		from = 0;
	if (length > m->buffer_size - from)
		length = m->buffer_size - from;
	if (length > m->file_room - at)
		length = m->file_room - at;
	want = length;
	if (write) {
		fill(m->buffer + from, length, step);
		memcpy(r->cpu + from, m->buffer + from, length);
		memcpy(m->file + at, m->buffer + from, length);
		if (length && at + length > m->file_size)
			m->file_size = at + length;
	} else {
		want = at >= m->file_size	    ? 0
		       : at + length > m->file_size ? m->file_size - at
						    : length;
		memcpy(m->buffer + from, m->file + at, want);
	}
	got = rig_transfer(r, write ? DMA_TO_DEVICE : DMA_FROM_DEVICE, from, length, at);
	if (got != (int64_t)want)
		FAIL("step %u: %s of %zu at %zu gave %lld, not %zu", step, write ? "write" : "read",
		     length, at, (long long)got, want);
	/* Of a read that met the end, the rest of the range asked for may be anything. */
	if (want < length)
		memcpy(m->buffer + from + want, r->cpu + from + want, length - want);
	if (memcmp(r->cpu, m->buffer, m->buffer_size))
		FAIL("step %u: %s of %zu at %zu, buffer offset %zu: the buffer differs", step,
		     write ? "write" : "read", length, at, from);
}

static void model_run(const struct way *way, unsigned int seed, unsigned int steps)
{
	struct model m = { .file_room = 300 * KIB, .buffer_size = 200 * KIB + 77 };
	int fd = scratch_file(O_RDWR);
	struct stat st;
	unsigned int step;
	struct rig r;

	m.file = calloc(1, m.file_room);
	m.buffer = calloc(1, m.buffer_size);
	ASSERT(m.file && m.buffer);
	if (rig_open(&r, fd, way, m.buffer_size)) {
		for (step = 0; step < steps; step++) {
			model_step(&r, &m, &seed, step);
			if (step % 16)
				continue;
			ASSERT_OK(fstat(fd, &st));
			ASSERT_EQ(st.st_size, m.file_size);
			expect_file(fd, m.file, m.file_size);
		}
		rig_close(&r);
	}
	free(m.file);
	free(m.buffer);
	close(fd);
}

TEST_TIMEOUT(H1_block_any_offsets_and_lengths_do_what_a_plain_copy_would, 300)
{
	unsigned int i;

	for (i = 0; i < WAYS; i++)
		model_run(&ways[i], 20120614 + i, 200);
}

/* Cut [0, size) into @count pieces of at least one byte, at places that suit nobody. */
static void cut(size_t *cuts, unsigned int count, size_t size, unsigned int *seed)
{
	unsigned int i;

	for (i = 0; i <= count; i++)
		cuts[i] = size * i / count;
	for (i = 1; i < count; i++)
		cuts[i] += pick(seed, (unsigned int)(size / count - 1));
}

static void neighbours(const struct way *way, unsigned int seed)
{
	enum { PIECES = 64 };
	size_t size = MIB + 321, cuts[PIECES + 1];
	unsigned char *want = bytes(size);
	int fd = scratch_file(O_RDWR);
	unsigned int i;
	struct rig r;

	fill(want, size, 1);
	put_file(fd, want, size);
	cut(cuts, PIECES, size, &seed);
	if (!rig_open(&r, fd, way, size))
		goto out;
	fill(want, size, seed);
	memcpy(r.cpu, want, size);
	for (i = 0; i < PIECES; i++)
		ASSERT_OK(
			rig_submit(&r, DMA_TO_DEVICE, cuts[i], cuts[i + 1] - cuts[i], cuts[i], i));
	for (i = 0; i < PIECES; i++) {
		uint64_t piece;
		int64_t got = rig_reap(&r, &piece);

		ASSERT(piece < PIECES);
		ASSERT_EQ(got, cuts[piece + 1] - cuts[piece]);
	}
	expect_file(fd, want, size);
	ASSERT_OK(dma_buf_block_sync(r.dev));
	ASSERT_OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	expect_file(fd, want, size);
	rig_close(&r);
out:
	free(want);
	close(fd);
}

TEST_TIMEOUT(H1_block_unaligned_neighbours_in_flight_do_not_undo_each_other, 300)
{
	unsigned int i, round;

	for (i = 0; i < WAYS; i++)
		for (round = 0; round < 8; round++)
			neighbours(&ways[i], 1 + round * WAYS + i);
}

TEST(H1_block_64_transfers_are_in_flight_at_a_time)
{
	unsigned char *want = bytes(64 * 64 * KIB);
	int fd = scratch_file(O_RDWR);
	unsigned int i, way;

	fill(want, 64 * 64 * KIB, 3);
	put_file(fd, want, 64 * 64 * KIB);
	for (way = 0; way < WAYS; way++) {
		struct dma_buf_block_completion c[64];
		bool seen[64] = { false };
		int n, got = 0;
		struct rig r;

		if (!rig_open_depth(&r, fd, &ways[way], 64 * 64 * KIB, 64))
			continue;
		for (i = 0; i < 64; i++)
			ASSERT_OK(rig_submit(&r, DMA_FROM_DEVICE, i * 64 * KIB, 64 * KIB,
					     i * 64 * KIB, i));
		ASSERT_ERR(rig_submit(&r, DMA_FROM_DEVICE, 0, 1, 0, 64), EAGAIN);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "reap first");
		for (; got < 64; got += n) {
			n = dma_buf_block_reap(r.dev, c, 64, WAIT_MS);
			ASSERT_OK(n);
			for (i = 0; i < (unsigned int)n; i++) {
				ASSERT(c[i].cookie < 64 && !seen[c[i].cookie]);
				seen[c[i].cookie] = true;
				ASSERT_EQ(c[i].result, 64 * KIB);
			}
		}
		ASSERT(memcmp(r.cpu, want, 64 * 64 * KIB) == 0);
		ASSERT_ERR(dma_buf_block_reap(r.dev, c, 64, 0), ENOENT);
		rig_close(&r);
	}
	free(want);
	close(fd);
}

TEST(H1_block_a_read_stops_at_the_end_of_the_file)
{
	static const size_t sizes[] = { 1, 511, 4096, 4097, 100000 };
	unsigned char want[100000];
	unsigned int i, way;

	fill(want, sizeof(want), 9);
	for (way = 0; way < WAYS; way++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			int fd = scratch_file(O_RDWR);
			struct rig r;

			put_file(fd, want, sizes[i]);
			if (rig_open(&r, fd, &ways[way], 256 * KIB)) {
				ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 256 * KIB, 0),
					  sizes[i]);
				ASSERT(memcmp(r.cpu, want, sizes[i]) == 0);
				ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, sizes[i]), 0);
				ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 4096, 1 * MIB), 0);
				ASSERT_EQ(get_info(r.dev).file_size, sizes[i]);
				rig_close(&r);
			}
			close(fd);
		}
	}
}

TEST(H1_block_holes_read_as_zeroes_and_stay_holes)
{
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct stat st;
		struct rig r;
		size_t i;

		ASSERT_OK(ftruncate(fd, 64 * MIB));
		ASSERT_EQ(pwrite(fd, "x", 1, 32 * MIB), 1);
		if (rig_open(&r, fd, &ways[way], MIB)) {
			memset(r.cpu, 0xff, MIB);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, MIB, 32 * MIB), MIB);
			ASSERT_EQ(r.cpu[0], 'x');
			for (i = 1; i < MIB; i++)
				ASSERT(r.cpu[i] == 0);
			r.cpu[0] = 'y';
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 0, 4096, 16 * MIB), 4096);
			ASSERT_OK(fstat(fd, &st));
			ASSERT(st.st_blocks * 512 < (blkcnt_t)MIB);
			ASSERT_EQ(st.st_size, 64 * MIB);
			rig_close(&r);
		}
		close(fd);
	}
}

TEST(H1_block_nothing_outside_of_the_range_changes)
{
	unsigned char want[64 * KIB], zero[64 * KIB] = { 0 };
	unsigned int way;
	size_t i;

	fill(want, sizeof(want), 5);
	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct rig r;

		put_file(fd, zero, sizeof(zero));
		if (rig_open(&r, fd, &ways[way], 64 * KIB)) {
			memcpy(r.cpu, want, sizeof(want));
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 4099, 20001, 4099), 20001);
			for (i = 0; i < 64 * KIB; i++)
				ASSERT_EQ(r.cpu[i], i >= 4099 && i < 24100 ? 0 : want[i]);
			memcpy(r.cpu, want, sizeof(want));
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 4099, 20001, 4099), 20001);
			rig_close(&r);
			ASSERT_EQ(pread(fd, zero, sizeof(zero), 0), sizeof(zero));
			for (i = 0; i < 64 * KIB; i++)
				ASSERT_EQ(zero[i], i >= 4099 && i < 24100 ? want[i] : 0);
			memset(zero, 0, sizeof(zero));
		}
		close(fd);
	}
}

TEST(H1_block_only_the_unaligned_ends_are_bounced)
{
	int fd = scratch_file(O_RDWR);
	struct dma_buf_block_info info;
	unsigned int way;
	struct rig r;

	ASSERT_OK(ftruncate(fd, MIB));
	for (way = 0; way < WAYS; way++) {
		if (!rig_open(&r, fd, &ways[way], MIB))
			continue;
		if (get_info(r.dev).direct) {
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 100, 500000, 100), 500000);
			info = get_info(r.dev);
			ASSERT(info.bounced > 0);
			ASSERT(info.bounced < 2ul * info.offset_alignment);
			/* Memory and file out of step: nothing of it can be direct. */
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 1, 500000, 0), 500000);
			ASSERT_EQ(get_info(r.dev).bounced, info.bounced + 500000);
		}
		rig_close(&r);
	}
	close(fd);
}

TEST(H1_block_an_empty_transfer_completes_with_nothing)
{
	int fd = scratch_file(O_RDWR);
	unsigned int way;
	struct rig r;

	for (way = 0; way < WAYS; way++) {
		if (!rig_open(&r, fd, &ways[way], 4096))
			continue;
		ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 4096, 0, 1 * MIB), 0);
		ASSERT_EQ(get_info(r.dev).requests, 0);
		rig_close(&r);
	}
	close(fd);
}

TEST(H1_block_a_read_only_share_is_written_to_the_file)
{
	unsigned char want[64 * KIB];
	unsigned int way;

	fill(want, sizeof(want), 11);
	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct rig r;

		if (rig_open(&r, fd, &ways[way], 4096)) {
			struct dma_buf *ro = dma_buf_alloc("share", sizeof(want), O_RDONLY);
			struct dma_buf_attachment *attach = dma_buf_attach(ro, r.dev);
			struct dma_buf_sg_table *table =
				dma_buf_map_attachment(attach, DMA_TO_DEVICE);
			void *cpu = dma_buf_vmap(ro);

			ASSERT(table && cpu);
			memcpy(cpu, want, sizeof(want));
			ASSERT_OK(dma_buf_block_submit(attach, table, DMA_TO_DEVICE, 0,
						       sizeof(want), 0, 1));
			ASSERT_EQ(rig_reap(&r, NULL), sizeof(want));
			expect_file(fd, want, sizeof(want));
			ASSERT_ERR(
				dma_buf_block_submit(attach, table, DMA_FROM_DEVICE, 0, 4096, 0, 2),
				EINVAL);
			dma_buf_vunmap(ro, cpu);
			dma_buf_detach(ro, attach);
			dma_buf_put(ro);
			rig_close(&r);
		}
		close(fd);
	}
}
