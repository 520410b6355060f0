// SPDX-License-Identifier: MIT
/* Through `dmabuf pipe`: the source writes a shared buffer, the sink reads the same one. */
#include "transport.h"

#include <errno.h>
#include <stdbool.h>

#include <dmabuf/channel.h>

#include "bench.h"

#define TIMEOUT_MS 10000

static struct dmabuf_channel *channel;
static struct dmabuf_channel_frame frame;
static uint64_t sequence;
static bool sink;

static void join(int source)
{
	sink = !source;
	channel = dmabuf_channel_open(TIMEOUT_MS);
	bench_check(channel != NULL, "dmabuf_channel_open");
}

static void *next(enum dma_data_direction direction)
{
	int got = dmabuf_channel_next(channel, &frame, TIMEOUT_MS);
	void *memory;

	bench_check_err(got, "dmabuf_channel_next");
	errno = EPIPE;
	bench_check(got == 1, "dmabuf_channel_next");
	bench_check_err(dma_buf_begin_cpu_access(frame.dmabuf, 0, FRAME_SIZE, direction), "begin");
	memory = dma_buf_vmap(frame.dmabuf);
	bench_check(memory != NULL, "dma_buf_vmap");
	dma_buf_vunmap(frame.dmabuf, memory);
	return memory;
}

static void pass(enum dma_data_direction direction)
{
	bench_check_err(dma_buf_end_cpu_access(frame.dmabuf, 0, FRAME_SIZE, direction), "end");
	bench_check_err(dmabuf_channel_pass(channel, &frame), "dmabuf_channel_pass");
}

static void *begin(void)
{
	return next(DMA_TO_DEVICE);
}

static void commit(void)
{
	frame.used = FRAME_SIZE;
	frame.sequence = sequence++;
	pass(DMA_TO_DEVICE);
}

static const void *take(void)
{
	return next(DMA_FROM_DEVICE);
}

static void release(void)
{
	pass(DMA_FROM_DEVICE);
}

/* The sink waits for the end that the source passes on; the source's own next would be a buffer. */
static void leave(void)
{
	if (sink)
		bench_check(!dmabuf_channel_next(channel, &frame, TIMEOUT_MS), "end of stream");
	bench_check_err(dmabuf_channel_finish(channel), "dmabuf_channel_finish");
	dmabuf_channel_close(channel);
}

const struct transport transport_channel = {
	.name = "channel",
	.join = join,
	.begin = begin,
	.commit = commit,
	.take = take,
	.release = release,
	.leave = leave,
};
