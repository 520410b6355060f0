// SPDX-License-Identifier: MIT
/* A video output as a sink: it shows frames from where they are. */
#include "video.h"

#include <errno.h>
#include <inttypes.h>

#include <dmabuf/error.h>

/* How long a frame's content may be on its way. */
#define FENCE_MS 60000
/* How long the last frames may take to be shown; an output may show the very last for ever. */
#define DRAIN_MS 500

static struct video the_video;

static bool same_format(const struct video *v, const struct dmabuf_frame *frame)
{
	const struct dma_buf_v4l2_format *f = &v->format;

	if (!f->width || f->fourcc != frame->fourcc || f->width != frame->width ||
	    f->height != frame->height || f->plane_count != frame->plane_count)
		return false;
	for (uint32_t i = 0; i < f->plane_count; i++)
		if (f->planes[i].offset != frame->planes[i].offset ||
		    f->planes[i].stride != frame->planes[i].stride)
			return false;
	return true;
}

/* What the driver is done with goes back to the queue. */
static int give_back(struct video *v)
{
	struct dma_buf_v4l2_completion done;
	struct dmabuf_frame frame;
	int got;

	while ((got = video_take(v, &frame, &done)) == 1) {
		if (element_pass(v->context, &frame) < 0)
			return -1;
		video_tell_at(v, done.timestamp);
	}
	if (got != -EIO && got != -EPROTO)
		return got < 0 ? video_fail(v) : 0;
	/* What was not shown is dropped; the next frame starts it again. */
	return video_may_restart(v) ? give_back(v) : video_fail(v);
}

static int drain(struct video *v)
{
	while (v->with_driver) {
		if (!(video_wait(v, -1, DRAIN_MS) & VIDEO_DRIVER))
			(void)dma_buf_v4l2_stop(v->dev);
		if (give_back(v) < 0)
			return -1;
	}
	return 0;
}

static int change_format(struct video *v, const struct dmabuf_frame *frame)
{
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	struct dma_buf_v4l2_format want = { .size = sizeof(want),
					    .fourcc = frame->fourcc,
					    .width = frame->width,
					    .height = frame->height,
					    .plane_count = frame->plane_count };

	if (!frame->fourcc || frame->modifier)
		return element_fail(v->context, "the frames are no pictures that a video output "
						"can show: they have no format, or a tiled one");
	for (uint32_t i = 0; i < frame->plane_count; i++)
		want.planes[i] = frame->planes[i];
	if (drain(v) < 0)
		return -1;
	(void)dma_buf_v4l2_stop(v->dev);
	if (dma_buf_v4l2_set_format(v->dev, &want) < 0 ||
	    dma_buf_v4l2_request(v->dev, DMA_BUF_V4L2_IMPORT, DMA_BUF_V4L2_MAX_BUFFERS) < 0 ||
	    dma_buf_v4l2_get_info(v->dev, &info) < 0)
		return video_fail(v);
	v->may_keep = info.min_buffers;
	v->format = want;
	return 0;
}

static int show(struct video *v, const struct dmabuf_frame *frame)
{
	uint64_t used = frame->used;

	if (!same_format(v, frame) && change_format(v, frame) < 0)
		return -1;
	if (used > v->format.buffer_size)
		used = v->format.buffer_size;
	if (dmabuf_queue_wait_fence(frame, FENCE_MS) < 0 || video_give(v, frame, used) < 0)
		return video_fail(v);
	return dma_buf_v4l2_start(v->dev) < 0 ? video_fail(v) : 0;
}

static int show_all(struct video *v, struct element_context *context)
{
	struct dmabuf_frame frame;
	int got;

	for (;;) {
		unsigned int ready = video_wait(v, dmabuf_queue_consumer_fd(context->in), -1);

		if (ready & VIDEO_SILENT)
			return video_fail_silent(v);
		if (ready & VIDEO_DRIVER && give_back(v) < 0)
			return -1;
		if (!(ready & VIDEO_QUEUE))
			continue;
		got = element_next(context, &frame, false);
		if (got == 0)
			return drain(v);
		if (got < 0 || (got == 1 && show(v, &frame) < 0))
			return -1;
	}
}

int video_sink_run(struct element_context *context)
{
	struct video *v = &the_video;
	int err = video_init(v, context);

	if (err < 0)
		return err;
	err = show_all(v, context);
	video_tell(v);
	if (err == 0)
		err = element_finish(context);
	video_exit(v);
	return err;
}
