// SPDX-License-Identifier: MIT
/* v4l2: cameras and video outputs, by what their sources and sinks have in common. */
#include "video.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <dmabuf/error.h>

#include "../command.h"
#include "pipe.h"
#include "wishes.h"

/* A stream that fails so often without a frame in between is broken. */
#define MAX_FAILURES 5
#define TELL_NS 1000000000u
/* How long a device may be silent, if the command line does not say. */
#define TIMEOUT_NS 10000000000u

int video_fail(const struct video *v)
{
	return element_fail(v->context, "%s", dmabuf_last_error());
}

uint64_t video_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int video_init(struct video *v, const struct element_context *context)
{
	const struct element *element = context->element;
	struct dma_buf_v4l2_options options = { .size = sizeof(options),
						.output = element->role == ELEMENT_SINK };

	*v = (struct video){ .context = context, .format = { .size = sizeof(v->format) } };
	v->direction = options.output ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	v->dev = dma_buf_v4l2_open(element->fd, NULL, &options);
	return v->dev ? 0 : video_fail(v);
}

static void let_go(const struct video *v, struct video_slot *slot)
{
	struct dma_buf *dmabuf;

	if (!slot->attach)
		return;
	dmabuf = slot->attach->dmabuf;
	if (slot->table)
		(void)dma_buf_unmap_attachment(slot->attach, slot->table, v->direction);
	dma_buf_detach(dmabuf, slot->attach);
	dma_buf_put(dmabuf);
	slot->attach = NULL;
	slot->table = NULL;
}

void video_exit(struct video *v)
{
	if (v->dev && v->with_driver)
		(void)dma_buf_v4l2_stop(v->dev);
	for (int i = 0; i < DMABUF_QUEUE_MAX_BUFFERS; i++)
		let_go(v, &v->slots[i]);
	dma_buf_device_put(v->dev);
	v->dev = NULL;
	dma_buf_device_put(v->card);
	v->card = NULL;
}

static int attach(const struct video *v, struct video_slot *slot, struct dma_buf *dmabuf)
{
	if (slot->attach && slot->attach->dmabuf == dmabuf)
		return dma_buf_sync_sg_for_device(slot->attach, slot->table, v->direction);
	let_go(v, slot);
	slot->attach = dma_buf_attach(dmabuf, v->dev);
	if (!slot->attach)
		return -errno;
	/* The queue may drop it while it is attached here. */
	get_dma_buf(dmabuf);
	slot->table = dma_buf_map_attachment(slot->attach, v->direction);
	return slot->table ? 0 : -errno;
}

int video_give(struct video *v, const struct dmabuf_frame *frame, uint64_t used)
{
	struct video_slot *slot = &v->slots[frame->index];
	int err = attach(v, slot, frame->dmabuf);

	if (err)
		return err;
	err = dma_buf_v4l2_queue(slot->attach, slot->table, used, frame->timestamp, frame->index);
	if (err) {
		/* The driver did not take it, so it is not the device's the next time. */
		(void)dma_buf_sync_sg_for_cpu(slot->attach, slot->table, v->direction);
		return err;
	}
	slot->frame = *frame;
	slot->with_driver = true;
	if (v->with_driver++ == v->may_keep)
		v->since = video_now();
	return 0;
}

int video_take(struct video *v, struct dmabuf_frame *frame, struct dma_buf_v4l2_completion *done)
{
	struct video_slot *slot;
	int got;

	do {
		got = dma_buf_v4l2_reap(v->dev, done, 1, 0);
	} while (got == -EINTR);
	if (got == -ETIMEDOUT || got == -ENOENT)
		return 0;
	if (got < 0)
		return got;
	slot = &v->slots[done->cookie];
	slot->with_driver = false;
	v->with_driver--;
	v->since = video_now();
	v->starved += !v->with_driver && done->result != -ECANCELED;
	if (done->result == 0)
		v->failures = 0;
	*frame = slot->frame;
	got = dma_buf_sync_sg_for_cpu(slot->attach, slot->table, v->direction);
	return got < 0 ? got : 1;
}

/* Milliseconds, -1: no end. A driver that has no more than it may keep need not say anything. */
static int patience(const struct video *v)
{
	uint64_t timeout = v->context->element->video.timeout, passed = video_now() - v->since;

	if (timeout == UINT64_MAX || v->with_driver <= v->may_keep)
		return -1;
	return passed >= timeout ? 0 : (int)((timeout - passed + 999999) / 1000000);
}

int video_fail_silent(const struct video *v)
{
	double seconds = (double)v->context->element->video.timeout / 1e9;

	if (dma_buf_v4l2_check_source(v->dev) < 0)
		return video_fail(v);
	if (v->direction == DMA_TO_DEVICE)
		return element_fail(v->context, "the device has shown nothing for %g s", seconds);
	return element_fail(v->context,
			    "no frame for %g s: does it wait for a trigger? (timeout=SECONDS, or "
			    "never)",
			    seconds);
}

unsigned int video_wait(const struct video *v, int queue_fd, int ms)
{
	int left = patience(v);
	bool limits = left >= 0 && (ms < 0 || left <= ms);
	short events = v->direction == DMA_FROM_DEVICE ? POLLIN : POLLOUT;
	struct pollfd fds[2] = { { .fd = queue_fd, .events = POLLIN },
				 { .fd = dma_buf_v4l2_fd(v->dev), .events = events | POLLPRI } };

	/* Without a buffer it only says that it has none. */
	if (!v->with_driver)
		fds[1].fd = -1;
	if (poll(fds, 2, limits ? left : ms) <= 0)
		return limits && !patience(v) ? VIDEO_SILENT : 0;
	return (fds[0].revents ? VIDEO_QUEUE : 0) | (fds[1].revents ? VIDEO_DRIVER : 0);
}

bool video_may_restart(struct video *v)
{
	if (++v->failures > MAX_FAILURES)
		return false;
	v->restarts++;
	return dma_buf_v4l2_stop(v->dev) == 0;
}

void video_tell(const struct video *v)
{
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	char text[384];

	if (dma_buf_v4l2_describe(v->dev, text, sizeof(text)) == 0)
		element_tell(v->context, "device", "%s", text);
	if (dma_buf_v4l2_get_info(v->dev, &info) < 0)
		return;
	element_tell(v->context, "driver",
		     "%" PRIu64 " frames, %" PRIu64 " damaged, %" PRIu64 " lost, %" PRIu64
		     " times without a buffer, %u restarts, %" PRIu64 " calls",
		     info.frames, info.errors, info.lost, v->starved, v->restarts, info.requests);
}

void video_tell_at(struct video *v, uint64_t timestamp)
{
	if (timestamp < v->told + TELL_NS)
		return;
	v->told = timestamp;
	video_tell(v);
}

static bool parse_size(const char *value, uint32_t *width, uint32_t *height)
{
	int end = 0;

	return sscanf(value, "%5ux%5u%n", width, height, &end) == 2 && !value[end] && *width &&
	       *height;
}

static bool parse_fourcc(const char *value, uint32_t *fourcc)
{
	size_t len = strlen(value);

	if (!len || len > 4)
		return false;
	*fourcc = 0;
	for (unsigned int i = 0; i < 4; i++)
		*fourcc |= (uint32_t)(unsigned char)(i < len ? value[i] : ' ') << 8 * i;
	return true;
}

static bool parse_memory(const char *value, struct video_wishes *w)
{
	static const char *const names[] = { "auto", "import", "export" };

	w->maker[0] = '\0';
	for (w->memory = 0; w->memory < 3; w->memory++)
		if (!strcmp(value, names[w->memory]))
			return true;
	w->memory = DMA_BUF_V4L2_IMPORT;
	snprintf(w->maker, sizeof(w->maker), "%s", value);
	return video_memory_is(value);
}

static bool parse_timeout(const char *value, uint64_t *timeout)
{
	if (strcmp(value, "never") != 0)
		return seconds_parse(value, 1e9, timeout) && *timeout;
	*timeout = UINT64_MAX;
	return true;
}

/* "name=value", of a source. */
static bool parse_wish(struct element *e, const char *name, const char *value)
{
	struct video_wishes *w = &e->video;

	if (!strcmp(name, "format"))
		return parse_fourcc(value, &w->fourcc);
	if (!strcmp(name, "size"))
		return parse_size(value, &w->width, &w->height);
	if (!strcmp(name, "fps"))
		return number_parse(value, 1000, &w->fps) && w->fps;
	if (!strcmp(name, "memory"))
		return parse_memory(value, w);
	if (!strcmp(name, "timeout"))
		return parse_timeout(value, &w->timeout);
	if (!strcmp(name, "room"))
		return size_parse(value, &w->room) && w->room <= DMA_BUF_MAX_SIZE;
	return !strcmp(name, "frames") && number_parse(value, UINT64_MAX - 1, &e->frames) &&
	       e->frames;
}

static int parse_video(struct element *e, const char *argument)
{
	static const struct wishes wishes = {
		"v4l2:/dev/video0",
		"format=FOURCC, size=WxH, fps=N, frames=N, memory=auto, import, export, "
		"udmabuf, dma_heap/NAME or a graphics card, "
		"room=BYTES, or timeout=SECONDS or never",
		parse_wish
	};

	e->video.timeout = TIMEOUT_NS;
	return wishes_parse(e, argument, &wishes);
}

static const char *open_hint(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return " (members of the group video may use it)";
	case ENOENT:
		return " (v4l2-ctl --list-devices shows those there are)";
	case EBUSY:
		return " (another program has it)";
	default:
		return "";
	}
}

/* What it is, before anything starts. */
static int look_at(struct element *e)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options),
						.output = e->role == ELEMENT_SINK };
	struct dma_buf_device *dev = dma_buf_v4l2_open(e->fd, NULL, &options);

	if (!dev)
		complain(e->command, "%s", dmabuf_last_error());
	dma_buf_device_put(dev);
	return dev ? 0 : -1;
}

static int open_video(struct element *e)
{
	struct stat st;
	char who[160];

	element_describe(e, who, sizeof(who));
	e->fd = open(e->video.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (e->fd < 0) {
		complain(e->command, "%s: cannot open it: %s%s", who, strerror(errno),
			 open_hint(errno));
		return -1;
	}
	if (fstat(e->fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
		complain(e->command, "%s: it is no video device", who);
		return -1;
	}
	return look_at(e);
}

static int run_video(struct element_context *context)
{
	return context->element->role == ELEMENT_SOURCE ? video_source_run(context)
							: video_sink_run(context);
}

const struct element_class video_class = {
	.prefix = "v4l2:",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_SINK),
	.max_buffers = DMA_BUF_V4L2_MAX_BUFFERS,
	.holds = 4,
	.parse = parse_video,
	.open = open_video,
	.prepare = video_source_prepare,
	.run = run_video,
};
