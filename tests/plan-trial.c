// SPDX-License-Identifier: MIT
/* Plans that are tried with real memory: row F7. */
#include <dmabuf.h>

#include <sys/mman.h>
#include <sys/prctl.h>

#include "constraints-util.h"
#include "huge-pages.h"

/* This machine's heaps, not made-up ones. */
static void ask(struct question *q, uint64_t size)
{
	ask_about(q, size);
	q->request.heaps = NULL;
	q->request.heap_count = 0;
}

static void plan(struct question *q)
{
	int ret = negotiate(q);

	if (ret < 0)
		FAIL("%s", dmabuf_last_error());
	if (!ret)
		FAIL("no plan: %s", q->text);
}

static void try_or_skip(struct question *q)
{
	int err = dma_buf_test_plan(&q->request, &q->answer);

	if (err == -EPERM)
		SKIP("%s", dmabuf_last_error());
	if (err)
		FAIL("%s", dmabuf_last_error());
}

TEST(F7_a_plan_is_tried_with_memory_of_the_heap_that_it_names)
{
	struct question *q = calloc(1, sizeof(*q));
	struct dma_buf_device_parameters *p;
	int before = open_fds();

	ask(q, MIB + 5);
	add_device(q, "gpu")->max_segment_size = 64 * KIB;
	plan(q);
	ASSERT_OK(dma_buf_test_plan(&q->request, &q->answer));
	ASSERT_EQ(open_fds(), before);
	p = add_device(q, "crypto");
	p->physical = true;
	p->max_segment_count = 300;
	plan(q);
	try_or_skip(q);
	ASSERT_EQ(open_fds(), before);
	free(q);
}

TEST(F7_contiguous_for_the_display_and_anything_for_the_gpu_on_real_huge_pages)
{
	struct question *q = calloc(1, sizeof(*q));
	struct dma_buf_device_parameters *p;
	struct huge_pages huge;

	huge_pages_begin(&huge, 1);
	ask(q, 2 * MIB);
	p = add_device(q, "display");
	p->contiguous = p->physical = true;
	p->max_segment_size = MIB;
	add_device(q, "gpu");
	ASSERT(negotiate(q) >= 0);
	if (!q->answer.alternative_count)
		SKIP("no huge pages: %s", q->text);
	ASSERT_STR_EQ(heap_name(q, 0), "hugetlb");
	ASSERT_EQ(q->answer.participants[0].segments, 2);
	try_or_skip(q);
	huge_pages_end(&huge);
	free(q);
}

static int says_one_piece(struct dma_buf_heap_info *info, void *priv)
{
	info->alignment = info->granule = 4096;
	info->cost = 1;
	info->page_backed = info->cpu_mappable = info->available = true;
	return 0;
}

static int gives_pages(uint64_t size, void *priv)
{
	int fd = memfd_create("liar", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		return fd;
	return -errno;
}

TEST(F7_a_heap_that_is_not_what_it_said_is_found_out_by_the_device_that_minds)
{
	struct dma_buf_heap_ops heap = { .size = sizeof(heap),
					 .name = "liar",
					 .describe = says_one_piece,
					 .alloc = gives_pages };
	struct question *q = calloc(1, sizeof(*q));
	struct dma_buf_device_parameters *p;
	int err;

	ASSERT_OK(dma_buf_register_heap(&heap));
	ask(q, 8 * MIB);
	add_device(q, "gpu");
	p = add_device(q, "display");
	p->physical = true;
	p->max_segment_count = 4;
	plan(q);
	ASSERT_STR_EQ(heap_name(q, 0), "liar");
	err = dma_buf_test_plan(&q->request, &q->answer);
	if (err == -EPERM)
		SKIP("%s", dmabuf_last_error());
	ASSERT_EQ(err, -E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "the plan does not work for display: ");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "segments, the device takes 4");
	p->max_segment_count = 0;
	p->contiguous = true;
	plan(q);
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "pieces, the device needs it in one");
	p->contiguous = false;
	plan(q);
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), E2BIG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "segments, the plan says at most 1");
	ASSERT_OK(dma_buf_unregister_heap("liar"));
	free(q);
}

static struct {
	int answer, mapped, unmapped;
	unsigned int nents;
} translator;

static int translate(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		     enum dma_data_direction direction)
{
	translator.mapped++;
	translator.nents = table->nents;
	return translator.answer;
}

static void forget(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		   enum dma_data_direction direction)
{
	translator.unmapped++;
}

TEST(F7_a_device_takes_part_in_trying_a_plan)
{
	static const struct dma_buf_map_ops ops = { .map_sg = translate, .unmap_sg = forget };
	struct dma_buf_device_parameters p = { .size = sizeof(p), .max_segment_size = 4096 };
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "iommu0", .parameters = &p, .ops = &ops
	};
	struct question *q = calloc(1, sizeof(*q));

	ask(q, 64 * KIB);
	add_device(q, "gpu")->max_segment_size = 1024;
	add_device(q, "");
	q->participants[1].device = dma_buf_device_create(&info);
	plan(q);
	ASSERT_OK(dma_buf_test_plan(&q->request, &q->answer));
	ASSERT_EQ(translator.mapped, 1);
	ASSERT_EQ(translator.unmapped, 1);
	/* Limits are merged, unless each has its own table. */
	ASSERT_EQ(translator.nents, 64);
	q->request.own_tables = true;
	plan(q);
	ASSERT_OK(dma_buf_test_plan(&q->request, &q->answer));
	ASSERT_EQ(translator.nents, 16);
	translator.answer = -EIO;
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), EIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "the plan does not work for iommu0: Input");
	ASSERT_EQ(translator.unmapped, 2);
	dma_buf_device_put(q->participants[1].device);
	free(q);
}

TEST(F7_what_is_no_plan_cannot_be_tried)
{
	struct question *q = calloc(1, sizeof(*q));

	ask(q, 4096);
	add_device(q, "gpu");
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), EINVAL);
	ASSERT_ERR(dma_buf_test_plan(&q->request, NULL), EINVAL);
	plan(q);
	ASSERT_ERR(dma_buf_test_plan(NULL, &q->answer), EINVAL);
	q->answer.size = 4097;
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), EINVAL);
	q->answer.size = 4096;
	q->answer.alternatives[0].heap = 77;
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), EINVAL);
	q->answer.struct_size--;
	ASSERT_ERR(dma_buf_test_plan(&q->request, &q->answer), EINVAL);
	free(q);
}
