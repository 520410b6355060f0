// SPDX-License-Identifier: MIT
/* Planes from what drivers say, and needs from what sysfs says (mission row H1). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/v4l2.h"
#include "harness/harness.h"

static const char *lay_out(uint32_t pixelformat, uint32_t width, uint32_t height, uint32_t stride,
			   uint32_t size, struct dma_buf_v4l2_format *format)
{
	struct v4l2_answer a = { .pixelformat = pixelformat,
				 .width = width,
				 .height = height,
				 .memory_planes = 1,
				 .memory = { { stride, size } } };

	return v4l2_layout(&a, format);
}

static const struct {
	uint32_t pixelformat, fourcc;
	uint32_t stride, size; /* of 64 by 48 */
	uint32_t planes;
	struct dmabuf_frame_plane plane[3];
} layouts[] = {
	{ V4L2_PIX_FMT_NV12,
	  v4l2_fourcc('N', 'V', '1', '2'),
	  64,
	  4608,
	  2,
	  { { 0, 64 }, { 3072, 64 } } },
	{ V4L2_PIX_FMT_NV16,
	  v4l2_fourcc('N', 'V', '1', '6'),
	  64,
	  6144,
	  2,
	  { { 0, 64 }, { 3072, 64 } } },
	{ V4L2_PIX_FMT_NV24,
	  v4l2_fourcc('N', 'V', '2', '4'),
	  64,
	  9216,
	  2,
	  { { 0, 64 }, { 3072, 128 } } },
	{ V4L2_PIX_FMT_P010,
	  v4l2_fourcc('P', '0', '1', '0'),
	  128,
	  9216,
	  2,
	  { { 0, 128 }, { 6144, 128 } } },
	{ V4L2_PIX_FMT_YUV420,
	  v4l2_fourcc('Y', 'U', '1', '2'),
	  80,
	  5760,
	  3,
	  { { 0, 80 }, { 3840, 40 }, { 4800, 40 } } },
	{ V4L2_PIX_FMT_YUV422P,
	  v4l2_fourcc('Y', 'U', '1', '6'),
	  64,
	  6144,
	  3,
	  { { 0, 64 }, { 3072, 32 }, { 4608, 32 } } },
	{ V4L2_PIX_FMT_YUYV, v4l2_fourcc('Y', 'U', 'Y', 'V'), 128, 6144, 1, { { 0, 128 } } },
	{ V4L2_PIX_FMT_RGB24, v4l2_fourcc('B', 'G', '2', '4'), 192, 9216, 1, { { 0, 192 } } },
	{ V4L2_PIX_FMT_XBGR32, v4l2_fourcc('X', 'R', '2', '4'), 256, 12288, 1, { { 0, 256 } } },
	{ V4L2_PIX_FMT_GREY, v4l2_fourcc('R', '8', ' ', ' '), 64, 3072, 1, { { 0, 64 } } },
	{ V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_MJPEG, 0, 5000, 1, { { 0, 0 } } },
};

TEST(H1_planes_are_where_the_pixel_format_says)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct dma_buf_v4l2_format f;

		ASSERT(!lay_out(layouts[i].pixelformat, 64, 48, layouts[i].stride, layouts[i].size,
				&f));
		ASSERT_EQ(f.fourcc, layouts[i].fourcc);
		ASSERT_EQ(f.buffer_size, layouts[i].size);
		ASSERT_EQ(f.plane_count, layouts[i].planes);
		for (uint32_t p = 0; p < f.plane_count; p++) {
			ASSERT_EQ(f.planes[p].offset, layouts[i].plane[p].offset);
			ASSERT_EQ(f.planes[p].stride, layouts[i].plane[p].stride);
		}
	}
}

TEST(H1_odd_sizes_round_up_where_chroma_is_shared)
{
	struct dma_buf_v4l2_format f;

	/* 33 by 7: chroma of 17 by 4, in lines of 34. */
	ASSERT(!lay_out(V4L2_PIX_FMT_NV12, 33, 7, 34, 34 * 11, &f));
	ASSERT_EQ(f.planes[1].offset, 34 * 7);
	ASSERT_STR_EQ(lay_out(V4L2_PIX_FMT_NV12, 33, 7, 34, 34 * 11 - 1, &f),
		      "a plane is larger than its buffer");
	ASSERT_STR_EQ(lay_out(V4L2_PIX_FMT_NV12, 33, 7, 33, 34 * 11, &f),
		      "a stride is shorter than a line");
}

TEST(H1_answers_out_of_range_have_no_layout)
{
	struct dma_buf_v4l2_format f = { .width = 77 };
	struct v4l2_answer a = { .pixelformat = V4L2_PIX_FMT_NV12M,
				 .width = 64,
				 .height = 48,
				 .memory_planes = 1,
				 .memory = { { 64, 3072 } } };

	ASSERT(v4l2_layout(&a, &f));
	ASSERT(lay_out(V4L2_PIX_FMT_GREY, 0, 48, 64, 3072, &f));
	ASSERT(lay_out(V4L2_PIX_FMT_GREY, 64, 0, 64, 3072, &f));
	ASSERT(lay_out(V4L2_PIX_FMT_GREY, 65537, 1, 65537, 65537, &f));
	ASSERT(lay_out(V4L2_PIX_FMT_GREY, 64, 48, 64, 0, &f));
	ASSERT(lay_out(V4L2_PIX_FMT_GREY, 65536, 65536, 0xffffffff, 0xffffffff, &f));
	ASSERT_EQ(f.width, 77);
	a.memory_planes = 2;
	a.memory[1].stride = 64;
	a.memory[1].size = 1536;
	ASSERT(!v4l2_layout(&a, &f));
	ASSERT_EQ(f.planes[1].offset, 65536);
	ASSERT_EQ(f.buffer_size, 131072);
}

TEST(H1_pixel_formats_have_one_entry_and_their_fourcc_finds_it)
{
	const struct v4l2_pixels *p;

	p = v4l2_pixels_of(v4l2_fourcc('N', 'V', '1', '2'), 0);
	ASSERT_EQ(p->pixelformat, V4L2_PIX_FMT_NV12);
	p = v4l2_pixels_of(v4l2_fourcc('N', 'V', '1', '2'), 1);
	ASSERT_EQ(p->memory_planes, 2);
	ASSERT(!v4l2_pixels_of(v4l2_fourcc('N', 'V', '1', '2'), 2));
	ASSERT(!v4l2_pixels_find(V4L2_PIX_FMT_MJPEG));
}

TEST(H1_a_fourcc_that_is_no_text_is_shown_as_a_number)
{
	char text[16];

	v4l2_fourcc_text(v4l2_fourcc('R', '8', ' ', ' '), text);
	ASSERT_STR_EQ(text, "R8");
	v4l2_fourcc_text(0x80000001, text);
	ASSERT_STR_EQ(text, "0x80000001");
	v4l2_fourcc_text(0, text);
	ASSERT_STR_EQ(text, "0x00000000");
}

static char root[64];

/* A file, or with NULL a directory, below a sysfs of our own. */
static void put(const char *path, const char *text)
{
	char full[256], *slash;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	if (!text) {
		ASSERT_OK(mkdir(full, 0700));
		return;
	}
	fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_OK(fd);
	ASSERT_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static struct dma_buf_device_parameters needs_of(const char *driver, const char *bus)
{
	struct v4l2_device v = { 0 };
	struct dma_buf_device_parameters p;

	snprintf(v.driver, sizeof(v.driver), "%s", driver);
	snprintf(v.bus, sizeof(v.bus), "%s", bus);
	v4l2_parameters(&v, makedev(81, 3), root, &p);
	return p;
}

TEST(H1_what_a_video_device_needs_is_known_of_its_driver_or_its_module)
{
	char command[128];

	snprintf(root, sizeof(root), "%s", "/tmp/dmabuf-sysfs-XXXXXX");
	ASSERT(mkdtemp(root));
	ASSERT(needs_of("uvcvideo", "usb-1").cpu_needed);
	ASSERT(!needs_of("vivid", "platform:vivid-001").contiguous);
	put("module/vivid/parameters/allocators", "0,1,0\n");
	ASSERT(!needs_of("vivid", "platform:vivid-000").contiguous);
	ASSERT(needs_of("vivid", "platform:vivid-001").contiguous);
	ASSERT(!needs_of("vivid", "platform:vivid-001").cpu_needed);
	ASSERT(!needs_of("vivid", "platform:vivid-007").contiguous);
	ASSERT(needs_of("unicam", "platform:x").contiguous);
	ASSERT(!needs_of("something", "platform:x").contiguous);
	ASSERT_EQ(needs_of("something", "PCI:0000").dma_mask, 0);
	put("dev/char/81:3/device/dma_mask_bits", "32\n");
	ASSERT_EQ(needs_of("something", "PCI:0000").dma_mask, 0xffffffff);
	put("dev/char/81:3/device/iommu_group", NULL);
	ASSERT(!needs_of("unicam", "platform:x").contiguous);
	snprintf(command, sizeof(command), "rm -r %s", root);
	ASSERT_EQ(system(command), 0);
}
