// SPDX-License-Identifier: MIT
/*
 * drm: as a source: what a display shows, some times a second. Whose screen it is goes on drawing
 * in its memory, so that each picture is copied, once.
 */
#include "drm.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include <dmabuf/drm.h>
#include <dmabuf/error.h>

#include "video.h"

#define DEFAULT_FPS 30

struct grabber {
	struct dma_buf_device *dev;
	struct dma_buf_drm_screen screen;
	struct dma_buf *buf; /* that it was in at last */
	const void *bytes;
	uint64_t size;	 /* of the queue's buffers */
	uint64_t others; /* times that it was in another buffer than before */
};

/* Between prepare and run; an element has its own process. */
static struct grabber the_grabber;

static uint64_t bytes_of(const struct dma_buf_drm_screen *s)
{
	return (uint64_t)s->planes[0].stride * s->height;
}

static void let_go(struct grabber *g)
{
	if (g->bytes)
		dma_buf_vunmap(g->buf, (void *)g->bytes);
	dma_buf_put(g->buf);
	g->buf = NULL;
	g->bytes = NULL;
}

/* Where it is now. */
static int look(struct grabber *g, const struct element_context *context)
{
	struct dma_buf *buf;

	g->screen = (struct dma_buf_drm_screen){ .size = sizeof(g->screen),
						 .crtc = context->element->video.crtc };
	buf = dma_buf_drm_get_screen(g->dev, &g->screen);
	if (!buf)
		return element_fail(context, "%s", dmabuf_last_error());
	if (buf == g->buf) {
		dma_buf_put(buf);
		return 0;
	}
	let_go(g);
	g->others++;
	g->buf = buf;
	g->bytes = dma_buf_vmap(buf);
	if (!g->bytes)
		return element_fail(context, "%s", dmabuf_last_error());
	if (g->screen.plane_count == 1 && !g->screen.modifier)
		return 0;
	return element_fail(context,
			    "what is shown has %u planes and modifier %#" PRIx64
			    ": only one with plain lines can be copied",
			    g->screen.plane_count, g->screen.modifier);
}

int drm_source_prepare(struct element_context *context, struct dmabuf_queue_options *options)
{
	struct grabber *g = &the_grabber;

	g->dev = dma_buf_drm_open(context->element->fd, NULL);
	if (!g->dev)
		return element_fail(context, "%s", dmabuf_last_error());
	if (look(g, context) < 0)
		return -1;
	g->size = options->buffer_size = bytes_of(&g->screen);
	return 0;
}

static int copy(const struct grabber *g, const struct element_context *context,
		struct dmabuf_frame *frame)
{
	uint64_t from = g->screen.planes[0].offset, size = bytes_of(&g->screen);
	void *to = element_begin(context, frame, size, DMA_TO_DEVICE);
	int err;

	if (!to)
		return -1;
	err = dma_buf_begin_cpu_access(g->buf, from, size, DMA_FROM_DEVICE);
	if (!err) {
		memcpy(to, (const char *)g->bytes + from, size);
		err = dma_buf_end_cpu_access(g->buf, from, size, DMA_FROM_DEVICE);
	}
	if (err)
		(void)element_fail(context, "%s", dmabuf_last_error());
	return element_end(context, frame, size, DMA_TO_DEVICE) < 0 || err ? -1 : 0;
}

static int grab(struct grabber *g, const struct element_context *context,
		struct dmabuf_frame *frame, uint64_t number)
{
	if (look(g, context) < 0)
		return -1;
	if (bytes_of(&g->screen) > g->size)
		return element_fail(context,
				    "the screen has %ux%u now, too many for the buffers: start "
				    "again",
				    g->screen.width, g->screen.height);
	if (copy(g, context, frame) < 0)
		return -1;
	frame->used = bytes_of(&g->screen);
	frame->fourcc = g->screen.fourcc;
	frame->width = g->screen.width;
	frame->height = g->screen.height;
	frame->plane_count = 1;
	frame->planes[0] = (struct dmabuf_frame_plane){ 0, g->screen.planes[0].stride };
	frame->sequence = number;
	frame->timestamp = video_now();
	return element_pass(context, frame);
}

/* Who comes or goes is served meanwhile. */
static void wait_until(const struct element_context *context, uint64_t due)
{
	struct pollfd fd = { .fd = dmabuf_queue_fd(context->out), .events = POLLIN };
	uint64_t now;

	while ((now = video_now()) < due)
		if (poll(&fd, 1, (int)((due - now + 999999) / 1000000)) > 0)
			(void)dmabuf_queue_dispatch(context->out);
}

int drm_source_run(struct element_context *context)
{
	uint64_t start = video_now(), fps = context->element->video.fps;
	struct grabber *g = &the_grabber;
	struct dmabuf_frame frame;
	int err = 0;

	for (uint64_t n = 0; n < context->element->frames && !err; n++) {
		if (element_next(context, &frame, true) != 1)
			return -1;
		wait_until(context, start + n * 1000000000u / (fps ? fps : DEFAULT_FPS));
		err = grab(g, context, &frame, n);
	}
	element_tell(context, "drm", "%ux%u, copied, %" PRIu64 " buffers seen", g->screen.width,
		     g->screen.height, g->others);
	let_go(g);
	dma_buf_device_put(g->dev);
	return err ? err : element_finish(context);
}
