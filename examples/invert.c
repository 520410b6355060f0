// SPDX-License-Identifier: MIT
/*
 * A stage for dmabuf pipe that inverts every byte in place:
 *
 *	dmabuf pipe test:1920x1080@60 ! exec:./invert ! file:negative.nv12
 */
#include <stdio.h>
#include <stdlib.h>

#include <dmabuf.h>

static int invert(const struct dmabuf_frame *frame)
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

static int stream(struct dmabuf_queue_consumer *in, struct dmabuf_queue *out)
{
	struct dmabuf_frame frame;
	int got;

	while ((got = dmabuf_queue_take(in, &frame, 60000)) > 0)
		if (dmabuf_queue_wait_fence(&frame, 60000) < 0 || invert(&frame) < 0 ||
		    dmabuf_queue_put(out, &frame) < 0)
			return -1;
	return got < 0 ? got : dmabuf_queue_finish(out, 10000);
}

int main(void)
{
	struct dmabuf_queue_consumer *in = dmabuf_queue_open_input(NULL, 10000);
	struct dmabuf_queue *out = in ? dmabuf_queue_open_output(in, NULL, 10000) : NULL;
	int err = out ? stream(in, out) : -1;

	if (err < 0)
		fprintf(stderr, "invert: %s\n", dmabuf_last_error());
	dmabuf_queue_destroy(out);
	dmabuf_queue_leave(in);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
