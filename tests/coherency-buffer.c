// SPDX-License-Identifier: MIT
/*
 * Coherency through the public interface. The buffer's memory plays the CPU's cache, and the
 * exporter keeps what devices see in an array of its own: cleaning copies lines there if they were
 * written, dropping copies them back. Lines are written back and prefetched at random meanwhile.
 */
#include <dmabuf.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define LINE 64
#define LINES 64
#define SIZE (LINES * LINE)

struct shadow {
	uint8_t *cpu;	      /* what the CPU and coherent devices see: the buffer */
	uint8_t memory[SIZE]; /* what non-coherent devices see */
	uint8_t loaded[SIZE]; /* the cache's lines as they were when they were clean */
	unsigned int operations;
	size_t first, last; /* what the latest operation touched */
	enum dma_buf_cache_op op;
	int refuse;
};

static uint64_t seed = 0xda3e39cb94b95bdbu;

static uint32_t random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static void maintain(struct shadow *s, enum dma_buf_cache_op op, size_t at)
{
	bool dirty = memcmp(s->cpu + at, s->loaded + at, LINE) != 0;

	if (dirty && op != DMA_BUF_CACHE_INVALIDATE)
		memcpy(s->memory + at, s->cpu + at, LINE);
	if (op != DMA_BUF_CACHE_CLEAN)
		memcpy(s->cpu + at, s->memory + at, LINE);
	memcpy(s->loaded + at, s->cpu + at, LINE);
}

static int shadow_sync(struct dma_buf *dmabuf, enum dma_buf_cache_op op, size_t start, size_t len)
{
	struct shadow *s = dmabuf->priv;

	if (s->refuse)
		return s->refuse;
	s->operations++;
	s->op = op;
	s->first = start;
	s->last = start + len;
	for (size_t at = start & ~(size_t)(LINE - 1); at < start + len; at += LINE)
		maintain(s, op, at);
	return 0;
}

static void shadow_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops shadow_ops = {
	.map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = shadow_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
	.cache_sync = shadow_sync,
};

/* A buffer, a device attached to it, and what each sees. */
struct scene {
	struct shadow shadow;
	struct dma_buf *dmabuf;
	struct dma_buf_device *dev;
	struct dma_buf_attachment *attach;
};

static void open_scene(struct scene *s)
{
	struct dma_buf_device_info dev = { .size = sizeof(dev), .name = "both-ways" };
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	memset(s, 0, sizeof(*s));
	info.exp_name = "shadow";
	info.ops = &shadow_ops;
	info.size = SIZE;
	info.flags = O_RDWR;
	info.priv = &s->shadow;
	s->dmabuf = dma_buf_export(&info);
	ASSERT(s->dmabuf);
	s->shadow.cpu = dma_buf_vmap(s->dmabuf);
	ASSERT(s->shadow.cpu);
	s->dev = dma_buf_device_create(&dev);
	ASSERT(s->dev);
	s->attach = dma_buf_attach(s->dmabuf, s->dev);
	ASSERT(s->attach);
}

static void close_scene(struct scene *s)
{
	dma_buf_detach(s->dmabuf, s->attach);
	dma_buf_device_put(s->dev);
	dma_buf_vunmap(s->dmabuf, s->shadow.cpu);
	dma_buf_put(s->dmabuf);
}

static struct dma_buf_sg_table *map(struct scene *s, enum dma_data_direction direction,
				    bool coherent)
{
	struct dma_buf_sg_table *table = dma_buf_map_attachment_attrs(
		s->attach, direction, coherent ? DMA_BUF_MAP_COHERENT : DMA_BUF_MAP_NONCOHERENT);

	ASSERT(table);
	return table;
}

static void unmap(struct scene *s, struct dma_buf_sg_table *table,
		  enum dma_data_direction direction)
{
	dma_buf_unmap_attachment(s->attach, table, direction);
}

/* What came before the first non-coherent device is unknown, and costs one clean of everything. */
static void get_over_the_past(struct scene *s)
{
	unmap(s, map(s, DMA_TO_DEVICE, false), DMA_TO_DEVICE);
	ASSERT_EQ(s->shadow.operations, 1);
	ASSERT_EQ(s->shadow.op, DMA_BUF_CACHE_CLEAN);
	s->shadow.operations = 0;
}

TEST(C3_kings_sequence_through_the_library_costs_one_clean)
{
	struct dma_buf_counters before, after;
	struct dma_buf_sg_table *table;
	struct scene s;
	uint8_t *page;

	open_scene(&s);
	get_over_the_past(&s);
	ASSERT_OK(dma_buf_get_counters(s.dmabuf, &before));
	table = map(&s, DMA_TO_DEVICE, false);
	ASSERT_OK(dma_buf_begin_cpu_access(s.dmabuf, 2 * LINE, LINE, DMA_TO_DEVICE));
	page = dma_buf_kmap(s.dmabuf, 0);
	page[2 * LINE + 5] = 42;
	dma_buf_kunmap(s.dmabuf, 0, page);
	ASSERT_OK(dma_buf_end_cpu_access(s.dmabuf, 2 * LINE, LINE, DMA_TO_DEVICE));
	unmap(&s, table, DMA_TO_DEVICE);
	ASSERT_OK(dma_buf_get_counters(s.dmabuf, &after));
	ASSERT_EQ(s.shadow.operations, 1);
	ASSERT_EQ(s.shadow.op, DMA_BUF_CACHE_CLEAN);
	ASSERT_EQ(s.shadow.first, 2 * LINE);
	ASSERT_EQ(s.shadow.last, 3 * LINE);
	ASSERT_EQ(s.shadow.memory[2 * LINE + 5], 42);
	ASSERT_EQ(after.sync_needed - before.sync_needed, 1);
	ASSERT_EQ(after.sync_done - before.sync_done, 1);
	ASSERT_EQ(after.sync_skipped - before.sync_skipped, 3);
	close_scene(&s);
}

TEST(C3_coherent_memory_is_never_flushed)
{
	struct dma_buf_sg_table *table;
	struct scene s;

	open_scene(&s);
	for (unsigned int i = 0; i < 3; i++) {
		table = map(&s, DMA_BIDIRECTIONAL, true);
		ASSERT_OK(dma_buf_begin_cpu_access(s.dmabuf, 0, SIZE, DMA_BIDIRECTIONAL));
		ASSERT_OK(dma_buf_end_cpu_access(s.dmabuf, 0, SIZE, DMA_BIDIRECTIONAL));
		unmap(&s, table, DMA_BIDIRECTIONAL);
	}
	ASSERT_EQ(s.shadow.operations, 0);
	close_scene(&s);
}

/* Vetter: the same device, a non-coherent write and then a coherent read, and the other way. */
TEST(C3_a_coherent_mapping_sees_what_a_noncoherent_one_wrote)
{
	struct dma_buf_sg_table *table;
	struct scene s;

	open_scene(&s);
	get_over_the_past(&s);
	table = map(&s, DMA_FROM_DEVICE, false);
	s.shadow.memory[100] = 7;
	unmap(&s, table, DMA_FROM_DEVICE);
	table = map(&s, DMA_TO_DEVICE, true);
	ASSERT_EQ(s.shadow.cpu[100], 7);
	unmap(&s, table, DMA_TO_DEVICE);
	ASSERT_EQ(s.shadow.operations, 1);
	close_scene(&s);
}

TEST(C3_a_noncoherent_mapping_sees_what_a_coherent_one_wrote)
{
	struct dma_buf_sg_table *table;
	struct scene s;

	open_scene(&s);
	get_over_the_past(&s);
	table = map(&s, DMA_FROM_DEVICE, true);
	s.shadow.cpu[200] = 9;
	unmap(&s, table, DMA_FROM_DEVICE);
	table = map(&s, DMA_TO_DEVICE, false);
	ASSERT_EQ(s.shadow.memory[200], 9);
	unmap(&s, table, DMA_TO_DEVICE);
	ASSERT_EQ(s.shadow.operations, 1);
	close_scene(&s);
}

TEST(C1_handing_over_without_unmapping_costs_what_it_needs)
{
	struct dma_buf_sg_table *table;
	struct scene s;

	open_scene(&s);
	get_over_the_past(&s);
	table = map(&s, DMA_BIDIRECTIONAL, false);
	s.shadow.memory[10] = 1;
	ASSERT_OK(dma_buf_sync_sg_for_cpu(s.attach, table, DMA_BIDIRECTIONAL));
	ASSERT_EQ(s.shadow.operations, 1);
	ASSERT_EQ(s.shadow.op, DMA_BUF_CACHE_INVALIDATE);
	ASSERT_EQ(s.shadow.cpu[10], 1);
	s.shadow.cpu[10] = 2;
	ASSERT_OK(dma_buf_sync_sg_for_device(s.attach, table, DMA_BIDIRECTIONAL));
	ASSERT_EQ(s.shadow.operations, 2);
	ASSERT_EQ(s.shadow.op, DMA_BUF_CACHE_CLEAN);
	ASSERT_EQ(s.shadow.memory[10], 2);
	unmap(&s, table, DMA_BIDIRECTIONAL);
	ASSERT_EQ(s.shadow.operations, 2);
	close_scene(&s);
}

struct dying_writer {
	int fd;
	struct gate written;
};

static int write_and_wait_for_death(void *arg)
{
	struct dying_writer *w = arg;
	struct dma_buf *dmabuf = dma_buf_get(w->fd);
	uint8_t *bytes = dma_buf_vmap(dmabuf);

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	bytes[3] = 77;
	gate_signal(&w->written);
	pause();
	return 1;
}

TEST(C3_what_a_dead_writer_left_dirty_is_cleaned_by_whoever_finds_it)
{
	struct dying_writer writer;
	struct dma_buf_attachment *other;
	struct dma_buf_sg_table *table;
	struct scene s;
	pid_t child;

	open_scene(&s);
	get_over_the_past(&s);
	writer.fd = dma_buf_fd(s.dmabuf, O_CLOEXEC);
	gate_init(&writer.written);
	child = spawn(write_and_wait_for_death, &writer);
	gate_wait(&writer.written);
	table = map(&s, DMA_BIDIRECTIONAL, false);
	s.shadow.operations = 0;
	ASSERT_EQ(s.shadow.memory[3], 0);
	ASSERT_OK(kill(child, SIGKILL));
	ASSERT_EQ(reap(child), 128 + SIGKILL);

	other = dma_buf_attach(s.dmabuf, dma_buf_cpu_device());
	ASSERT(other);
	ASSERT_EQ(s.shadow.operations, 1);
	ASSERT_EQ(s.shadow.op, DMA_BUF_CACHE_CLEAN);
	ASSERT_EQ(s.shadow.memory[3], 77);
	/* What the device writes now is not run over later. */
	s.shadow.memory[3] = 78;
	unmap(&s, table, DMA_BIDIRECTIONAL);
	ASSERT_OK(dma_buf_begin_cpu_access(s.dmabuf, 0, LINE, DMA_FROM_DEVICE));
	ASSERT_EQ(s.shadow.cpu[3], 78);
	ASSERT_EQ(s.shadow.memory[3], 78);
	ASSERT_OK(dma_buf_end_cpu_access(s.dmabuf, 0, LINE, DMA_FROM_DEVICE));
	dma_buf_detach(s.dmabuf, other);
	close(writer.fd);
	gate_close(&writer.written);
	close_scene(&s);
}

TEST(C3_a_failing_cache_operation_is_reported_and_done_later)
{
	struct dma_buf_sg_table *table;
	struct scene s;

	open_scene(&s);
	get_over_the_past(&s);
	ASSERT_OK(dma_buf_begin_cpu_access(s.dmabuf, 0, LINE, DMA_TO_DEVICE));
	s.shadow.cpu[3] = 33;
	ASSERT_OK(dma_buf_end_cpu_access(s.dmabuf, 0, LINE, DMA_TO_DEVICE));
	s.shadow.refuse = -EIO;
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(s.attach, DMA_TO_DEVICE, DMA_BUF_MAP_NONCOHERENT),
		     EIO);
	s.shadow.refuse = 0;
	table = map(&s, DMA_TO_DEVICE, false);
	ASSERT_EQ(s.shadow.memory[3], 33);
	unmap(&s, table, DMA_TO_DEVICE);
	close_scene(&s);
}

/* One round: the CPU or the device, through any kind of mapping, reads and writes a few bytes. */
static void touch(uint8_t *bytes, uint8_t *truth, size_t at, bool reads, bool writes)
{
	if (reads)
		ASSERT_EQ(bytes[at], truth[at]);
	if (writes)
		bytes[at] = truth[at] = (uint8_t)random_below(256);
}

static void cpu_round(struct scene *s, uint8_t *truth)
{
	enum dma_data_direction direction = (enum dma_data_direction)random_below(3);
	size_t start = random_below(SIZE);
	size_t len = 1 + random_below((uint32_t)(SIZE - start));

	ASSERT_OK(dma_buf_begin_cpu_access(s->dmabuf, start, len, direction));
	for (unsigned int i = 0; i < 20; i++)
		touch(s->shadow.cpu, truth, start + random_below((uint32_t)len), true,
		      direction != DMA_FROM_DEVICE);
	ASSERT_OK(dma_buf_end_cpu_access(s->dmabuf, start, len, direction));
}

/* To the CPU and, but for every other time, back to the device, without unmapping. */
static void hand_over(struct scene *s, struct dma_buf_sg_table *table,
		      enum dma_data_direction direction, bool coherent, uint8_t *truth)
{
	ASSERT_OK(dma_buf_sync_sg_for_cpu(s->attach, table, direction));
	for (unsigned int i = 0; i < 20; i++)
		touch(s->shadow.cpu, truth, random_below(SIZE), true, direction != DMA_FROM_DEVICE);
	if (random_below(2))
		return;
	ASSERT_OK(dma_buf_sync_sg_for_device(s->attach, table, direction));
	for (unsigned int i = 0; i < 20; i++)
		touch(coherent ? s->shadow.cpu : s->shadow.memory, truth, random_below(SIZE),
		      direction != DMA_FROM_DEVICE, direction != DMA_TO_DEVICE);
}

static void device_round(struct scene *s, uint8_t *truth, bool cpu_between)
{
	enum dma_data_direction direction = (enum dma_data_direction)random_below(3);
	bool coherent = random_below(3) == 0;
	struct dma_buf_sg_table *table = map(s, direction, coherent);

	for (unsigned int i = 0; i < 20; i++)
		touch(coherent ? s->shadow.cpu : s->shadow.memory, truth, random_below(SIZE),
		      direction != DMA_FROM_DEVICE, direction != DMA_TO_DEVICE);
	if (cpu_between)
		cpu_round(s, truth);
	if (random_below(3) == 0)
		hand_over(s, table, direction, coherent, truth);
	unmap(s, table, direction);
}

TEST(C3_no_wrong_byte_through_the_library)
{
	static uint8_t truth[SIZE];
	struct scene s;

	test_note("seed %#jx", (uintmax_t)seed);
	open_scene(&s);
	for (unsigned int i = 0; i < 5000; i++) {
		if (random_below(2))
			cpu_round(&s, truth);
		else
			device_round(&s, truth, random_below(2));
		for (unsigned int k = 0; k < 8; k++)
			maintain(&s.shadow,
				 random_below(2) ? DMA_BUF_CACHE_CLEAN : DMA_BUF_CACHE_FLUSH,
				 LINE * (size_t)random_below(LINES));
	}
	test_note("%u operations", s.shadow.operations);
	close_scene(&s);
}
