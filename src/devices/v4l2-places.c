// SPDX-License-Identifier: MIT
/* The driver's buffers: asked for, filled with our memory or exported, given up. */
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "export.h"
#include "shm/control.h"
#include "text.h"

static uint32_t kernel_memory(enum dma_buf_v4l2_memory memory)
{
	return memory == DMA_BUF_V4L2_EXPORT ? V4L2_MEMORY_MMAP : V4L2_MEMORY_DMABUF;
}

static void clear_places(struct v4l2_device *v)
{
	for (uint32_t i = 0; i < DMA_BUF_V4L2_MAX_BUFFERS; i++) {
		v4l2_memory_put(&v->places[i]);
		v->places[i] = (struct v4l2_place){ .fds = { -1, -1, -1, -1 } };
	}
	v->place_count = v->queued = v->given_back = 0;
}

int v4l2_places_free(struct v4l2_device *v)
{
	struct v4l2_requestbuffers request = { .type = v->type,
					       .memory = kernel_memory(v->memory) };
	int err = 0;

	if (v->memory != DMA_BUF_V4L2_AUTO)
		err = v4l2_call(v, VIDIOC_REQBUFS, &request);
	clear_places(v);
	v->memory = DMA_BUF_V4L2_AUTO;
	/* With all of an exporter's buffers in other hands some drivers keep them: later, then. */
	return err == -EBUSY || err == -ENODEV ? 0 : err;
}

/* 0, or -errno without words; the driver may give more than @count, and fewer. */
static int request(struct v4l2_device *v, enum dma_buf_v4l2_memory memory, uint32_t count)
{
	struct v4l2_requestbuffers r = { .count = count,
					 .type = v->type,
					 .memory = kernel_memory(memory) };
	int err = v4l2_call(v, VIDIOC_REQBUFS, &r);

	if (err)
		return err;
	if (!r.count || r.count > VIDEO_MAX_FRAME)
		return -EPROTO;
	clear_places(v);
	v->memory = memory;
	v->place_count = r.count;
	return 0;
}

/* How many the driver cannot do without. */
static void find_minimum(struct v4l2_device *v)
{
	struct v4l2_control control = { .id = v->output ? V4L2_CID_MIN_BUFFERS_FOR_OUTPUT
							: V4L2_CID_MIN_BUFFERS_FOR_CAPTURE };

	v->min_buffers = v->place_count;
	if (v4l2_call(v, VIDIOC_G_CTRL, &control) == 0 && control.value > 0 &&
	    control.value <= DMA_BUF_V4L2_MAX_BUFFERS && (uint32_t)control.value > v->min_buffers)
		v->min_buffers = (uint32_t)control.value;
}

void v4l2_buffer_init(const struct v4l2_device *v, struct v4l2_buffer *buffer,
		      struct v4l2_plane *planes, uint32_t index)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->type = v->type;
	buffer->memory = kernel_memory(v->memory);
	buffer->index = index;
	if (!v->multiplanar)
		return;
	memset(planes, 0, sizeof(*planes) * VIDEO_MAX_PLANES);
	buffer->m.planes = planes;
	buffer->length = v->answer.memory_planes;
}

int v4l2_place_queue(struct v4l2_device *v, uint32_t index, uint64_t used, uint64_t timestamp)
{
	const struct v4l2_place *place = &v->places[index];
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
	struct v4l2_buffer buffer;
	uint64_t start = 0;

	v4l2_buffer_init(v, &buffer, planes, index);
	buffer.field = V4L2_FIELD_NONE;
	if (v->output) {
		buffer.timestamp.tv_sec = (time_t)(timestamp / 1000000000u);
		buffer.timestamp.tv_usec = (suseconds_t)(timestamp % 1000000000u / 1000u);
	}
	if (!v->multiplanar) {
		buffer.length = v->answer.memory[0].size;
		buffer.bytesused = v->output ? (uint32_t)used : 0;
		if (v->memory == DMA_BUF_V4L2_IMPORT)
			buffer.m.fd = place->fds[0];
	}
	for (uint32_t i = 0; v->multiplanar && i < v->answer.memory_planes; i++) {
		uint64_t size = v->answer.memory[i].size;
		uint64_t here = used > start ? used - start : 0;

		planes[i].length = (uint32_t)size;
		planes[i].bytesused = v->output ? (uint32_t)(here < size ? here : size) : 0;
		if (v->memory == DMA_BUF_V4L2_IMPORT)
			planes[i].m.fd = place->fds[i];
		start += v4l2_aligned(size);
	}
	v->requests++;
	return v4l2_call(v, VIDIOC_QBUF, &buffer);
}

/*
 * Every other page first, then those between: a kernel that has much free memory gives pages in
 * one piece, up or down, to who takes them in a row, and a driver that needs that would take the
 * trial and no buffer after it.
 */
static struct dma_buf *scattered(size_t size)
{
	struct dma_buf *dmabuf = dma_buf_alloc("trial", size, O_RDWR);
	volatile char *bytes = dmabuf ? dma_buf_vmap(dmabuf) : NULL;
	int err;

	if (bytes && dma_buf_begin_cpu_access(dmabuf, 0, size, DMA_TO_DEVICE) < 0)
		bytes = NULL;
	if (!bytes) {
		err = errno;
		dma_buf_put(dmabuf);
		errno = err;
		return NULL;
	}
	for (size_t first = 0; first < 2; first++)
		for (size_t at = first * page_size(); at < size; at += 2 * page_size())
			bytes[at] = 0;
	(void)dma_buf_end_cpu_access(dmabuf, 0, size, DMA_TO_DEVICE);
	dma_buf_vunmap(dmabuf, (void *)bytes);
	return dmabuf;
}

/* One buffer of ordinary memory, as a trial: the driver maps it, and nothing starts. */
static int try_import(struct v4l2_device *v)
{
	int err = request(v, DMA_BUF_V4L2_IMPORT, 1);
	int type = (int)v->type;
	struct dma_buf *dmabuf;

	if (err)
		return v4l2_fail(v, -err, "asking for buffers to be imported");
	dmabuf = scattered(v->format.buffer_size);
	if (!dmabuf)
		return -errno;
	err = v4l2_memory_get(v, &v->places[0], dmabuf);
	if (!err) {
		err = v4l2_place_queue(v, 0, v->format.buffer_size, 0);
		if (err)
			err = v4l2_fail(v, -err, "giving it ordinary memory on trial");
		else
			(void)v4l2_call(v, VIDIOC_STREAMOFF, &type);
	}
	dma_buf_put(dmabuf);
	return err;
}

/* What the trial says of the device's needs. A format that it failed for says nothing. */
static void learn(struct v4l2_device *v, int err)
{
	if (err && err != -EFAULT)
		return;
	v->needs.contiguous = err;
	v->needs_from |= DMA_BUF_FROM_TRIAL;
}

/* Errors after which the other way is worth a try. */
static bool import_refused(struct v4l2_device *v, int err)
{
	if (err == -ENODEV || err == -EMFILE || err == -ENFILE || err == -EBUSY)
		return false;
	v->import_errno = -err;
	text_copy(v->import_words, sizeof(v->import_words), dmabuf_last_error());
	return true;
}

static int choose(struct v4l2_device *v, enum dma_buf_v4l2_memory *memory)
{
	int err;

	v->import_errno = 0;
	if (*memory != DMA_BUF_V4L2_AUTO)
		return 0;
	*memory = DMA_BUF_V4L2_IMPORT;
	err = try_import(v);
	learn(v, err);
	if (err && !v->output && import_refused(v, err)) {
		*memory = DMA_BUF_V4L2_EXPORT;
		err = 0;
	}
	if (!err && *memory == DMA_BUF_V4L2_EXPORT && v->answer.memory_planes > 1)
		err = dmabuf_fail(EOPNOTSUPP,
				  "%s; nor would a frame that it exports be one dma-buf: choose a "
				  "format in one piece",
				  v->import_words);
	return err;
}

static int check_request(const struct v4l2_device *v, enum dma_buf_v4l2_memory memory,
			 unsigned int count)
{
	if ((unsigned int)memory > DMA_BUF_V4L2_EXPORT)
		return dmabuf_fail(EINVAL, "%s: unknown kind of memory %d", v->name, (int)memory);
	if (!count || count > DMA_BUF_V4L2_MAX_BUFFERS)
		return dmabuf_fail(EINVAL, "%s: %u buffers, 1 to %d can be had", v->name, count,
				   DMA_BUF_V4L2_MAX_BUFFERS);
	if (!v->format.width)
		return dmabuf_fail(EINVAL, "%s: set a format before asking for buffers", v->name);
	if (v->streaming)
		return dmabuf_fail(EBUSY, "%s: it streams; stop it first", v->name);
	if (memory == DMA_BUF_V4L2_EXPORT && v->output)
		return dmabuf_fail(EINVAL,
				   "%s: an output takes the memory of others, it has none "
				   "to export",
				   v->name);
	if (memory == DMA_BUF_V4L2_EXPORT && v->answer.memory_planes > 1)
		return dmabuf_fail(EOPNOTSUPP,
				   "%s: a frame would be %u dma-bufs; choose a format in one piece",
				   v->name, v->answer.memory_planes);
	return 0;
}

static int request_places(struct v4l2_device *v, enum dma_buf_v4l2_memory memory,
			  unsigned int count)
{
	int err = check_request(v, memory, count);

	if (!err)
		err = v4l2_places_free(v);
	if (err)
		return err;
	err = choose(v, &memory);
	if (!err) {
		err = request(v, memory, 1);
		if (err)
			err = v4l2_fail(v, -err,
					memory == DMA_BUF_V4L2_EXPORT
						? "asking for buffers to be exported"
						: "asking for buffers to be imported");
	}
	if (!err) {
		find_minimum(v);
		/* Places of others' memory cost nothing: as many as there may be. */
		if (memory == DMA_BUF_V4L2_IMPORT)
			count = DMA_BUF_V4L2_MAX_BUFFERS;
		if (count < v->min_buffers)
			count = v->min_buffers;
		v->needs.min_buffers = v->min_buffers;
		err = request(v, memory, count);
		if (err)
			err = v4l2_fail(v, -err, "asking for buffers");
	}
	if (err)
		(void)v4l2_places_free(v);
	return err;
}

DMABUF_PUBLIC int dma_buf_v4l2_request(struct dma_buf_device *dev, enum dma_buf_v4l2_memory memory,
				       unsigned int count)
{
	struct v4l2_device *v = v4l2_of(dev);
	int err;

	if (!v)
		return -errno;
	pthread_mutex_lock(&v->lock);
	err = request_places(v, memory, count);
	pthread_mutex_unlock(&v->lock);
	return err;
}

/* The next of the driver's own buffers that nobody has; it is asked for one more if need be. */
static int free_place(struct v4l2_device *v)
{
	struct v4l2_create_buffers create = { .count = 1, .memory = V4L2_MEMORY_MMAP };
	int err;

	for (uint32_t i = 0; i < v->place_count; i++)
		if (!v->places[i].exported)
			return (int)i;
	if (v->place_count == DMA_BUF_V4L2_MAX_BUFFERS)
		return dmabuf_fail(ENOSPC, "%s: all of its %d buffers are given out", v->name,
				   DMA_BUF_V4L2_MAX_BUFFERS);
	create.format.type = v->type;
	err = v4l2_call(v, VIDIOC_G_FMT, &create.format);
	if (!err)
		err = v4l2_call(v, VIDIOC_CREATE_BUFS, &create);
	if (err == -ENODEV)
		return v4l2_fail(v, ENODEV, "asking for one more buffer");
	if (err)
		return dmabuf_fail(ENOSPC, "%s (%s): it makes no more than %u buffers: %s", v->name,
				   v->driver, v->place_count, strerror(-err));
	if (create.count != 1 || create.index != v->place_count)
		return dmabuf_fail(EPROTO, "%s (%s): asked for buffer %u, it made %u from %u on",
				   v->name, v->driver, v->place_count, create.count, create.index);
	return (int)v->place_count++;
}

static struct dma_buf *export(struct v4l2_device *v, const char *name)
{
	struct v4l2_exportbuffer request = { .type = v->type, .flags = O_RDWR | O_CLOEXEC };
	int index = free_place(v), err;
	struct v4l2_place *place;
	struct dma_buf *dmabuf;

	if (index < 0)
		return NULL;
	place = &v->places[index];
	request.index = (uint32_t)index;
	err = v4l2_call(v, VIDIOC_EXPBUF, &request);
	if (err) {
		v4l2_fail(v, -err, "exporting a buffer");
		return NULL;
	}
	dmabuf = dma_buf_get(request.fd);
	if (dmabuf &&
	    (!v4l2_identify(request.fd, &place->memory) || dmabuf->size < v->format.buffer_size)) {
		dma_buf_put(dmabuf);
		dmabuf = dmabuf_fail_ptr(EPROTO, "%s (%s): exports a buffer of the wrong size",
					 v->name, v->driver);
	}
	if (!dmabuf) {
		err = errno;
		close(request.fd);
		errno = err;
		return NULL;
	}
	(void)dma_buf_set_name(dmabuf, name);
	place->fds[0] = request.fd;
	place->exported = true;
	return dmabuf;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_v4l2_alloc(struct dma_buf_device *dev, const char *name)
{
	struct v4l2_device *v = v4l2_of(dev);
	struct dma_buf *dmabuf;
	size_t size;

	if (!v)
		return NULL;
	pthread_mutex_lock(&v->lock);
	size = v->format.buffer_size;
	if (v->memory == DMA_BUF_V4L2_AUTO)
		dmabuf = dmabuf_fail_ptr(EINVAL, "%s: request places before buffers", v->name);
	else if (v->memory == DMA_BUF_V4L2_EXPORT)
		dmabuf = export(v, name);
	else
		dmabuf = dma_buf_alloc(name, size, O_RDWR);
	pthread_mutex_unlock(&v->lock);
	return dmabuf;
}
