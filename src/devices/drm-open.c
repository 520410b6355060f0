// SPDX-License-Identifier: MIT
/* A DRM device comes and goes, and what it says of itself. */
#include "drm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/char-device.h"
#include "error.h"
#include "export.h"
#include "process.h"
#include "text.h"

struct drm_device *drm_of(const struct dma_buf_device *dev)
{
	struct drm_device *d;

	if (!dev || dev->ops != &drm_map_ops)
		return dmabuf_fail_ptr(EINVAL, "device %s is not a DRM device",
				       dev ? dev->name : "NULL");
	d = dev->priv;
	if (process_is(d->owner))
		return d;
	return dmabuf_fail_ptr(ECHILD, "DRM device %s belongs to the process that opened it",
			       d->name);
}

static void free_drm(struct drm_device *d)
{
	/* Tables are unmapped before the last reference goes; this is for those of a parent. */
	while (d->regions) {
		struct drm_region *region = d->regions;

		d->regions = region->next;
		free(region);
	}
	if (d->fd >= 0)
		close(d->fd);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void release(void *priv)
{
	free_drm(priv);
}

static int look(struct drm_device *d, dev_t number)
{
	int err;

	if (major(number) != DRM_MAJOR_NUMBER)
		return dmabuf_fail(ENOTSUP, "%s is no DRM device", d->name);
	err = drm_call_look(d);
	if (err == -EOPNOTSUPP)
		return dmabuf_fail(EOPNOTSUPP, "%s: this library was built without libdrm",
				   d->name);
	if (err)
		return dmabuf_fail(ENOTSUP, "%s is no DRM device: %s", d->name, strerror(-err));
	if (!d->imports && !d->exports)
		return dmabuf_fail(ENOTSUP, "%s (%s) shares no buffers: its driver has no PRIME",
				   d->name, d->driver);
	return 0;
}

static int take_descriptor(struct drm_device *d, int fd)
{
	struct stat st;
	int flags;

	d->fd = char_device_take(fd, d->name, &flags);
	if (d->fd < 0)
		return d->fd;
	return look(d, fstat(d->fd, &st) == 0 && S_ISCHR(st.st_mode) ? st.st_rdev : 0);
}

static struct drm_device *make_drm(int fd, const char *name)
{
	struct drm_device *d = calloc(1, sizeof(*d));
	int err = 0;

	if (!d)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a DRM device");
	pthread_mutex_init(&d->lock, NULL);
	d->fd = -1;
	text_copy(d->name, sizeof(d->name), name);
	d->owner = process_cookie();
	if (!d->owner)
		err = dmabuf_fail(ENOMEM, "no memory to tell this process from a forked one");
	if (!err)
		err = take_descriptor(d, fd);
	if (err) {
		free_drm(d);
		errno = -err;
		return NULL;
	}
	return d;
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_drm_open(int fd, const char *name)
{
	struct dma_buf_device_parameters parameters = { .size = sizeof(parameters) };
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .parameters = &parameters,
					    .ops = &drm_map_ops,
					    .release = release };
	char own[DMA_BUF_DEVICE_NAME_LEN];
	struct dma_buf_device *dev;
	struct drm_device *d;
	struct stat st;

	if (name && text_check(name, sizeof(own), false, "a device's name") < 0)
		return NULL;
	if (!name)
		char_device_name(fd, "drm", own, sizeof(own));
	info.name = name ? name : own;
	d = make_drm(fd, info.name);
	if (!d)
		return NULL;
	if (fstat(d->fd, &st) == 0)
		(void)drm_parameters(st.st_rdev, "/sys", &parameters);
	/* Of kernel dma-bufs only the driver can tell. */
	parameters.contiguous = false;
	parameters.page_backed = false;
	info.priv = d;
	dev = dma_buf_device_create(&info);
	if (!dev) {
		int err = errno;

		free_drm(d);
		errno = err;
	}
	return dev;
}

DMABUF_PUBLIC int dma_buf_drm_get_info(struct dma_buf_device *dev, struct dma_buf_drm_info *info)
{
	struct drm_device *d = drm_of(dev);

	if (!d)
		return -errno;
	if (!info || info->size != sizeof(*info))
		return dmabuf_fail(EINVAL, "DRM info: size must be %zu", sizeof(*info));
	*info = (struct dma_buf_drm_info){
		.size = sizeof(*info), .imports = d->imports, .exports = d->exports, .dumb = d->dumb
	};
	memcpy(info->driver, d->driver, sizeof(info->driver));
	pthread_mutex_lock(&d->lock);
	for (const struct drm_region *region = d->regions; region; region = region->next)
		info->imported++;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

DMABUF_PUBLIC int dma_buf_drm_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	const struct drm_device *d = drm_of(dev);
	int n;

	if (!d)
		return -errno;
	if (!text || !size)
		return dmabuf_fail(EINVAL, "DRM describe: no room for the words");
	n = snprintf(text, size, "%s%s%s%s", d->driver, d->imports ? ", imports" : "",
		     d->exports ? ", exports" : "", d->dumb ? ", makes pictures" : "");
	if (n < 0 || (size_t)n >= size)
		return dmabuf_fail(ENOSPC, "DRM describe: %d bytes needed, %zu given", n + 1, size);
	return 0;
}
