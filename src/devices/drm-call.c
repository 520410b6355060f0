// SPDX-License-Identifier: MIT
/* What a DRM device asks of the kernel. libdrm repeats interrupted calls. */
#include "drm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

static uint32_t framebuffer_of(int fd, uint32_t crtc)
{
	drmModeCrtcPtr c = drmModeGetCrtc(fd, crtc);
	uint32_t framebuffer = c ? c->buffer_id : 0;

	drmModeFreeCrtc(c);
	return framebuffer;
}

static int find_framebuffer(int fd, uint32_t *crtc, uint32_t *framebuffer)
{
	drmModeResPtr all;
	uint32_t want = *crtc;

	errno = 0;
	all = drmModeGetResources(fd);
	if (!all)
		return errno ? -errno : -ENOMEM;
	*framebuffer = 0;
	for (int i = 0; i < all->count_crtcs && !*framebuffer; i++) {
		if (want && want != all->crtcs[i])
			continue;
		*crtc = all->crtcs[i];
		*framebuffer = framebuffer_of(fd, *crtc);
	}
	drmModeFreeResources(all);
	return *framebuffer ? 0 : -ENOENT;
}

static void take_framebuffer(const drmModeFB2 *from, struct drm_shown *to)
{
	to->fourcc = from->pixel_format;
	to->width = from->width;
	to->height = from->height;
	/* Without one it is as the driver always does, which for what the CPU draws is linear. */
	to->modifier = from->flags & DRM_MODE_FB_MODIFIERS ? from->modifier : 0;
	for (to->plane_count = 0; to->plane_count < DMABUF_FRAME_MAX_PLANES; to->plane_count++) {
		uint32_t i = to->plane_count;

		if (!from->pitches[i])
			break;
		to->planes[i] = (struct dmabuf_frame_plane){ from->offsets[i], from->pitches[i] };
	}
	memcpy(to->handles, from->handles, sizeof(to->handles));
}

int drm_call_screen(int fd, struct drm_shown *shown)
{
	uint32_t framebuffer = 0;
	drmModeFB2Ptr fb;
	int err;

	/* One that is replaced meanwhile may be gone when it is asked for. */
	for (int attempts = 0; attempts < 8; attempts++) {
		err = find_framebuffer(fd, &shown->crtc, &framebuffer);
		if (err)
			return err;
		errno = 0;
		fb = drmModeGetFB2(fd, framebuffer);
		if (fb) {
			take_framebuffer(fb, shown);
			drmModeFreeFB2(fb);
			return shown->handles[0] ? 0 : -EACCES;
		}
		err = errno ? -errno : -ENOMEM;
		if (err != -ENOENT)
			return err;
	}
	return -ENOENT;
}
