// SPDX-License-Identifier: MIT
/* The picture that a display shows, as the buffer that it is in. */
#include "drm.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "export.h"

#define MAX_SIDE 65536u

/* Each plane has a handle, and those of one memory may be one or several. */
static void close_handles(const struct drm_device *d, const struct drm_shown *shown)
{
	for (uint32_t i = 0; i < DMABUF_FRAME_MAX_PLANES; i++) {
		uint32_t before = 0;

		while (before < i && shown->handles[before] != shown->handles[i])
			before++;
		if (shown->handles[i] && before == i)
			(void)drm_call_close(d->fd, shown->handles[i]);
	}
}

static int look_failed(const struct drm_device *d, uint32_t crtc, int err)
{
	switch (err) {
	case ENOENT:
		return dmabuf_fail(ENOENT, "%s (%s): %s shows nothing", d->name, d->driver,
				   crtc ? "this CRTC" : "no display of it");
	case EACCES:
		return dmabuf_fail(EACCES,
				   "%s (%s): who may see what it shows is its master, or has "
				   "CAP_SYS_ADMIN",
				   d->name, d->driver);
	case EINVAL:
	case ENODEV:
	case ENOSYS:
	case ENOTTY:
	case EOPNOTSUPP:
		return dmabuf_fail(EOPNOTSUPP, "%s (%s) has no displays, or keeps what they show",
				   d->name, d->driver);
	default:
		return dmabuf_fail(err, "%s (%s): looking at its display: %s", d->name, d->driver,
				   strerror(err));
	}
}

static const char *what_is_wrong(const struct drm_shown *s)
{
	if (!s->width || !s->height || s->width > MAX_SIDE || s->height > MAX_SIDE)
		return "its size";
	if (!s->plane_count || s->plane_count > DMABUF_FRAME_MAX_PLANES || !s->planes[0].stride)
		return "its planes";
	return NULL;
}

static int check(const struct drm_device *d, const struct drm_shown *s)
{
	const char *wrong = what_is_wrong(s);

	if (wrong)
		return dmabuf_fail(EPROTO, "%s (%s): a picture that makes no sense: %s", d->name,
				   d->driver, wrong);
	for (uint32_t i = 1; i < s->plane_count; i++)
		if (s->handles[i] != s->handles[0])
			return dmabuf_fail(EOPNOTSUPP,
					   "%s (%s): what it shows is in several pieces of memory",
					   d->name, d->driver);
	return 0;
}

/* The memory that was exported must hold what is said to be in it. */
static bool holds(const struct dma_buf *dmabuf, const struct drm_shown *s)
{
	uint64_t end = s->planes[0].offset + (uint64_t)s->planes[0].stride * s->height;

	for (uint32_t i = 1; i < s->plane_count; i++)
		if (s->planes[i].offset >= dmabuf->size)
			return false;
	/* Lines of a tiled picture are none. */
	return s->modifier || end <= dmabuf->size;
}

static struct dma_buf *take(struct dma_buf_device *dev, const struct drm_device *d,
			    const struct drm_shown *shown)
{
	struct dma_buf *dmabuf;
	int err = check(d, shown);

	if (err) {
		errno = -err;
		return NULL;
	}
	dmabuf = dma_buf_drm_export(dev, shown->handles[0]);
	if (!dmabuf || holds(dmabuf, shown))
		return dmabuf;
	dma_buf_put(dmabuf);
	return dmabuf_fail_ptr(EPROTO, "%s (%s): a picture that is larger than its memory", d->name,
			       d->driver);
}

DMABUF_PUBLIC struct dma_buf *dma_buf_drm_get_screen(struct dma_buf_device *dev,
						     struct dma_buf_drm_screen *screen)
{
	const struct drm_device *d = drm_of(dev);
	struct drm_shown shown = { 0 };
	struct dma_buf *dmabuf;
	int err;

	if (!d)
		return NULL;
	if (!screen || screen->size != sizeof(*screen))
		return dmabuf_fail_ptr(EINVAL, "DRM screen: size must be %zu", sizeof(*screen));
	shown.crtc = screen->crtc;
	err = drm_call_screen(d->fd, &shown);
	if (err) {
		errno = -look_failed(d, screen->crtc, -err);
		return NULL;
	}
	dmabuf = take(dev, d, &shown);
	err = errno;
	/* The dma-buf keeps the memory. */
	close_handles(d, &shown);
	errno = err;
	if (!dmabuf)
		return NULL;
	*screen = (struct dma_buf_drm_screen){ .size = sizeof(*screen),
					       .crtc = shown.crtc,
					       .fourcc = shown.fourcc,
					       .width = shown.width,
					       .height = shown.height,
					       .modifier = shown.modifier,
					       .plane_count = shown.plane_count };
	memcpy(screen->planes, shown.planes, sizeof(screen->planes));
	return dmabuf;
}
