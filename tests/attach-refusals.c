// SPDX-License-Identifier: MIT
/* Devices that do not go together, or not with the memory, are refused at attach: rows F1 to F4. */
#include <dmabuf.h>

#include <fcntl.h>
#include <string.h>

#include "attach-util.h"

TEST(F3_kings_case_is_refused_at_attach_in_either_order)
{
	struct dma_buf_attachment *attach;
	struct kings k;

	kings_open(&k);
	attach = dma_buf_attach(k.dmabuf, k.few);
	ASSERT(attach);
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.small), EINVAL);
	dma_buf_detach(k.dmabuf, attach);
	attach = dma_buf_attach(k.dmabuf, k.small);
	ASSERT(attach);
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.few), EINVAL);
	dma_buf_detach(k.dmabuf, attach);
	ASSERT(dma_buf_attach(k.dmabuf, k.few));
	kings_close(&k);
}

TEST(F4_a_refusal_says_whose_needs_which_values_and_what_would_help)
{
	struct kings k;

	kings_open(&k);
	ASSERT(dma_buf_attach(k.dmabuf, dma_buf_cpu_device()));
	ASSERT(dma_buf_attach(k.dmabuf, k.few));
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.small), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "device small does not suit buffer picture: ");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "few: max_segment_count 4; ");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "small: max_segment_size 4 KiB. ");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "would take 256 segments, may be 4");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "raise max_segment_count of few from 4 to 256");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "or use buffers of at most 16 KiB");
	ASSERT(!strstr(dmabuf_last_error(), "cpu"));
	ASSERT(!strchr(dmabuf_last_error(), '\n'));
	kings_close(&k);
}

TEST(F4_a_refusal_is_to_be_had_as_data)
{
	const struct dma_buf_attach_report *r;
	const struct dma_buf_conflict *c;
	struct kings k;

	kings_open(&k);
	ASSERT(dma_buf_attach(k.dmabuf, k.few));
	ASSERT(dma_buf_attach(k.dmabuf, dma_buf_cpu_device()));
	r = explained(k.dmabuf, k.small, 0);
	ASSERT_EQ(r->size, MIB);
	ASSERT_EQ(r->participant_count, 3);
	ASSERT_STR_EQ(r->participants[2].name, "small");
	ASSERT_EQ(r->participants[2].parameters.max_segment_size, 4 * KIB);
	ASSERT_EQ(r->answer.conflict_count, 1);
	c = &r->answer.conflicts[0];
	ASSERT_EQ(c->count, 2);
	ASSERT_STR_EQ(r->participants[c->members[0].participant].name, "few");
	ASSERT_EQ(c->members[0].parameter, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT);
	ASSERT_EQ(c->members[0].value, 4);
	ASSERT_STR_EQ(r->participants[c->members[1].participant].name, "small");
	ASSERT_EQ(c->members[1].parameter, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE);
	ASSERT_EQ(c->members[1].value, 4 * KIB);
	ASSERT(r->answer.relaxation_count >= 2);
	ASSERT_STR_CONTAINS(r->text, "These needs cannot hold together:\n");
	ASSERT_STR_CONTAINS(r->text, "What would help:\n");
	/* It says so beforehand, too, and attaches nothing. */
	ASSERT_EQ(peer_info(k.dmabuf).attachment_count, 2);
	r = explained(k.dmabuf, NULL, 1);
	ASSERT_EQ(r->participant_count, 2);
	ASSERT_EQ(r->answer.conflict_count, 0);
	kings_close(&k);
}

TEST(F2_a_refused_attach_leaves_everything_as_it_was)
{
	struct dma_buf_device_parameters p = nothing(), before;
	static struct dma_buf_info first, second;
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, MIB, O_RDWR);
	struct dma_buf_device *few = with_count("few", 4), *small = with_size("small", 4 * KIB);

	ASSERT(dma_buf_attach(dmabuf, few));
	before = merged(dmabuf);
	first = peer_info(dmabuf);
	ASSERT_ERRNO(dma_buf_attach(dmabuf, small), EINVAL);
	second = peer_info(dmabuf);
	ASSERT_EQ(exporter.attached, 1);
	ASSERT_EQ(exporter.detached, 0);
	ASSERT_EQ(first.attachment_count, second.attachment_count);
	ASSERT(same(&first.constraints, &second.constraints));
	ASSERT_EQ(first.holder_count, second.holder_count);
	p = merged(dmabuf);
	ASSERT(same(&p, &before));
	dma_buf_put(dmabuf);
	dma_buf_device_put(few);
	dma_buf_device_put(small);
}

static void refused(struct dma_buf *dmabuf, const struct dma_buf_device_parameters *p,
		    const char *words)
{
	struct dma_buf_device *dev = device_make("picky", p);

	ASSERT_ERRNO(dma_buf_attach(dmabuf, dev), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), words);
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 0);
	dma_buf_device_put(dev);
}

TEST(F3_a_device_that_the_memory_cannot_satisfy_is_refused)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", MIB, O_RDWR);
	struct dma_buf_device_parameters p = nothing();

	p.contiguous = true;
	refused(dmabuf, &p, "picky needs 1 MiB in one piece, its pieces are 4 KiB");
	p = nothing();
	p.cpu_forbidden = true;
	refused(dmabuf, &p, "picky needs memory that the CPU cannot map");
	p = nothing();
	p.trust_domain = 7;
	p.protected_memory = true;
	refused(dmabuf, &p, "picky: protected_memory");
	p = nothing();
	p.address_alignment = 2 * MIB;
	refused(dmabuf, &p, "picky needs addresses aligned to 2 MiB, they are to 4 KiB");
	p = nothing();
	p.physical = true;
	p.max_segment_count = 255;
	refused(dmabuf, &p, "picky would take 256 segments, may be 255");
	p = nothing();
	p.max_segment_size = 64;
	p.max_segment_count = 64;
	refused(dmabuf, &p, "max_segment_count 64");
	dma_buf_put(dmabuf);
}

TEST(F3_physical_addresses_must_be_within_reach)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", MIB, O_RDWR);
	struct dma_buf_device_parameters p = nothing();
	struct dma_buf_device *dev;

	p.physical = true;
	p.dma_mask = MIB * 16 - 1; /* ISA's */
	refused(dmabuf, &p, "picky reaches addresses up to 0xffffff, they go up to 0x");
	p.dma_mask = UINT64_MAX >> 1;
	dev = device_make("wide", &p);
	ASSERT(dma_buf_attach(dmabuf, dev));
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
}

TEST(F3_devices_that_need_nothing_always_fit)
{
	struct dma_buf_device_parameters p = nothing();
	struct dma_buf_device *plain = device_make("plain", NULL), *zero, *reaches;
	struct kings k;

	kings_open(&k);
	zero = device_make("zero", &p);
	p.trust_domain = 7; /* may reach more than ordinary memory, needs no more */
	reaches = device_make("reaches", &p);
	ASSERT(dma_buf_attach(k.dmabuf, k.few));
	ASSERT(dma_buf_attach(k.dmabuf, plain));
	ASSERT(dma_buf_attach(k.dmabuf, zero));
	ASSERT(dma_buf_attach(k.dmabuf, reaches));
	ASSERT(dma_buf_attach(k.dmabuf, dma_buf_cpu_device()));
	ASSERT_ERRNO(dma_buf_attach(k.dmabuf, k.small), EINVAL);
	ASSERT_EQ(peer_info(k.dmabuf).attachment_count, 5);
	dma_buf_device_put(plain);
	dma_buf_device_put(zero);
	dma_buf_device_put(reaches);
	kings_close(&k);
}

static int describe_one_piece(struct dma_buf_heap_info *info, void *priv)
{
	info->alignment = 4096;
	info->cost = 100;
	info->page_backed = info->cpu_mappable = info->zeroed = info->available = true;
	return 0;
}

TEST(F4_a_refusal_says_that_other_memory_would_suit)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 64 * MIB, O_RDWR);
	struct dma_buf_device *display = contiguous("display");
	struct dma_buf_heap_ops heap = { .size = sizeof(heap),
					 .name = "carveout",
					 .describe = describe_one_piece };

	/* No huge page is that large. */
	ASSERT_ERRNO(dma_buf_attach(dmabuf, display), EINVAL);
	ASSERT(!strstr(dmabuf_last_error(), "deferred"));
	ASSERT_STR_EQ(explained(dmabuf, display, 0)->other_heap, "");
	ASSERT_OK(dma_buf_register_heap(&heap));
	ASSERT_ERRNO(dma_buf_attach(dmabuf, display), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "drop contiguous on display");
	ASSERT_STR_CONTAINS(dmabuf_last_error(),
			    "or export the buffer deferred: heap carveout would suit");
	ASSERT_STR_EQ(explained(dmabuf, display, 0)->other_heap, "carveout");
	/* What the buffer has, and cannot get. */
	ASSERT(!strstr(dmabuf_last_error(), "add a heap"));
	ASSERT_OK(dma_buf_unregister_heap("carveout"));
	dma_buf_put(dmabuf);
	dma_buf_device_put(display);
}

TEST(F1_a_named_parameter_that_nobody_knows_is_refused_by_name_or_ignored_if_it_may_be)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_device_parameters p = nothing();
	struct dma_buf_device *dev;

	strcpy(p.named[0].name, "tiling");
	p.named[0].rule = DMA_BUF_MERGE_EQUAL;
	p.named[0].value = 1;
	dev = device_make("newer", &p);
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dev), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "device newer: parameter \"tiling\"");
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 0);
	dma_buf_device_put(dev);
	p.named[0].ignorable = 1;
	dev = device_make("newer", &p);
	ASSERT(dma_buf_attach(dmabuf, dev));
	p.named[0].value = 2;
	dma_buf_device_put(dev);
	dev = device_make("other", &p);
	ASSERT(dma_buf_attach(dmabuf, dev));
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
}
