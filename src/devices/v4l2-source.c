// SPDX-License-Identifier: MIT
/* What a capture's input receives: whether there is a signal, which, and that it changed. */
#include "v4l2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "export.h"
#include "text.h"

/* Hertz by which measured pixel clocks are off. */
#define CLOCK_TOLERANCE 250000

void v4l2_source_listen(struct v4l2_device *v)
{
	struct v4l2_event_subscription changes = { .type = V4L2_EVENT_SOURCE_CHANGE };
	int input = 0;

	if (v->output)
		return;
	if (v4l2_call(v, VIDIOC_G_INPUT, &input) < 0 || input < 0)
		input = 0;
	v->input = (uint32_t)input;
	/* Most devices have a source that never changes. */
	changes.id = v->input;
	(void)v4l2_call(v, VIDIOC_SUBSCRIBE_EVENT, &changes);
}

void v4l2_source_events(struct v4l2_device *v)
{
	struct v4l2_event event;

	v->unasked = 0;
	for (int i = 0; i < 64; i++) {
		memset(&event, 0, sizeof(event));
		if (v4l2_call(v, VIDIOC_DQEVENT, &event) < 0)
			return;
		if (event.type == V4L2_EVENT_SOURCE_CHANGE && event.id == v->input &&
		    event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION) {
			v->changed = true;
			v->before_change = v->queued;
		}
	}
}

/* What has no such thing needs none. */
void v4l2_source_follow(struct v4l2_device *v)
{
	struct v4l2_dv_timings timings;
	v4l2_std_id standard = 0;

	memset(&timings, 0, sizeof(timings));
	if (v->output || !v->changed)
		return;
	if (v4l2_call(v, VIDIOC_QUERY_DV_TIMINGS, &timings) == 0)
		(void)v4l2_call(v, VIDIOC_S_DV_TIMINGS, &timings);
	else if (v4l2_call(v, VIDIOC_QUERYSTD, &standard) == 0 && standard)
		(void)v4l2_call(v, VIDIOC_S_STD, &standard);
	v->changed = false;
}

static uint32_t total_width(const struct v4l2_bt_timings *bt)
{
	return bt->width + bt->hfrontporch + bt->hsync + bt->hbackporch;
}

static uint32_t total_height(const struct v4l2_bt_timings *bt)
{
	return bt->height + bt->vfrontporch + bt->vsync + bt->vbackporch;
}

static bool same_timings(const struct v4l2_dv_timings *one, const struct v4l2_dv_timings *other)
{
	const struct v4l2_bt_timings *a = &one->bt, *b = &other->bt;
	uint64_t apart = a->pixelclock > b->pixelclock ? a->pixelclock - b->pixelclock
						       : b->pixelclock - a->pixelclock;

	return one->type == other->type && a->width == b->width && a->height == b->height &&
	       a->interlaced == b->interlaced && total_width(a) == total_width(b) &&
	       total_height(a) == total_height(b) && apart <= CLOCK_TOLERANCE;
}

/* 0, -ESTALE, or what stands against a signal. */
static int look_at_timings(struct v4l2_device *v)
{
	struct v4l2_dv_timings now, set;
	int err;

	memset(&now, 0, sizeof(now));
	memset(&set, 0, sizeof(set));
	err = v4l2_call(v, VIDIOC_QUERY_DV_TIMINGS, &now);
	if (err)
		return err;
	err = v4l2_call(v, VIDIOC_G_DV_TIMINGS, &set);
	return err || same_timings(&now, &set) ? err : -ESTALE;
}

static int look_at_standard(struct v4l2_device *v)
{
	v4l2_std_id now = 0, set = 0;
	int err = v4l2_call(v, VIDIOC_QUERYSTD, &now);

	if (err)
		return err;
	if (!now)
		return -ENOLINK;
	err = v4l2_call(v, VIDIOC_G_STD, &set);
	return err || now & set ? err : -ESTALE;
}

/* The same, without words; a driver that does not say has nothing against it. */
static int look_at_source(struct v4l2_device *v, struct v4l2_input *input)
{
	int err = 0;

	memset(input, 0, sizeof(*input));
	input->index = v->input;
	if (v4l2_call(v, VIDIOC_ENUMINPUT, input) < 0)
		return 0;
	if (input->capabilities & V4L2_IN_CAP_DV_TIMINGS)
		err = look_at_timings(v);
	else if (input->capabilities & V4L2_IN_CAP_STD)
		err = look_at_standard(v);
	if (err == -ESTALE || err == -ENOLINK || err == -ENOLCK || err == -ERANGE)
		return err;
	if (input->status & (V4L2_IN_ST_NO_POWER | V4L2_IN_ST_NO_SIGNAL))
		return -ENOLINK;
	return input->status & (V4L2_IN_ST_NO_H_LOCK | V4L2_IN_ST_NO_SYNC) ? -ENOLCK : 0;
}

static int say(const struct v4l2_device *v, const struct v4l2_input *input, int err)
{
	char name[sizeof(input->name) + 1];

	text_copy_untrusted(name, sizeof(name), (const char *)input->name, sizeof(input->name));
	switch (err) {
	case ENOLINK:
		return dmabuf_fail(ENOLINK, "%s (%s): no signal at its input %s", v->name,
				   v->driver, name);
	case ENOLCK:
		return dmabuf_fail(ENOLCK,
				   "%s (%s): it cannot lock on to the signal at its input %s",
				   v->name, v->driver, name);
	case ERANGE:
		return dmabuf_fail(
			ERANGE, "%s (%s): the signal at its input %s is none that it is made for",
			v->name, v->driver, name);
	default:
		return dmabuf_fail(ESTALE,
				   "%s (%s): the signal at its input %s is another than its format "
				   "is for: set the format anew",
				   v->name, v->driver, name);
	}
}

static int check(struct v4l2_device *v)
{
	struct v4l2_input input;
	int err;

	if (!v->streaming)
		v4l2_source_listen(v);
	v4l2_source_events(v);
	err = v->output ? 0 : look_at_source(v, &input);
	if (v->gone)
		return v4l2_fail(v, ENODEV, "looking at its source");
	v->changed = err;
	return err ? say(v, &input, -err) : 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_check_source(struct dma_buf_device *dev)
{
	struct v4l2_device *v = v4l2_of(dev);
	int err;

	if (!v)
		return -errno;
	pthread_mutex_lock(&v->lock);
	err = check(v);
	pthread_mutex_unlock(&v->lock);
	return err;
}
