// SPDX-License-Identifier: MIT
/*
 * A source of frames, 100 grey pictures that become brighter:
 *
 *	dmabuf cast exec:./gradient --socket /tmp/pictures --wait 1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dmabuf.h>

#define WIDTH 320u
#define SIZE ((size_t)WIDTH * 200)

static int draw(struct dmabuf_frame *frame, int number)
{
	unsigned char *bytes = dma_buf_vmap(frame->dmabuf);
	struct timespec now;

	if (!bytes || dma_buf_begin_cpu_access(frame->dmabuf, 0, SIZE, DMA_TO_DEVICE) < 0)
		return -1;
	memset(bytes, number, SIZE);
	clock_gettime(CLOCK_MONOTONIC, &now);
	frame->fourcc = 0x20203852; /* R8: one byte of grey for each pixel */
	frame->width = WIDTH;
	frame->height = SIZE / WIDTH;
	frame->plane_count = 1;
	frame->planes[0].stride = WIDTH;
	frame->used = SIZE;
	frame->sequence = (uint64_t)number;
	frame->timestamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	dma_buf_vunmap(frame->dmabuf, bytes);
	return dma_buf_end_cpu_access(frame->dmabuf, 0, SIZE, DMA_TO_DEVICE);
}

int main(void)
{
	struct dmabuf_queue_options options = { .size = sizeof(options), .buffer_size = SIZE };
	struct dmabuf_queue *out = dmabuf_queue_open_output(NULL, &options, 10000);
	struct dmabuf_frame frame;
	int err = out ? 0 : -1;

	for (int number = 0; number < 100 && err == 0; number++) {
		err = dmabuf_queue_get(out, &frame, 60000);
		if (err == 0)
			err = draw(&frame, number);
		if (err == 0)
			err = dmabuf_queue_put(out, &frame);
	}
	if (err == 0)
		err = dmabuf_queue_finish(out, 10000);
	if (err < 0)
		fprintf(stderr, "gradient: %s\n", dmabuf_last_error());
	dmabuf_queue_destroy(out);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
