// SPDX-License-Identifier: MIT
/*
 * Mapping, trying to map, and handing over without unmapping: rows A5, A8, C1.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>

#include "exporter.h"
#include "peer.h"

static const enum dma_data_direction directions[] = { DMA_BIDIRECTIONAL, DMA_TO_DEVICE,
						      DMA_FROM_DEVICE };

static struct counting_exporter exporter;
static struct dma_buf_ops ops;

static struct dma_buf_attachment *attach_new(bool cached)
{
	struct dma_buf *dmabuf;

	ops = cached ? counting_caching_ops() : counting_ops;
	dmabuf = counting_export_ops(&exporter, &ops, 100000, O_RDWR);
	ASSERT(dmabuf);
	return dma_buf_attach(dmabuf, dma_buf_cpu_device());
}

TEST(A5_a_table_covers_the_buffer_in_order)
{
	struct dma_buf_device_parameters limits = { .size = sizeof(limits),
						    .max_segment_size = 8192 };
	struct dma_buf_device *dev = device_make("small", &limits);
	struct dma_buf *dmabuf = dma_buf_alloc("x", 100000, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	char *bytes = dma_buf_vmap(dmabuf);
	struct dma_buf_scatterlist *sg;
	uint64_t at = 0;
	unsigned int i;

	ASSERT(table);
	ASSERT_EQ(table->nents, 13);
	dma_buf_for_each_dma_sg(table, sg, i) {
		ASSERT(sg->dma_length <= 8192);
		ASSERT_EQ(sg->dma_address, (uintptr_t)bytes + at);
		at += sg->dma_length;
	}
	ASSERT_EQ(at, 100000);
	ASSERT_EQ(dma_buf_sg_length(table), 100000);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_vunmap(dmabuf, bytes);
	dma_buf_detach(dmabuf, attach);
	dma_buf_device_put(dev);
	dma_buf_put(dmabuf);
}

TEST(A5_limits_that_cannot_hold_the_buffer_are_told)
{
	struct dma_buf_device_parameters limits = { .size = sizeof(limits),
						    .max_segment_size = 4096,
						    .max_segment_count = 2 };
	struct dma_buf_device *dev = device_make("tiny", &limits);
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8193, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);

	/* A later version refuses at attach (row F3). */
	if (attach)
		ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), E2BIG);
	dma_buf_device_put(dev);
	dma_buf_put(dmabuf);
}

TEST(A5_unmap_takes_only_what_was_mapped_and_that_way)
{
	struct dma_buf_attachment *attach = attach_new(false);
	struct dma_buf_attachment *other = dma_buf_attach(attach->dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table, stranger = { 0 };
	unsigned int i, j;

	for (i = 0; i < 3; i++) {
		table = dma_buf_map_attachment(attach, directions[i]);
		ASSERT(table);
		for (j = 0; j < 3; j++)
			if (j != i)
				ASSERT_ERR(dma_buf_unmap_attachment(attach, table, directions[j]),
					   EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_NONE), EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(other, table, directions[i]), EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(attach, &stranger, directions[i]), EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(attach, NULL, directions[i]), EINVAL);
		ASSERT_ERR(dma_buf_unmap_attachment(NULL, table, directions[i]), EINVAL);
		ASSERT_EQ(exporter.unmapped, i);
		ASSERT_OK(dma_buf_unmap_attachment(attach, table, directions[i]));
		ASSERT_ERR(dma_buf_unmap_attachment(attach, table, directions[i]), EINVAL);
	}
	ASSERT_EQ(exporter.mapped, 3);
	ASSERT_EQ(exporter.unmapped, 3);
	dma_buf_put(attach->dmabuf);
}

TEST(A5_map_refuses_senseless_directions_and_attrs)
{
	struct dma_buf_attachment *attach = attach_new(false);

	ASSERT_ERRNO(dma_buf_map_attachment(NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_NONE), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, (enum dma_data_direction)4), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, (enum dma_data_direction) - 1), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, DMA_TO_DEVICE, 4), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment_attrs(attach, DMA_TO_DEVICE,
						  DMA_BUF_MAP_COHERENT | DMA_BUF_MAP_NONCOHERENT),
		     EINVAL);
	ASSERT_EQ(exporter.mapped, 0);
	dma_buf_put(attach->dmabuf);
}

TEST(A5_what_the_exporter_answers_comes_through)
{
	struct dma_buf_attachment *attach = attach_new(true);

	exporter.refuse_map = ENOBUFS;
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), ENOBUFS);
	ASSERT_EQ(peer_info(attach->dmabuf).attachments[0].mapped, 0);
	exporter.refuse_map = 0;
	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT_EQ(peer_info(attach->dmabuf).attachments[0].mapped, 1);
	dma_buf_put(attach->dmabuf);
	ASSERT_EQ(exporter.unmapped, 1);
}

TEST(A5_a_kept_table_is_mapped_once_and_free_afterwards)
{
	struct dma_buf_attachment *attach = attach_new(true);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	struct dma_buf *dmabuf = attach->dmabuf;
	struct dma_buf_counters counters;
	int i;

	ASSERT(attach->sgt == table);
	ASSERT_EQ(attach->dir, DMA_TO_DEVICE);
	for (i = 0; i < 100; i++) {
		ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
		ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE) == table);
	}
	ASSERT_EQ(exporter.mapped, 1);
	ASSERT_EQ(exporter.unmapped, 0);
	ASSERT_OK(dma_buf_get_counters(dmabuf, &counters));
	ASSERT_EQ(counters.maps, 101);
	ASSERT_EQ(counters.cached_maps, 100);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_FROM_DEVICE), EBUSY);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE), EINVAL);
	dma_buf_detach(dmabuf, attach);
	ASSERT_EQ(exporter.unmapped, 1);
	dma_buf_put(dmabuf);
}

TEST(A5_a_kept_table_mapped_both_ways_serves_each)
{
	struct dma_buf_attachment *attach = attach_new(true);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);

	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE) == table);
	ASSERT(dma_buf_map_attachment(attach, DMA_FROM_DEVICE) == table);
	ASSERT_EQ(peer_info(attach->dmabuf).attachments[0].mapped, 3);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_FROM_DEVICE));
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_FROM_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	ASSERT_EQ(exporter.mapped, 1);
	dma_buf_put(attach->dmabuf);
}

TEST(A5_put_unmaps_and_detaches_what_was_left)
{
	struct dma_buf_attachment *attach = attach_new(false);

	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT(dma_buf_map_attachment(attach, DMA_FROM_DEVICE));
	dma_buf_put(attach->dmabuf);
	ASSERT_EQ(exporter.unmapped, 2);
	ASSERT_EQ(exporter.detached, 1);
	ASSERT_EQ(exporter.released, 1);
}

static int translate(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		     enum dma_data_direction direction)
{
	int refuse = *(int *)dma_buf_device_priv(dev);

	if (!refuse)
		table->sgl[0].dma_address = 0x1000;
	return refuse;
}

TEST(A5_the_devices_own_addresses_are_in_the_table)
{
	static const struct dma_buf_map_ops map_ops = { .map_sg = translate };
	int refuse = -EADDRNOTAVAIL;
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "iommu", .ops = &map_ops, .priv = &refuse
	};
	struct dma_buf_device *dev = dma_buf_device_create(&info);
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);
	struct dma_buf_sg_table *table;

	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), EADDRNOTAVAIL);
	refuse = 0;
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(table->sgl[0].dma_address, 0x1000);
	dma_buf_detach(dmabuf, attach);
	dma_buf_device_put(dev);
	dma_buf_put(dmabuf);
}

static struct dma_buf_sg_table *try_map(struct dma_buf_attachment *attach,
					enum dma_data_direction direction)
{
	if (exporter.refuse_map) {
		errno = exporter.refuse_map;
		return NULL;
	}
	return dma_buf_memory_map(attach, direction);
}

TEST(A8_try_map_is_busy_where_the_exporter_cannot_say)
{
	struct dma_buf_attachment *attach = attach_new(false);

	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "counting");
	ASSERT_EQ(exporter.mapped, 0);
	dma_buf_put(attach->dmabuf);
}

TEST(A8_try_map_asks_the_exporter_and_never_the_blocking_way)
{
	struct dma_buf_attachment *attach = attach_new(false);
	struct dma_buf_sg_table *table;

	ops.try_map_dma_buf = try_map;
	exporter.refuse_map = EBUSY;
	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE), EBUSY);
	exporter.refuse_map = 0;
	table = dma_buf_try_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(exporter.mapped, 0);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	dma_buf_put(attach->dmabuf);
}

TEST(A8_try_map_takes_a_kept_table)
{
	struct dma_buf_attachment *attach = attach_new(true);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	ASSERT(table);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	ASSERT(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE) == table);
	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_FROM_DEVICE), EBUSY);
	dma_buf_put(attach->dmabuf);
}

static pthread_barrier_t in, out;

static void stop_in_map(struct dma_buf_attachment *attach)
{
	pthread_barrier_wait(&in);
	pthread_barrier_wait(&out);
}

static void *map_in_thread(void *arg)
{
	ASSERT(dma_buf_map_attachment(arg, DMA_TO_DEVICE));
	return NULL;
}

TEST(A8_try_map_does_not_wait_for_another_thread)
{
	struct dma_buf_attachment *attach = attach_new(false);
	pthread_t thread;

	ops.try_map_dma_buf = try_map;
	exporter.in_map = stop_in_map;
	pthread_barrier_init(&in, NULL, 2);
	pthread_barrier_init(&out, NULL, 2);
	ASSERT_EQ(pthread_create(&thread, NULL, map_in_thread, attach), 0);
	pthread_barrier_wait(&in);
	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE), EBUSY);
	pthread_barrier_wait(&out);
	pthread_join(thread, NULL);
	ASSERT(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE));
	dma_buf_put(attach->dmabuf);
}

TEST(C1_sync_hands_over_and_back_without_unmapping)
{
	struct dma_buf_attachment *attach = attach_new(false);
	struct dma_buf_sg_table *table;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		table = dma_buf_map_attachment(attach, directions[i]);
		ASSERT_ERR(dma_buf_sync_sg_for_device(attach, table, directions[i]), EALREADY);
		ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, directions[i]));
		ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, directions[i]), EALREADY);
		ASSERT_OK(dma_buf_sync_sg_for_device(attach, table, directions[i]));
		ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, directions[i]));
		ASSERT_OK(dma_buf_unmap_attachment(attach, table, directions[i]));
	}
	ASSERT_EQ(exporter.mapped, 3);
	dma_buf_put(attach->dmabuf);
}

TEST(C1_sync_refuses_what_is_not_mapped_that_way)
{
	struct dma_buf_attachment *attach = attach_new(false);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_FROM_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(NULL, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_device(attach, table, DMA_TO_DEVICE), EINVAL);
	dma_buf_put(attach->dmabuf);
}

struct staging {
	int to_cpu, to_device;
};

static void staging_cpu(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			enum dma_data_direction direction)
{
	((struct staging *)dma_buf_device_priv(dev))->to_cpu++;
}

static void staging_device(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			   enum dma_data_direction direction)
{
	((struct staging *)dma_buf_device_priv(dev))->to_device++;
}

TEST(C1_sync_tells_the_device)
{
	static const struct dma_buf_map_ops map_ops = { .sync_sg_for_cpu = staging_cpu,
							.sync_sg_for_device = staging_device };
	struct staging staging = { 0 };
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "staging", .ops = &map_ops, .priv = &staging
	};
	struct dma_buf_device *dev = dma_buf_device_create(&info);
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);

	ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL));
	ASSERT_EQ(staging.to_cpu, 1);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL), EALREADY);
	ASSERT_EQ(staging.to_cpu, 1);
	ASSERT_OK(dma_buf_sync_sg_for_device(attach, table, DMA_BIDIRECTIONAL));
	ASSERT_EQ(staging.to_device, 1);
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
}
