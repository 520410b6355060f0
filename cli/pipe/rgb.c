// SPDX-License-Identifier: MIT
#include "rgb.h"

#include <stddef.h>

#define FOURCC(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* Where a format keeps the bytes of a pixel. */
struct layout {
	uint32_t fourcc;
	uint32_t planes;
	uint8_t bytes;	    /* of a pixel; 0: luma and chroma */
	uint8_t r, g, b;    /* in the pixel */
	uint8_t u, v;	    /* planes of U and V */
	uint8_t u_at, v_at; /* in the pair, where both are in one plane */
	uint8_t lines;	    /* of luma for one of chroma */
	uint8_t step;	    /* from one U to the next */
	uint8_t y_at;	    /* of the first luma in its line */
	uint8_t y_step;	    /* from one luma to the next; 0: 1 */
};

static const struct layout layouts[] = {
	{ FOURCC('N', 'V', '1', '2'), 2, 0, 0, 0, 0, 1, 1, 0, 1, 2, 2 },
	{ FOURCC('N', 'V', '2', '1'), 2, 0, 0, 0, 0, 1, 1, 1, 0, 2, 2 },
	{ FOURCC('N', 'V', '1', '6'), 2, 0, 0, 0, 0, 1, 1, 0, 1, 1, 2 },
	{ FOURCC('Y', 'U', '1', '2'), 3, 0, 0, 0, 0, 1, 2, 0, 0, 2, 1 },
	{ FOURCC('Y', 'V', '1', '2'), 3, 0, 0, 0, 0, 2, 1, 0, 0, 2, 1 },
	{ FOURCC('Y', 'U', 'Y', 'V'), 1, 0, 0, 0, 0, 0, 0, 1, 3, 1, 4, 0, 2 },
	{ FOURCC('U', 'Y', 'V', 'Y'), 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 4, 1, 2 },
	{ FOURCC('Y', 'V', 'Y', 'U'), 1, 0, 0, 0, 0, 0, 0, 3, 1, 1, 4, 0, 2 },
	{ FOURCC('V', 'Y', 'U', 'Y'), 1, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 1, 2 },
	/* DRM's names are of little endian words: the last letter is the first byte. */
	{ FOURCC('R', 'G', '2', '4'), 1, 3, 2, 1, 0, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('B', 'G', '2', '4'), 1, 3, 0, 1, 2, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('X', 'R', '2', '4'), 1, 4, 2, 1, 0, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('A', 'R', '2', '4'), 1, 4, 2, 1, 0, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('X', 'B', '2', '4'), 1, 4, 0, 1, 2, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('A', 'B', '2', '4'), 1, 4, 0, 1, 2, 0, 0, 0, 0, 1, 0 },
	{ FOURCC('R', '8', ' ', ' '), 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0 },
};

static const struct layout *find(const struct dmabuf_frame *frame)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].fourcc == frame->fourcc && !frame->modifier &&
		    layouts[i].planes == frame->plane_count)
			return &layouts[i];
	return NULL;
}

bool rgb_knows(const struct dmabuf_frame *frame)
{
	return find(frame);
}

static unsigned char clamp(int value)
{
	return value < 0 ? 0 : value > 0xffff ? 255 : (unsigned char)(value >> 8);
}

/* Limited range; BT.709 from 720 lines on, BT.601 below, as is the custom. */
static void yuv_pixel(int y, int u, int v, bool hd, unsigned char *rgb)
{
	y = (y - 16) * 298 + 128;
	u -= 128;
	v -= 128;
	rgb[0] = clamp(y + (hd ? 459 : 409) * v);
	rgb[1] = clamp(y - (hd ? 55 : 100) * u - (hd ? 136 : 208) * v);
	rgb[2] = clamp(y + (hd ? 541 : 516) * u);
}

static const unsigned char *line_of(const struct dmabuf_frame *frame, const unsigned char *bytes,
				    uint32_t plane, uint32_t line)
{
	return bytes + frame->planes[plane].offset + (size_t)line * frame->planes[plane].stride;
}

static void yuv_line(const struct dmabuf_frame *frame, const struct layout *l,
		     const unsigned char *bytes, uint32_t line, unsigned char *rgb)
{
	const unsigned char *y = line_of(frame, bytes, 0, line) + l->y_at;
	size_t step = l->y_step ? l->y_step : 1;
	const unsigned char *u = line_of(frame, bytes, l->u, line / l->lines) + l->u_at;
	const unsigned char *v = line_of(frame, bytes, l->v, line / l->lines) + l->v_at;

	for (uint32_t x = 0; x < frame->width; x++, rgb += 3)
		yuv_pixel(y[x * step], u[(size_t)x / 2 * l->step], v[(size_t)x / 2 * l->step],
			  frame->height >= 720, rgb);
}

static void rgb_line(const struct dmabuf_frame *frame, const struct layout *l,
		     const unsigned char *bytes, uint32_t line, unsigned char *rgb)
{
	const unsigned char *pixel = line_of(frame, bytes, 0, line);

	for (uint32_t x = 0; x < frame->width; x++, rgb += 3, pixel += l->bytes) {
		rgb[0] = pixel[l->r];
		rgb[1] = pixel[l->g];
		rgb[2] = pixel[l->b];
	}
}

void rgb_convert(const struct dmabuf_frame *frame, const unsigned char *bytes, unsigned char *rgb)
{
	const struct layout *l = find(frame);

	for (uint32_t line = 0; line < frame->height; line++, rgb += (size_t)frame->width * 3)
		if (l->bytes)
			rgb_line(frame, l, bytes, line, rgb);
		else
			yuv_line(frame, l, bytes, line, rgb);
}
