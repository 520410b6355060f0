// SPDX-License-Identifier: MIT
/* Frames on their way: given to the driver, taken from it, and what may come between. */
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attachment.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "process.h"

/* Frames after which events are asked for, if nothing told of one. */
#define EVENTS_EVERY 32

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The place that @dmabuf, mapped as @sgl, has or gets: its index, or -errno with words. */
static int exported_place(struct v4l2_device *v, struct dma_buf *dmabuf)
{
	struct v4l2_identity memory;
	int fd = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
	bool known;

	if (fd < 0)
		return fd;
	known = v4l2_identify(fd, &memory);
	close(fd);
	for (uint32_t i = 0; known && i < v->place_count; i++)
		if (v->places[i].exported && v->places[i].memory.inode == memory.inode &&
		    v->places[i].memory.device == memory.device)
			return (int)i;
	return dmabuf_fail(EINVAL, "%s: it uses memory of its own, and this buffer is none of it",
			   v->name);
}

static int imported_place(struct v4l2_device *v, struct dma_buf *dmabuf)
{
	int err;

	for (uint32_t i = 0; i < v->place_count && i < DMA_BUF_V4L2_MAX_BUFFERS; i++) {
		struct v4l2_place *place = &v->places[i];

		if (place->sgl || place->queued || place->given_back)
			continue;
		v4l2_memory_put(place);
		err = v4l2_memory_get(v, place, dmabuf);
		return err ? err : (int)i;
	}
	return dmabuf_fail(ENOSPC, "%s (%s): it has places for no more than %u buffers", v->name,
			   v->driver, v->place_count);
}

static int find_place(struct v4l2_device *v, struct dma_buf *dmabuf,
		      const struct dma_buf_scatterlist *sgl)
{
	int index;

	if (v->memory == DMA_BUF_V4L2_AUTO)
		return dmabuf_fail(EINVAL, "%s: request places before queueing", v->name);
	for (uint32_t i = 0; i < v->place_count; i++)
		if (v->places[i].sgl == sgl)
			return (int)i;
	index = v->memory == DMA_BUF_V4L2_EXPORT ? exported_place(v, dmabuf)
						 : imported_place(v, dmabuf);
	if (index < 0)
		return index;
	if (v->places[index].sgl)
		return dmabuf_fail(EINVAL, "%s: this buffer is mapped for it twice", v->name);
	v->places[index].sgl = sgl;
	return index;
}

static int queue_failed(struct v4l2_device *v, int err)
{
	if (err == EFAULT || err == ENOMEM)
		return dmabuf_fail(
			err,
			"%s (%s): it cannot take this memory (%s): it may need it in one "
			"piece; use memory that it exports, or a heap of contiguous memory",
			v->name, v->driver, strerror(err));
	if (err == EINVAL)
		return dmabuf_fail(err,
				   "%s (%s): it refuses a buffer of %llu bytes: wrong size, or no "
				   "memory that it can take",
				   v->name, v->driver, (unsigned long long)v->format.buffer_size);
	return v4l2_fail(v, err, "queueing a buffer");
}

static int queue(struct v4l2_device *v, struct dma_buf *dmabuf,
		 const struct dma_buf_scatterlist *sgl, uint64_t used, uint64_t timestamp,
		 uint64_t cookie)
{
	int index = find_place(v, dmabuf, sgl), err;
	struct v4l2_place *place;

	if (index < 0)
		return index;
	place = &v->places[index];
	if (place->queued || place->given_back)
		return dmabuf_fail(EBUSY, "%s: the driver has this buffer already", v->name);
	if (used > v->format.buffer_size)
		return dmabuf_fail(EINVAL, "%s: %llu bytes used of a frame of %llu", v->name,
				   (unsigned long long)used,
				   (unsigned long long)v->format.buffer_size);
	err = v4l2_place_queue(v, (uint32_t)index, used, timestamp);
	if (err) {
		place->sgl = NULL;
		return queue_failed(v, -err);
	}
	place->queued = true;
	place->used = used;
	place->cookie = cookie;
	v->queued++;
	return 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_queue(struct dma_buf_attachment *attach,
				     struct dma_buf_sg_table *table, uint64_t used,
				     uint64_t timestamp, uint64_t cookie)
{
	struct v4l2_device *v;
	int err;

	if (!attach || !table)
		return dmabuf_fail(EINVAL, "video: no attachment or table (NULL) to queue");
	v = v4l2_of(attach->dev);
	if (!v)
		return -errno;
	err = attachment_check_mapped(attach, table, v->output ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
	if (err)
		return err;
	pthread_mutex_lock(&v->lock);
	err = queue(v, attach->dmabuf, table->sgl, used, timestamp, cookie);
	pthread_mutex_unlock(&v->lock);
	return err;
}

static int start_failed(struct v4l2_device *v, int err)
{
	switch (err) {
	case ENOLINK:
	case EPIPE:
		return dmabuf_fail(
			ENOLINK,
			"%s (%s): no signal, or its pipeline of media devices is not set "
			"up (media-ctl shows it)",
			v->name, v->driver);
	case ENOSPC:
		return dmabuf_fail(ENOSPC,
				   "%s (%s): its bus has not enough bandwidth left: a smaller "
				   "picture, a compressed format, or another port",
				   v->name, v->driver);
	case EINVAL:
		return dmabuf_fail(EINVAL, "%s (%s): it does not start: fewer than %u buffers?",
				   v->name, v->driver, v->min_buffers);
	default:
		return v4l2_fail(v, err, "starting the stream");
	}
}

static int start(struct v4l2_device *v)
{
	int type = (int)v->type, err;

	if (v->memory == DMA_BUF_V4L2_AUTO)
		return dmabuf_fail(EINVAL, "%s: request places before starting", v->name);
	if (v->failed)
		return dmabuf_fail(EIO, "%s: it has failed; stop it before starting again",
				   v->name);
	if (v->streaming)
		return 0;
	err = v4l2_call(v, VIDIOC_STREAMON, &type);
	if (err) {
		/* The kernel may have given the buffers back to itself; so they come from us. */
		(void)v4l2_stop(v);
		return start_failed(v, -err);
	}
	v->streaming = true;
	v->counting = false;
	return 0;
}

DMABUF_PUBLIC int dma_buf_v4l2_start(struct dma_buf_device *dev)
{
	struct v4l2_device *v = v4l2_of(dev);
	int err;

	if (!v)
		return -errno;
	pthread_mutex_lock(&v->lock);
	err = start(v);
	pthread_mutex_unlock(&v->lock);
	return err;
}

int v4l2_stop(struct v4l2_device *v)
{
	int type = (int)v->type, err = 0;

	/* Without a stream it takes back what was queued for one. */
	if (v->memory != DMA_BUF_V4L2_AUTO && !v->gone)
		err = v4l2_call(v, VIDIOC_STREAMOFF, &type);
	for (uint32_t i = 0; i < v->place_count; i++) {
		struct v4l2_place *place = &v->places[i];

		if (!place->queued)
			continue;
		place->queued = false;
		place->given_back = true;
		v->given_back++;
	}
	v->queued = 0;
	v->streaming = false;
	v->failed = false;
	return v->gone ? -ENODEV : err;
}

DMABUF_PUBLIC int dma_buf_v4l2_stop(struct dma_buf_device *dev)
{
	struct v4l2_device *v = v4l2_of(dev);
	int err;

	if (!v)
		return -errno;
	pthread_mutex_lock(&v->lock);
	err = v4l2_stop(v);
	if (err)
		err = v4l2_fail(v, -err, "stopping the stream");
	pthread_mutex_unlock(&v->lock);
	return err;
}

/* The driver's 32 bits, made 64 that never go back. */
static void count_frame(struct v4l2_device *v, uint32_t sequence, struct dma_buf_v4l2_completion *c)
{
	uint32_t step = v->counting ? sequence - v->last_sequence : sequence + 1;

	/* Some drivers do not count, and some begin anew. */
	if (!step || step > INT32_MAX)
		step = 1;
	v->counting = true;
	v->last_sequence = sequence;
	c->lost = step - 1;
	c->sequence = v->sequence + c->lost;
	v->sequence = c->sequence + 1;
	/* An output that had nothing new to show has lost nothing. */
	if (v->output)
		c->lost = 0;
	v->lost += c->lost;
}

/* Bytes used, up to the end of the last plane; false: that makes no sense. */
static bool bytes_used(const struct v4l2_device *v, const struct v4l2_buffer *b, uint64_t *used)
{
	uint64_t start = 0;

	*used = b->bytesused;
	if (!v->multiplanar)
		return b->bytesused <= v->answer.memory[0].size;
	for (uint32_t i = 0; i < v->answer.memory_planes; i++) {
		const struct v4l2_plane *plane = &b->m.planes[i];

		if (plane->bytesused > v->answer.memory[i].size || plane->data_offset)
			return false;
		*used = start + plane->bytesused;
		start += v4l2_aligned(v->answer.memory[i].size);
	}
	return true;
}

static void complete(struct v4l2_device *v, const struct v4l2_buffer *b,
		     struct dma_buf_v4l2_completion *c)
{
	const struct v4l2_place *place = &v->places[b->index];
	bool monotonic =
		(b->flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;

	c->cookie = place->cookie;
	c->timestamp = (uint64_t)b->timestamp.tv_sec * 1000000000u +
		       (uint64_t)b->timestamp.tv_usec * 1000u;
	if (!monotonic || v->output)
		c->timestamp = now_ns();
	count_frame(v, b->sequence, c);
	if (!bytes_used(v, b, &c->used)) {
		dmabuf_log(DMABUF_LOG_ERROR, "%s (%s): a frame with more bytes than it can have",
			   v->name, v->driver);
		c->used = 0;
		c->result = -EPROTO;
	} else if (v->output) {
		c->used = place->used;
	} else if (!c->used) {
		/* What a driver lost altogether it may forget to mark. */
		c->result = -EIO;
	}
	if (b->flags & V4L2_BUF_FLAG_ERROR)
		c->result = -EIO;
	if (c->result)
		v->errors++;
	else
		v->frames++;
}

/* 1 with a frame, 0 if there is none, or -errno with words. */
static int dequeue(struct v4l2_device *v, struct dma_buf_v4l2_completion *c)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
	struct v4l2_buffer buffer;
	int err;

	v4l2_buffer_init(v, &buffer, planes, 0);
	v->requests++;
	err = v4l2_call(v, VIDIOC_DQBUF, &buffer);
	if (err == -EAGAIN)
		return 0;
	if (err == -EPIPE)
		return dmabuf_fail(EPIPE, "%s: its stream has ended", v->name);
	if (err == -ENODEV)
		return v4l2_fail(v, ENODEV, "reaping a frame");
	if (err) {
		v->failed = true;
		return dmabuf_fail(EIO, "%s (%s): the stream has failed (%s); stop and start it",
				   v->name, v->driver, strerror(-err));
	}
	if (buffer.index >= v->place_count || !v->places[buffer.index].queued) {
		v->failed = true;
		return dmabuf_fail(EPROTO, "%s (%s): it gave back buffer %u, which it did not have",
				   v->name, v->driver, buffer.index);
	}
	*c = (struct dma_buf_v4l2_completion){ 0 };
	complete(v, &buffer, c);
	v->places[buffer.index].queued = false;
	v->queued--;
	v->before_change -= v->before_change > 0;
	v->unasked++;
	return 1;
}

static int take_given_back(struct v4l2_device *v, struct dma_buf_v4l2_completion *completions,
			   unsigned int max)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < v->place_count && n < max && v->given_back; i++) {
		struct v4l2_place *place = &v->places[i];

		if (!place->given_back)
			continue;
		place->given_back = false;
		v->given_back--;
		completions[n++] = (struct dma_buf_v4l2_completion){ .cookie = place->cookie,
								     .result = -ECANCELED };
	}
	return (int)n;
}

static int take(struct v4l2_device *v, struct dma_buf_v4l2_completion *completions,
		unsigned int max)
{
	unsigned int n;
	int got = 1;

	if (v->given_back)
		return take_given_back(v, completions, max);
	for (n = 0; n < max && v->queued && v->streaming; n++) {
		got = dequeue(v, &completions[n]);
		if (got != 1)
			break;
	}
	/* What was got is not lost to an error, which will come again. */
	return n ? (int)n : got < 0 ? got : 0;
}

static int source_changed(const struct v4l2_device *v)
{
	return dmabuf_fail(ESTALE, "%s: its source changed: stop it, and set the format anew",
			   v->name);
}

static int nothing_to_wait_for(const struct v4l2_device *v)
{
	if (v->gone)
		return v4l2_fail(v, ENODEV, "reaping a frame");
	if (v->changed)
		return source_changed(v);
	if (!v->queued)
		return dmabuf_fail(ENOENT, "%s: the driver has no buffer", v->name);
	if (!v->streaming)
		return dmabuf_fail(ENOENT, "%s: it was not started", v->name);
	return 0;
}

/* With the lock held; gives it up while it waits. */
static int reap(struct v4l2_device *v, struct dma_buf_v4l2_completion *completions,
		unsigned int max, int timeout_ms)
{
	uint64_t end = now_ns() + (uint64_t)timeout_ms * 1000000u, now;
	struct pollfd pfd = { .fd = v->fd,
			      .events = (short)((v->output ? POLLOUT : POLLIN) | POLLPRI) };
	bool polled = false;
	int n, err;

	for (;;) {
		/* Where there is always a frame it never comes to a poll. */
		if (v->unasked >= EVENTS_EVERY)
			v4l2_source_events(v);
		if (v->changed && !v->before_change && !v->given_back && !v->gone)
			return source_changed(v);
		n = take(v, completions, max);
		if (n)
			return n;
		err = nothing_to_wait_for(v);
		if (err)
			return err;
		if (polled && pfd.revents & (POLLERR | POLLHUP)) {
			v->failed = true;
			return dmabuf_fail(EIO, "%s (%s): the stream has failed; stop and start it",
					   v->name, v->driver);
		}
		now = now_ns();
		if (polled && now >= end)
			return dmabuf_fail(ETIMEDOUT, "%s: no frame within %d ms", v->name,
					   timeout_ms);
		pthread_mutex_unlock(&v->lock);
		err = poll(&pfd, 1, now >= end ? 0 : (int)((end - now + 999999) / 1000000)) < 0
			      ? errno
			      : 0;
		pthread_mutex_lock(&v->lock);
		if (err)
			return dmabuf_fail(err, "%s: waiting for a frame: %s", v->name,
					   strerror(err));
		polled = true;
		if (pfd.revents & POLLPRI)
			v4l2_source_events(v);
	}
}

DMABUF_PUBLIC int dma_buf_v4l2_reap(struct dma_buf_device *dev,
				    struct dma_buf_v4l2_completion *completions, unsigned int max,
				    int timeout_ms)
{
	struct v4l2_device *v = v4l2_of(dev);
	int ret;

	if (!v)
		return -errno;
	if (!completions || !max || timeout_ms < 0)
		return dmabuf_fail(EINVAL, "reap: needs room for completions and a timeout that is "
					   "not negative");
	pthread_mutex_lock(&v->lock);
	ret = reap(v, completions, max, timeout_ms);
	pthread_mutex_unlock(&v->lock);
	return ret;
}

/* The table is unmapped: what the driver still has of it, it must not use any more. */
static void forget(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		   enum dma_data_direction direction)
{
	struct v4l2_device *v = dev->priv;

	(void)direction;
	if (!process_is(v->owner))
		return;
	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->place_count; i++) {
		struct v4l2_place *place = &v->places[i];

		if (place->sgl != table->sgl)
			continue;
		if (place->queued) {
			dmabuf_log(DMABUF_LOG_WARNING,
				   "%s: a buffer that the driver has is detached: it is stopped",
				   v->name);
			(void)v4l2_stop(v);
		}
		place->sgl = NULL;
		if (!place->exported)
			v4l2_memory_put(place);
	}
	pthread_mutex_unlock(&v->lock);
}

const struct dma_buf_map_ops v4l2_map_ops = { .unmap_sg = forget };
