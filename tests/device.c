// SPDX-License-Identifier: MIT
#include <string.h>

#include <dmabuf/device.h>
#include <dmabuf/error.h>

#include "harness.h"

static struct dma_buf_device_parameters parameters(void)
{
	return (struct dma_buf_device_parameters){ .size = sizeof(
							   struct dma_buf_device_parameters) };
}

static struct dma_buf_device *create(const char *name, const struct dma_buf_device_parameters *p)
{
	struct dma_buf_device_info info = { .size = sizeof(info), .name = name, .parameters = p };

	return dma_buf_device_create(&info);
}

/* The words name the field, so that whoever wrote the driver finds it. */
static void refused(const struct dma_buf_device_parameters *p, const char *field)
{
	ASSERT_ERRNO(create("disk", p), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), field);
}

TEST(F1_a_device_keeps_its_name_and_its_parameters)
{
	struct dma_buf_device_parameters p = parameters();
	struct dma_buf_device *dev;
	int priv;
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "disk", .parameters = &p, .priv = &priv
	};

	p.max_segment_size = 65536;
	p.max_segment_count = 33;
	p.segment_boundary_mask = 0xfff;
	p.dma_mask = 0xffffffff;
	p.address_alignment = 512;
	p.length_granularity = 520;
	p.noncoherent = true;
	dev = dma_buf_device_create(&info);
	ASSERT(dev);
	ASSERT_STR_EQ(dma_buf_device_name(dev), "disk");
	ASSERT(memcmp(dma_buf_device_get_parameters(dev), &p, sizeof(p)) == 0);
	ASSERT(dma_buf_device_priv(dev) == &priv);
	dma_buf_device_put(dev);
}

#define REFUSED(field, setup)                                      \
	do {                                                       \
		struct dma_buf_device_parameters p = parameters(); \
		setup;                                             \
		refused(&p, #field);                               \
	} while (0)

TEST(F1_parameters_of_an_unknown_size_are_refused)
{
	REFUSED(size, p.size = 0);
	REFUSED(size, p.size = sizeof(p) - 1);
	REFUSED(size, p.size = SIZE_MAX);
}

/* A program built against a newer header may say more, if it says nothing that is not known here.
 */
TEST(F1_larger_parameters_are_taken_if_the_rest_is_zero)
{
	struct {
		struct dma_buf_device_parameters known;
		uint64_t newer;
	} larger = { .known = parameters() };
	struct dma_buf_device *dev;

	larger.known.size = sizeof(larger);
	larger.known.max_segment_size = 4096;
	dev = create("disk", &larger.known);
	ASSERT(dev);
	ASSERT_EQ(dma_buf_device_get_parameters(dev)->max_segment_size, 4096);
	ASSERT_EQ(dma_buf_device_get_parameters(dev)->size, sizeof(larger.known));
	dma_buf_device_put(dev);
	larger.newer = 1;
	refused(&larger.known, "older than the program");
}

TEST(F1_masks_that_are_not_masks_are_refused)
{
	REFUSED(segment_boundary_mask, p.segment_boundary_mask = 0x1000);
	REFUSED(segment_boundary_mask, p.segment_boundary_mask = 0xfffe);
	REFUSED(segment_boundary_mask, p.segment_boundary_mask = UINT64_MAX - 1);
	REFUSED(dma_mask, p.dma_mask = 0xfffffffe);
	REFUSED(dma_mask, p.dma_mask = 0x80000000);
}

TEST(F1_an_alignment_that_is_no_power_of_two_is_refused)
{
	REFUSED(address_alignment, p.address_alignment = 3);
	REFUSED(address_alignment, p.address_alignment = 768);
	REFUSED(address_alignment, p.address_alignment = UINT64_MAX);
}

TEST(F1_limits_that_no_segment_can_meet_are_refused)
{
	REFUSED(length_granularity, p.max_segment_size = 511; p.length_granularity = 512);
	REFUSED(length_granularity, p.segment_boundary_mask = 0xff; p.length_granularity = 512);
	REFUSED(address_alignment, p.max_segment_size = 2048; p.address_alignment = 4096);
	REFUSED(address_alignment, p.segment_boundary_mask = 0xfff; p.address_alignment = 8192);
	REFUSED(address_alignment, p.dma_mask = 0xfff; p.address_alignment = 4096);
}

static void accepted(const struct dma_buf_device_parameters *p)
{
	struct dma_buf_device *dev = create("disk", p);

	ASSERT(dev);
	dma_buf_device_put(dev);
}

TEST(F1_the_widest_and_the_narrowest_sensible_limits_are_accepted)
{
	struct dma_buf_device_parameters p = parameters();

	accepted(NULL);
	accepted(&p);
	p.max_segment_size = p.max_segment_count = 1;
	accepted(&p);
	p = parameters();
	p.segment_boundary_mask = p.dma_mask = UINT64_MAX;
	p.max_segment_size = p.max_segment_count = UINT64_MAX;
	accepted(&p);
	p = parameters();
	p.max_segment_size = p.address_alignment = p.length_granularity = 4096;
	p.segment_boundary_mask = 4096 * 2 - 1;
	accepted(&p);
}

TEST(F1_device_info_is_checked)
{
	struct dma_buf_device_info info = { .size = sizeof(info), .name = "disk" };

	ASSERT_ERRNO(dma_buf_device_create(NULL), EINVAL);
	info.size--;
	ASSERT_ERRNO(dma_buf_device_create(&info), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "size");
}

TEST(F1_device_names_are_checked)
{
	struct dma_buf_device *dev;

	ASSERT_ERRNO(create(NULL, NULL), EINVAL);
	ASSERT_ERRNO(create("", NULL), EINVAL);
	ASSERT_ERRNO(create("a\nb", NULL), EINVAL);
	ASSERT_ERRNO(create("a\x1b[2Jb", NULL), EINVAL);
	ASSERT_ERRNO(create("0123456789abcdef0123456789abcdef", NULL), ENAMETOOLONG);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "device name");
	dev = create("0123456789abcdef0123456789abcde", NULL);
	ASSERT(dev);
	dma_buf_device_put(dev);
}

static void count_release(void *priv)
{
	++*(int *)priv;
}

TEST(F1_release_runs_once_after_the_last_reference)
{
	int released = 0;
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "disk", .priv = &released, .release = count_release
	};
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	ASSERT(dev);
	ASSERT(dma_buf_device_get(dev) == dev);
	dma_buf_device_put(dev);
	ASSERT_EQ(released, 0);
	dma_buf_device_put(dev);
	ASSERT_EQ(released, 1);
	dma_buf_device_put(NULL);
}

TEST(F1_the_cpu_is_a_device_without_limits)
{
	const struct dma_buf_device_parameters none = parameters();
	struct dma_buf_device *cpu = dma_buf_cpu_device();

	ASSERT_STR_EQ(dma_buf_device_name(cpu), "cpu");
	ASSERT(memcmp(dma_buf_device_get_parameters(cpu), &none, sizeof(none)) == 0);
	dma_buf_device_put(cpu);
	dma_buf_device_put(cpu);
	ASSERT(dma_buf_device_get(dma_buf_cpu_device()) == cpu);
	ASSERT_STR_EQ(dma_buf_device_name(cpu), "cpu");
}
