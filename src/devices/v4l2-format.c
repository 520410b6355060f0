// SPDX-License-Identifier: MIT
/* Agreeing with a video driver on what frames look like. */
#include "v4l2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "export.h"
#include "options.h"

#define MAX_FORMATS 256
#define SECOND 1000000000u

static void take_answer(const struct v4l2_device *v, const struct v4l2_format *f,
			struct v4l2_answer *a)
{
	const struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;
	const struct v4l2_pix_format *pix = &f->fmt.pix;

	*a = (struct v4l2_answer){ 0 };
	if (!v->multiplanar) {
		a->pixelformat = pix->pixelformat;
		a->width = pix->width;
		a->height = pix->height;
		a->memory_planes = 1;
		a->memory[0].stride = pix->bytesperline;
		a->memory[0].size = pix->sizeimage;
		return;
	}
	a->pixelformat = mp->pixelformat;
	a->width = mp->width;
	a->height = mp->height;
	a->memory_planes = mp->num_planes;
	for (uint32_t i = 0; i < mp->num_planes && i < DMABUF_FRAME_MAX_PLANES; i++) {
		a->memory[i].stride = mp->plane_fmt[i].bytesperline;
		a->memory[i].size = mp->plane_fmt[i].sizeimage;
	}
}

static void set_wishes(const struct v4l2_device *v, struct v4l2_format *f, uint32_t pixelformat,
		       const struct dma_buf_v4l2_format *want)
{
	struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;
	struct v4l2_pix_format *pix = &f->fmt.pix;

	if (!v->multiplanar) {
		pix->pixelformat = pixelformat;
		pix->width = want->width ? want->width : pix->width;
		pix->height = want->height ? want->height : pix->height;
		pix->field = V4L2_FIELD_NONE;
		pix->bytesperline = want->plane_count ? want->planes[0].stride : 0;
		pix->sizeimage = 0;
		return;
	}
	mp->pixelformat = pixelformat;
	mp->width = want->width ? want->width : mp->width;
	mp->height = want->height ? want->height : mp->height;
	mp->field = V4L2_FIELD_NONE;
	memset(mp->plane_fmt, 0, sizeof(mp->plane_fmt));
	for (uint32_t i = 0; i < want->plane_count && i < DMABUF_FRAME_MAX_PLANES; i++)
		mp->plane_fmt[i].bytesperline = want->planes[i].stride;
}

/* " YUYV NV12 ...": what the device offers, for words. */
static void list_formats(struct v4l2_device *v, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < MAX_FORMATS && used + 20 < room; i++) {
		struct v4l2_fmtdesc d = { .index = i, .type = v->type };
		char name[16];

		if (v4l2_call(v, VIDIOC_ENUM_FMT, &d) < 0)
			return;
		v4l2_fourcc_text(d.pixelformat, name);
		used += (size_t)snprintf(text + used, room - used, " %s", name);
	}
}

static int no_such_format(struct v4l2_device *v, uint32_t fourcc)
{
	char name[16], offers[256];

	v4l2_fourcc_text(fourcc, name);
	list_formats(v, offers, sizeof(offers));
	return dmabuf_fail(ENOTSUP,
			   "%s (%s) has no format %s for whole frames, but (V4L2's names)%s",
			   v->name, v->driver, name, offers);
}

/* Are planes where the frames to be shown have them? */
static int check_planes(const struct v4l2_device *v, const struct dma_buf_v4l2_format *want,
			const struct dma_buf_v4l2_format *got)
{
	if (!want->plane_count)
		return 0;
	if (got->memory_planes == 1 && want->plane_count == got->plane_count) {
		uint32_t i = 0;

		while (i < got->plane_count && want->planes[i].offset == got->planes[i].offset &&
		       want->planes[i].stride == got->planes[i].stride)
			i++;
		if (i == got->plane_count)
			return 0;
		return dmabuf_fail(
			ENOTSUP,
			"%s (%s): plane %u would be at %u with a stride of %u bytes; the "
			"frames have it at %u with %u: make them so, or of another width",
			v->name, v->driver, i, got->planes[i].offset, got->planes[i].stride,
			want->planes[i].offset, want->planes[i].stride);
	}
	return dmabuf_fail(ENOTSUP,
			   "%s (%s): it wants %u planes in %u pieces, the frames have %u "
			   "in one",
			   v->name, v->driver, got->plane_count, got->memory_planes,
			   want->plane_count);
}

/* 0; 1 if the driver took another pixel format; -errno with words. */
static int try_format(struct v4l2_device *v, uint32_t pixelformat,
		      const struct dma_buf_v4l2_format *want, struct v4l2_answer *answer,
		      struct dma_buf_v4l2_format *got)
{
	struct v4l2_format f = { .type = v->type };
	const char *wrong;
	int err = v4l2_call(v, VIDIOC_G_FMT, &f);

	if (err)
		return v4l2_fail(v, -err, "asking for its format");
	set_wishes(v, &f, pixelformat, want);
	err = v4l2_call(v, VIDIOC_S_FMT, &f);
	if (err == -EINVAL)
		return 1;
	if (err)
		return v4l2_fail(v, -err, "setting its format");
	take_answer(v, &f, answer);
	if (answer->pixelformat != pixelformat)
		return 1;
	wrong = v4l2_layout(answer, got);
	if (wrong)
		return dmabuf_fail(EPROTO, "%s (%s): its format makes no sense: %s", v->name,
				   v->driver, wrong);
	if ((want->width && got->width != want->width) ||
	    (want->height && got->height != want->height))
		return dmabuf_fail(ENOTSUP, "%s (%s): no %ux%u, the nearest is %ux%u", v->name,
				   v->driver, want->width, want->height, got->width, got->height);
	return check_planes(v, want, got);
}

/* Nothing was asked for: what it has, or the first that is known, or whatever it has. */
static int present_format(struct v4l2_device *v, uint32_t *pixelformat)
{
	struct v4l2_format f = { .type = v->type };
	struct v4l2_answer a;
	int err = v4l2_call(v, VIDIOC_G_FMT, &f);

	if (err)
		return v4l2_fail(v, -err, "asking for its format");
	take_answer(v, &f, &a);
	*pixelformat = a.pixelformat;
	if (v4l2_pixels_find(a.pixelformat) && a.memory_planes == 1)
		return 0;
	for (uint32_t i = 0; i < MAX_FORMATS; i++) {
		struct v4l2_fmtdesc d = { .index = i, .type = v->type };
		const struct v4l2_pixels *p;

		if (v4l2_call(v, VIDIOC_ENUM_FMT, &d) < 0)
			break;
		p = v4l2_pixels_find(d.pixelformat);
		if (p && p->memory_planes == 1) {
			*pixelformat = d.pixelformat;
			break;
		}
	}
	return 0;
}

static int negotiate(struct v4l2_device *v, const struct dma_buf_v4l2_format *want,
		     struct v4l2_answer *answer, struct dma_buf_v4l2_format *got)
{
	const struct v4l2_pixels *p;
	uint32_t pixelformat = want->fourcc;
	int err;

	if (!want->fourcc) {
		err = present_format(v, &pixelformat);
		if (err)
			return err;
	}
	for (unsigned int i = 0; want->fourcc && (p = v4l2_pixels_of(want->fourcc, i)); i++) {
		err = try_format(v, p->pixelformat, want, answer, got);
		if (err <= 0)
			return err;
	}
	err = try_format(v, pixelformat, want, answer, got);
	return err > 0 ? no_such_format(v, pixelformat) : err;
}

static struct v4l2_fract *interval_of(const struct v4l2_device *v, struct v4l2_streamparm *parm)
{
	if (v->output)
		return parm->parm.output.capability & V4L2_CAP_TIMEPERFRAME
			       ? &parm->parm.output.timeperframe
			       : NULL;
	return parm->parm.capture.capability & V4L2_CAP_TIMEPERFRAME
		       ? &parm->parm.capture.timeperframe
		       : NULL;
}

static uint64_t in_ns(const struct v4l2_fract *f)
{
	return f && f->numerator && f->denominator
		       ? (uint64_t)f->numerator * SECOND / f->denominator
		       : 0;
}

/* Drivers round to what they can; one that cannot choose says nothing. */
static void agree_on_interval(struct v4l2_device *v, uint64_t want, uint64_t *got)
{
	struct v4l2_streamparm parm = { .type = v->type };
	struct v4l2_fract *f;

	*got = 0;
	if (v4l2_call(v, VIDIOC_G_PARM, &parm) < 0)
		return;
	f = interval_of(v, &parm);
	if (want && f) {
		*f = (struct v4l2_fract){ (uint32_t)(want / 1000), SECOND / 1000 };
		if (v4l2_call(v, VIDIOC_S_PARM, &parm) < 0)
			return;
		f = interval_of(v, &parm);
	}
	*got = in_ns(f);
}

static int set_format(struct v4l2_device *v, const struct dma_buf_v4l2_format *want,
		      struct dma_buf_v4l2_format *got)
{
	struct v4l2_answer answer;
	int err;

	if (v->streaming)
		return dmabuf_fail(EBUSY, "%s: it streams; stop it before changing its format",
				   v->name);
	err = v4l2_places_free(v);
	if (err)
		return v4l2_fail(v, -err, "giving up its buffers");
	v->format.width = 0;
	v4l2_source_listen(v);
	v4l2_source_follow(v);
	err = negotiate(v, want, &answer, got);
	if (err)
		return err;
	agree_on_interval(v, want->interval_ns, &got->interval_ns);
	v->format = *got;
	v->answer = answer;
	return 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_set_format(struct dma_buf_device *dev,
					  struct dma_buf_v4l2_format *format)
{
	struct v4l2_device *v = v4l2_of(dev);
	struct dma_buf_v4l2_format got;
	int err;

	if (!v)
		return -errno;
	if (!format || format->size != sizeof(*format))
		return dmabuf_fail(EINVAL, "video format: size must be %zu", sizeof(*format));
	if (format->plane_count > DMABUF_FRAME_MAX_PLANES)
		return dmabuf_fail(EINVAL, "video format: %u planes, at most %d",
				   format->plane_count, DMABUF_FRAME_MAX_PLANES);
	pthread_mutex_lock(&v->lock);
	err = set_format(v, format, &got);
	pthread_mutex_unlock(&v->lock);
	if (!err)
		*format = got;
	return err;
}
