// SPDX-License-Identifier: MIT
/* What a video device is and how it is doing, in numbers and in words. */
#include "v4l2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "export.h"

DMABUF_PUBLIC int dma_buf_v4l2_fd(struct dma_buf_device *dev)
{
	const struct v4l2_device *v = v4l2_of(dev);

	return v ? v->fd : -errno;
}

DMABUF_PUBLIC int dma_buf_v4l2_get_info(struct dma_buf_device *dev, struct dma_buf_v4l2_info *info)
{
	struct v4l2_device *v = v4l2_of(dev);

	if (!v)
		return -errno;
	if (!info || info->size != sizeof(*info))
		return dmabuf_fail(EINVAL, "video info: size must be %zu", sizeof(*info));
	pthread_mutex_lock(&v->lock);
	*info = (struct dma_buf_v4l2_info){
		.size = sizeof(*info),
		.output = v->output,
		.multiplanar = v->multiplanar,
		.streaming = v->streaming,
		.memory = v->memory,
		.min_buffers = v->min_buffers,
		.buffers = v->memory == DMA_BUF_V4L2_EXPORT ? DMA_BUF_V4L2_MAX_BUFFERS
							    : v->place_count,
		.queued = v->queued,
		.frames = v->frames,
		.errors = v->errors,
		.lost = v->lost,
		.requests = v->requests,
	};
	memcpy(info->driver, v->driver, sizeof(info->driver));
	memcpy(info->card, v->card, sizeof(info->card));
	memcpy(info->bus, v->bus, sizeof(info->bus));
	pthread_mutex_unlock(&v->lock);
	return 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_get_parameters(struct dma_buf_device *dev,
					      struct dma_buf_device_parameters *parameters)
{
	struct v4l2_device *v = v4l2_of(dev);

	if (!v)
		return -errno;
	if (!parameters || parameters->size != sizeof(*parameters))
		return dmabuf_fail(EINVAL, "video device: size of parameters must be %zu",
				   sizeof(*parameters));
	pthread_mutex_lock(&v->lock);
	*parameters = v->needs;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_parameters_from(struct dma_buf_device *dev)
{
	struct v4l2_device *v = v4l2_of(dev);
	int from;

	if (!v)
		return -errno;
	pthread_mutex_lock(&v->lock);
	from = (int)v->needs_from;
	pthread_mutex_unlock(&v->lock);
	return from;
}

static int memory_words(const struct v4l2_device *v, char *text, size_t size)
{
	if (v->memory == DMA_BUF_V4L2_IMPORT)
		return snprintf(text, size, ", our memory");
	if (v->memory == DMA_BUF_V4L2_AUTO)
		return 0;
	if (!v->import_errno)
		return snprintf(text, size, ", the driver's memory");
	return snprintf(text, size, ", the driver's memory (ours was refused: %s)",
			strerror(v->import_errno));
}

DMABUF_PUBLIC int dma_buf_v4l2_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	struct v4l2_device *v = v4l2_of(dev);
	char words[384], fourcc[16];
	int used;

	if (!v)
		return -errno;
	if (!text || !size)
		return dmabuf_fail(EINVAL, "video device: no room to describe it");
	pthread_mutex_lock(&v->lock);
	used = snprintf(words, sizeof(words), "%s (%s)", v->driver, v->bus);
	v4l2_fourcc_text(v->format.fourcc, fourcc);
	if (v->format.width)
		used += snprintf(words + used, sizeof(words) - (size_t)used, ", %s %ux%u", fourcc,
				 v->format.width, v->format.height);
	used += memory_words(v, words + used, sizeof(words) - (size_t)used);
	pthread_mutex_unlock(&v->lock);
	snprintf(text, size, "%s", words);
	return (size_t)used < size
		       ? 0
		       : dmabuf_fail(ENOSPC, "%zu bytes are too few to describe %s", size, v->name);
}
