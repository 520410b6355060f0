// SPDX-License-Identifier: MIT
/*
 * Queued work: reads a file, inverts it and writes it, frame by frame, through a few buffers. All
 * of it is queued before the first byte is there; the program then sleeps until the end.
 *
 *	queued INPUT OUTPUT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf.h>

#define FRAME 262144 /* 256 KiB */
#define FRAMES 4

struct frame {
	struct dma_buf *dmabuf;
	unsigned char *bytes;
	struct dma_buf_attachment *input, *output;
	struct dma_buf_sg_table *in, *out;
	size_t used;
};

static void fail(const char *what)
{
	fprintf(stderr, "queued: %s: %s\n", what, dmabuf_last_error());
	exit(EXIT_FAILURE);
}

/* Runs in a thread of the library, with the buffer locked for it. */
static int invert(void *data)
{
	struct frame *frame = data;

	for (size_t i = 0; i < frame->used; i++)
		frame->bytes[i] = (unsigned char)~frame->bytes[i];
	return 0;
}

static void open_frame(struct frame *frame, struct dma_buf_device *from, struct dma_buf_device *to)
{
	frame->dmabuf = dma_buf_alloc("frame", FRAME, O_RDWR);
	if (!frame->dmabuf)
		fail("buffer");
	frame->bytes = dma_buf_vmap(frame->dmabuf);
	frame->input = dma_buf_attach(frame->dmabuf, from);
	frame->output = dma_buf_attach(frame->dmabuf, to);
	if (!frame->bytes || !frame->input || !frame->output)
		fail("attach");
	frame->in = dma_buf_map_attachment(frame->input, DMA_FROM_DEVICE);
	frame->out = dma_buf_map_attachment(frame->output, DMA_TO_DEVICE);
	if (!frame->in || !frame->out)
		fail("map");
}

static void close_frame(struct frame *frame)
{
	dma_buf_unmap_attachment(frame->input, frame->in, DMA_FROM_DEVICE);
	dma_buf_unmap_attachment(frame->output, frame->out, DMA_TO_DEVICE);
	dma_buf_put(frame->dmabuf);
}

/* Three jobs on one buffer, each after the one before. Returns the last one's fence. */
static struct dma_fence *queue_frame(struct frame *frame, uint64_t offset, size_t used)
{
	struct dma_fence *read, *inverted, *written;
	struct dma_buf_block_job transfer = { .struct_size = sizeof(transfer),
					      .direction = DMA_FROM_DEVICE,
					      .length = used,
					      .file_offset = offset };
	struct dmabuf_work_buffer buffer = { .dmabuf = frame->dmabuf, .type = DMA_BUF_ACCESS_RW };
	struct dmabuf_work work = { .struct_size = sizeof(work),
				    .func = invert,
				    .data = frame,
				    .buffers = &buffer,
				    .num_buffers = 1,
				    .after = &read,
				    .num_after = 1 };

	frame->used = used;
	if (dma_buf_block_queue(frame->input, frame->in, &transfer, &read) ||
	    dmabuf_queue_work(&work, &inverted))
		fail("queue");
	transfer.direction = DMA_TO_DEVICE;
	transfer.after = &inverted;
	transfer.num_after = 1;
	if (dma_buf_block_queue(frame->output, frame->out, &transfer, &written))
		fail("queue");
	dma_fence_put(read);
	dma_fence_put(inverted);
	return written;
}

int main(int argc, char **argv)
{
	int in = argc == 3 ? open(argv[1], O_RDONLY) : -1;
	int out = argc == 3 ? open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
	struct dma_buf_device *from = dma_buf_block_open(in, "input", NULL);
	struct dma_buf_device *to = dma_buf_block_open(out, "output", NULL);
	struct frame frames[FRAMES] = { 0 };
	struct dma_fence *written[FRAMES] = { NULL };
	struct stat st;

	if (!from || !to || fstat(in, &st) || st.st_size > (off_t)FRAMES * FRAME)
		fail("files (INPUT has up to 1 MiB)");
	for (int i = 0; i < FRAMES && (off_t)i * FRAME < st.st_size; i++) {
		size_t rest = (size_t)st.st_size - (size_t)i * FRAME;

		open_frame(&frames[i], from, to);
		written[i] =
			queue_frame(&frames[i], (uint64_t)i * FRAME, rest < FRAME ? rest : FRAME);
	}
	for (int i = 0; i < FRAMES && written[i]; i++) {
		if (dma_fence_wait_timeout(written[i], false, 60000) <= 0 ||
		    dma_fence_get_status(written[i]) < 0)
			fail("a job");
		dma_fence_put(written[i]);
		close_frame(&frames[i]);
	}
	dma_buf_device_put(from);
	dma_buf_device_put(to);
	return EXIT_SUCCESS;
}
