// SPDX-License-Identifier: MIT
/* Negotiation by scenes from the discussions that asked for it, and its way with bad questions. */
#include <stdio.h>

#include <dmabuf/device.h>

#include "constraints-util.h"

static struct question q;

/* 64 KiB x 1000 and 1 MiB x 10 both make 8 MiB, but 64 KiB x 10 do not. */
static void kings_case(void)
{
	struct dma_buf_device_parameters *p;

	ask_about(&q, 8 * MIB);
	p = add_device(&q, "camera");
	p->max_segment_size = 64 * KIB;
	p->max_segment_count = 1000;
	p = add_device(&q, "codec");
	p->max_segment_size = MIB;
	p->max_segment_count = 10;
}

TEST(F3_F4_kings_case_each_alone_fits_and_together_they_do_not)
{
	const struct dma_buf_conflict *c = &q.answer.conflicts[0];

	kings_case();
	q.request.participant_count = 1;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.participants[0].segments, 128);
	q.request.participants = &q.participants[1];
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.participants[0].segments, 8);

	kings_case();
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflict_count, 1);
	ASSERT_EQ(c->count, 2);
	ASSERT_EQ(c->members[0].participant, 0);
	ASSERT_EQ(c->members[0].parameter, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE);
	ASSERT_EQ(c->members[0].value, 64 * KIB);
	ASSERT_EQ(c->members[1].participant, 1);
	ASSERT_EQ(c->members[1].parameter, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT);
	ASSERT_EQ(c->members[1].value, 10);
	ASSERT_STR_CONTAINS(q.text, "camera: max_segment_size 64 KiB");
	ASSERT_STR_CONTAINS(q.text, "codec: max_segment_count 10");
}

TEST(F4_kings_case_is_told_with_the_nearest_ways_out)
{
	kings_case();
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(suggested(&q, 1, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT)->to, 128);
	ASSERT(suggested(&q, 0, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE)->to > 64 * KIB);
	ASSERT(suggested(&q, 0, DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE)->to <= MIB);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_SIZE)->to, 640 * KIB);
	ASSERT(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_OWN_TABLES));
	ASSERT_STR_CONTAINS(q.text, "raise max_segment_count of codec from 10 to 128");
	ASSERT_STR_CONTAINS(q.text, "use buffers of at most 640 KiB");
}

TEST(F3_with_tables_of_their_own_kings_devices_fit)
{
	kings_case();
	q.request.own_tables = true;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.participants[0].segments, 128);
	ASSERT_EQ(q.answer.participants[1].segments, 8);
}

TEST(F2_merged_parameters_are_the_strictest_of_all)
{
	struct dma_buf_device_parameters *p;

	ask_about(&q, MIB);
	p = add_device(&q, "disk");
	p->max_segment_size = 128 * KIB;
	p->segment_boundary_mask = 0xffff;
	p->address_alignment = 512;
	p->length_granularity = 520;
	p->segment_boundary_mask = 0;
	p = add_device(&q, "nic");
	p->max_segment_size = 64 * KIB;
	p->max_segment_count = 255;
	p->dma_mask = 0xffffffff;
	p->length_granularity = 4;
	p->noncoherent = true;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.merged.max_segment_size, 64 * KIB);
	ASSERT_EQ(q.answer.merged.max_segment_count, 255);
	ASSERT_EQ(q.answer.merged.segment_boundary_mask, 0);
	ASSERT_EQ(q.answer.merged.dma_mask, 0xffffffff);
	ASSERT_EQ(q.answer.merged.address_alignment, 512);
	ASSERT_EQ(q.answer.merged.length_granularity, 520);
	ASSERT(!q.answer.participants[0].cache_maintenance);
	ASSERT(q.answer.participants[1].cache_maintenance);
}

/* What the first one was given does not suit both; who minds is named. */
TEST(F6_a_stricter_importer_that_comes_second_needs_other_memory)
{
	ask_about(&q, 2 * MIB);
	add_heap(&q, "huge", 2 * MIB, 40);
	add_device(&q, "gpu");
	ASSERT_EQ(negotiate(&q), 2);
	ASSERT_STR_EQ(heap_name(&q, 0), "pages");
	add_device(&q, "display")->contiguous = true;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_STR_EQ(heap_name(&q, 0), "huge");
	ASSERT_EQ(q.answer.rejection_count, 1);
	ASSERT_EQ(q.answer.rejections[0].heap, 0);
	ASSERT_EQ(q.answer.rejections[0].participant, 1);
	ASSERT_EQ(q.answer.rejections[0].parameter, DMA_BUF_PARAMETER_CONTIGUOUS);
	ASSERT_EQ(q.answer.rejections[0].needs, 2 * MIB);
	ASSERT_EQ(q.answer.rejections[0].offers, 4 * KIB);
}

TEST(F5_two_importers_in_either_order_get_the_same_plan)
{
	struct dma_buf_negotiation first;
	struct dma_buf_participant kept;

	ask_about(&q, 2 * MIB);
	add_heap(&q, "huge", 2 * MIB, 40);
	add_device(&q, "gpu")->max_segment_size = 64 * KIB;
	add_device(&q, "display")->contiguous = true;
	ASSERT_EQ(negotiate(&q), 1);
	first = q.answer;
	kept = q.participants[0];
	q.participants[0] = q.participants[1];
	q.participants[1] = kept;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT(!memcmp(q.answer.alternatives, first.alternatives, sizeof(first.alternatives[0])));
	ASSERT_EQ(q.answer.participants[0].segments, first.participants[1].segments);
	ASSERT_EQ(q.answer.participants[1].segments, first.participants[0].segments);
	ASSERT_EQ(q.answer.merged.max_segment_size, first.merged.max_segment_size);
	ASSERT_EQ(q.answer.merged.contiguous, first.merged.contiguous);
}

TEST(F9_the_device_with_the_strictest_needs_should_export)
{
	ask_about(&q, 2 * MIB);
	add_heap(&q, "huge", 2 * MIB, 40);
	add_heap(&q, "vault", 0, 90)->page_backed = false;
	add_device(&q, "gpu");
	ASSERT_EQ(negotiate(&q), 3);
	ASSERT_EQ(q.answer.exporter, DMA_BUF_NOBODY);
	add_device(&q, "display")->contiguous = true;
	ASSERT_EQ(negotiate(&q), 2);
	ASSERT_EQ(q.answer.exporter, 1);
	ASSERT_STR_CONTAINS(q.text, "that should be display");
	add_device(&q, "disk")->page_backed = true;
	ASSERT_EQ(negotiate(&q), 1);
	/* One heap each: then it is by name. */
	ASSERT_EQ(q.answer.exporter, 2);
}

/* Lines apart from each other are segments apart: height x ceil(bytes per line / page). */
TEST(F3_F7_verkuils_worst_case_counts_every_line)
{
	struct dma_buf_device_parameters *p;

	ask_about(&q, 0);
	q.request.planes = q.planes;
	q.request.plane_count = 1;
	q.planes[0] = (struct dma_buf_plane){ .bytes_per_line = 7680, .lines = 1080 };
	p = add_device(&q, "capture");
	p->physical = p->line_by_line = true;
	p->max_segment_count = 1080 * 2;
	strcpy(p->named[0].name, "stride_alignment");
	p->named[0].rule = DMA_BUF_MERGE_MAX;
	p->named[0].value = 4096;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.strides[0], 8192);
	ASSERT_EQ(q.answer.size, 8192 * 1080);
	ASSERT_EQ(q.answer.participants[0].segments, 1080 * ((7680 + 4095) / 4096));
	p->max_segment_count = 1080 * 2 - 1;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.rejections[0].parameter, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT);
	ASSERT_EQ(q.answer.rejections[0].needs, 2160);
	ASSERT_EQ(q.answer.rejections[0].offers, 2159);
	ASSERT_EQ(suggested(&q, 0, DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT)->to, 2160);
	/* Who transfers the gaps too sees pages only. */
	p->max_segment_count = 2160;
	p->line_by_line = false;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.participants[0].segments, 2 * 1080);
	p->physical = false;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.participants[0].segments, 1);
}

TEST(F1_strides_and_planes_are_aligned_as_the_strictest_wants)
{
	struct dma_buf_device_parameters *p;

	ask_about(&q, 0);
	q.request.planes = q.planes;
	q.request.plane_count = 2;
	q.planes[0] = (struct dma_buf_plane){ .bytes_per_line = 1920, .lines = 1081 };
	q.planes[1] = (struct dma_buf_plane){ .bytes_per_line = 1920, .lines = 540 };
	for (unsigned int i = 0; i < 2; i++) {
		p = add_device(&q, i ? "gpu" : "display");
		p->named[0] =
			(struct dma_buf_named_parameter){ "stride_alignment", DMA_BUF_MERGE_MAX, 0,
							  i ? 256 : 64 };
		p->named[1] =
			(struct dma_buf_named_parameter){ "plane_alignment", DMA_BUF_MERGE_MAX, 0,
							  i ? 16 : 4096 };
	}
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.strides[0], 2048);
	ASSERT_EQ(q.answer.strides[1], 2048);
	ASSERT_EQ(q.answer.offsets[1], (2048 * 1081 + 4095) / 4096 * 4096);
	ASSERT_EQ(q.answer.size, q.answer.offsets[1] + 2048 * 540);
	ASSERT_EQ(q.answer.alternatives[0].size, (q.answer.size + 4095) / 4096 * 4096);
}

TEST(F8_few_tlb_entries_prefer_large_pieces_without_requiring_them)
{
	ask_about(&q, 4 * MIB);
	add_heap(&q, "huge", 2 * MIB, 40);
	add_heap(&q, "likely", 4 * KIB, 12)->usual_chunk = 2 * MIB;
	add_device(&q, "gpu")->preferred_segment_size = MIB;
	ASSERT_EQ(negotiate(&q), 3);
	ASSERT_STR_EQ(heap_name(&q, 0), "likely");
	ASSERT_STR_EQ(heap_name(&q, 1), "huge");
	ASSERT_STR_EQ(heap_name(&q, 2), "pages");
	ASSERT_EQ(q.answer.alternatives[2].unmet, 1);
	ASSERT(q.answer.participants[0].preference_met);
	q.request.heap_count = 1;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT(!q.answer.participants[0].preference_met);
	ASSERT_STR_CONTAINS(q.text, "would like larger pieces");
}

static void opaque_question(void)
{
	struct dma_buf_heap_info *h;
	struct dma_buf_device_parameters *p;

	ask_about(&q, MIB);
	h = add_heap(&q, "vault", 0, 90);
	h->cpu_mappable = false;
	h->trust_domain = 7;
	p = add_device(&q, "decoder");
	p->trust_domain = 7;
	p->protected_memory = p->cpu_forbidden = true;
	add_device(&q, "display")->trust_domain = 7;
}

TEST(F1_opaque_memory_is_for_devices_of_its_trust_domain)
{
	opaque_question();
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_STR_EQ(heap_name(&q, 0), "vault");
	add_device(&q, "gpu");
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflicts[0].count, 2);
	ASSERT_STR_CONTAINS(q.text, "gpu: trust_domain 0");
	ASSERT_STR_CONTAINS(q.text, "decoder: protected_memory");
	/* Two needs of the decoder's speak against ordinary memory: each is a conflict. */
	ASSERT_EQ(q.answer.conflict_count, 2);
	ASSERT(suggested(&q, 2, DMA_BUF_PARAMETER_TRUST_DOMAIN)->drop);
	ASSERT(!suggested(&q, 0, DMA_BUF_PARAMETER_PROTECTED_MEMORY));
}

TEST(F1_F4_memory_that_the_cpu_must_and_must_not_map_is_a_conflict)
{
	opaque_question();
	add_device(&q, "cpu")->cpu_needed = true;
	q.parameters[2].trust_domain = 7;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_STR_CONTAINS(q.text, "cpu: cpu_needed");
	ASSERT_STR_CONTAINS(q.text, "decoder: cpu_forbidden");
}

TEST(F8_contiguous_for_the_display_and_anything_for_the_gpu)
{
	ask_about(&q, 2 * MIB);
	add_heap(&q, "huge", 2 * MIB, 40)->capacity = 8 * MIB;
	add_device(&q, "display")->contiguous = true;
	q.parameters[0].min_buffers = 2;
	add_device(&q, "gpu")->min_buffers = 1;
	q.parameters[1].preferred_buffers = 3;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_STR_EQ(heap_name(&q, 0), "huge");
	ASSERT_EQ(q.answer.min_buffers, 3);
	ASSERT_EQ(q.answer.preferred_buffers, 5);
	ASSERT_EQ(q.answer.alternatives[0].buffers, 4);
	q.request.size = 2 * MIB + 1;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT(suggested(&q, 0, DMA_BUF_PARAMETER_CONTIGUOUS)->drop);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_SIZE)->to, 2 * MIB);
	ASSERT(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_HEAP));
	ASSERT_EQ(q.answer.wanted_heap.chunk, 0);
	ASSERT_STR_CONTAINS(q.text, "drop contiguous on display");
	ASSERT_STR_CONTAINS(q.text, "use buffers of at most 2 MiB");
	ASSERT_STR_CONTAINS(q.text, "add a heap that offers");
}

TEST(F4_an_empty_pool_is_told_with_how_to_fill_it)
{
	struct dma_buf_heap_info *h;

	ask_about(&q, 2 * MIB);
	h = add_heap(&q, "huge", 2 * MIB, 40);
	h->available = false;
	strcpy(h->where, "echo 16 >nr_hugepages");
	add_device(&q, "display")->contiguous = true;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_AVAILABLE)->from, 1);
	ASSERT_STR_CONTAINS(q.text, "make heap huge available: echo 16 >nr_hugepages");
	h->available = true;
	h->capacity = 2 * MIB;
	q.parameters[0].min_buffers = 3;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_CAPACITY)->to, 6 * MIB);
}

TEST(F1_a_pool_is_never_too_small_for_all_who_keep_buffers)
{
	ask_about(&q, MIB);
	add_device(&q, "camera")->min_buffers = 3;
	add_device(&q, "codec")->min_buffers = 4;
	q.request.max_buffers = 6;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflicts[0].count, 2);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_MAX_BUFFERS)->to, 7);
	ASSERT_EQ(suggested(&q, 1, DMA_BUF_PARAMETER_MIN_BUFFERS)->to, 3);
	q.request.max_buffers = 7;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.alternatives[0].buffers, 7);
}

TEST(F1_a_device_may_need_more_for_writing_than_for_reading)
{
	struct dma_buf_device_parameters writing = { .size = sizeof(writing), .contiguous = true };
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = "capture",
					    .write_parameters = &writing };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	ASSERT(dev);
	ASSERT(dma_buf_device_get_write_parameters(dev)->contiguous);
	ask_about(&q, MIB);
	q.request.participant_count = 1;
	q.participants[0] =
		(struct dma_buf_participant){ .device = dev, .direction = DMA_TO_DEVICE };
	ASSERT_EQ(negotiate(&q), 1);
	q.participants[0].direction = DMA_FROM_DEVICE;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_STR_CONTAINS(q.text, "capture: contiguous");
	dma_buf_device_put(dev);
}

static void name_parameter(unsigned int i, const char *name, uint32_t rule, uint64_t value)
{
	strcpy(q.parameters[i].named[0].name, name);
	q.parameters[i].named[0].rule = rule;
	q.parameters[i].named[0].value = value;
}

TEST(F1_named_parameters_merge_by_their_rules)
{
	static const char *const known[] = { "x" };
	static const struct {
		uint32_t rule;
		uint64_t a, b, merged;
	} cases[] = {
		{ DMA_BUF_MERGE_MAX, 3, 5, 5 },	     { DMA_BUF_MERGE_MIN, 3, 5, 3 },
		{ DMA_BUF_MERGE_MASK_AND, 3, 6, 2 }, { DMA_BUF_MERGE_OR, 3, 4, 7 },
		{ DMA_BUF_MERGE_EQUAL, 5, 5, 5 },    { DMA_BUF_MERGE_SUM, 3, 5, 8 },
	};

	for (unsigned int n = 0; n < 6; n++) {
		ask_about(&q, MIB);
		q.request.known = known;
		q.request.known_count = 1;
		add_device(&q, "a");
		add_device(&q, "b");
		name_parameter(0, "x", cases[n].rule, cases[n].a);
		name_parameter(1, "x", cases[n].rule, cases[n].b);
		ASSERT_EQ(negotiate(&q), 1);
		ASSERT_EQ(q.answer.named_count, 1);
		ASSERT_EQ(q.answer.named[0].value, cases[n].merged);
	}
	name_parameter(0, "x", DMA_BUF_MERGE_EQUAL, 1);
	name_parameter(1, "x", DMA_BUF_MERGE_EQUAL, 2);
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflicts[0].count, 2);
	ASSERT_STR_CONTAINS(q.text, "a: x 1");
	ASSERT_STR_CONTAINS(q.text, "b: x 2");
	name_parameter(0, "x", DMA_BUF_MERGE_MASK_AND, 1);
	name_parameter(1, "x", DMA_BUF_MERGE_MASK_AND, 2);
	ASSERT_EQ(negotiate(&q), 0);
	name_parameter(1, "x", DMA_BUF_MERGE_OR, 2);
	ASSERT_ERR(negotiate(&q), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "\"x\"");
}

TEST(F1_what_a_newer_peer_says_is_refused_by_name_or_ignored_if_it_may_be)
{
	ask_about(&q, MIB);
	add_device(&q, "camera");
	name_parameter(0, "curvature", DMA_BUF_MERGE_MAX, 3);
	ASSERT_ERR(negotiate(&q), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "camera");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "\"curvature\"");
	q.parameters[0].named[0].ignorable = 1;
	ASSERT_EQ(negotiate(&q), 1);
	ASSERT_EQ(q.answer.named_count, 0);
}

/* A program built against the header from before these fields were there. */
TEST(F1_parameters_of_an_older_header_are_taken)
{
	ask_about(&q, MIB);
	add_device(&q, "camera");
	q.parameters[0].size = offsetof(struct dma_buf_device_parameters, trust_domain);
	q.parameters[0].contiguous = true;
	ASSERT_EQ(negotiate(&q), 1);
	q.parameters[0].size -= 8;
	ASSERT_ERR(negotiate(&q), EINVAL);
}

static void refused(const char *field)
{
	struct dma_buf_negotiation before;

	memset(&q.answer, 0x5a, sizeof(q.answer));
	q.answer.struct_size = sizeof(q.answer);
	before = q.answer;
	ASSERT_ERR(dma_buf_negotiate(&q.request, &q.answer), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), field);
	ASSERT(!memcmp(&before, &q.answer, sizeof(before)));
}

#define REFUSED(field, setup)                        \
	do {                                         \
		struct dma_buf_device_parameters *p; \
                                                     \
		ask_about(&q, MIB);                  \
		p = add_device(&q, "camera");        \
		setup;                               \
		(void)p;                             \
		refused(field);                      \
	} while (0)

TEST(F1_parameters_that_contradict_themselves_are_refused_by_name)
{
	REFUSED("segment_boundary_mask", p->segment_boundary_mask = 6);
	REFUSED("dma_mask", p->dma_mask = 6);
	REFUSED("address_alignment", p->address_alignment = 3);
	REFUSED("address_alignment", p->address_alignment = UINT64_C(1) << 63);
	REFUSED("length_granularity", p->length_granularity = 2; p->max_segment_size = 1);
	REFUSED("length_granularity", p->length_granularity = UINT64_MAX);
	REFUSED("preferred_segment_size", p->preferred_segment_size = 3);
	REFUSED("cpu_forbidden", p->cpu_needed = p->cpu_forbidden = true);
	REFUSED("protected_memory", p->protected_memory = true);
	REFUSED("preferred_buffers", p->min_buffers = 3; p->preferred_buffers = 2);
	REFUSED("named[].name", p->named[1].rule = DMA_BUF_MERGE_MAX);
	REFUSED("named[].name", name_parameter(0, "Upper", DMA_BUF_MERGE_MAX, 1));
	REFUSED("named[].name", memset(p->named[0].name, 'x', 24));
	REFUSED("tiling", name_parameter(0, "tiling", 99, 1));
	REFUSED("stride_alignment", name_parameter(0, "stride_alignment", DMA_BUF_MERGE_MAX, 48));
	REFUSED("stride_alignment", name_parameter(0, "stride_alignment", DMA_BUF_MERGE_MIN, 64));
	REFUSED("plane_alignment",
		name_parameter(0, "plane_alignment", DMA_BUF_MERGE_MAX, UINT64_C(1) << 40));
	REFUSED("given twice", name_parameter(0, "tiling", DMA_BUF_MERGE_MAX, 1);
		p->named[1] = p->named[0]);
}

TEST(F9_questions_that_make_no_sense_are_refused_by_name)
{
	REFUSED("size", q.request.size = 0);
	REFUSED("size", q.request.size = (UINT64_C(1) << 62) + 1);
	REFUSED("participant_count", q.request.participant_count = 0);
	REFUSED("participant_count", q.request.participant_count = 65);
	REFUSED("participant_count", q.request.participants = NULL);
	REFUSED("participant name", q.participants[0].name = NULL);
	REFUSED("participant name", q.participants[0].name = "bell\a");
	REFUSED("direction", q.participants[0].direction = DMA_NONE);
	REFUSED("heap_count", q.request.heap_count = 0);
	REFUSED("heap_count", q.request.heap_count = 17);
	REFUSED("heap", q.heaps[0].size = 8);
	REFUSED("heap name", q.heaps[0].name[0] = '\0');
	REFUSED("chunk", q.heaps[0].chunk = 3);
	REFUSED("alignment", q.heaps[0].alignment = 0);
	REFUSED("alignment", q.heaps[0].alignment = 8);
	REFUSED("granule", q.heaps[0].granule = 3);
	REFUSED("plane_count", q.request.plane_count = 1);
	REFUSED("size", q.request.planes = q.planes; q.request.plane_count = 1);
	REFUSED("bytes_per_line", q.request.planes = q.planes; q.request.plane_count = 1;
		q.request.size = 0);
	REFUSED("lines", q.request.planes = q.planes; q.request.plane_count = 1; q.request.size = 0;
		q.planes[0].bytes_per_line = 1);
	REFUSED("known", q.request.known_count = 1);
	REFUSED("request", q.request.struct_size = 0);
	ask_about(&q, MIB);
	q.answer.struct_size = 0;
	ASSERT_ERR(dma_buf_negotiate(&q.request, &q.answer), EINVAL);
	ASSERT_ERR(dma_buf_negotiate(&q.request, NULL), EINVAL);
}

/* Limits at the ends of their types neither overflow nor trap. */
TEST(F1_absurd_but_possible_limits_are_computed_with)
{
	struct dma_buf_device_parameters *p;

	ask_about(&q, UINT64_C(1) << 62);
	p = add_device(&q, "camera");
	p->max_segment_size = p->max_segment_count = UINT64_MAX;
	p->segment_boundary_mask = p->dma_mask = UINT64_MAX;
	p->min_buffers = p->preferred_buffers = UINT32_MAX;
	p->address_alignment = 4096;
	ASSERT_EQ(negotiate(&q), 1);
	p->max_segment_size = p->max_segment_count = 1;
	p->address_alignment = 0;
	p->physical = true;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(suggested(&q, DMA_BUF_NOBODY, DMA_BUF_PARAMETER_SIZE)->to, 1);
	ask_about(&q, 0);
	add_device(&q, "camera");
	q.request.planes = q.planes;
	q.request.plane_count = 2;
	for (unsigned int k = 0; k < 2; k++)
		q.planes[k] = (struct dma_buf_plane){ UINT32_MAX, UINT32_MAX };
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflicts[0].count, 0);
}

TEST(F4_sixty_four_participants_are_told_by_the_two_that_matter)
{
	char names[64][8];

	ask_about(&q, 8 * MIB);
	for (unsigned int i = 0; i < 64; i++) {
		snprintf(names[i], sizeof(names[i]), "dev%u", i);
		add_device(&q, names[i])->max_segment_size = 16 * MIB;
	}
	ASSERT_EQ(negotiate(&q), 1);
	q.parameters[17].max_segment_size = 64 * KIB;
	q.parameters[40].max_segment_count = 10;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_EQ(q.answer.conflict_count, 1);
	ASSERT_EQ(q.answer.conflicts[0].count, 2);
	ASSERT_EQ(q.answer.conflicts[0].members[0].participant, 17);
	ASSERT_EQ(q.answer.conflicts[0].members[1].participant, 40);
}

TEST(F4_an_explanation_is_cut_where_there_is_no_room_and_says_so)
{
	char text[40];

	kings_case();
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_ERR(dma_buf_explain(&q.request, &q.answer, text, sizeof(text)), ENOSPC);
	ASSERT_EQ(strlen(text), sizeof(text) - 1);
	ASSERT_ERR(dma_buf_explain(&q.request, &q.answer, text, 0), EINVAL);
	ASSERT_ERR(dma_buf_explain(&q.request, &q.answer, NULL, 1), EINVAL);
	q.answer.conflicts[0].members[0].participant = 2;
	ASSERT_ERR(dma_buf_explain(&q.request, &q.answer, text, sizeof(text)), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "does not belong");
}

TEST(F4_parameters_have_the_names_of_their_fields)
{
	ASSERT_STR_EQ(dma_buf_parameter_name(DMA_BUF_PARAMETER_CONTIGUOUS), "contiguous");
	ASSERT_STR_EQ(dma_buf_parameter_name(DMA_BUF_PARAMETER_NAMED + 1), "named");
	ASSERT_STR_EQ(dma_buf_parameter_name(UINT32_MAX), "named");
}

/* This machine's heaps: whatever they are, ordinary pages are among them. */
TEST(F9_negotiating_takes_nothing_and_needs_no_heaps_to_be_given)
{
	int fds = open_fds();

	ask_about(&q, MIB);
	q.request.heaps = NULL;
	q.request.heap_count = 0;
	q.participants[0] = (struct dma_buf_participant){ .device = dma_buf_cpu_device(),
							  .direction = DMA_BIDIRECTIONAL };
	q.request.participant_count = 1;
	ASSERT(negotiate(&q) >= 1);
	ASSERT_STR_EQ(heap_name(&q, 0), "memfd");
	ASSERT_EQ(open_fds(), fds);
	ASSERT_EQ(buffer_mappings(), 0);
}
