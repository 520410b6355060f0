// SPDX-License-Identifier: MIT
#include "queue-format.h"

#include <stddef.h>

#define FOURCC(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* A plane's line has ceil(width / @x) times @bytes, and it has ceil(height / @y) lines. */
struct plane_shape {
	uint8_t x;
	uint8_t y;
	uint8_t bytes;
};

struct shape {
	uint32_t fourcc;
	uint32_t planes;
	struct plane_shape plane[3];
};

static const struct shape shapes[] = {
	{ FOURCC('N', 'V', '1', '2'), 2, { { 1, 1, 1 }, { 2, 2, 2 } } },
	{ FOURCC('N', 'V', '2', '1'), 2, { { 1, 1, 1 }, { 2, 2, 2 } } },
	{ FOURCC('N', 'V', '1', '6'), 2, { { 1, 1, 1 }, { 2, 1, 2 } } },
	{ FOURCC('P', '0', '1', '0'), 2, { { 1, 1, 2 }, { 2, 2, 4 } } },
	{ FOURCC('Y', 'U', '1', '2'), 3, { { 1, 1, 1 }, { 2, 2, 1 }, { 2, 2, 1 } } },
	{ FOURCC('Y', 'V', '1', '2'), 3, { { 1, 1, 1 }, { 2, 2, 1 }, { 2, 2, 1 } } },
	{ FOURCC('Y', 'U', 'Y', 'V'), 1, { { 2, 1, 4 } } },
	{ FOURCC('U', 'Y', 'V', 'Y'), 1, { { 2, 1, 4 } } },
	{ FOURCC('Y', 'V', 'Y', 'U'), 1, { { 2, 1, 4 } } },
	{ FOURCC('V', 'Y', 'U', 'Y'), 1, { { 2, 1, 4 } } },
	{ FOURCC('R', 'G', '2', '4'), 1, { { 1, 1, 3 } } },
	{ FOURCC('B', 'G', '2', '4'), 1, { { 1, 1, 3 } } },
	{ FOURCC('X', 'R', '2', '4'), 1, { { 1, 1, 4 } } },
	{ FOURCC('A', 'R', '2', '4'), 1, { { 1, 1, 4 } } },
	{ FOURCC('X', 'B', '2', '4'), 1, { { 1, 1, 4 } } },
	{ FOURCC('A', 'B', '2', '4'), 1, { { 1, 1, 4 } } },
	{ FOURCC('R', '8', ' ', ' '), 1, { { 1, 1, 1 } } },
};

static const struct shape *find(const struct dmabuf_frame *frame)
{
	/* Another layout than line by line is the driver's affair. */
	if (frame->modifier)
		return NULL;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].fourcc == frame->fourcc)
			return &shapes[i];
	return NULL;
}

static const char *check_plane(const struct dmabuf_frame *frame, const struct plane_shape *shape,
			       const struct dmabuf_frame_plane *plane, uint64_t size)
{
	uint64_t line =
		(uint64_t)(frame->width / shape->x + !!(frame->width % shape->x)) * shape->bytes;
	uint64_t lines = frame->height / shape->y + !!(frame->height % shape->y);

	if (plane->stride < line)
		return "a stride is shorter than a line";
	if (plane->offset > size || (lines - 1) * plane->stride + line > size - plane->offset)
		return "a plane reaches beyond the buffer";
	return NULL;
}

const char *queue_format_check(const struct dmabuf_frame *frame, uint64_t size)
{
	const struct shape *shape = find(frame);
	const char *wrong = NULL;

	if (frame->plane_count > DMABUF_FRAME_MAX_PLANES)
		return "it has more than 4 planes";
	if (frame->plane_count && (!frame->width || !frame->height))
		return "it has planes, but no width or height";
	if (shape && frame->plane_count != shape->planes)
		return "its format has another number of planes";
	for (uint32_t i = 0; i < frame->plane_count && !wrong; i++) {
		const struct dmabuf_frame_plane *plane = &frame->planes[i];

		if (shape)
			wrong = check_plane(frame, &shape->plane[i], plane, size);
		else if (plane->offset > size || plane->stride > size - plane->offset)
			wrong = "a plane reaches beyond the buffer";
	}
	return wrong;
}
