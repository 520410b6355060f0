// SPDX-License-Identifier: MIT
/* Buffers that a DRM driver takes, and those that it gives away. */
#include "drm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attachment.h"
#include "error.h"
#include "export.h"
#include "process.h"
#include "text.h"

static struct drm_region **find(struct drm_device *d, const struct dma_buf_scatterlist *sgl)
{
	struct drm_region **at = &d->regions;

	while (*at && (*at)->sgl != sgl)
		at = &(*at)->next;
	return at;
}

static bool handle_in_use(const struct drm_device *d, uint32_t handle)
{
	for (const struct drm_region *region = d->regions; region; region = region->next)
		if (region->handle == handle)
			return true;
	return false;
}

static int import_failed(const struct drm_device *d, const struct dma_buf *dmabuf, int err)
{
	switch (err) {
	case ENODEV:
	case ENOSYS:
	case ENOTTY:
	case EOPNOTSUPP:
		return dmabuf_fail(EOPNOTSUPP,
				   "%s (%s) takes no buffers of others: let it make them "
				   "(dma_buf_drm_alloc()), and give those to the other devices",
				   d->name, d->driver);
	case EINVAL:
	case EFAULT:
	case EIO:
		return dmabuf_fail(EOPNOTSUPP,
				   "%s (%s) cannot use the memory of buffer %s (%s): not in one "
				   "piece, or out of its reach",
				   d->name, d->driver, dmabuf->exp_name, strerror(err));
	default:
		return dmabuf_fail(err, "importing a buffer to %s (%s): %s", d->name, d->driver,
				   strerror(err));
	}
}

/* With the lock held: what is imported must not be closed by another thread's unmap meanwhile. */
static int import(struct drm_device *d, struct dma_buf *dmabuf,
		  const struct dma_buf_scatterlist *sgl, int fd, uint32_t *handle)
{
	struct drm_region *region = *find(d, sgl);
	int err;

	if (!region) {
		region = calloc(1, sizeof(*region));
		if (!region)
			return dmabuf_fail(ENOMEM, "no memory for a buffer of %s", d->name);
		region->sgl = sgl;
		err = drm_call_import(d->fd, fd, &region->handle);
		if (err) {
			free(region);
			return import_failed(d, dmabuf, -err);
		}
		region->next = d->regions;
		d->regions = region;
	}
	*handle = region->handle;
	return 0;
}

static bool has_handle(struct drm_device *d, const struct dma_buf_scatterlist *sgl,
		       uint32_t *handle)
{
	const struct drm_region *region;

	pthread_mutex_lock(&d->lock);
	region = *find(d, sgl);
	if (region)
		*handle = region->handle;
	pthread_mutex_unlock(&d->lock);
	return region;
}

DMABUF_PUBLIC int dma_buf_drm_import(struct dma_buf_attachment *attach,
				     struct dma_buf_sg_table *table,
				     enum dma_data_direction direction, uint32_t *handle)
{
	struct drm_device *d;
	int err, fd;

	if (!attach || !table || !handle)
		return dmabuf_fail(EINVAL, "DRM import: no %s (NULL)",
				   !attach  ? "attachment"
				   : !table ? "table"
					    : "place for the handle");
	d = drm_of(attach->dev);
	if (!d)
		return -errno;
	err = attachment_check_mapped(attach, table, direction);
	if (err)
		return err;
	if (has_handle(d, table->sgl, handle))
		return 0;
	fd = dma_buf_kernel_fd(attach->dmabuf, O_CLOEXEC);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&d->lock);
	err = import(d, attach->dmabuf, table->sgl, fd, handle);
	pthread_mutex_unlock(&d->lock);
	close(fd);
	return err;
}

/* The table is unmapped: the driver lets go of the memory. */
static void forget(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		   enum dma_data_direction direction)
{
	struct drm_device *d = dev->priv;
	struct drm_region **at, *region;

	(void)direction;
	/* The open file is shared with the parent, whose handles these are. */
	if (!process_is(d->owner))
		return;
	pthread_mutex_lock(&d->lock);
	at = find(d, table->sgl);
	region = *at;
	if (region) {
		*at = region->next;
		if (!handle_in_use(d, region->handle))
			(void)drm_call_close(d->fd, region->handle);
	}
	pthread_mutex_unlock(&d->lock);
	free(region);
}

const struct dma_buf_map_ops drm_map_ops = { .unmap_sg = forget };

static struct dma_buf *export(const struct drm_device *d, uint32_t handle)
{
	int fd = drm_call_export(d->fd, handle), err;
	struct dma_buf *dmabuf;

	if (fd == -ENOENT)
		return dmabuf_fail_ptr(ENOENT, "%s (%s) has no handle %u", d->name, d->driver,
				       handle);
	if (fd == -ENOSYS || fd == -ENOTTY || fd == -EOPNOTSUPP)
		return dmabuf_fail_ptr(EOPNOTSUPP, "%s (%s) exports no buffers", d->name,
				       d->driver);
	if (fd < 0)
		return dmabuf_fail_ptr(-fd, "exporting handle %u of %s (%s): %s", handle, d->name,
				       d->driver, strerror(-fd));
	dmabuf = dma_buf_get(fd);
	err = errno;
	close(fd);
	errno = err;
	return dmabuf;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_drm_export(struct dma_buf_device *dev, uint32_t handle)
{
	const struct drm_device *d = drm_of(dev);

	return d ? export(d, handle) : NULL;
}

static int make_picture(const struct drm_device *d, struct dma_buf_drm_picture *picture,
			uint32_t *handle)
{
	int err;

	if (!d->dumb || !d->exports)
		return dmabuf_fail(EOPNOTSUPP, "%s (%s) %s", d->name, d->driver,
				   d->dumb ? "exports no buffers" : "makes no pictures");
	err = drm_call_picture(d->fd, picture, handle);
	if (err == -EACCES)
		return dmabuf_fail(EACCES,
				   "%s (%s) makes no pictures on a render node: open its card",
				   d->name, d->driver);
	if (err)
		return dmabuf_fail(-err, "%s (%s): a picture of %ux%u with %u bits a pixel: %s",
				   d->name, d->driver, picture->width, picture->height,
				   picture->bits_per_pixel, strerror(-err));
	if (picture->bytes && picture->stride &&
	    picture->bytes / picture->stride >= picture->height)
		return 0;
	(void)drm_call_picture_end(d->fd, *handle);
	return dmabuf_fail(EPROTO, "%s (%s): a picture of %u lines with %u bytes each has %llu",
			   d->name, d->driver, picture->height, picture->stride,
			   (unsigned long long)picture->bytes);
}

DMABUF_PUBLIC struct dma_buf *
dma_buf_drm_alloc(struct dma_buf_device *dev, struct dma_buf_drm_picture *picture, const char *name)
{
	const struct drm_device *d = drm_of(dev);
	struct dma_buf_drm_picture made;
	struct dma_buf *dmabuf;
	uint32_t handle;
	int err;

	if (!d)
		return NULL;
	if (!picture || picture->size != sizeof(*picture))
		return dmabuf_fail_ptr(EINVAL, "DRM picture: size must be %zu", sizeof(*picture));
	if (!picture->width || !picture->height || !picture->bits_per_pixel)
		return dmabuf_fail_ptr(EINVAL,
				       "DRM picture: %ux%u with %u bits a pixel has nothing in it",
				       picture->width, picture->height, picture->bits_per_pixel);
	if (name && text_check(name, DMA_BUF_NAME_LEN, false, "a buffer's name") < 0)
		return NULL;
	made = *picture;
	err = make_picture(d, &made, &handle);
	if (err) {
		errno = -err;
		return NULL;
	}
	dmabuf = export(d, handle);
	err = errno;
	/* The dma-buf keeps the memory; a handle that stayed would be found by imports. */
	(void)drm_call_picture_end(d->fd, handle);
	errno = err;
	if (!dmabuf)
		return NULL;
	if (name)
		(void)dma_buf_set_name(dmabuf, name);
	*picture = made;
	return dmabuf;
}
