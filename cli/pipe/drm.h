/* SPDX-License-Identifier: MIT */
/* The two ends of drm:. */
#ifndef DMABUF_CLI_PIPE_DRM_H
#define DMABUF_CLI_PIPE_DRM_H

#include "element.h"

/* Before the source's queue is opened: how large buffers are. */
int drm_source_prepare(struct element_context *context, struct dmabuf_queue_options *options);
int drm_source_run(struct element_context *context);

#endif
