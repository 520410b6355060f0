// SPDX-License-Identifier: MIT
/*
 * CPU access: rows B1 to B4.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"
#include "seccomp.h"

static struct counting_exporter exporter;

TEST(B1_begin_and_end_reach_the_exporter)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_FROM_DEVICE));
	ASSERT_EQ(exporter.begun, 1);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_FROM_DEVICE));
	ASSERT_EQ(exporter.ended, 1);
	dma_buf_put(dmabuf);
}

TEST(B1_begin_may_fail_and_then_nothing_was_begun)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	exporter.refuse_begin = -ENOMEM;
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_FROM_DEVICE), ENOMEM);
	ASSERT_ERRNO(dma_buf_kmap(dmabuf, 0), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_FROM_DEVICE), EINVAL);
	ASSERT_EQ(exporter.ended, 0);
	dma_buf_put(dmabuf);
}

TEST(B1_ranges_outside_the_buffer_are_refused)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 5000, O_RDWR);
	static const struct {
		size_t start, len;
	} bad[] = { { 0, 5001 },
		    { 5000, 1 },
		    { 5001, 0 },
		    { 1, 5000 },
		    { SIZE_MAX, 1 },
		    { 1, SIZE_MAX },
		    { SIZE_MAX, SIZE_MAX },
		    { 4096, SIZE_MAX } };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_ERR(
			dma_buf_begin_cpu_access(dmabuf, bad[i].start, bad[i].len, DMA_FROM_DEVICE),
			EINVAL);
		ASSERT_ERR(
			dma_buf_end_cpu_access(dmabuf, bad[i].start, bad[i].len, DMA_FROM_DEVICE),
			EINVAL);
	}
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 5000, 0, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 5000, 0, DMA_FROM_DEVICE));
	ASSERT_ERR(dma_buf_begin_cpu_access(NULL, 0, 1, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_NONE), EINVAL);
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, 1, (enum dma_data_direction)7), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(B1_an_end_must_match_a_begin)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 16, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 15, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 1, 16, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(exporter.ended, 0);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(exporter.ended, 1);
	dma_buf_put(dmabuf);
}

static int end_fails(struct dma_buf *dmabuf, size_t start, size_t len,
		     enum dma_data_direction direction)
{
	return -EIO;
}

TEST(B1_a_failing_end_is_told_and_ends_all_the_same)
{
	struct dma_buf_ops ops = counting_ops;
	struct dma_buf *dmabuf;

	ops.end_cpu_access = end_fails;
	dmabuf = counting_export_ops(&exporter, &ops, 4096, O_RDWR);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE), EIO);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(B1_begin_and_end_work_without_the_optional_ops)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_counters counters;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_get_counters(dmabuf, &counters));
	ASSERT_EQ(counters.cpu_access, 1);
	dma_buf_put(dmabuf);
}

TEST(B2_brackets_nest_and_overlap_in_any_order)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 65536, O_RDWR);
	int i;

	for (i = 0; i < 40; i++)
		ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, (size_t)i * 100, 1000 + (size_t)i,
						   DMA_BIDIRECTIONAL));
	for (i = 0; i < 40; i += 2)
		ASSERT_OK(dma_buf_end_cpu_access(dmabuf, (size_t)i * 100, 1000 + (size_t)i,
						 DMA_BIDIRECTIONAL));
	for (i = 39; i > 0; i -= 2)
		ASSERT_OK(dma_buf_end_cpu_access(dmabuf, (size_t)i * 100, 1000 + (size_t)i,
						 DMA_BIDIRECTIONAL));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 1000, DMA_BIDIRECTIONAL), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(B2_kmap_gives_every_page_of_the_range_partial_ones_too)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i, first = page - 1, len = 2 * page + 2;
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4 * page, O_RDWR);
	char *bytes, *mapped;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, first, len, DMA_BIDIRECTIONAL));
	for (i = 0; i < 4; i++) {
		bytes = dma_buf_kmap(dmabuf, i);
		ASSERT(bytes);
		ASSERT(dma_buf_kmap(dmabuf, i) == bytes); /* nests without a new begin */
		bytes[i == 0 ? page - 1 : 0] = (char)('a' + i);
		dma_buf_kunmap(dmabuf, i, bytes);
		dma_buf_kunmap(dmabuf, i, bytes);
	}
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, first, len, DMA_BIDIRECTIONAL));
	mapped = dma_buf_vmap(dmabuf);
	ASSERT_EQ(mapped[page - 1], 'a');
	ASSERT_EQ(mapped[page], 'b');
	ASSERT_EQ(mapped[2 * page], 'c');
	ASSERT_EQ(mapped[3 * page], 'd');
	dma_buf_put(dmabuf);
}

TEST(B2_kmap_is_null_only_for_misuse)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4097, O_RDWR);

	ASSERT_ERRNO(dma_buf_kmap(dmabuf, 0), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "begin");
	ASSERT_ERRNO(dma_buf_kmap_atomic(dmabuf, 0), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4097, DMA_FROM_DEVICE));
	ASSERT(dma_buf_kmap(dmabuf, 1));
	ASSERT_ERRNO(dma_buf_kmap(dmabuf, 2), EINVAL);
	ASSERT_ERRNO(dma_buf_kmap(dmabuf, ULONG_MAX), EINVAL);
	ASSERT_ERRNO(dma_buf_kmap(NULL, 0), EINVAL);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4097, DMA_FROM_DEVICE));
	dma_buf_put(dmabuf);
}

static void *two_of_its_own(void *arg)
{
	void *a = dma_buf_kmap_atomic(arg, 0), *b = dma_buf_kmap_atomic(arg, 1);

	ASSERT(a && b);
	dma_buf_kunmap_atomic(arg, 1, b);
	dma_buf_kunmap_atomic(arg, 0, a);
	return NULL;
}

TEST(B2_a_thread_holds_two_atomic_kmaps_and_no_third)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	pthread_t thread;
	void *a, *b;

	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE));
	a = dma_buf_kmap_atomic(dmabuf, 0);
	b = dma_buf_kmap_atomic(dmabuf, 1);
	ASSERT(a && b);
	ASSERT_ERRNO(dma_buf_kmap_atomic(dmabuf, 0), EBUSY);
	ASSERT_EQ(pthread_create(&thread, NULL, two_of_its_own, dmabuf), 0);
	pthread_join(thread, NULL);
	dma_buf_kunmap_atomic(dmabuf, 0, a);
	a = dma_buf_kmap_atomic(dmabuf, 0);
	ASSERT(a);
	dma_buf_kunmap_atomic(dmabuf, 0, a);
	dma_buf_kunmap_atomic(dmabuf, 1, b);
	dma_buf_kunmap_atomic(dmabuf, 1, b); /* one too many: told, and not counted */
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "kunmap_atomic");
	a = dma_buf_kmap_atomic(dmabuf, 0);
	b = dma_buf_kmap_atomic(dmabuf, 1);
	ASSERT(a && b);
	ASSERT_ERRNO(dma_buf_kmap_atomic(dmabuf, 0), EBUSY);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE));
	dma_buf_put(dmabuf);
}

TEST(B3_vmap_is_counted_and_keeps_its_address)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 100000, O_RDWR);
	char *bytes = dma_buf_vmap(dmabuf);

	ASSERT(bytes);
	ASSERT(dma_buf_vmap(dmabuf) == bytes);
	bytes[99999] = 5;
	dma_buf_vunmap(dmabuf, bytes);
	ASSERT_EQ(bytes[99999], 5);
	dma_buf_vunmap(dmabuf, bytes);
	dma_buf_vunmap(dmabuf, bytes);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "vunmap");
	ASSERT(dma_buf_vmap(dmabuf) == bytes);
	ASSERT_EQ(bytes[99999], 5);
	ASSERT_ERRNO(dma_buf_vmap(NULL), EINVAL);
	dma_buf_put(dmabuf);
}

static int vmaps, vunmaps;

static void *own_vmap(struct dma_buf *dmabuf)
{
	static char bytes[4096];

	vmaps++;
	return bytes;
}

static void own_vunmap(struct dma_buf *dmabuf, void *vaddr)
{
	vunmaps++;
}

TEST(B3_the_exporters_vmap_runs_for_the_first_and_vunmap_for_the_last)
{
	struct dma_buf_ops ops = counting_ops;
	struct dma_buf *dmabuf;
	void *bytes;

	ops.vmap = own_vmap;
	ops.vunmap = own_vunmap;
	dmabuf = counting_export_ops(&exporter, &ops, 4096, O_RDWR);
	bytes = dma_buf_vmap(dmabuf);
	ASSERT(dma_buf_vmap(dmabuf) == bytes);
	dma_buf_vunmap(dmabuf, bytes);
	ASSERT_EQ(vunmaps, 0);
	dma_buf_vunmap(dmabuf, bytes);
	ASSERT_EQ(vmaps, 1);
	ASSERT_EQ(vunmaps, 1);
	dma_buf_put(dmabuf);
}

TEST(B3_mmap_reads_and_writes_the_same_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct dma_buf *dmabuf = dma_buf_alloc("x", 3 * page, O_RDWR);
	char *writer = dma_buf_mmap(dmabuf, page, page + 1, PROT_READ | PROT_WRITE);
	const char *reader = dma_buf_mmap(dmabuf, 0, 3 * page, PROT_READ);

	ASSERT(writer && reader);
	writer[page] = 9;
	ASSERT_EQ(reader[2 * page], 9);
	dma_buf_put(dmabuf);
	writer[0] = 8; /* valid after the handle is gone */
	ASSERT_EQ(reader[page], 8);
	ASSERT_OK(dma_buf_munmap(writer, page + 1));
	ASSERT_OK(dma_buf_munmap((void *)reader, 3 * page));
	ASSERT_ERR(dma_buf_munmap(NULL, page), EINVAL);
}

TEST(B3_mmap_refuses_what_is_not_in_the_buffer)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct dma_buf *dmabuf = dma_buf_alloc("x", page + 1, O_RDWR);

	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 1, 1, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 0, 0, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 0, 2 * page + 1, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 2 * page, 1, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 3 * page, SIZE_MAX, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, page, SIZE_MAX, PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 0, page, PROT_EXEC | PROT_READ), EINVAL);
	ASSERT_ERRNO(dma_buf_mmap(dmabuf, 0, page, PROT_NONE), EINVAL);
	dma_buf_put(dmabuf);
}

TEST(B4_many_begins_are_all_or_none)
{
	struct dma_buf *a = counting_export(&exporter, 4096, O_RDWR);
	struct dma_buf *b = dma_buf_alloc("b", 4096, O_RDWR);
	struct dma_buf_access accesses[] = {
		{ a, 0, 4096, DMA_TO_DEVICE },
		{ b, 0, 4096, DMA_FROM_DEVICE },
		{ a, 8, 8, DMA_BIDIRECTIONAL },
		{ b, 4096, 1, DMA_FROM_DEVICE },
	};

	ASSERT_ERR(dma_buf_begin_cpu_access_many(accesses, 4), EINVAL);
	ASSERT_EQ(exporter.begun, 2);
	ASSERT_EQ(exporter.ended, 2);
	ASSERT_ERR(dma_buf_end_cpu_access(b, 0, 4096, DMA_FROM_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access_many(accesses, 3));
	ASSERT_ERR(dma_buf_end_cpu_access_many(accesses, 4), EINVAL); /* goes on */
	ASSERT_EQ(exporter.ended, 4);
	ASSERT_ERR(dma_buf_end_cpu_access(b, 0, 4096, DMA_FROM_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access_many(NULL, 0));
	ASSERT_ERR(dma_buf_begin_cpu_access_many(NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_begin_cpu_access_many(accesses, 1025), EINVAL);
	dma_buf_put(a);
	dma_buf_put(b);
}

static int stream_without_system_calls(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_access both[] = { { dmabuf, 0, 4096, DMA_TO_DEVICE },
					 { dmabuf, 4096, 4096, DMA_FROM_DEVICE } };
	struct dma_buf_sg_table *table;
	char *bytes;
	int i, bad = 0;

	/* The first frame may map. */
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	bad |= dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE);
	bad |= dma_buf_begin_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE);
	bad |= dma_buf_end_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE);
	memset(dma_buf_vmap(dmabuf), 0, 8192);
	if (peer->arg)
		forbid_system_calls();
	for (i = 0; i < 1000; i++) {
		bad |= dma_buf_begin_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE);
		bytes = dma_buf_kmap(dmabuf, 1);
		bytes[i] = (char)i;
		dma_buf_kunmap(dmabuf, 1, bytes);
		bytes = dma_buf_kmap_atomic(dmabuf, 0);
		bytes[i] = (char)i;
		dma_buf_kunmap_atomic(dmabuf, 0, bytes);
		dma_buf_vunmap(dmabuf, dma_buf_vmap(dmabuf));
		bad |= dma_buf_end_cpu_access(dmabuf, 0, 8192, DMA_TO_DEVICE);
		bad |= dma_buf_begin_cpu_access_many(both, 2);
		bad |= dma_buf_end_cpu_access_many(both, 2);
		bad |= dma_buf_map_attachment(attach, DMA_TO_DEVICE) != table;
		bad |= dma_buf_sync_sg_for_cpu(attach, table, DMA_TO_DEVICE);
		bad |= dma_buf_sync_sg_for_device(attach, table, DMA_TO_DEVICE);
		bad |= dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE);
	}
	_exit(bad ? 1 : 0);
}

TEST(B4_a_frame_on_coherent_memory_makes_no_system_call)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	struct peer peer;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	SKIP("a sanitizer's runtime makes system calls of its own");
#endif
	if (test_is_slow())
		SKIP("valgrind makes system calls of its own");
	peer_start(&peer, dmabuf, stream_without_system_calls, &peer);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}
