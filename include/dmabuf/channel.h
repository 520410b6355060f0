/* SPDX-License-Identifier: MIT */
/**
 * DOC: channel
 *
 * How the elements of a `dmabuf pipe` hand filled buffers on. An element finds its place through
 * the environment variable DMABUF_CHANNEL, receives the pool of buffers once, and then takes frames
 * from the element before it and passes them to the one after it. This is deliberately small: a
 * public queue (mission row E6) will replace it.
 */
#ifndef DMABUF_CHANNEL_H
#define DMABUF_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMABUF_CHANNEL_ENV - the environment variable that names an element's sockets */
#define DMABUF_CHANNEL_ENV "DMABUF_CHANNEL"
/** DMABUF_CHANNEL_MAX_BUFFERS - buffers in a pipe's pool at most */
#define DMABUF_CHANNEL_MAX_BUFFERS 64

struct dmabuf_channel;

/**
 * struct dmabuf_frame - a filled buffer on its way
 * @dmabuf: the buffer; the channel's, valid until the frame is passed on
 * @index: its place in the pool
 * @fourcc: pixel format as V4L2 and DRM write it (NV12: 0x3231564e), 0 for plain bytes
 * @width: pixels, 0 for plain bytes
 * @height: lines, 0 for plain bytes
 * @stride: bytes from line to line, 0 for plain bytes
 * @used: bytes filled
 * @sequence: counts frames from 0
 * @timestamp: nanoseconds of CLOCK_MONOTONIC when the frame was made
 */
struct dmabuf_frame {
	struct dma_buf *dmabuf;
	uint32_t index;
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint32_t stride;
	uint32_t reserved;
	uint64_t used;
	uint64_t sequence;
	uint64_t timestamp;
};

/**
 * struct dmabuf_channel_stats - what an element has seen so far
 * @frames: taken
 * @bytes: used bytes in them
 * @waits: times that it had to sleep for a frame
 * @wait_ns: how long in all
 */
struct dmabuf_channel_stats {
	uint64_t frames;
	uint64_t bytes;
	uint64_t waits;
	uint64_t wait_ns;
};

#ifndef DMABUF_DISABLED
/**
 * dmabuf_channel_open - join the pipe that started this process
 * @timeout_ms: how long to wait for the pool, 0 or more
 *
 * Return: the channel; NULL with errno ENOENT (DMABUF_CHANNEL is not set: not started by a pipe),
 * EINVAL (it makes no sense), ETIMEDOUT, EPIPE, EPROTO, and those of dma_buf_recv(). Blocks up to
 * @timeout_ms. Not for use from two threads at once.
 */
struct dmabuf_channel *dmabuf_channel_open(int timeout_ms);

/**
 * dmabuf_channel_next - take the next frame
 * @channel: the channel
 * @frame: filled in
 * @timeout_ms: how long to wait, 0 or more
 *
 * Return: 1 with a frame; 0 at the end of the stream; -ETIMEDOUT, -EPIPE (the element before this
 * one ended without an end of stream), -EPROTO, -EINTR, -EINVAL. Blocks up to @timeout_ms.
 */
int dmabuf_channel_next(struct dmabuf_channel *channel, struct dmabuf_frame *frame, int timeout_ms);

/**
 * dmabuf_channel_pass - hand a frame to the element after this one
 * @channel: the channel
 * @frame: from dmabuf_channel_next(); @used and the format may have been changed
 *
 * Return: 0; -EPIPE (the element after this one is gone), -EINVAL. Waits for nothing: there are
 * never more frames than places.
 */
int dmabuf_channel_pass(struct dmabuf_channel *channel, const struct dmabuf_frame *frame);

/**
 * dmabuf_channel_finish - pass the end of the stream on
 * @channel: the channel
 *
 * Return: 0; -EPIPE.
 */
int dmabuf_channel_finish(struct dmabuf_channel *channel);

/**
 * dmabuf_channel_get_stats - what went through so far
 * @channel: the channel
 * @stats: filled in
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dmabuf_channel_get_stats(const struct dmabuf_channel *channel,
			     struct dmabuf_channel_stats *stats);

/**
 * dmabuf_channel_close - leave the pipe; without dmabuf_channel_finish() that counts as a failure
 * @channel: the channel; NULL is ignored
 */
void dmabuf_channel_close(struct dmabuf_channel *channel);
#else
#include <dmabuf/stubs/channel.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
