// SPDX-License-Identifier: MIT
#include "v4l2-fake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <dmabuf/dma-buf.h>

#include "harness/harness.h"

/* From here on are descriptors of what is in the driver. */
#define FAKE_FDS 512

static struct fake_video *the_fake;
/* Drivers have one, too. What they do within may come back here. */
static pthread_mutex_t driver_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static ino_t video_inode, udmabuf_inode;
/* Where in its memfd the udmabuf behind a descriptor begins. */
static uint64_t udmabuf_offset[1024];

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
/* The mode is anything where it is not asked for. */
int __real_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode);

static bool is_output(const struct fake_video *f)
{
	return V4L2_TYPE_IS_OUTPUT(f->type);
}

void fake_init(struct fake_video *f, uint32_t caps)
{
	*f = (struct fake_video){ .caps = caps | V4L2_CAP_STREAMING,
				  .formats = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12 },
				  .max_width = 1920,
				  .stride_alignment = 1,
				  .min_buffers = 2,
				  .imports = true,
				  .creates = true,
				  .pixelformat = V4L2_PIX_FMT_YUYV,
				  .width = 64,
				  .height = 48 };
	for (int i = 0; i < FAKE_BUFFERS; i++)
		for (int p = 0; p < FAKE_PLANES; p++)
			f->buffers[i].planes[p].fd = -1;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

int fake_open(struct fake_video *f)
{
	int fd = memfd_create("fake-video", MFD_CLOEXEC);

	ASSERT_OK(fd);
	video_inode = inode_of(fd);
	the_fake = f;
	return fd;
}

static void drop_buffers(struct fake_video *f)
{
	for (uint32_t i = 0; i < FAKE_BUFFERS; i++)
		for (int p = 0; p < FAKE_PLANES; p++) {
			struct fake_plane *plane = &f->buffers[i].planes[p];

			if (plane->fd >= 0)
				close(plane->fd);
			plane->fd = -1;
		}
	for (uint32_t i = 0; i < FAKE_BUFFERS; i++)
		f->buffers[i].queued = f->buffers[i].done = false;
	f->count = f->queued = f->done = 0;
}

void fake_free(struct fake_video *f)
{
	drop_buffers(f);
	the_fake = NULL;
}

static int fails(int err)
{
	errno = err;
	return -1;
}

static bool multiplanar(const struct fake_video *f)
{
	return f->caps & (V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_VIDEO_OUTPUT_MPLANE);
}

static void layout(struct fake_video *f)
{
	uint32_t width = f->width, height = f->height, align = f->stride_alignment;

	f->planes = 1;
	if (f->pixelformat == V4L2_PIX_FMT_YUYV)
		width *= 2;
	f->stride[0] = (width + align - 1) / align * align;
	f->size[0] = f->stride[0] * height;
	if (f->pixelformat == V4L2_PIX_FMT_NV12)
		f->size[0] += f->size[0] / 2;
	if (f->pixelformat == V4L2_PIX_FMT_MJPEG)
		f->stride[0] = 0;
	if (f->pixelformat == V4L2_PIX_FMT_NV12M) {
		f->planes = 2;
		f->stride[1] = f->stride[0];
		f->size[1] = f->size[0] / 2;
	}
}

static void tell_format(struct fake_video *f, struct v4l2_format *to)
{
	layout(f);
	f->type = to->type;
	if (!multiplanar(f)) {
		to->fmt.pix.pixelformat = f->pixelformat;
		to->fmt.pix.width = f->width;
		to->fmt.pix.height = f->height;
		to->fmt.pix.bytesperline = f->stride[0];
		to->fmt.pix.sizeimage = f->size[0];
		return;
	}
	to->fmt.pix_mp.pixelformat = f->pixelformat;
	to->fmt.pix_mp.width = f->width;
	to->fmt.pix_mp.height = f->height;
	to->fmt.pix_mp.num_planes = (uint8_t)f->planes;
	for (uint32_t p = 0; p < f->planes; p++) {
		to->fmt.pix_mp.plane_fmt[p].bytesperline = f->stride[p];
		to->fmt.pix_mp.plane_fmt[p].sizeimage = f->size[p];
	}
}

static int set_format(struct fake_video *f, struct v4l2_format *wish)
{
	bool mp = multiplanar(f);
	uint32_t wanted = mp ? wish->fmt.pix_mp.pixelformat : wish->fmt.pix.pixelformat;

	if (f->count)
		return fails(EBUSY);
	f->width = mp ? wish->fmt.pix_mp.width : wish->fmt.pix.width;
	f->height = mp ? wish->fmt.pix_mp.height : wish->fmt.pix.height;
	if (f->width > f->max_width)
		f->width = f->max_width;
	f->pixelformat = f->formats[0];
	for (int i = 0; f->formats[i]; i++)
		if (f->formats[i] == wanted)
			f->pixelformat = wanted;
	tell_format(f, wish);
	return 0;
}

/* The driver's own memory: buffers of ours. */
static int add_own(struct fake_video *f)
{
	struct dma_buf *dmabuf;
	struct rlimit limit, none;
	int fd, low;

	/* A driver's memory takes no descriptor: this one's is where the process does not look. */
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = limit.rlim_max;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &none));
	dmabuf = dma_buf_alloc("driver", f->size[0], O_RDWR);
	ASSERT(dmabuf);
	low = dma_buf_fd(dmabuf, O_CLOEXEC);
	fd = fcntl(low, F_DUPFD_CLOEXEC, FAKE_FDS);
	ASSERT_OK(fd);
	close(low);
	dma_buf_put(dmabuf);
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	f->buffers[f->count++].planes[0].fd = fd;
	return 0;
}

static int request_buffers(struct fake_video *f, struct v4l2_requestbuffers *r)
{
	if (r->memory == V4L2_MEMORY_DMABUF && !f->imports)
		return fails(EINVAL);
	if (f->streaming)
		return fails(EBUSY);
	drop_buffers(f);
	if (r->count && r->count < f->min_buffers)
		r->count = f->min_buffers;
	if (r->count > VIDEO_MAX_FRAME)
		r->count = VIDEO_MAX_FRAME;
	f->memory = r->memory;
	layout(f);
	while (f->memory == V4L2_MEMORY_MMAP && f->count < r->count)
		add_own(f);
	f->count = r->count;
	return 0;
}

static int create_buffers(struct fake_video *f, struct v4l2_create_buffers *c)
{
	if (!f->creates)
		return fails(ENOTTY);
	if (f->count + c->count > VIDEO_MAX_FRAME)
		return fails(ENOBUFS);
	c->index = f->count;
	return add_own(f);
}

static int take_memory(struct fake_video *f, struct fake_plane *plane, int fd)
{
	if (f->contiguous)
		return fails(EFAULT);
	if (fd < 0 || fd >= 1024 || inode_of(fd) == 0)
		return fails(EINVAL);
	if (plane->fd >= 0)
		close(plane->fd);
	plane->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	plane->offset = udmabuf_offset[fd];
	return 0;
}

static int queue_buffer(struct fake_video *f, const struct v4l2_buffer *b)
{
	struct fake_buffer *to = &f->buffers[b->index];

	if (f->failed)
		return fails(EIO);
	if (b->index >= f->count || to->queued || to->done)
		return fails(EINVAL);
	for (uint32_t p = 0; p < f->planes; p++) {
		bool mp = multiplanar(f);
		int fd = mp ? b->m.planes[p].m.fd : b->m.fd;
		uint32_t length = mp ? b->m.planes[p].length : b->length;

		if (f->memory != V4L2_MEMORY_DMABUF)
			continue;
		if (length < f->size[p])
			return fails(EINVAL);
		if (take_memory(f, &to->planes[p], fd) < 0)
			return -1;
		to->planes[p].used = mp ? b->m.planes[p].bytesused : b->bytesused;
	}
	to->queued = true;
	f->order[f->queued++] = b->index;
	return 0;
}

static void remove_first(uint32_t *list, uint32_t *count)
{
	memmove(list, list + 1, --*count * sizeof(*list));
}

static int dequeue_buffer(struct fake_video *f, struct v4l2_buffer *b)
{
	struct fake_buffer *from;
	struct timespec now;

	if (!f->streaming)
		return fails(EINVAL);
	if (f->failed)
		return fails(EIO);
	if (!f->done)
		return fails(EAGAIN);
	b->index = f->ready[0];
	from = &f->buffers[b->index];
	remove_first(f->ready, &f->done);
	from->done = false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	b->flags = from->flags | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	b->sequence = from->sequence;
	b->timestamp.tv_sec = now.tv_sec;
	b->timestamp.tv_usec = now.tv_nsec / 1000;
	for (uint32_t p = 0; p < f->planes; p++) {
		if (multiplanar(f))
			b->m.planes[p].bytesused = from->planes[p].used;
		else
			b->bytesused = from->planes[p].used;
	}
	return 0;
}

static int stream(struct fake_video *f, bool on)
{
	if (on && f->queued < 1)
		return fails(EINVAL);
	f->streaming = on;
	f->sequence = 0;
	if (on)
		return 0;
	f->failed = false;
	for (uint32_t i = 0; i < FAKE_BUFFERS; i++)
		f->buffers[i].queued = f->buffers[i].done = false;
	f->queued = f->done = 0;
	return 0;
}

static int export_buffer(struct fake_video *f, struct v4l2_exportbuffer *e)
{
	if (f->memory != V4L2_MEMORY_MMAP || e->index >= f->count)
		return fails(EINVAL);
	e->fd = fcntl(f->buffers[e->index].planes[0].fd, F_DUPFD_CLOEXEC, 0);
	return e->fd < 0 ? -1 : 0;
}

static int query_capabilities(const struct fake_video *f, struct v4l2_capability *c)
{
	snprintf((char *)c->driver, sizeof(c->driver), "fake");
	snprintf((char *)c->card, sizeof(c->card), "a fake camera");
	snprintf((char *)c->bus_info, sizeof(c->bus_info), "platform:fake-000");
	c->capabilities = f->caps | V4L2_CAP_DEVICE_CAPS;
	c->device_caps = f->caps;
	return 0;
}

static int next_event(struct fake_video *f, struct v4l2_event *event)
{
	if (!f->changed)
		return fails(ENOENT);
	f->changed = false;
	event->type = V4L2_EVENT_SOURCE_CHANGE;
	event->id = f->input;
	event->u.src_change.changes = V4L2_EVENT_SRC_CH_RESOLUTION;
	return 0;
}

static int subscribe(struct fake_video *f, const struct v4l2_event_subscription *wish)
{
	f->listened = wish->id + 1;
	return 0;
}

static int describe_input(const struct fake_video *f, struct v4l2_input *input)
{
	if (!f->input_caps || input->index != f->input)
		return fails(EINVAL);
	snprintf((char *)input->name, sizeof(input->name), "plug %u", f->input);
	input->capabilities = f->input_caps;
	input->status = f->input_status;
	return 0;
}

static int tell_timings(uint32_t side, struct v4l2_dv_timings *timings)
{
	timings->type = V4L2_DV_BT_656_1120;
	timings->bt.width = timings->bt.height = side;
	timings->bt.pixelclock = (uint64_t)side * side * 60;
	return 0;
}

/* What comes in, and what it is set to. */
static int answer_signal(struct fake_video *f, unsigned long request, void *argument)
{
	bool timings = f->input_caps & V4L2_IN_CAP_DV_TIMINGS;
	bool standard = f->input_caps & V4L2_IN_CAP_STD;
	v4l2_std_id *id = argument;

	if (timings && f->signal_errno && request == VIDIOC_QUERY_DV_TIMINGS)
		return fails(f->signal_errno);
	if (timings && request == VIDIOC_QUERY_DV_TIMINGS)
		return tell_timings(f->signal, argument);
	if (timings && request == VIDIOC_G_DV_TIMINGS)
		return tell_timings(f->signal_set, argument);
	if (timings && request == VIDIOC_S_DV_TIMINGS)
		f->signal_set = f->width = f->height =
			((struct v4l2_dv_timings *)argument)->bt.width;
	else if (standard && request == VIDIOC_QUERYSTD)
		*id = f->signal;
	else if (standard && request == VIDIOC_G_STD)
		*id = f->signal_set;
	else if (standard && request == VIDIOC_S_STD)
		f->signal_set = (uint32_t)*id;
	else
		return fails(ENOTTY);
	return 0;
}

static int enumerate(const struct fake_video *f, struct v4l2_fmtdesc *d)
{
	for (uint32_t i = 0; i <= d->index; i++)
		if (!f->formats[i])
			return fails(EINVAL);
	d->pixelformat = f->formats[d->index];
	return 0;
}

static int answer(struct fake_video *f, unsigned long request, void *argument)
{
	switch (request) {
	case VIDIOC_QUERYCAP:
		return query_capabilities(f, argument);
	case VIDIOC_ENUM_FMT:
		return enumerate(f, argument);
	case VIDIOC_G_FMT:
		tell_format(f, argument);
		return 0;
	case VIDIOC_S_FMT:
		return set_format(f, argument);
	case VIDIOC_REQBUFS:
		return request_buffers(f, argument);
	case VIDIOC_CREATE_BUFS:
		return create_buffers(f, argument);
	case VIDIOC_EXPBUF:
		return export_buffer(f, argument);
	case VIDIOC_QBUF:
		return queue_buffer(f, argument);
	case VIDIOC_DQBUF:
		return dequeue_buffer(f, argument);
	case VIDIOC_STREAMON:
		return stream(f, true);
	case VIDIOC_STREAMOFF:
		return stream(f, false);
	case VIDIOC_SUBSCRIBE_EVENT:
		return subscribe(f, argument);
	case VIDIOC_G_INPUT:
		*(int *)argument = (int)f->input;
		return f->input_caps ? 0 : fails(ENOTTY);
	case VIDIOC_ENUMINPUT:
		return describe_input(f, argument);
	case VIDIOC_DQEVENT:
		return next_event(f, argument);
	default:
		return answer_signal(f, request, argument);
	}
}

static int make_udmabuf(const struct udmabuf_create *create)
{
	int seals = fcntl((int)create->memfd, F_GET_SEALS), fd;
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || seals & F_SEAL_WRITE ||
	    create->offset % 4096 || create->size % 4096)
		return fails(EINVAL);
	if (fstat((int)create->memfd, &st) < 0 ||
	    create->offset + create->size > (uint64_t)st.st_size)
		return fails(EINVAL);
	fd = fcntl((int)create->memfd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && fd < 1024)
		udmabuf_offset[fd] = create->offset;
	return fd;
}

static int call(struct fake_video *f, unsigned long request, void *argument)
{
	int ret;

	f->calls++;
	if (f->gone)
		return fails(ENODEV);
	if (request == f->fail_request || f->calls == f->fail_call)
		return fails(f->fail_errno);
	ret = answer(f, request, argument);
	if (ret == 0 && f->lie)
		f->lie(request, argument);
	return ret;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct fake_video *f = the_fake;
	ino_t inode = f ? inode_of(fd) : 0;
	int ret;

	if (inode && inode == udmabuf_inode)
		return make_udmabuf(argument);
	if (!inode || inode != video_inode)
		return __real_ioctl(fd, request, argument);
	pthread_mutex_lock(&driver_lock);
	ret = call(f, request, argument);
	pthread_mutex_unlock(&driver_lock);
	return ret;
}

int __wrap_open64(const char *path, int flags, mode_t mode)
{
	int fd;

	if (!the_fake || strcmp(path, "/dev/udmabuf"))
		return __real_open64(path, flags, mode);
	if (the_fake->no_udmabuf)
		return fails(ENOENT);
	fd = memfd_create("fake-udmabuf", MFD_CLOEXEC);
	if (fd >= 0)
		udmabuf_inode = inode_of(fd);
	return fd;
}

static short happens(const struct fake_video *f, short events)
{
	short ready = 0;

	if (f->gone)
		return POLLERR | POLLHUP | POLLPRI;
	if (f->changed)
		ready |= POLLPRI;
	if (f->failed || !f->streaming)
		return (short)(ready | POLLERR);
	if (f->done)
		ready |= is_output(f) ? POLLOUT : POLLIN;
	return ready & (short)(events | POLLERR);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	if (count != 1 || !the_fake || inode_of(fds->fd) != video_inode)
		return __real_poll(fds, count, timeout);
	pthread_mutex_lock(&driver_lock);
	fds->revents = happens(the_fake, fds->events);
	pthread_mutex_unlock(&driver_lock);
	if (fds->revents)
		return 1;
	/* Nothing can happen meanwhile. */
	return __real_poll(NULL, 0, timeout);
}

static void fill(const struct fake_plane *plane, uint32_t size, uint8_t byte)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	for (uint32_t at = 0; at < size;) {
		uint32_t part = size - at < sizeof(bytes) ? size - at : (uint32_t)sizeof(bytes);

		ASSERT_EQ(pwrite(plane->fd, bytes, part, (off_t)(plane->offset + at)), part);
		at += part;
	}
}

static void show(struct fake_video *f, const struct fake_buffer *b)
{
	const struct fake_plane *last = &b->planes[f->planes - 1];

	f->shown++;
	f->shown_size = 0;
	for (uint32_t p = 0; p < f->planes; p++)
		f->shown_size += b->planes[p].used;
	ASSERT_EQ(pread(last->fd, &f->last_byte, 1, (off_t)(last->offset + last->used - 1)), 1);
}

static void tick(struct fake_video *f)
{
	struct fake_buffer *b;

	if (!f->streaming || f->failed || f->gone)
		return;
	if (!f->queued) {
		f->sequence++;
		return;
	}
	b = &f->buffers[f->order[0]];
	f->ready[f->done++] = f->order[0];
	remove_first(f->order, &f->queued);
	b->queued = false;
	b->done = true;
	b->flags = f->damaged ? V4L2_BUF_FLAG_ERROR : 0;
	f->damaged = false;
	if (is_output(f))
		show(f, b);
	for (uint32_t p = 0; p < f->planes && !is_output(f); p++) {
		b->planes[p].used = f->used ? f->used : f->size[p];
		fill(&b->planes[p], f->size[p], (uint8_t)(f->sequence + p));
	}
	b->sequence = f->sequence++;
}

void fake_tick(struct fake_video *f)
{
	pthread_mutex_lock(&driver_lock);
	tick(f);
	pthread_mutex_unlock(&driver_lock);
}
