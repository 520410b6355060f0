// SPDX-License-Identifier: MIT
/*
 * What devices need is looked at when they attach, together with what all attached devices need:
 * rows F1 to F4.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <string.h>

#include "attach-util.h"

TEST(F2_constraints_follow_who_is_attached)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", MIB, O_RDWR);
	struct dma_buf_device_parameters p = nothing();
	struct dma_buf_device *a, *b;
	struct dma_buf_attachment *one, *two;

	p.max_segment_size = 64 * KIB;
	p.segment_boundary_mask = MIB - 1;
	p.page_backed = true;
	a = device_make("a", &p);
	p = nothing();
	p.max_segment_size = 128 * KIB;
	p.max_segment_count = 100;
	p.address_alignment = 512;
	b = device_make("b", &p);
	p = merged(dmabuf);
	ASSERT_EQ(p.max_segment_size, 0);
	ASSERT(!p.page_backed);
	one = dma_buf_attach(dmabuf, a);
	p = merged(dmabuf);
	ASSERT_EQ(p.max_segment_size, 64 * KIB);
	ASSERT_EQ(p.max_segment_count, 0);
	ASSERT_EQ(p.segment_boundary_mask, MIB - 1);
	two = dma_buf_attach(dmabuf, b);
	p = merged(dmabuf);
	ASSERT_EQ(p.max_segment_size, 64 * KIB);
	ASSERT_EQ(p.max_segment_count, 100);
	ASSERT_EQ(p.address_alignment, 512);
	ASSERT(p.page_backed);
	dma_buf_detach(dmabuf, one);
	p = merged(dmabuf);
	ASSERT_EQ(p.max_segment_size, 128 * KIB);
	ASSERT_EQ(p.segment_boundary_mask, 0);
	ASSERT(!p.page_backed);
	dma_buf_detach(dmabuf, two);
	p = merged(dmabuf);
	ASSERT_EQ(p.max_segment_count, 0);
	dma_buf_put(dmabuf);
	dma_buf_device_put(a);
	dma_buf_device_put(b);
}

static int attach_few(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_device *few = with_count("few", 4);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, few);

	ASSERT(attach);
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_detach(dmabuf, attach);
	dma_buf_device_put(few);
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(F2_devices_of_other_processes_count_until_they_detach)
{
	struct peer peer;
	struct kings k;

	kings_open(&k);
	peer_start(&peer, k.dmabuf, attach_few, NULL);
	peer_wait(&peer);
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.small), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "few: max_segment_count 4");
	ASSERT_EQ(merged(k.dmabuf).max_segment_count, 4);
	peer_tell(&peer);
	peer_wait(&peer);
	ASSERT_EQ(merged(k.dmabuf).max_segment_count, 0);
	ASSERT(dma_buf_attach(k.dmabuf, k.small));
	peer_tell(&peer);
	peer_end(&peer);
	kings_close(&k);
}

TEST(F2_devices_of_a_process_that_died_do_not_count)
{
	struct dma_buf_device_parameters p = nothing();
	struct peer peer;
	struct kings k;

	kings_open(&k);
	peer_start(&peer, k.dmabuf, attach_few, NULL);
	peer_wait(&peer);
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.small), EINVAL);
	peer_kill(&peer);
	ASSERT_OK(dma_buf_recalc_constraints(k.dmabuf, &p));
	ASSERT_EQ(p.max_segment_count, 0);
	ASSERT(dma_buf_attach(k.dmabuf, k.small));
	kings_close(&k);
	/* Attaching itself finds out, too. */
	kings_open(&k);
	peer_start(&peer, k.dmabuf, attach_few, NULL);
	peer_wait(&peer);
	peer_kill(&peer);
	ASSERT(dma_buf_attach(k.dmabuf, k.small));
	kings_close(&k);
}

static int attach_small_too(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_device *small = with_size("small", 4 * KIB);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, small);
	struct dma_buf_sg_table *table;

	ASSERT(attach);
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(table->nents, 256);
	dma_buf_put(dmabuf);
	dma_buf_device_put(small);
	return 0;
}

TEST(F2_an_exporter_with_a_table_for_each_device_has_no_common_limits)
{
	struct dma_buf_ops ops = {
		.map_dma_buf = dma_buf_memory_map,
		.unmap_dma_buf = dma_buf_memory_unmap,
		.release = counting_release,
		.kmap_atomic = dma_buf_memory_kmap,
		.kmap = dma_buf_memory_kmap,
		.own_tables = true,
	};
	struct counting_exporter exporter = { 0 };
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *few = with_count("few", 4);
	struct dma_buf *dmabuf;
	struct peer peer;

	info.ops = &ops;
	info.size = MIB;
	info.flags = O_RDWR;
	info.priv = &exporter;
	dmabuf = dma_buf_export(&info);
	ASSERT(dmabuf);
	attach = dma_buf_attach(dmabuf, few);
	ASSERT(attach);
	/* A process that does not know the exporter knows that. */
	peer_start(&peer, dmabuf, attach_small_too, NULL);
	peer_end(&peer);
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(table->nents, 1);
	ASSERT(explained(dmabuf, few, 1)->own_tables);
	dma_buf_put(dmabuf);
	dma_buf_device_put(few);
}

static struct {
	int verdict, asked;
	bool told;
} overriding;

static int override(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	overriding.asked++;
	overriding.told = strstr(dmabuf_last_error(), "device small does not suit") != NULL;
	ASSERT(attach->dmabuf == dmabuf);
	return overriding.verdict;
}

static const struct dma_buf_ops overriding_ops = {
	.map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = counting_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
	.override_constraints = override,
};

TEST(F2_an_exporter_that_knows_better_vouches_for_a_device)
{
	struct counting_exporter exporter = { 0 };
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_device *few = with_count("few", 4), *small = with_size("small", 4 * KIB);
	struct dma_buf *dmabuf;
	struct dma_buf_info seen;

	info.ops = &overriding_ops;
	info.size = MIB;
	info.flags = O_RDWR;
	info.priv = &exporter;
	dmabuf = dma_buf_export(&info);
	ASSERT(dma_buf_attach(dmabuf, few));
	ASSERT_EQ(overriding.asked, 0);
	overriding.verdict = -EPERM;
	ASSERT_ERRNO(dma_buf_attach(dmabuf, small), EINVAL);
	ASSERT_EQ(overriding.asked, 1);
	ASSERT(overriding.told);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "few: max_segment_count 4");
	overriding.verdict = 0;
	ASSERT(dma_buf_attach(dmabuf, small));
	ASSERT_EQ(overriding.asked, 2);
	/* It is there, and does not count. */
	seen = peer_info(dmabuf);
	ASSERT_EQ(seen.attachment_count, 2);
	ASSERT(!seen.attachments[0].vouched);
	ASSERT(seen.attachments[1].vouched);
	ASSERT_EQ(seen.attachments[1].parameters.max_segment_size, 4 * KIB);
	ASSERT_EQ(merged(dmabuf).max_segment_size, 0);
	ASSERT_EQ(merged(dmabuf).max_segment_count, 4);
	ASSERT(dma_buf_attach(dmabuf, few));
	ASSERT_EQ(overriding.asked, 2);
	dma_buf_put(dmabuf);
	dma_buf_device_put(few);
	dma_buf_device_put(small);
}

static struct dma_buf_device_parameters inside;

static void ask_inside(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	inside = merged(dmabuf);
}

TEST(F2_the_exporter_may_ask_for_constraints_while_a_device_comes)
{
	struct counting_exporter exporter = { .in_attach = ask_inside };
	struct dma_buf *dmabuf = counting_export(&exporter, MIB, O_RDWR);
	struct dma_buf_device *few = with_count("few", 4), *small = with_size("small", MIB);

	ASSERT(dma_buf_attach(dmabuf, few));
	ASSERT_EQ(inside.max_segment_count, 0);
	ASSERT(dma_buf_attach(dmabuf, small));
	ASSERT_EQ(inside.max_segment_count, 4);
	ASSERT_EQ(inside.max_segment_size, 0);
	dma_buf_put(dmabuf);
	dma_buf_device_put(few);
	dma_buf_device_put(small);
}

TEST(F2_questions_that_make_no_sense_are_refused)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_attach_report report = { .struct_size = sizeof(report), .size = 77 };
	struct dma_buf_device_parameters p = { .size = 8, .dma_mask = 77 };
	struct dma_buf_device *cpu = dma_buf_cpu_device();

	ASSERT_ERR(dma_buf_get_constraints(dmabuf, &p), EINVAL);
	ASSERT_ERR(dma_buf_recalc_constraints(dmabuf, &p), EINVAL);
	ASSERT_ERR(dma_buf_get_constraints(dmabuf, NULL), EINVAL);
	ASSERT_ERR(dma_buf_recalc_constraints(dmabuf, NULL), EINVAL);
	p.size = sizeof(p);
	ASSERT_ERR(dma_buf_get_constraints(NULL, &p), EINVAL);
	ASSERT_ERR(dma_buf_recalc_constraints(NULL, &p), EINVAL);
	ASSERT_EQ(p.dma_mask, 77);
	ASSERT_ERR(dma_buf_explain_attach(NULL, cpu, DMA_TO_DEVICE, &report), EINVAL);
	ASSERT_ERR(dma_buf_explain_attach(dmabuf, cpu, DMA_NONE, &report), EINVAL);
	ASSERT_ERR(dma_buf_explain_attach(dmabuf, cpu, DMA_TO_DEVICE, NULL), EINVAL);
	report.struct_size--;
	ASSERT_ERR(dma_buf_explain_attach(dmabuf, cpu, DMA_TO_DEVICE, &report), EINVAL);
	ASSERT_EQ(report.size, 77);
	ASSERT_ERRNO(dma_buf_attach_for(dmabuf, cpu, DMA_NONE), EINVAL);
	ASSERT_ERRNO(dma_buf_attach_for(dmabuf, NULL, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERRNO(dma_buf_attach_for(NULL, cpu, DMA_TO_DEVICE), EINVAL);
	dma_buf_put(dmabuf);
}

/* What the buffer's memory cannot be */

/* Uses */

TEST(F1_what_a_device_needs_for_writing_counts_where_it_writes)
{
	struct dma_buf_device_parameters base = nothing(), writing = nothing();
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = "scanner",
					    .parameters = &base,
					    .write_parameters = &writing };
	struct dma_buf *dmabuf = dma_buf_alloc("x", MIB, O_RDWR);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *dev;

	base.max_segment_size = 64 * KIB;
	writing.contiguous = true;
	writing.max_segment_size = 16 * KIB;
	dev = dma_buf_device_create(&info);
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dev), EINVAL);
	ASSERT_ERRNO(dma_buf_attach_for(dmabuf, dev, DMA_FROM_DEVICE), EINVAL);
	attach = dma_buf_attach_for(dmabuf, dev, DMA_TO_DEVICE);
	ASSERT(attach);
	ASSERT_EQ(peer_info(dmabuf).attachments[0].usage, DMA_TO_DEVICE);
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(table->nents, 16);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_FROM_DEVICE), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "scanner is attached to read only");
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL), EINVAL);
	dma_buf_detach(dmabuf, attach);
	dma_buf_device_put(dev);
	writing.contiguous = false;
	dev = dma_buf_device_create(&info);
	attach = dma_buf_attach(dmabuf, dev);
	ASSERT_EQ(peer_info(dmabuf).attachments[0].usage, DMA_BIDIRECTIONAL);
	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	ASSERT_EQ(table->nents, 64);
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
}

static void fill_parameters(struct dma_buf_device_parameters *p)
{
	*p = nothing();
	p->max_segment_size = 64 * KIB;
	p->max_segment_count = 99;
	p->segment_boundary_mask = MIB - 1;
	p->dma_mask = UINT64_MAX >> 4;
	p->address_alignment = 64;
	p->length_granularity = 128;
	p->trust_domain = 5;
	p->preferred_segment_size = 2 * MIB;
	p->min_buffers = 2;
	p->preferred_buffers = 3;
	p->page_backed = p->cpu_needed = p->physical = p->line_by_line = true;
	strcpy(p->named[0].name, "stride_alignment");
	p->named[0].rule = DMA_BUF_MERGE_MAX;
	p->named[0].value = 256;
	strcpy(p->named[3].name, "tiling");
	p->named[3].rule = DMA_BUF_MERGE_EQUAL;
	p->named[3].ignorable = 1;
	p->named[3].value = 42;
}

static int attach_all_parameters(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_device_parameters p;
	struct dma_buf_device *dev;

	fill_parameters(&p);
	dev = device_make("much", &p);
	ASSERT(dma_buf_attach_for(dmabuf, dev, DMA_FROM_DEVICE));
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
	return 0;
}

TEST(F1_every_holder_sees_all_parameters_of_all_devices)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 64 * KIB, O_RDWR);
	struct dma_buf_device_parameters want;
	const struct dma_buf_attachment_info *seen;
	static struct dma_buf_info info;
	struct peer peer;

	fill_parameters(&want);
	peer_start(&peer, dmabuf, attach_all_parameters, NULL);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.attachment_count, 1);
	seen = &info.attachments[0];
	ASSERT(seen->known);
	ASSERT(!seen->vouched);
	ASSERT_EQ(seen->usage, DMA_FROM_DEVICE);
	ASSERT(same(&seen->parameters, &want));
	ASSERT_EQ(merged(dmabuf).named[0].value, 256);
	ASSERT(!merged(dmabuf).named[1].name[0]);
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}
