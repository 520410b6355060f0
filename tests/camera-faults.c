// SPDX-License-Identifier: MIT
/*
 * A camera whose process runs out of descriptors, at each number of them. With a virtual camera of
 * the kernel's where there is one, else with the fake driver.
 */
#include "camera.h"
#include "few-fds.h"

#define BUFFERS 3

struct attempt {
	enum dma_buf_v4l2_memory memory;
	struct fake_video fake;
	int fd;
	struct dma_buf_device *dev;
	struct camera_slot slots[BUFFERS];
};

static int give(struct attempt *a, unsigned int i)
{
	struct camera_slot *slot = &a->slots[i];

	slot->frame.dmabuf = dma_buf_v4l2_alloc(a->dev, "frame");
	if (!slot->frame.dmabuf)
		return -errno;
	slot->attach = dma_buf_attach(slot->frame.dmabuf, a->dev);
	if (!slot->attach)
		return -errno;
	slot->table = dma_buf_map_attachment(slot->attach, DMA_FROM_DEVICE);
	return slot->table ? dma_buf_v4l2_queue(slot->attach, slot->table, 0, 0, i) : -errno;
}

static void end(struct attempt *a)
{
	if (a->dev)
		(void)dma_buf_v4l2_stop(a->dev);
	for (unsigned int i = 0; i < BUFFERS; i++) {
		struct camera_slot *slot = &a->slots[i];

		if (slot->table)
			(void)dma_buf_unmap_attachment(slot->attach, slot->table, DMA_FROM_DEVICE);
		if (slot->attach)
			dma_buf_detach(slot->frame.dmabuf, slot->attach);
		dma_buf_put(slot->frame.dmabuf);
		memset(slot, 0, sizeof(*slot));
	}
	dma_buf_device_put(a->dev);
	a->dev = NULL;
}

static int stream(struct attempt *a)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options) };
	struct dma_buf_v4l2_format format = { .size = sizeof(format), .width = 320, .height = 180 };
	int err;

	a->dev = dma_buf_v4l2_open(a->fd, "cam", &options);
	if (!a->dev)
		return -errno;
	err = dma_buf_v4l2_set_format(a->dev, &format);
	if (!err)
		err = dma_buf_v4l2_request(a->dev, a->memory, BUFFERS);
	for (unsigned int i = 0; i < BUFFERS && !err; i++)
		err = give(a, i);
	return err ? err : dma_buf_v4l2_start(a->dev);
}

/* Whatever fails, the words are of that and not of the clearing up. */
static int start(void *arg)
{
	struct attempt *a = arg;
	int err = stream(a);

	if (err)
		end(a);
	return err;
}

static void run_out(enum dma_buf_v4l2_memory memory)
{
	struct attempt a = { .memory = memory };
	char path[64];

	a.fd = camera_node("cap", path);
	if (a.fd < 0) {
		fake_init(&a.fake, V4L2_CAP_VIDEO_CAPTURE);
		a.fd = fake_open(&a.fake);
	} else if (memory == DMA_BUF_V4L2_IMPORT && access("/dev/udmabuf", F_OK) < 0) {
		close(a.fd);
		SKIP("no /dev/udmabuf");
	}
	ASSERT(few_fds(start, &a) > BUFFERS);
	end(&a);
	if (a.fake.caps)
		fake_free(&a.fake);
	close(a.fd);
}

TEST(H1_descriptors_that_run_out_for_memory_of_ours_are_told)
{
	run_out(DMA_BUF_V4L2_IMPORT);
}

TEST(H1_descriptors_that_run_out_for_the_drivers_memory_are_told)
{
	run_out(DMA_BUF_V4L2_EXPORT);
}
