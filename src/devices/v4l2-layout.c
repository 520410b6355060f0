// SPDX-License-Identifier: MIT
/* Pixel formats: the kernel's V4L2 names, the frames' (DRM's) names, and where planes are. */
#include "v4l2.h"

#include <stddef.h>
#include <stdio.h>

#define CODE(a, b, c, d) v4l2_fourcc(a, b, c, d)

#define LUMA(bytes)         \
	{                   \
		1, 1, bytes \
	}

/* Of several with one fourcc the first is tried first. */
static const struct v4l2_pixels table[] = {
	{ V4L2_PIX_FMT_NV12, CODE('N', 'V', '1', '2'), 2, 1, { LUMA(1), { 2, 2, 2 } } },
	{ V4L2_PIX_FMT_NV12M, CODE('N', 'V', '1', '2'), 2, 2, { LUMA(1), { 2, 2, 2 } } },
	{ V4L2_PIX_FMT_NV21, CODE('N', 'V', '2', '1'), 2, 1, { LUMA(1), { 2, 2, 2 } } },
	{ V4L2_PIX_FMT_NV21M, CODE('N', 'V', '2', '1'), 2, 2, { LUMA(1), { 2, 2, 2 } } },
	{ V4L2_PIX_FMT_NV16, CODE('N', 'V', '1', '6'), 2, 1, { LUMA(1), { 2, 1, 2 } } },
	{ V4L2_PIX_FMT_NV16M, CODE('N', 'V', '1', '6'), 2, 2, { LUMA(1), { 2, 1, 2 } } },
	{ V4L2_PIX_FMT_NV61, CODE('N', 'V', '6', '1'), 2, 1, { LUMA(1), { 2, 1, 2 } } },
	{ V4L2_PIX_FMT_NV61M, CODE('N', 'V', '6', '1'), 2, 2, { LUMA(1), { 2, 1, 2 } } },
	{ V4L2_PIX_FMT_NV24, CODE('N', 'V', '2', '4'), 2, 1, { LUMA(1), { 1, 1, 2 } } },
	{ V4L2_PIX_FMT_NV42, CODE('N', 'V', '4', '2'), 2, 1, { LUMA(1), { 1, 1, 2 } } },
	{ V4L2_PIX_FMT_P010, CODE('P', '0', '1', '0'), 2, 1, { LUMA(2), { 2, 2, 4 } } },
	{ V4L2_PIX_FMT_YUV420,
	  CODE('Y', 'U', '1', '2'),
	  3,
	  1,
	  { LUMA(1), { 2, 2, 1 }, { 2, 2, 1 } } },
	{ V4L2_PIX_FMT_YUV420M,
	  CODE('Y', 'U', '1', '2'),
	  3,
	  3,
	  { LUMA(1), { 2, 2, 1 }, { 2, 2, 1 } } },
	{ V4L2_PIX_FMT_YVU420,
	  CODE('Y', 'V', '1', '2'),
	  3,
	  1,
	  { LUMA(1), { 2, 2, 1 }, { 2, 2, 1 } } },
	{ V4L2_PIX_FMT_YVU420M,
	  CODE('Y', 'V', '1', '2'),
	  3,
	  3,
	  { LUMA(1), { 2, 2, 1 }, { 2, 2, 1 } } },
	{ V4L2_PIX_FMT_YUV422P,
	  CODE('Y', 'U', '1', '6'),
	  3,
	  1,
	  { LUMA(1), { 2, 1, 1 }, { 2, 1, 1 } } },
	{ V4L2_PIX_FMT_YUYV, CODE('Y', 'U', 'Y', 'V'), 1, 1, { { 2, 1, 4 } } },
	{ V4L2_PIX_FMT_UYVY, CODE('U', 'Y', 'V', 'Y'), 1, 1, { { 2, 1, 4 } } },
	{ V4L2_PIX_FMT_YVYU, CODE('Y', 'V', 'Y', 'U'), 1, 1, { { 2, 1, 4 } } },
	{ V4L2_PIX_FMT_VYUY, CODE('V', 'Y', 'U', 'Y'), 1, 1, { { 2, 1, 4 } } },
	/* DRM's names are of little endian words, V4L2's of bytes in memory. */
	{ V4L2_PIX_FMT_RGB24, CODE('B', 'G', '2', '4'), 1, 1, { LUMA(3) } },
	{ V4L2_PIX_FMT_BGR24, CODE('R', 'G', '2', '4'), 1, 1, { LUMA(3) } },
	{ V4L2_PIX_FMT_XBGR32, CODE('X', 'R', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_ABGR32, CODE('A', 'R', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_RGBX32, CODE('X', 'B', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_RGBA32, CODE('A', 'B', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_XRGB32, CODE('B', 'X', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_ARGB32, CODE('B', 'A', '2', '4'), 1, 1, { LUMA(4) } },
	{ V4L2_PIX_FMT_RGB565, CODE('R', 'G', '1', '6'), 1, 1, { LUMA(2) } },
	{ V4L2_PIX_FMT_GREY, CODE('R', '8', ' ', ' '), 1, 1, { LUMA(1) } },
	{ V4L2_PIX_FMT_Y16, CODE('R', '1', '6', ' '), 1, 1, { LUMA(2) } },
};

#define ENTRIES (sizeof(table) / sizeof(table[0]))

const struct v4l2_pixels *v4l2_pixels_of(uint32_t fourcc, unsigned int index)
{
	for (const struct v4l2_pixels *p = table; p < table + ENTRIES; p++)
		if (p->fourcc == fourcc && !index--)
			return p;
	return NULL;
}

const struct v4l2_pixels *v4l2_pixels_find(uint32_t pixelformat)
{
	for (const struct v4l2_pixels *p = table; p < table + ENTRIES; p++)
		if (p->pixelformat == pixelformat)
			return p;
	return NULL;
}

void v4l2_fourcc_text(uint32_t fourcc, char text[16])
{
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)(fourcc >> 8 * i & 0xff);

		if (c <= ' ' && !(i && c == ' '))
			c = 0x7f;
		if (c >= 0x7f) {
			snprintf(text, 16, "0x%08x", fourcc);
			return;
		}
		text[i] = (char)c;
	}
	text[4] = '\0';
	for (int i = 3; i > 0 && text[i] == ' '; i--)
		text[i] = '\0';
}

uint64_t v4l2_aligned(uint64_t bytes)
{
	return (bytes + V4L2_PLANE_ALIGNMENT - 1) / V4L2_PLANE_ALIGNMENT * V4L2_PLANE_ALIGNMENT;
}

static uint64_t parts(uint32_t whole, uint32_t part)
{
	return whole / part + !!(whole % part);
}

/* One plane after the other in a single piece of memory, strides in step with the first one's. */
static uint64_t stride_of(const struct v4l2_pixels *p, const struct v4l2_answer *a, uint32_t plane)
{
	if (p->memory_planes > 1)
		return a->memory[plane].stride;
	return (uint64_t)a->memory[0].stride * p->plane[plane].bytes * p->plane[0].x /
	       ((uint64_t)p->plane[plane].x * p->plane[0].bytes);
}

static const char *lay_out_planes(const struct v4l2_pixels *p, const struct v4l2_answer *a,
				  struct dma_buf_v4l2_format *f)
{
	uint64_t start = 0, offset = 0;

	for (uint32_t i = 0; i < p->planes; i++) {
		uint32_t memory = p->memory_planes > 1 ? i : 0;
		uint64_t stride = stride_of(p, a, i);
		uint64_t line = parts(a->width, p->plane[i].x) * p->plane[i].bytes;
		uint64_t bytes = (parts(a->height, p->plane[i].y) - 1) * stride + line;

		if (stride < line || stride > UINT32_MAX)
			return "a stride is shorter than a line";
		if (p->memory_planes > 1)
			offset = 0;
		if (offset + bytes > a->memory[memory].size)
			return "a plane is larger than its buffer";
		f->planes[i] =
			(struct dmabuf_frame_plane){ (uint32_t)(start + offset), (uint32_t)stride };
		offset += parts(a->height, p->plane[i].y) * stride;
		if (p->memory_planes > 1)
			start += v4l2_aligned(a->memory[i].size);
		if (start + offset > UINT32_MAX)
			return "a frame of 4 GiB or more";
	}
	f->buffer_size = p->memory_planes > 1 ? start : a->memory[0].size;
	return NULL;
}

const char *v4l2_layout(const struct v4l2_answer *a, struct dma_buf_v4l2_format *format)
{
	const struct v4l2_pixels *p = v4l2_pixels_find(a->pixelformat);
	struct dma_buf_v4l2_format f = { .size = sizeof(f),
					 .pixelformat = a->pixelformat,
					 .width = a->width,
					 .height = a->height,
					 .memory_planes = a->memory_planes };
	const char *wrong;

	if (!a->width || !a->height || a->width > V4L2_MAX_SIDE || a->height > V4L2_MAX_SIDE)
		return "width or height is out of range";
	if (a->memory_planes != (p ? p->memory_planes : 1))
		return "the number of planes is not this pixel format's";
	for (uint32_t i = 0; i < a->memory_planes; i++)
		if (!a->memory[i].size)
			return "a plane has no size";
	f.fourcc = p ? p->fourcc : a->pixelformat;
	f.plane_count = p ? p->planes : 1;
	f.buffer_size = a->memory[0].size;
	if (!p && a->memory[0].stride <= a->memory[0].size)
		f.planes[0].stride = a->memory[0].stride;
	wrong = p ? lay_out_planes(p, a, &f) : NULL;
	if (!wrong)
		*format = f;
	return wrong;
}
