/* SPDX-License-Identifier: MIT */
/* A video device over a fake driver, with its buffers. */
#ifndef DMABUF_TEST_V4L2_UTIL_H
#define DMABUF_TEST_V4L2_UTIL_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <dmabuf.h>

#include "harness/harness.h"
#include "v4l2-fake.h"

#define CAPTURE V4L2_CAP_VIDEO_CAPTURE
#define OUTPUT V4L2_CAP_VIDEO_OUTPUT
#define NV12 V4L2_PIX_FMT_NV12
#define RIG_BUFFERS 33

struct rig_buffer {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
};

struct rig {
	struct fake_video fake;
	struct dma_buf_device *dev;
	struct dma_buf_v4l2_format format;
	enum dma_data_direction direction;
	struct rig_buffer buffers[RIG_BUFFERS];
	unsigned int count;
};

static inline void rig_open(struct rig *rig)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options) };
	int fd = fake_open(&rig->fake);

	options.output =
		!(rig->fake.caps & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE));
	rig->direction = options.output ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	rig->dev = dma_buf_v4l2_open(fd, "cam", &options);
	close(fd);
	ASSERT(rig->dev);
}

/* A buffer more, mapped for the device. */
static inline void rig_add(struct rig *rig, struct dma_buf *dmabuf)
{
	struct rig_buffer *b = &rig->buffers[rig->count++];

	ASSERT(dmabuf);
	b->dmabuf = dmabuf;
	b->attach = dma_buf_attach(dmabuf, rig->dev);
	ASSERT(b->attach);
	b->table = dma_buf_map_attachment(b->attach, rig->direction);
	ASSERT(b->table);
}

static inline int rig_queue(struct rig *rig, unsigned int i)
{
	return dma_buf_v4l2_queue(rig->buffers[i].attach, rig->buffers[i].table,
				  rig->direction == DMA_TO_DEVICE ? rig->format.buffer_size : 0, 0,
				  i);
}

/* Opened, with the format and @count buffers of @memory, not queued. */
static inline void rig_set_up(struct rig *rig, uint32_t fourcc, enum dma_buf_v4l2_memory memory,
			      unsigned int count)
{
	rig->format = (struct dma_buf_v4l2_format){ .size = sizeof(rig->format), .fourcc = fourcc };
	rig_open(rig);
	ASSERT_OK(dma_buf_v4l2_set_format(rig->dev, &rig->format));
	ASSERT_OK(dma_buf_v4l2_request(rig->dev, memory, count));
	for (unsigned int i = 0; i < count; i++)
		rig_add(rig, dma_buf_v4l2_alloc(rig->dev, "frame"));
}

static inline void rig_start(struct rig *rig)
{
	for (unsigned int i = 0; i < rig->count; i++)
		ASSERT_OK(rig_queue(rig, i));
	ASSERT_OK(dma_buf_v4l2_start(rig->dev));
}

static inline struct dma_buf_v4l2_completion rig_reap(struct rig *rig)
{
	struct dma_buf_v4l2_completion done = { 0 };

	ASSERT_EQ(dma_buf_v4l2_reap(rig->dev, &done, 1, 0), 1);
	return done;
}

static inline int rig_reap_fails(struct rig *rig)
{
	struct dma_buf_v4l2_completion done;

	return dma_buf_v4l2_reap(rig->dev, &done, 1, 0);
}

/* The byte at @at, as the CPU sees it. */
static inline uint8_t rig_byte(struct rig *rig, uint64_t i, uint64_t at)
{
	struct dma_buf *dmabuf = rig->buffers[i].dmabuf;
	const uint8_t *bytes = dma_buf_vmap(dmabuf);
	uint8_t byte;

	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, at, 1, DMA_FROM_DEVICE));
	byte = bytes[at];
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, at, 1, DMA_FROM_DEVICE));
	dma_buf_vunmap(dmabuf, (void *)bytes);
	return byte;
}

static inline struct dma_buf_v4l2_info rig_info(struct rig *rig)
{
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };

	ASSERT_OK(dma_buf_v4l2_get_info(rig->dev, &info));
	return info;
}

static inline void rig_detach(struct rig *rig, unsigned int i)
{
	struct rig_buffer *b = &rig->buffers[i];

	if (!b->attach)
		return;
	ASSERT_OK(dma_buf_unmap_attachment(b->attach, b->table, rig->direction));
	dma_buf_detach(b->dmabuf, b->attach);
	b->attach = NULL;
}

static inline void rig_close(struct rig *rig)
{
	for (unsigned int i = 0; i < rig->count; i++) {
		rig_detach(rig, i);
		dma_buf_put(rig->buffers[i].dmabuf);
	}
	dma_buf_device_put(rig->dev);
	fake_free(&rig->fake);
}

#endif
