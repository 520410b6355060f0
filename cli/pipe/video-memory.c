// SPDX-License-Identifier: MIT
/*
 * A camera's frames in memory that neither the library nor the camera's driver makes: a heap's, or
 * a graphics card's, for a consumer who wants it there.
 */
#include "video.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <dmabuf/drm.h>
#include <dmabuf/error.h>
#include <dmabuf/heap.h>

/* A card's pictures are of pixels, all of them do these; a frame is put there as bytes. */
#define PIXEL_BYTES 4
#define LINE_PIXELS 1024

static bool is_card(const char *maker)
{
	return maker[0] == '/';
}

bool video_memory_is(const char *maker)
{
	return is_card(maker) || !strcmp(maker, "udmabuf") ||
	       (!strncmp(maker, "dma_heap/", 9) && maker[9]);
}

int video_memory_open(struct video *v)
{
	const char *maker = v->context->element->video.maker;
	int fd;

	if (!is_card(maker))
		return 0;
	fd = open(maker, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return element_fail(v->context, "cannot open %s: %s", maker, strerror(errno));
	v->card = dma_buf_drm_open(fd, NULL);
	close(fd);
	return v->card ? 0 : video_fail(v);
}

static struct dma_buf *from_card(const struct video *v, const char *name)
{
	uint64_t line = (uint64_t)LINE_PIXELS * PIXEL_BYTES;
	struct dma_buf_drm_picture picture = {
		.size = sizeof(picture),
		.width = LINE_PIXELS,
		.height = (uint32_t)((v->buffer_size + line - 1) / line),
		.bits_per_pixel = 8 * PIXEL_BYTES,
	};

	return dma_buf_drm_alloc(v->card, &picture, name);
}

static struct dma_buf *from_heap(const struct video *v, const char *heap, const char *name)
{
	int fd = dma_buf_heap_alloc(heap, name, v->buffer_size), err;
	struct dma_buf *dmabuf;

	if (fd < 0)
		return NULL;
	dmabuf = dma_buf_get(fd);
	err = errno;
	close(fd);
	errno = err;
	return dmabuf;
}

struct dma_buf *video_memory_alloc(const struct video *v, const char *name)
{
	const char *maker = v->context->element->video.maker;

	if (v->card)
		return from_card(v, name);
	if (maker[0])
		return from_heap(v, maker, name);
	/* Room for more than a frame of now is in ours only. */
	if (v->buffer_size > v->format.buffer_size)
		return dma_buf_alloc(name, v->buffer_size, O_RDWR);
	return dma_buf_v4l2_alloc(v->dev, name);
}
