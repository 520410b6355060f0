// SPDX-License-Identifier: MIT
/* What a DRM device asks of the kernel. libdrm repeats interrupted calls. */
#include "drm.h"

#include <errno.h>
#include <fcntl.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "text.h"

/* The kernel answers this question for drivers with displays only; of others one is made. */
static bool makes_pictures(int fd)
{
	struct dma_buf_drm_picture probe = { .width = 1, .height = 1, .bits_per_pixel = 32 };
	uint64_t dumb = 0;
	uint32_t handle;

	if (drmGetCap(fd, DRM_CAP_DUMB_BUFFER, &dumb) == 0)
		return dumb;
	return drm_call_picture(fd, &probe, &handle) == 0 && drm_call_picture_end(fd, handle) == 0;
}

int drm_call_look(struct drm_device *d)
{
	drmVersionPtr version = drmGetVersion(d->fd);
	uint64_t prime = 0;

	if (!version)
		return errno ? -errno : -ENOTTY;
	text_copy_untrusted(d->driver, sizeof(d->driver), version->name,
			    version->name_len > 0 ? (size_t)version->name_len : 0);
	drmFreeVersion(version);
	if (drmGetCap(d->fd, DRM_CAP_PRIME, &prime) < 0)
		prime = 0;
	d->imports = prime & DRM_PRIME_CAP_IMPORT;
	d->exports = prime & DRM_PRIME_CAP_EXPORT;
	d->dumb = makes_pictures(d->fd);
	return 0;
}

int drm_call_import(int fd, int dmabuf, uint32_t *handle)
{
	return drmPrimeFDToHandle(fd, dmabuf, handle) < 0 ? -errno : 0;
}

int drm_call_export(int fd, uint32_t handle)
{
	int dmabuf;

	return drmPrimeHandleToFD(fd, handle, DRM_CLOEXEC | DRM_RDWR, &dmabuf) < 0 ? -errno
										   : dmabuf;
}

int drm_call_close(int fd, uint32_t handle)
{
	return drmCloseBufferHandle(fd, handle) < 0 ? -errno : 0;
}

int drm_call_picture(int fd, struct dma_buf_drm_picture *picture, uint32_t *handle)
{
	return drmModeCreateDumbBuffer(fd, picture->width, picture->height, picture->bits_per_pixel,
				       0, handle, &picture->stride, &picture->bytes) < 0
		       ? -errno
		       : 0;
}

int drm_call_picture_end(int fd, uint32_t handle)
{
	return drmModeDestroyDumbBuffer(fd, handle) < 0 ? -errno : 0;
}
