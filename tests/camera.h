/* SPDX-License-Identifier: MIT */
/*
 * A camera and the queue that its frames go to, one step at a time: the first of the kernel's
 * virtual ones if there is one here, whose picture stands still; else the fake driver, whose frames
 * are all of one byte.
 */
#ifndef DMABUF_TEST_CAMERA_H
#define DMABUF_TEST_CAMERA_H

#include <dmabuf.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"
#include "v4l2-fake.h"

#define CAMERA_MS 20000

struct camera_slot {
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dmabuf_frame frame;
};

struct camera {
	struct fake_video fake;
	bool real;
	struct dma_buf_device *dev;
	struct dma_buf_v4l2_format format;
	struct dmabuf_queue *queue;
	struct camera_slot slots[DMABUF_QUEUE_MAX_BUFFERS];
	unsigned int pool; /* buffers as long as there is no consumer */
	unsigned int with_driver;
	uint64_t frames;
};

/* The node of the first virtual camera ("cap") or output ("out"). */
static inline int camera_node(const char *what, char path[64])
{
	char wanted[32], name[320], text[64] = "";
	DIR *dir = opendir("/sys/class/video4linux");
	const struct dirent *entry;
	int found = 0;
	FILE *f;

	snprintf(wanted, sizeof(wanted), "vivid-000-vid-%s\n", what);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(name, sizeof(name), "/sys/class/video4linux/%s/name", entry->d_name);
		f = fopen(name, "re");
		found = f && fgets(text, sizeof(text), f) && !strcmp(text, wanted);
		if (f)
			fclose(f);
		if (found)
			snprintf(path, 64, "/dev/%.40s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
}

static inline struct dma_buf *camera_allocate(void *data, const char *name, uint64_t size)
{
	struct camera *c = data;

	return dma_buf_v4l2_alloc(c->dev, name);
}

static inline void camera_open(struct camera *c, enum dma_buf_v4l2_memory memory)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options) };
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	struct dmabuf_queue_options o = { .size = sizeof(o),
					  .allocate = camera_allocate,
					  .data = c };
	char path[64];
	int fd = camera_node("cap", path);

	memset(c, 0, sizeof(*c));
	c->real = fd >= 0;
	if (!c->real) {
		fake_init(&c->fake, V4L2_CAP_VIDEO_CAPTURE);
		fd = fake_open(&c->fake);
	}
	c->dev = dma_buf_v4l2_open(fd, "cam", &options);
	close(fd);
	ASSERT(c->dev);
	c->format = (struct dma_buf_v4l2_format){
		.size = sizeof(c->format), .fourcc = V4L2_PIX_FMT_NV12, .width = 320, .height = 180
	};
	ASSERT_OK(dma_buf_v4l2_set_format(c->dev, &c->format));
	ASSERT_OK(dma_buf_v4l2_request(c->dev, memory, 1));
	ASSERT_OK(dma_buf_v4l2_get_info(c->dev, &info));
	o.buffer_size = c->format.buffer_size;
	o.min_buffers = c->pool = info.min_buffers + 2;
	c->queue = dmabuf_queue_create(&o);
	ASSERT(c->queue);
}

static inline void camera_let_go(struct camera_slot *slot)
{
	struct dma_buf *dmabuf;

	if (!slot->attach)
		return;
	dmabuf = slot->attach->dmabuf;
	ASSERT_OK(dma_buf_unmap_attachment(slot->attach, slot->table, DMA_FROM_DEVICE));
	dma_buf_detach(dmabuf, slot->attach);
	dma_buf_put(dmabuf);
	slot->attach = NULL;
}

static inline void camera_give(struct camera *c, const struct dmabuf_frame *frame)
{
	struct camera_slot *slot = &c->slots[frame->index];

	if (!slot->attach || slot->attach->dmabuf != frame->dmabuf) {
		camera_let_go(slot);
		slot->attach = dma_buf_attach(frame->dmabuf, c->dev);
		ASSERT(slot->attach);
		get_dma_buf(frame->dmabuf);
		slot->table = dma_buf_map_attachment(slot->attach, DMA_FROM_DEVICE);
		ASSERT(slot->table);
	} else {
		ASSERT_OK(dma_buf_sync_sg_for_device(slot->attach, slot->table, DMA_FROM_DEVICE));
	}
	slot->frame = *frame;
	ASSERT_OK(dma_buf_v4l2_queue(slot->attach, slot->table, 0, 0, frame->index));
	c->with_driver++;
}

/* All that is empty goes to the driver. */
static inline void camera_fill(struct camera *c)
{
	struct dmabuf_frame frame;
	int err;

	while ((err = dmabuf_queue_get(c->queue, &frame, 0)) == 0)
		camera_give(c, &frame);
	if (err != -ETIMEDOUT && err != -ENOSPC)
		FAIL("the queue has no buffer for the camera: %s", dmabuf_last_error());
}

static inline void camera_start(struct camera *c)
{
	camera_fill(c);
	ASSERT_OK(dma_buf_v4l2_start(c->dev));
}

static inline int camera_take(struct camera *c, struct dmabuf_frame *frame)
{
	struct dma_buf_v4l2_completion done;
	struct camera_slot *slot;
	int got = dma_buf_v4l2_reap(c->dev, &done, 1, 0);

	if (got == -ETIMEDOUT || got == -ENOENT)
		return 0;
	ASSERT_EQ(got, 1);
	slot = &c->slots[done.cookie];
	c->with_driver--;
	ASSERT_OK(dma_buf_sync_sg_for_cpu(slot->attach, slot->table, DMA_FROM_DEVICE));
	*frame = slot->frame;
	frame->used = done.used;
	frame->sequence = done.sequence;
	frame->timestamp = done.timestamp;
	frame->fourcc = c->format.fourcc;
	frame->width = c->format.width;
	frame->height = c->format.height;
	frame->plane_count = c->format.plane_count;
	memcpy(frame->planes, c->format.planes,
	       c->format.plane_count * sizeof(c->format.planes[0]));
	if (!done.result)
		return 1;
	ASSERT_OK(dmabuf_queue_cancel(c->queue, frame));
	return 0;
}

/* What there is to do; sleeps for @ms until there is something, or @other, or -1, says something.
 */
static inline void camera_step(struct camera *c, int other, int ms)
{
	struct pollfd fds[3] = {
		{ .fd = dmabuf_queue_fd(c->queue), .events = POLLIN },
		{ .fd = other, .events = POLLIN },
		{ .fd = c->real && c->with_driver ? dma_buf_v4l2_fd(c->dev) : -1,
		  .events = POLLIN },
	};
	struct dmabuf_frame frame;

	(void)poll(fds, 3, ms);
	ASSERT_OK(dmabuf_queue_dispatch(c->queue));
	if (!c->real)
		fake_tick(&c->fake);
	while (camera_take(c, &frame)) {
		ASSERT_OK(dmabuf_queue_put(c->queue, &frame));
		c->frames++;
	}
	camera_fill(c);
}

/* The driver gives everything back. */
static inline void camera_stop(struct camera *c)
{
	struct dmabuf_frame frame;

	ASSERT_OK(dma_buf_v4l2_stop(c->dev));
	while (c->with_driver)
		ASSERT_EQ(camera_take(c, &frame), 0);
}

/* How many buffers nobody has. */
static inline unsigned int camera_count_empty(struct camera *c)
{
	struct dmabuf_frame frames[DMABUF_QUEUE_MAX_BUFFERS];
	unsigned int count = 0;

	while (count < DMABUF_QUEUE_MAX_BUFFERS &&
	       dmabuf_queue_get(c->queue, &frames[count], 0) == 0)
		count++;
	for (unsigned int i = 0; i < count; i++)
		ASSERT_OK(dmabuf_queue_cancel(c->queue, &frames[i]));
	return count;
}

static inline void camera_close(struct camera *c)
{
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		camera_let_go(&c->slots[i]);
	dmabuf_queue_destroy(c->queue);
	dma_buf_device_put(c->dev);
	if (!c->real)
		fake_free(&c->fake);
}

#endif
