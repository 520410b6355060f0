// SPDX-License-Identifier: MIT
/*
 * A consumer that prints how bright each picture is, by the first of its planes:
 *
 *	dmabuf catch /tmp/pictures exec:./brightness
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <dmabuf.h>

static uint64_t sum(const struct dmabuf_frame *frame, const unsigned char *bytes)
{
	const struct dmabuf_frame_plane *plane = &frame->planes[0];
	uint64_t total = 0;

	for (uint32_t y = 0; y < frame->height; y++)
		for (uint32_t x = 0; x < frame->width; x++)
			total += bytes[plane->offset + (size_t)y * plane->stride + x];
	return total / ((uint64_t)frame->width * frame->height);
}

static int look(const struct dmabuf_frame *frame)
{
	const unsigned char *bytes = dma_buf_vmap(frame->dmabuf);

	if (!bytes || !frame->plane_count || !frame->width || !frame->height ||
	    dmabuf_queue_wait_fence(frame, 60000) < 0 ||
	    dma_buf_begin_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE) < 0)
		return -1;
	printf("%" PRIu64 " %" PRIu64 "\n", frame->sequence, sum(frame, bytes));
	dma_buf_vunmap(frame->dmabuf, (void *)bytes);
	return dma_buf_end_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE);
}

int main(void)
{
	struct dmabuf_queue_consumer_options reads = { .size = sizeof(reads) };
	struct dmabuf_queue_consumer *in = dmabuf_queue_open_input(&reads, 10000);
	struct dmabuf_frame frame;
	int got = in ? 1 : -1;

	while (got == 1) {
		got = dmabuf_queue_take(in, &frame, 60000);
		if (got == 1 && (look(&frame) < 0 || dmabuf_queue_release(in, &frame) < 0))
			got = -1;
	}
	if (got < 0)
		fprintf(stderr, "brightness: %s\n", dmabuf_last_error());
	dmabuf_queue_leave(in);
	return got < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
