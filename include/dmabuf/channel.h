/* SPDX-License-Identifier: MIT */
/**
 * DOC: channel
 *
 * How the elements of a `dmabuf pipe` hand filled buffers on. An element finds its place through
 * the environment variable DMABUF_CHANNEL, receives the pool of buffers once, and then takes frames
 * from the element before it and passes them to the one after it. This is deliberately small: a
 * public queue (mission row E6) will replace it.
 *
 * The whole of an element that changes bytes in place:
 *
 *	struct dmabuf_channel *channel = dmabuf_channel_open(10000);
 *	struct dmabuf_channel_frame frame;
 *	int err;
 *
 *	while ((err = dmabuf_channel_next(channel, &frame, 60000)) > 0) {
 *		unsigned char *bytes = dma_buf_vmap(frame.dmabuf);
 *
 *		dma_buf_begin_cpu_access(frame.dmabuf, 0, frame.used, DMA_BIDIRECTIONAL);
 *		... change bytes[0] to bytes[frame.used - 1] ...
 *		dma_buf_end_cpu_access(frame.dmabuf, 0, frame.used, DMA_BIDIRECTIONAL);
 *		dma_buf_vunmap(frame.dmabuf, bytes);
 *		dmabuf_channel_pass(channel, &frame);
 *	}
 *	if (err == 0)
 *		dmabuf_channel_finish(channel);
 *	dmabuf_channel_close(channel);
 *
 * (examples/invert.c is this with its errors handled.) The source of a pipe does the same: its
 * dmabuf_channel_next() gives empty buffers, and it decides when to finish.
 *
 * A channel is for one thread at a time.
 */
#ifndef DMABUF_CHANNEL_H
#define DMABUF_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DMABUF_CHANNEL_ENV - the environment variable that names an element's sockets
 *
 * Its value is "1:CONTROL:IN:OUT": the form's version and three descriptor numbers. They become
 * close-on-exec when the channel is opened.
 */
#define DMABUF_CHANNEL_ENV "DMABUF_CHANNEL"
/** DMABUF_CHANNEL_MAX_BUFFERS - buffers in a pipe's pool at most */
#define DMABUF_CHANNEL_MAX_BUFFERS 64

struct dmabuf_channel;

/**
 * struct dmabuf_channel_frame - a filled buffer on its way
 * @dmabuf: the buffer; the channel's, valid until the frame is passed on
 * @index: its place in the pool, below DMABUF_CHANNEL_MAX_BUFFERS
 * @fourcc: pixel format as V4L2 and DRM write it (NV12: 0x3231564e), 0 for plain bytes
 * @width: pixels, 0 for plain bytes
 * @height: lines, 0 for plain bytes
 * @stride: bytes from line to line, 0 for plain bytes
 * @reserved: 0
 * @used: bytes filled, at most the buffer's size; 0 in an empty buffer at the source
 * @sequence: counts frames from 0
 * @timestamp: nanoseconds of CLOCK_MONOTONIC when the frame was made
 */
struct dmabuf_channel_frame {
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
 * @frames: taken (at the source: passed on)
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
 * Works once in a process: the sockets belong to the channel from then on.
 *
 * Return: the channel; NULL with errno ENOENT (DMABUF_CHANNEL is not set: not started by a pipe),
 * EINVAL (it makes no sense, or @timeout_ms is negative), EBUSY (opened before), ETIMEDOUT, EPIPE
 * (the pipe has ended), EPROTO (a message that `dmabuf pipe` did not make), ENOMEM, and those of
 * dma_buf_recv(). Blocks up to @timeout_ms.
 */
struct dmabuf_channel *dmabuf_channel_open(int timeout_ms);

/**
 * dmabuf_channel_next - take the next frame
 * @channel: the channel
 * @frame: filled in
 * @timeout_ms: how long to wait, 0 or more
 *
 * The buffer is this element's until dmabuf_channel_pass(); several may be held. At the source
 * frames are empty, and come back from the sink.
 *
 * Return: 1 with a frame; 0 at the end of the stream, and again at each later call; -ETIMEDOUT,
 * -EPIPE (the element before this one ended without an end of stream), -EPROTO (it sent something
 * that makes no sense: the words say what), -EINTR, -EINVAL. Blocks up to @timeout_ms.
 */
int dmabuf_channel_next(struct dmabuf_channel *channel, struct dmabuf_channel_frame *frame, int timeout_ms);

/**
 * dmabuf_channel_pass - hand a frame to the element after this one
 * @channel: the channel
 * @frame: from dmabuf_channel_next(); @used, the format and the times may have been changed
 *
 * At the sink this gives the buffer back to the source.
 *
 * Return: 0; -EPIPE (the element after this one is gone), -EINVAL (not a frame that is held, more
 * used than there is, or after dmabuf_channel_finish()). Waits for nothing: there are never more
 * frames than places.
 */
int dmabuf_channel_pass(struct dmabuf_channel *channel, const struct dmabuf_channel_frame *frame);

/**
 * dmabuf_channel_finish - pass the end of the stream on
 * @channel: the channel
 *
 * Frames that are still held are not lost to anybody: the pipe is over. A second call does nothing.
 *
 * Return: 0; -EPIPE (the element after this one is gone, or the pipe has ended), -EAGAIN (the pipe
 * has not listened for 10 s), -EINVAL. Blocks only while it is not listening.
 */
int dmabuf_channel_finish(struct dmabuf_channel *channel);

/**
 * dmabuf_channel_tell - tell the pipe's user something
 * @channel: the channel
 * @key: 1 to 31 bytes of printable text; "error" is why this element gives up
 * @value: up to 511 bytes of printable text
 *
 * Shown with the pipe's result, a later value for a key in the place of an earlier one. A pipe
 * keeps up to 16 keys for each element.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG; -EPIPE (the pipe has ended); -EAGAIN (it has not listened for
 * 10 s). Blocks only while it is not listening.
 */
int dmabuf_channel_tell(struct dmabuf_channel *channel, const char *key, const char *value);

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
