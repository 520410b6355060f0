// SPDX-License-Identifier: MIT
/*
 * A stage for dmabuf pipe that inverts every byte in place:
 *
 *	dmabuf pipe test:1920x1080@60 ! exec:./invert ! file:negative.nv12
 */
#include <stdio.h>
#include <stdlib.h>

#include <dmabuf.h>

static int fail(void)
{
	fprintf(stderr, "invert: %s\n", dmabuf_last_error());
	return EXIT_FAILURE;
}

static int invert(const struct dmabuf_channel_frame *frame)
{
	/* The mapping is made once and kept as long as the buffer: this is cheap. */
	unsigned char *bytes = dma_buf_vmap(frame->dmabuf);
	int err;

	if (!bytes)
		return -1;
	err = dma_buf_begin_cpu_access(frame->dmabuf, 0, frame->used, DMA_BIDIRECTIONAL);
	if (err == 0) {
		for (size_t i = 0; i < frame->used; i++)
			bytes[i] = (unsigned char)~bytes[i];
		err = dma_buf_end_cpu_access(frame->dmabuf, 0, frame->used, DMA_BIDIRECTIONAL);
	}
	dma_buf_vunmap(frame->dmabuf, bytes);
	return err;
}

int main(void)
{
	struct dmabuf_channel *channel = dmabuf_channel_open(10000);
	struct dmabuf_channel_frame frame;
	int got;

	if (!channel)
		return fail();
	while ((got = dmabuf_channel_next(channel, &frame, 60000)) > 0)
		if (invert(&frame) < 0 || dmabuf_channel_pass(channel, &frame) < 0)
			break;
	if (got != 0 || dmabuf_channel_finish(channel) < 0) {
		dmabuf_channel_close(channel);
		return fail();
	}
	dmabuf_channel_close(channel);
	return EXIT_SUCCESS;
}
