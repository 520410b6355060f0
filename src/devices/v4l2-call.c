// SPDX-License-Identifier: MIT
/* The way to a video driver. */
#include "v4l2.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "device.h"
#include "error.h"
#include "process.h"

/* Signals that come faster than a driver answers end the attempts after all. */
#define MAX_ATTEMPTS 1000

int v4l2_call(struct v4l2_device *v, unsigned long request, void *argument)
{
	int attempts = 0, err;

	do {
		err = ioctl(v->fd, request, argument) < 0 ? -errno : 0;
	} while (err == -EINTR && ++attempts < MAX_ATTEMPTS);
	if (err == -ENODEV)
		v->gone = true;
	return err;
}

int v4l2_fail(const struct v4l2_device *v, int err, const char *what)
{
	if (err == ENODEV)
		return dmabuf_fail(ENODEV, "%s: %s: the device is gone (unplugged)", v->name, what);
	if (err == EBUSY)
		return dmabuf_fail(EBUSY, "%s: %s: it is in use: by another program, or it streams",
				   v->name, what);
	return dmabuf_fail(err, "%s (%s): %s: %s", v->name, v->driver, what, strerror(err));
}

struct v4l2_device *v4l2_of(const struct dma_buf_device *dev)
{
	struct v4l2_device *v;

	if (!dev || dev->ops != &v4l2_map_ops)
		return dmabuf_fail_ptr(EINVAL, "device %s is not a video device",
				       dev ? dev->name : "NULL");
	v = dev->priv;
	if (process_is(v->owner))
		return v;
	return dmabuf_fail_ptr(ECHILD, "video device %s belongs to the process that opened it",
			       v->name);
}
