// SPDX-License-Identifier: MIT
/*
 * A camera as a source. All buffers that are empty are with the driver, so it never waits for a
 * consumer that is slow as long as the queue keeps it its own few; a frame for which the driver had
 * no buffer is lost there and counted.
 */
#include "video.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include <dmabuf/error.h>

/* Beyond what the driver needs to work at all: one that is on its way, one for a late consumer. */
#define RESERVE 2
/* How often a driver that tells of no change is asked whether there is a signal again. */
#define SIGNAL_MS 1000

/* Between prepare and run; an element has its own process. */
static struct video the_video;

static struct dma_buf *allocate(void *data, const char *name, uint64_t buffer_size)
{
	struct video *v = data;
	struct dma_buf *dmabuf;

	(void)buffer_size;
	if (v->full) {
		errno = ENOSPC;
		return NULL;
	}
	dmabuf = video_memory_alloc(v, name);
	v->full = !dmabuf && errno == ENOSPC;
	return dmabuf;
}

static int agree(struct video *v)
{
	const struct video_wishes *w = &v->context->element->video;
	int err = dma_buf_v4l2_check_source(v->dev);

	/* What comes in now is taken over, if that is another. */
	if (err && err != -ESTALE)
		return video_fail(v);
	v->format =
		(struct dma_buf_v4l2_format){ .size = sizeof(v->format),
					      .fourcc = w->fourcc,
					      .width = w->width,
					      .height = w->height,
					      .interval_ns = w->fps ? 1000000000u / w->fps : 0 };
	return dma_buf_v4l2_set_format(v->dev, &v->format) < 0 ? video_fail(v) : 0;
}

int video_source_prepare(struct element_context *context, struct dmabuf_queue_options *options)
{
	enum dma_buf_v4l2_memory memory = (enum dma_buf_v4l2_memory)context->element->video.memory;
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	struct video *v = &the_video;

	if (video_init(v, context) < 0 || video_memory_open(v) < 0 || agree(v) < 0)
		return -1;
	if (dma_buf_v4l2_request(v->dev, memory, 1) < 0 || dma_buf_v4l2_get_info(v->dev, &info) < 0)
		return video_fail(v);
	v->buffer_size = v->format.buffer_size;
	if (info.memory == DMA_BUF_V4L2_IMPORT && v->context->element->video.room > v->buffer_size)
		v->buffer_size = v->context->element->video.room;
	options->buffer_size = v->buffer_size;
	options->min_buffers = info.min_buffers + RESERVE;
	options->allocate = allocate;
	options->data = v;
	return 0;
}

/* All that is empty goes to the driver. */
static int fill(struct video *v)
{
	struct dmabuf_frame frame;
	int err;

	for (;;) {
		err = dmabuf_queue_get(v->context->out, &frame, 0);
		if (err == -ETIMEDOUT || (err == -ENOSPC && v->full))
			return 0;
		if (err == -EINTR)
			continue;
		if (err < 0)
			return video_fail(v);
		err = video_give(v, &frame, 0);
		if (err == -EIO) {
			/* Its stream has failed, which reaping will tell. */
			(void)dmabuf_queue_cancel(v->context->out, &frame);
			return 0;
		}
		if (err < 0)
			return video_fail(v);
	}
}

static int start(struct video *v)
{
	v->since = video_now();
	if (fill(v) < 0)
		return -1;
	return dma_buf_v4l2_start(v->dev) < 0 ? video_fail(v) : 0;
}

/* The driver has let go of everything: the frames are empty buffers again. */
static int take_back(struct video *v)
{
	struct dma_buf_v4l2_completion done;
	struct dmabuf_frame frame;

	while (v->with_driver) {
		if (video_take(v, &frame, &done) != 1 ||
		    dmabuf_queue_cancel(v->context->out, &frame) < 0)
			return video_fail(v);
	}
	return 0;
}

static int restart(struct video *v)
{
	if (!video_may_restart(v))
		return video_fail(v);
	return take_back(v) < 0 ? -1 : start(v);
}

/*
 * Until something comes in that the device can lock on to: as dma_buf_v4l2_check_source(). Who
 * comes or goes is served meanwhile.
 */
static int await_signal(struct video *v)
{
	struct pollfd fds[2] = { { .fd = dmabuf_queue_fd(v->context->out), .events = POLLIN },
				 { .fd = dma_buf_v4l2_fd(v->dev), .events = POLLPRI } };
	uint64_t begin = video_now();
	int err;

	for (;;) {
		err = dma_buf_v4l2_check_source(v->dev);
		if (err != -ENOLINK && err != -ENOLCK && err != -ERANGE)
			return err;
		if (video_now() - begin >= v->context->element->video.timeout)
			return err;
		element_tell(v->context, "source", "%s", dmabuf_last_error());
		if (poll(fds, 2, SIGNAL_MS) > 0 && fds[0].revents)
			(void)dmabuf_queue_dispatch(v->context->out);
	}
}

/* Another picture: go on with it where the buffers allow. */
static int take_over(struct video *v)
{
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };

	if (dma_buf_v4l2_get_info(v->dev, &info) < 0 || agree(v) < 0)
		return -1;
	if (info.memory == DMA_BUF_V4L2_EXPORT)
		return element_fail(v->context,
				    "its picture is %ux%u now, and the buffers are the driver's "
				    "for those before: start again",
				    v->format.width, v->format.height);
	if (v->format.buffer_size > v->buffer_size)
		return element_fail(v->context,
				    "its picture is %ux%u now, too large for the buffers: start "
				    "again, with room=%" PRIu64 " if that is to be followed",
				    v->format.width, v->format.height, v->format.buffer_size);
	element_tell(v->context, "source", "%ux%u since frame %" PRIu64, v->format.width,
		     v->format.height, info.frames);
	if (dma_buf_v4l2_request(v->dev, info.memory, 1) < 0)
		return video_fail(v);
	return 0;
}

static int follow_change(struct video *v)
{
	int err;

	if (dma_buf_v4l2_stop(v->dev) < 0)
		return video_fail(v);
	if (take_back(v) < 0)
		return -1;
	err = await_signal(v);
	if (err && err != -ESTALE)
		return video_fail(v);
	if (err && take_over(v) < 0)
		return -1;
	v->restarts++;
	return start(v);
}

static int pass(struct video *v, struct dmabuf_frame *frame,
		const struct dma_buf_v4l2_completion *done)
{
	frame->used = done->used;
	frame->sequence = done->sequence;
	frame->timestamp = done->timestamp;
	video_tell_at(v, done->timestamp);
	frame->fourcc = v->format.fourcc;
	frame->width = v->format.width;
	frame->height = v->format.height;
	frame->plane_count = v->format.plane_count;
	for (uint32_t i = 0; i < frame->plane_count; i++)
		frame->planes[i] = v->format.planes[i];
	return element_pass(v->context, frame);
}

/* One thing that the driver has to say, and the buffer back to it. 1 if that was a frame. */
static int step(struct video *v)
{
	struct dma_buf_v4l2_completion done;
	struct dmabuf_frame frame;
	int got = video_take(v, &frame, &done);

	if (got == -EIO || got == -EPROTO)
		return restart(v);
	if (got == -ESTALE)
		return follow_change(v);
	if (got < 0)
		return video_fail(v);
	if (got && done.result)
		/* Damaged: nobody gets it. */
		return video_give(v, &frame, 0) == -ENODEV ? video_fail(v) : 0;
	if (got && pass(v, &frame, &done) < 0)
		return -1;
	return fill(v) < 0 ? -1 : got;
}

static int stream(struct video *v)
{
	uint64_t frames = 0;
	int got = start(v);

	while (got >= 0 && frames < v->context->element->frames) {
		unsigned int ready = video_wait(v, dmabuf_queue_fd(v->context->out), -1);

		/* Who comes or goes is served, and what comes back goes to the driver. */
		if (ready & VIDEO_SILENT)
			return video_fail_silent(v);
		if (ready & VIDEO_QUEUE)
			(void)dmabuf_queue_dispatch(v->context->out);
		got = ready & VIDEO_DRIVER ? step(v) : fill(v);
		frames += got > 0;
	}
	return got < 0 ? -1 : 0;
}

int video_source_run(struct element_context *context)
{
	struct video *v = &the_video;
	int err = stream(v);

	video_tell(v);
	if (err == 0)
		err = element_finish(context);
	video_exit(v);
	return err;
}
