// SPDX-License-Identifier: MIT
/* Plain reads and writes: stdin and stdout, FIFOs, terminals, files of /proc. */
#include "element.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Nobody has to wait at the door of dmabuf cast because its source has nothing to say. */
static void serve_meanwhile(const struct element_context *context)
{
	struct pollfd fds[2] = { { .fd = context->element->fd, .events = POLLIN },
				 { .fd = -1, .events = POLLIN } };

	if (context->element->out >= 0)
		return;
	fds[1].fd = dmabuf_queue_fd(context->out);
	do {
		(void)dmabuf_queue_dispatch(context->out);
	} while (poll(fds, 2, -1) > 0 && !fds[0].revents);
}

/* Up to @room bytes, fewer only at the end of the file: how many, or -1 after element_fail(). */
static ssize_t read_full(const struct element_context *context, void *bytes, size_t room)
{
	size_t done = 0;
	ssize_t got;

	while (done < room) {
		serve_meanwhile(context);
		got = read(context->element->fd, (char *)bytes + done, room - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return element_fail(context, "cannot read: %s", strerror(errno));
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Fill one buffer: 1 if there may be more to come, 0 at the end, -1. */
static int read_frame(const struct element_context *context, struct dmabuf_frame *frame,
		      uint64_t sequence)
{
	size_t size = frame->dmabuf->size;
	void *bytes = element_begin(context, frame, size, DMA_TO_DEVICE);
	ssize_t got;

	if (!bytes)
		return -1;
	got = read_full(context, bytes, size);
	if (element_end(context, frame, size, DMA_TO_DEVICE) < 0 || got < 0)
		return -1;
	frame->used = (uint64_t)got;
	frame->sequence = sequence;
	frame->timestamp = now_ns();
	if (got && element_pass(context, frame) < 0)
		return -1;
	return (size_t)got == size;
}

int stream_read(struct element_context *context)
{
	struct dmabuf_frame frame;
	uint64_t sequence = 0;
	int more;

	do {
		if (element_next(context, &frame, true) != 1)
			return -1;
		more = read_frame(context, &frame, sequence++);
	} while (more > 0);
	if (more < 0)
		return more;
	element_tell(context, "method", "plain reads");
	return element_finish(context);
}

static int write_full(const struct element_context *context, const void *bytes, size_t len)
{
	size_t done = 0;
	ssize_t put;

	while (done < len) {
		put = write(context->element->fd, (const char *)bytes + done, len - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EPIPE)
			return element_fail(context, "cannot write: the reader is gone (%s)",
					    strerror(errno));
		if (put < 0)
			return element_fail(context, "cannot write: %s", strerror(errno));
		done += (size_t)put;
	}
	return 0;
}

static int look_write(const struct element_context *context, const struct dmabuf_frame *frame,
		      const void *bytes, void *data)
{
	(void)data;
	return write_full(context, bytes, frame->used);
}

int stream_write(struct element_context *context)
{
	int err = element_look_at_all(context, look_write, NULL);

	if (err < 0)
		return err;
	element_tell(context, "method", "plain writes");
	return element_finish(context);
}

static int open_stream(struct element *element)
{
	element->fd = element->role == ELEMENT_SOURCE ? STDIN_FILENO : STDOUT_FILENO;
	element->streams = true;
	return 0;
}

static int run_stream(struct element_context *context)
{
	return context->element->role == ELEMENT_SOURCE ? stream_read(context)
							: stream_write(context);
}

const struct element_class stream_class = {
	.prefix = "-",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_SINK),
	.open = open_stream,
	.run = run_stream,
};
