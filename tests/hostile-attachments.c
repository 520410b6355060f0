// SPDX-License-Identifier: MIT
/*
 * What other processes say of their devices, when they say anything: rows F1 to F4 against those
 * who share the buffer and write what they like.
 */
#include <dmabuf.h>

#include "forged.h"
#include "harness.h"

#define MIB (1024u * 1024)

static struct dma_buf_device *device(const char *name, uint64_t size, uint64_t count, bool shy)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p),
					       .max_segment_size = size,
					       .max_segment_count = count,
					       .noncoherent = shy };
	struct dma_buf_device_info info = { .size = sizeof(info), .name = name, .parameters = &p };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	ASSERT(dev);
	return dev;
}

struct rig {
	struct dma_buf *dmabuf;
	struct dma_buf_device *few, *small;
	struct forged f;
	struct shm_attachment *entry; /* of few */
};

static void rig_open(struct rig *r)
{
	r->dmabuf = dma_buf_alloc("x", MIB, O_RDWR);
	r->few = device("few", 0, 4, false);
	r->small = device("small", 4096, 0, false);
	ASSERT(dma_buf_attach(r->dmabuf, r->few));
	ASSERT(!dma_buf_attach(r->dmabuf, r->small));
	forged_view(&r->f, r->dmabuf);
	r->entry = &r->f.attachments[0];
}

static void rig_close(struct rig *r)
{
	forged_free(&r->f);
	dma_buf_put(r->dmabuf);
	dma_buf_device_put(r->few);
	dma_buf_device_put(r->small);
}

static struct dma_buf_attachment_info seen(const struct rig *r)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };

	ASSERT_OK(dma_buf_get_info(r->f.fd, &info));
	ASSERT_EQ(info.attachment_count, 1);
	return info.attachments[0];
}

TEST(F2_parameters_that_make_no_sense_are_shown_as_such_and_do_not_count)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	struct dma_buf_attachment_info a;
	struct rig r;

	rig_open(&r);
	r.entry->parameters.dma_mask = 5;
	a = seen(&r);
	ASSERT(!a.known);
	ASSERT_EQ(a.parameters.max_segment_count, 0);
	ASSERT_EQ(a.parameters.dma_mask, 0);
	ASSERT_OK(dma_buf_recalc_constraints(r.dmabuf, &p));
	ASSERT_EQ(p.max_segment_count, 0);
	ASSERT(dma_buf_attach(r.dmabuf, r.small));
	rig_close(&r);
}

TEST(F2_a_use_that_there_is_not_does_not_count)
{
	struct rig r;

	rig_open(&r);
	r.entry->usage = 77;
	ASSERT_EQ(seen(&r).usage, DMA_NONE);
	ASSERT(dma_buf_attach(r.dmabuf, r.small));
	rig_close(&r);
}

TEST(F4_names_of_peers_devices_and_parameters_reach_nobody_with_escapes)
{
	struct dma_buf_attach_report report = { .struct_size = sizeof(report) };
	struct rig r;

	rig_open(&r);
	memset(r.entry->device, '\033', sizeof(r.entry->device));
	ASSERT(!dma_buf_attach(r.dmabuf, r.small));
	check_text(dmabuf_last_error(), 4096);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "?: max_segment_count 4");
	ASSERT_EQ(dma_buf_explain_attach(r.dmabuf, r.small, DMA_TO_DEVICE, &report), 0);
	check_text(report.participants[0].name, sizeof(report.participants[0].name));
	ASSERT(!strchr(report.text, '\033'));
	memset(r.entry->parameters.named[0].name, '\033', DMA_BUF_PARAMETER_NAME_LEN);
	r.entry->parameters.named[0].rule = DMA_BUF_MERGE_EQUAL;
	ASSERT(!seen(&r).known);
	ASSERT(dma_buf_attach(r.dmabuf, r.small));
	rig_close(&r);
}

TEST(F1_a_newer_peers_parameter_is_refused_by_name_or_ignored_if_it_may_be)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	struct rig r;

	rig_open(&r);
	r.entry->parameters.max_segment_count = 0;
	strcpy(r.entry->parameters.named[0].name, "tiling");
	r.entry->parameters.named[0].rule = DMA_BUF_MERGE_EQUAL;
	errno = 0;
	ASSERT(!dma_buf_attach(r.dmabuf, r.small));
	ASSERT_EQ(errno, EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "device few: parameter \"tiling\"");
	ASSERT_ERR(dma_buf_get_constraints(r.dmabuf, &p), EOPNOTSUPP);
	/* Who needs nothing is not asked about. */
	ASSERT(dma_buf_attach(r.dmabuf, dma_buf_cpu_device()));
	r.entry->parameters.named[0].ignorable = 1;
	ASSERT(dma_buf_attach(r.dmabuf, r.small));
	rig_close(&r);
}

TEST(F2_what_cannot_have_been_attached_together_is_told)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	struct rig r;

	rig_open(&r);
	r.entry->parameters.max_segment_size = 4096;
	ASSERT_OK(dma_buf_get_constraints(r.dmabuf, &p));
	ASSERT_EQ(p.max_segment_size, 4096);
	p.max_segment_size = 77;
	ASSERT_ERR(dma_buf_recalc_constraints(r.dmabuf, &p), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "the attached devices do not go together");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "few: max_segment_count 4");
	ASSERT_EQ(p.max_segment_size, 77);
	rig_close(&r);
}

TEST(F2_nobody_keeps_track_of_caches_for_a_device_that_was_refused)
{
	struct dma_buf_device *shy = device("shy", 4096, 0, true);
	struct rig r;

	rig_open(&r);
	ASSERT(!dma_buf_attach(r.dmabuf, shy));
	ASSERT_EQ(r.f.header->tracked, 0);
	r.entry->parameters.max_segment_count = 0;
	ASSERT(dma_buf_attach(r.dmabuf, shy));
	ASSERT_EQ(r.f.header->tracked, SHM_TRACKED);
	rig_close(&r);
	dma_buf_device_put(shy);
}

static uint64_t random_state = 1;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* One word of one entry, often such that the entry still makes sense. */
static void scribble(const struct forged *f)
{
	uint64_t r = next_random(), value = next_random() >> (next_random() % 64);
	unsigned int words = sizeof(struct shm_attachment) / 8, i = (unsigned int)(r % 6);
	uint64_t *entry = (uint64_t *)(void *)&f->attachments[i];

	if (r & 1 << 20)
		value = (UINT64_C(1) << (value % 64)) - (r >> 21 & 1);
	/* The owner stays: else it would mostly be nobody's. */
	entry[1 + (r >> 32) % (words - 1)] = value;
}

TEST_TIMEOUT(F2_random_entries_are_survived, 300)
{
	static struct dma_buf_attach_report report = { .struct_size = sizeof(report) };
	struct dma_buf_device_parameters p = { .size = sizeof(p) };
	struct dma_buf_attachment *attach;
	unsigned int fits = 0, refused = 0;
	struct rig r;
	int ret;

	rig_open(&r);
	for (int i = 0; i < 5; i++)
		ASSERT(dma_buf_attach(r.dmabuf, dma_buf_cpu_device()));
	for (int i = 0; i < 20000; i++) {
		if (i % 64 == 0)
			for (int k = 0; k < 6; k++)
				memset(&r.f.attachments[k].usage, 0,
				       sizeof(struct shm_attachment) -
					       offsetof(struct shm_attachment, usage));
		scribble(&r.f);
		attach = dma_buf_attach(r.dmabuf, i % 2 ? r.small : r.few);
		HOSTILE_CHECK(attach || sane(errno));
		fits += attach != NULL;
		refused += attach == NULL;
		if (!attach)
			check_text(dmabuf_last_error(), 4096);
		if (attach)
			dma_buf_detach(r.dmabuf, attach);
		ret = dma_buf_get_constraints(r.dmabuf, &p);
		HOSTILE_CHECK(ret == 0 || sane(-ret));
		ret = dma_buf_recalc_constraints(r.dmabuf, &p);
		HOSTILE_CHECK(ret == 0 || sane(-ret));
		if (i % 16)
			continue;
		ret = dma_buf_explain_attach(r.dmabuf, r.small, DMA_BIDIRECTIONAL, &report);
		HOSTILE_CHECK(ret >= 0 || sane(-ret));
		check_info(r.f.fd);
	}
	ASSERT(fits > 100);
	ASSERT(refused > 100);
	rig_close(&r);
}
