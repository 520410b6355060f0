// SPDX-License-Identifier: MIT
/*
 * Senseless calls: NULL for everything, directions that are none, ends without begins, and things
 * used after they are gone. Each is answered as documented, changes nothing and crashes nobody.
 */
#include <dmabuf.h>
#include <dmabuf/block.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exporter.h"
#include "harness.h"

#define SIZE 5000

static const enum dma_data_direction senseless[] = { DMA_NONE, (enum dma_data_direction)4,
						     (enum dma_data_direction)INT_MAX,
						     (enum dma_data_direction) - 1 };
#define SENSELESS (sizeof(senseless) / sizeof(senseless[0]))

TEST(A1_null_buffers_are_refused_by_every_call)
{
	struct dma_buf_device *cpu = dma_buf_cpu_device();
	struct dma_buf_counters counters;
	char c;

	ASSERT_ERRNO(dma_buf_export(NULL), EINVAL);
	ASSERT_ERRNO(dma_buf_alloc(NULL, 1, O_RDWR), EINVAL);
	ASSERT_ERR(dma_buf_fd(NULL, 0), EINVAL);
	ASSERT_ERR(dma_buf_payload_fd(NULL, 0), EINVAL);
	get_dma_buf(NULL);
	dma_buf_put(NULL);
	ASSERT_ERR(dma_buf_set_name(NULL, "x"), EINVAL);
	ASSERT_ERR(dma_buf_register_exporter(NULL), EINVAL);
	ASSERT_ERR(dma_buf_unregister_exporter(NULL), ENOENT);
	ASSERT_ERRNO(dma_buf_attach(NULL, cpu), EINVAL);
	dma_buf_detach(NULL, NULL);
	ASSERT_ERRNO(dma_buf_get_scatterlist(NULL), EINVAL);
	dma_buf_put_scatterlist(NULL, NULL);
	ASSERT_ERRNO(dma_buf_get_pfns(NULL), EINVAL);
	dma_buf_put_pfns(NULL, NULL);
	ASSERT_ERR(dma_buf_begin_cpu_access(NULL, 0, 0, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(NULL, 0, 0, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_begin_cpu_access_many(NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access_many(NULL, 1), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access_many(NULL, 0));
	ASSERT_OK(dma_buf_end_cpu_access_many(NULL, 0));
	ASSERT_ERRNO(dma_buf_kmap(NULL, 0), EINVAL);
	dma_buf_kunmap(NULL, 0, NULL);
	dma_buf_kunmap(NULL, 0, &c);
	ASSERT_ERRNO(dma_buf_kmap_atomic(NULL, 0), EINVAL);
	dma_buf_kunmap_atomic(NULL, 0, NULL);
	dma_buf_kunmap_atomic(NULL, 0, &c);
	ASSERT_ERRNO(dma_buf_vmap(NULL), EINVAL);
	dma_buf_vunmap(NULL, NULL);
	dma_buf_vunmap(NULL, &c);
	ASSERT_ERRNO(dma_buf_mmap(NULL, 0, 1, PROT_READ), EINVAL);
	ASSERT_ERR(dma_buf_munmap(NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_send(-1, NULL, 0), EINVAL);
	ASSERT_ERR(dma_buf_get_counters(NULL, &counters), EINVAL);
}

TEST(A4_null_attachments_devices_tables_and_pools_are_refused_by_every_call)
{
	struct dma_buf_sg_table table = { 0 };
	struct dma_buf_sg_iter iter;

	ASSERT_ERRNO(dma_buf_map_attachment(NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(NULL, DMA_TO_DEVICE, 0), EINVAL);
	ASSERT_ERRNO(dma_buf_try_map_attachment(NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(NULL, &table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(NULL, &table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_device(NULL, &table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERRNO(dma_buf_memory_map(NULL, DMA_TO_DEVICE), EINVAL);
	dma_buf_memory_unmap(NULL, NULL, DMA_TO_DEVICE);
	ASSERT_ERRNO(dma_buf_memory_kmap(NULL, 0), EINVAL);

	ASSERT_ERRNO(dma_buf_device_create(NULL), EINVAL);
	ASSERT(!dma_buf_device_get(NULL));
	dma_buf_device_put(NULL);
	ASSERT_STR_EQ(dma_buf_device_name(NULL), "");
	ASSERT(dma_buf_device_get_parameters(NULL));
	ASSERT(!dma_buf_device_priv(NULL));

	ASSERT_ERR(dma_buf_sg_alloc_table(NULL, 1), EINVAL);
	dma_buf_sg_free_table(NULL);
	dma_buf_sg_iter_init(NULL, &table, 0);
	ASSERT_EQ(dma_buf_sg_iter_next(NULL, 1), 0);
	dma_buf_sg_iter_init(&iter, NULL, 0);
	ASSERT_EQ(dma_buf_sg_iter_next(&iter, 1), 0);
	ASSERT_EQ(dma_buf_sg_length(NULL), 0);

	ASSERT_ERRNO(dma_buf_pool_create(NULL, 1, 1), EINVAL);
	dma_buf_pool_destroy(NULL);
	ASSERT_ERRNO(dma_buf_pool_get(NULL), EINVAL);
	dma_buf_pool_put(NULL, NULL);
	ASSERT_ERR(dma_buf_get_info(-1, NULL), EINVAL);
	dmabuf_set_log(NULL, NULL);
	ASSERT_OK(dmabuf_set_label(NULL));
}

TEST(H1_null_block_devices_are_refused_by_every_call)
{
	struct dma_buf_block_completion done;
	struct dma_buf_block_info info = { .size = sizeof(info) };
	char text[8];

	ASSERT_ERRNO(dma_buf_block_open(-1, NULL, NULL), EBADF);
	ASSERT_ERR(dma_buf_block_submit(NULL, NULL, DMA_TO_DEVICE, 0, 1, 0, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(NULL, &done, 1, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_reap(dma_buf_cpu_device(), &done, 1, 0), EINVAL);
	ASSERT_ERR(dma_buf_block_sync(NULL), EINVAL);
	ASSERT_ERR(dma_buf_block_get_info(NULL, &info), EINVAL);
	ASSERT_ERR(dma_buf_block_get_info(dma_buf_cpu_device(), NULL), EINVAL);
	ASSERT_ERR(dma_buf_block_describe(NULL, text, sizeof(text)), EINVAL);
}

TEST(B1_senseless_directions_are_refused_wherever_one_is_given)
{
	struct dma_buf *dmabuf = dma_buf_alloc("misuse", SIZE, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	size_t i;

	ASSERT(table);
	for (i = 0; i < SENSELESS; i++) {
		enum dma_data_direction dir = senseless[i];
		struct dma_buf_access access = { dmabuf, 0, 1, dir };

		ASSERT_ERRNO(dma_buf_map_attachment(attach, dir), EINVAL);
		ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, dir, DMA_BUF_MAP_COHERENT),
			     EINVAL);
		ASSERT_ERRNO(dma_buf_try_map_attachment(attach, dir), EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(attach, table, dir), EINVAL);
		ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, dir), EINVAL);
		ASSERT_ERR(dma_buf_sync_sg_for_device(attach, table, dir), EINVAL);
		ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, dir), EINVAL);
		ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, SIZE, dir), EINVAL);
		ASSERT_ERR(dma_buf_begin_cpu_access_many(&access, 1), EINVAL);
		ASSERT_ERR(dma_buf_end_cpu_access_many(&access, 1), EINVAL);
	}
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

/* An end of another range or direction is not the begin's, however much of it it covers. */
TEST(B1_only_the_matching_end_ends_a_bracket_and_only_once)
{
	struct counting_exporter e = { 0 };
	struct dma_buf *dmabuf = counting_export(&e, SIZE, O_RDWR);

	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 99, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 1, 99, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, SIZE_MAX, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(e.ended, 0);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE), EINVAL);
	ASSERT_EQ(e.begun, 1);
	ASSERT_EQ(e.ended, 1);
	dma_buf_put(dmabuf);
}

/* Nothing keeps one holder from opening brackets over each other; each is ended by itself. */
TEST(B1_overlapping_and_equal_brackets_are_allowed_and_counted)
{
	struct counting_exporter e = { 0 };
	struct dma_buf *dmabuf = counting_export(&e, SIZE, O_RDWR);
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 10, 100, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 50, 100, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, SIZE, 0, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 50, 100, DMA_BIDIRECTIONAL));
	for (i = 0; i < 20; i++)
		ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 10, 100, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 10, 100, DMA_TO_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, SIZE, 0, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_EQ(e.begun, e.ended);
	dma_buf_put(dmabuf);
}

/* A handle that goes with brackets open takes them along. */
TEST(B1_brackets_left_open_go_with_the_handle)
{
	struct dma_buf *dmabuf = dma_buf_alloc("left open", SIZE, O_RDWR);
	int i;

	for (i = 0; i < 20; i++)
		ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_BIDIRECTIONAL));
	dma_buf_put(dmabuf);
}

TEST(A4_what_is_gone_is_refused_everywhere)
{
	struct dma_buf *dmabuf = dma_buf_alloc("gone", SIZE, O_RDWR);
	struct dma_buf *other = dma_buf_alloc("other", SIZE, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	ASSERT(table);
	dma_buf_detach(other, attach);
	ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, DMA_TO_DEVICE));
	dma_buf_detach(dmabuf, attach);
	dma_buf_detach(dmabuf, attach);
	dma_buf_detach(other, attach);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "after detach");
	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_device(attach, table, DMA_TO_DEVICE), EINVAL);
	dma_buf_put(other);
	dma_buf_put(dmabuf);
}

TEST(A5_a_table_is_unmapped_once_by_its_own_attachment_and_no_other)
{
	struct counting_exporter e = { 0 };
	struct dma_buf *dmabuf = counting_export(&e, SIZE, O_RDWR);
	struct dma_buf_attachment *a = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_attachment *b = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *of_a = dma_buf_map_attachment(a, DMA_TO_DEVICE);
	struct dma_buf_sg_table *of_b = dma_buf_map_attachment(b, DMA_TO_DEVICE);
	struct dma_buf_sg_table nobodys = { 0 };

	ASSERT(of_a && of_b && of_a != of_b);
	ASSERT_ERR(dma_buf_unmap_attachment(a, of_b, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(a, &nobodys, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(a, NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(a, of_a, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_device(a, of_a, DMA_TO_DEVICE), EALREADY);
	ASSERT_OK(dma_buf_unmap_attachment(a, of_a, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_unmap_attachment(a, of_a, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(a, of_a, DMA_TO_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_unmap_attachment(b, of_b, DMA_TO_DEVICE));
	ASSERT_EQ(e.unmapped, 2);
	dma_buf_detach(dmabuf, b);
	dma_buf_detach(dmabuf, a);
	dma_buf_put(dmabuf);
}

TEST(A5_senseless_attrs_are_refused)
{
	struct dma_buf *dmabuf = dma_buf_alloc("attrs", SIZE, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());

	ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, DMA_TO_DEVICE, 3), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, DMA_TO_DEVICE, 4), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, DMA_TO_DEVICE, UINT_MAX), EINVAL);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

TEST(B3_unmapping_what_is_not_mapped_is_told)
{
	struct dma_buf *dmabuf = dma_buf_alloc("unmap", SIZE, O_RDWR);
	char *at = dma_buf_vmap(dmabuf);
	char *mapped = dma_buf_mmap(dmabuf, 0, SIZE, PROT_READ | PROT_WRITE);

	ASSERT(at && mapped);
	dma_buf_vunmap(dmabuf, at + 1);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "not vmapped");
	at[0] = 1;
	dma_buf_vunmap(dmabuf, at);
	dma_buf_vunmap(dmabuf, at);
	ASSERT_ERR(dma_buf_munmap(mapped + 1, SIZE), EINVAL);
	ASSERT_ERR(dma_buf_munmap(mapped, 0), EINVAL);
	ASSERT_EQ(mapped[0], 1);
	ASSERT_OK(dma_buf_munmap(mapped, SIZE));
	dma_buf_put(dmabuf);
}

/* What a pool gets back need not be its own, nor in the state in which it was given out. */
TEST(B4_a_pool_takes_back_only_what_it_can_give_out_again)
{
	struct dma_buf_pool *pool = dma_buf_pool_create("pool", SIZE, 4);
	struct dma_buf *strange = dma_buf_alloc("strange", SIZE * 2, O_RDWR);
	struct dma_buf *busy, *again;

	dma_buf_pool_put(pool, strange);
	busy = dma_buf_pool_get(pool);
	ASSERT(busy);
	ASSERT_EQ(busy->size, SIZE);
	ASSERT_OK(dma_buf_begin_cpu_access(busy, 0, 1, DMA_TO_DEVICE));
	dma_buf_pool_put(pool, busy);
	again = dma_buf_pool_get(pool);
	ASSERT(again);
	ASSERT_ERR(dma_buf_end_cpu_access(again, 0, 1, DMA_TO_DEVICE), EINVAL);
	dma_buf_pool_put(NULL, again);
	dma_buf_pool_destroy(pool);
}
