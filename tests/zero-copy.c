// SPDX-License-Identifier: MIT
/*
 * Where nothing may be copied, who would copy says so; and what mapping would give: row F7.
 */
#include <dmabuf.h>

#include "block-util.h"
#include "exporter.h"
#include "peer.h"

static int says; /* what the device says of zero copy */

static int staging_zero_copy(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			     enum dma_data_direction direction)
{
	ASSERT(table->nents);
	ASSERT_EQ(direction, DMA_FROM_DEVICE);
	return says;
}

static void staging_sync(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			 enum dma_data_direction direction)
{
}

static struct dma_buf_device *staging_device(const struct dma_buf_map_ops *ops)
{
	struct dma_buf_device_info info = { .size = sizeof(info), .name = "capture0", .ops = ops };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	ASSERT(dev);
	return dev;
}

static struct dma_buf_attachment *attach_to(struct dma_buf *dmabuf, struct dma_buf_device *dev)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);

	ASSERT(attach);
	dma_buf_device_put(dev);
	return attach;
}

#define MAP(attach, attrs) dma_buf_map_attachment_attrs(attach, DMA_FROM_DEVICE, attrs)

TEST(F7_a_device_with_staging_memory_is_named_where_nothing_may_be_copied)
{
	static const struct dma_buf_map_ops silent = { .sync_sg_for_cpu = staging_sync };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	struct dma_buf_attachment *attach = attach_to(dmabuf, staging_device(&silent));

	ASSERT_ERRNO(MAP(attach, DMA_BUF_MAP_ZERO_COPY), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "capture0 cannot do without a copy");
	ASSERT_EQ(peer_info(dmabuf).attachments[0].mapped, 0);
	ASSERT_ERR(
		dma_buf_test_map_attachment(attach, DMA_FROM_DEVICE, DMA_BUF_MAP_ZERO_COPY, NULL),
		EOPNOTSUPP);
	ASSERT(MAP(attach, 0));
	dma_buf_put(dmabuf);
}

TEST(F7_a_device_says_itself_whether_it_copies)
{
	static const struct dma_buf_map_ops telling = { .sync_sg_for_cpu = staging_sync,
							.zero_copy = staging_zero_copy };
	static const struct dma_buf_map_ops plain;
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	struct dma_buf_attachment *attach = attach_to(dmabuf, staging_device(&telling));
	struct dma_buf_sg_table *table;

	says = -EIO;
	ASSERT_ERRNO(MAP(attach, DMA_BUF_MAP_ZERO_COPY | DMA_BUF_MAP_COHERENT), EIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "capture0 cannot do without a copy: Input");
	says = 0;
	table = MAP(attach, DMA_BUF_MAP_ZERO_COPY | DMA_BUF_MAP_COHERENT);
	ASSERT(table);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_FROM_DEVICE));
	ASSERT_ERRNO(MAP(attach, DMA_BUF_MAP_COHERENT | DMA_BUF_MAP_NONCOHERENT), EINVAL);
	ASSERT_ERRNO(MAP(attach, 7), EINVAL);
	ASSERT_ERRNO(MAP(attach, 8), EINVAL);
	/* Who keeps nothing in step has nothing to copy to. */
	attach = attach_to(dmabuf, staging_device(&plain));
	ASSERT(MAP(attach, DMA_BUF_MAP_ZERO_COPY));
	dma_buf_put(dmabuf);
}

TEST(F7_a_test_mapping_tells_and_leaves_nothing)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p), .max_segment_size = 4096 };
	struct dma_buf_test_mapping t = { .size = sizeof(t) };
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 20000, O_RDWR);
	struct dma_buf_attachment *attach = attach_to(dmabuf, device_make("d", &p));
	static struct dma_buf_info before, after;
	uint64_t bytes = (uint64_t)(uintptr_t)dma_buf_vmap(dmabuf);

	before = peer_info(dmabuf);
	ASSERT_OK(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 0, &t));
	after = peer_info(dmabuf);
	ASSERT_EQ(after.counters.maps, before.counters.maps);
	ASSERT_EQ(after.counters.sync_skipped, before.counters.sync_skipped);
	ASSERT_EQ(after.attachments[0].mapped, 0);
	ASSERT_EQ(after.attachments[0].direction, DMA_NONE);
	ASSERT_EQ(exporter.mapped, 1);
	ASSERT_EQ(exporter.unmapped, 1);
	ASSERT_EQ(t.nents, 5);
	ASSERT_EQ(t.longest, 4096);
	ASSERT_EQ(t.lowest_address, bytes);
	ASSERT_EQ(t.highest_address, bytes + 20000 - 1);
	exporter.refuse_map = ENXIO;
	ASSERT_ERR(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 0, &t), ENXIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "device d");
	t.size = 1;
	ASSERT_ERR(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 0, &t), EINVAL);
	ASSERT_ERR(dma_buf_test_map_attachment(attach, DMA_NONE, 0, NULL), EINVAL);
	ASSERT_ERR(dma_buf_test_map_attachment(NULL, DMA_TO_DEVICE, 0, NULL), EINVAL);
	ASSERT_ERR(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 77, NULL), EINVAL);
	ASSERT_EQ(t.nents, 5);
	dma_buf_put(dmabuf);
}

TEST(F7_a_test_mapping_looks_at_a_kept_table_and_keeps_none)
{
	struct dma_buf_test_mapping t = { .size = sizeof(t) };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_counters c;

	ASSERT_OK(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 0, &t));
	ASSERT(!attach->sgt);
	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_get_counters(dmabuf, &c));
	ASSERT_EQ(c.maps, 1);
	ASSERT_EQ(c.cached_maps, 0);
	ASSERT_OK(dma_buf_test_map_attachment(attach, DMA_TO_DEVICE, 0, &t));
	ASSERT_EQ(t.nents, 1);
	ASSERT_ERR(dma_buf_test_map_attachment(attach, DMA_FROM_DEVICE, 0, &t), EBUSY);
	ASSERT_OK(dma_buf_get_counters(dmabuf, &c));
	ASSERT_EQ(c.maps, 1);
	dma_buf_put(dmabuf);
}

TEST(F7_words_of_whoever_fails_to_map_are_kept)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p), .dma_mask = 0xffff };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 8192, O_RDWR);
	struct dma_buf_attachment *attach = attach_to(dmabuf, device_make("near", &p));

	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "mapping for device near failed: the memory ends");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "beyond the device's mask 0xffff");
	dma_buf_put(dmabuf);
}

/* Disks copy through the page cache what does not fit direct transfer. */

static void remap(struct rig *r, unsigned int attrs)
{
	ASSERT_OK(dma_buf_unmap_attachment(r->attach, r->table, DMA_BIDIRECTIONAL));
	r->table = dma_buf_map_attachment_attrs(r->attach, DMA_BIDIRECTIONAL, attrs);
	ASSERT(r->table);
}

TEST(F7_a_disk_copies_nothing_where_nothing_may_be_copied)
{
	for (unsigned int i = 0; i < WAYS; i++) {
		int fd = scratch_file(O_RDWR);
		unsigned char want[16384];
		struct rig r;

		fill(want, sizeof(want), i);
		put_file(fd, want, sizeof(want));
		if (!rig_open(&r, fd, &ways[i], 16384)) {
			close(fd);
			continue;
		}
		if (!get_info(r.dev).direct) {
			ASSERT_ERRNO(dma_buf_map_attachment_attrs(r.attach, DMA_BIDIRECTIONAL,
								  DMA_BUF_MAP_ZERO_COPY),
				     EOPNOTSUPP);
			ASSERT_STR_CONTAINS(dmabuf_last_error(), "device disk cannot do without a "
								 "copy: it transfers through the "
								 "page cache");
		} else {
			remap(&r, DMA_BUF_MAP_ZERO_COPY);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 16384, 0), 16384);
			ASSERT(!memcmp(r.cpu, want, 16384));
			ASSERT_EQ(rig_transfer(&r, DMA_TO_DEVICE, 4096, 8192, 4096), 8192);
			ASSERT_ERR(rig_submit(&r, DMA_FROM_DEVICE, 0, 1000, 3, 1), EOPNOTSUPP);
			ASSERT_STR_CONTAINS(dmabuf_last_error(),
					    "page cache would copy bytes 0 to 1000");
			ASSERT_ERR(rig_submit(&r, DMA_TO_DEVICE, 0, 5000, 0, 1), EOPNOTSUPP);
			ASSERT_STR_CONTAINS(dmabuf_last_error(), "bytes 4096 to 5000");
			ASSERT_EQ(get_info(r.dev).bounced, 0);
			/* Who does not mind is served. */
			remap(&r, 0);
			ASSERT_EQ(rig_transfer(&r, DMA_FROM_DEVICE, 0, 1000, 3), 1000);
			ASSERT(get_info(r.dev).bounced >= 1000);
		}
		rig_close(&r);
		close(fd);
	}
}
