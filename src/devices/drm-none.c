// SPDX-License-Identifier: MIT
/* In the place of drm-call.c, where the library was built without libdrm. */
#include "drm.h"

#include <errno.h>

int drm_call_look(struct drm_device *d)
{
	return -EOPNOTSUPP;
}

int drm_call_import(int fd, int dmabuf, uint32_t *handle)
{
	return -EOPNOTSUPP;
}

int drm_call_export(int fd, uint32_t handle)
{
	return -EOPNOTSUPP;
}

int drm_call_close(int fd, uint32_t handle)
{
	return -EOPNOTSUPP;
}

int drm_call_picture(int fd, struct dma_buf_drm_picture *picture, uint32_t *handle)
{
	return -EOPNOTSUPP;
}

int drm_call_picture_end(int fd, uint32_t handle)
{
	return -EOPNOTSUPP;
}

int drm_call_screen(int fd, struct drm_shown *shown)
{
	return -EOPNOTSUPP;
}
