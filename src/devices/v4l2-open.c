// SPDX-License-Identifier: MIT
/* A video device's beginning and end. */
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "devices/char-device.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "process.h"
#include "text.h"

#define CAPTURES (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_M2M)
#define CAPTURES_MP (V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE)
#define OUTPUTS (V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_M2M)
#define OUTPUTS_MP (V4L2_CAP_VIDEO_OUTPUT_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE)

static int choose_type(struct v4l2_device *v, uint32_t caps)
{
	uint32_t mp = v->output ? OUTPUTS_MP : CAPTURES_MP;
	bool captures = caps & (CAPTURES | CAPTURES_MP), outputs = caps & (OUTPUTS | OUTPUTS_MP);

	if (!(v->output ? outputs : captures))
		return dmabuf_fail(ENOTSUP, "%s (%s) does not %s video%s", v->name, v->driver,
				   v->output ? "output" : "capture",
				   captures  ? ": it captures, use it as a source"
				   : outputs ? ": it is an output, use it as a sink"
					     : "");
	if (!(caps & V4L2_CAP_STREAMING))
		return dmabuf_fail(ENOTSUP,
				   "%s (%s) does not stream into buffers; it knows read() and "
				   "write() only",
				   v->name, v->driver);
	v->multiplanar = caps & mp;
	if (v->output)
		v->type = v->multiplanar ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE
					 : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	else
		v->type = v->multiplanar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE
					 : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	return 0;
}

static int ask_capabilities(struct v4l2_device *v)
{
	struct v4l2_capability c;
	int err;

	memset(&c, 0, sizeof(c));
	err = v4l2_call(v, VIDIOC_QUERYCAP, &c);
	if (err == -ENOTTY || err == -EINVAL)
		return dmabuf_fail(ENOTSUP, "%s is no video device", v->name);
	if (err)
		return v4l2_fail(v, -err, "asking what it is");
	text_copy_untrusted(v->driver, sizeof(v->driver), (const char *)c.driver, sizeof(c.driver));
	text_copy_untrusted(v->card, sizeof(v->card), (const char *)c.card, sizeof(c.card));
	text_copy_untrusted(v->bus, sizeof(v->bus), (const char *)c.bus_info, sizeof(c.bus_info));
	return choose_type(v,
			   c.capabilities & V4L2_CAP_DEVICE_CAPS ? c.device_caps : c.capabilities);
}

static int take_descriptor(struct v4l2_device *v, int fd)
{
	int flags;

	v->fd = char_device_take(fd, v->name, &flags);
	if (v->fd < 0)
		return v->fd;
	/* Whether there is a frame is asked with the lock held. */
	if (!(flags & O_NONBLOCK) && fcntl(v->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return dmabuf_fail(errno, "%s: O_NONBLOCK: %s", v->name, strerror(errno));
	return 0;
}

static void free_video(struct v4l2_device *v)
{
	for (uint32_t i = 0; i < DMA_BUF_V4L2_MAX_BUFFERS; i++)
		v4l2_memory_put(&v->places[i]);
	if (v->fd >= 0)
		close(v->fd);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static void release(void *priv)
{
	struct v4l2_device *v = priv;

	/* The open file is shared with the parent, whose stream it is. */
	if (process_cookie() == v->owner) {
		(void)v4l2_stop(v);
		(void)v4l2_places_free(v);
	}
	free_video(v);
}

static struct v4l2_device *make_video(int fd, const char *name, bool output)
{
	struct v4l2_device *v = calloc(1, sizeof(*v));
	int err = 0;

	if (!v)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a video device");
	pthread_mutex_init(&v->lock, NULL);
	v->fd = -1;
	v->output = output;
	for (uint32_t i = 0; i < DMA_BUF_V4L2_MAX_BUFFERS; i++)
		v->places[i] = (struct v4l2_place){ .fds = { -1, -1, -1, -1 } };
	text_copy(v->name, sizeof(v->name), name);
	v->owner = process_cookie();
	if (!v->owner)
		err = dmabuf_fail(ENOMEM, "no memory to tell this process from a forked one");
	if (!err)
		err = take_descriptor(v, fd);
	if (!err)
		err = ask_capabilities(v);
	if (err) {
		free_video(v);
		errno = -err;
		return NULL;
	}
	v4l2_source_listen(v);
	return v;
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_v4l2_open(int fd, const char *name,
						       const struct dma_buf_v4l2_options *options)
{
	struct dma_buf_v4l2_options o = { .size = sizeof(o) };
	struct dma_buf_device_parameters parameters;
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .parameters = &parameters,
					    .ops = &v4l2_map_ops,
					    .release = release };
	char own[DMA_BUF_DEVICE_NAME_LEN];
	struct dma_buf_device *dev;
	struct v4l2_device *v;
	struct stat st;

	if (options && options_take(&o, sizeof(o), options, sizeof(o.size), "video options") < 0)
		return NULL;
	if (name && text_check(name, sizeof(own), false, "a device's name") < 0)
		return NULL;
	if (!name)
		char_device_name(fd, "video", own, sizeof(own));
	info.name = name ? name : own;
	v = make_video(fd, info.name, o.output);
	if (!v)
		return NULL;
	v->needs_from =
		v4l2_parameters(v, fstat(v->fd, &st) < 0 ? 0 : st.st_rdev, "/sys", &v->needs);
	parameters = v->needs;
	/* Of kernel dma-bufs only the driver can tell. */
	parameters.contiguous = false;
	info.priv = v;
	dev = dma_buf_device_create(&info);
	if (!dev) {
		int err = errno;

		free_video(v);
		errno = err;
	}
	return dev;
}
