// SPDX-License-Identifier: MIT
/* Through `dmabuf pipe`: the source writes a shared buffer, the sink reads the same one. */
#include "transport.h"

#include <errno.h>

#include <dmabuf/queue.h>

#include "bench.h"

#define TIMEOUT_MS 10000

static struct dmabuf_queue_consumer *input;
static struct dmabuf_queue *output;
static struct dmabuf_frame frame;
static uint64_t sequence;

static void join(int source)
{
	struct dmabuf_queue_consumer_options reads = { .size = sizeof(reads) };

	if (source)
		output = dmabuf_queue_open_output(NULL, NULL, TIMEOUT_MS);
	else
		input = dmabuf_queue_open_input(&reads, TIMEOUT_MS);
	bench_check(input || output, "opening an end of the queue");
}

static void *begin_access(enum dma_data_direction direction)
{
	void *memory;

	bench_check_err(dma_buf_begin_cpu_access(frame.dmabuf, 0, FRAME_SIZE, direction), "begin");
	memory = dma_buf_vmap(frame.dmabuf);
	bench_check(memory != NULL, "dma_buf_vmap");
	dma_buf_vunmap(frame.dmabuf, memory);
	return memory;
}

static void end_access(enum dma_data_direction direction)
{
	bench_check_err(dma_buf_end_cpu_access(frame.dmabuf, 0, FRAME_SIZE, direction), "end");
}

static void *begin(void)
{
	bench_check_err(dmabuf_queue_get(output, &frame, TIMEOUT_MS), "dmabuf_queue_get");
	return begin_access(DMA_TO_DEVICE);
}

static void commit(void)
{
	end_access(DMA_TO_DEVICE);
	frame.used = FRAME_SIZE;
	frame.sequence = sequence++;
	bench_check_err(dmabuf_queue_put(output, &frame), "dmabuf_queue_put");
}

static const void *take(void)
{
	int got = dmabuf_queue_take(input, &frame, TIMEOUT_MS);

	bench_check_err(got, "dmabuf_queue_take");
	errno = EPIPE;
	bench_check(got == 1, "dmabuf_queue_take");
	return begin_access(DMA_FROM_DEVICE);
}

static void release(void)
{
	end_access(DMA_FROM_DEVICE);
	bench_check_err(dmabuf_queue_release(input, &frame), "dmabuf_queue_release");
}

static void leave(void)
{
	if (input)
		bench_check(!dmabuf_queue_take(input, &frame, TIMEOUT_MS), "end of stream");
	else
		bench_check_err(dmabuf_queue_finish(output, TIMEOUT_MS), "dmabuf_queue_finish");
	dmabuf_queue_destroy(output);
	dmabuf_queue_leave(input);
}

const struct transport transport_queue = {
	.name = "queue",
	.join = join,
	.begin = begin,
	.commit = commit,
	.take = take,
	.release = release,
	.leave = leave,
};
