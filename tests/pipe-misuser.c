// SPDX-License-Identifier: MIT
/*
 * An element that misbehaves, for tests of dmabuf pipe: pipe-misuser WAY. It joins the pipe, takes
 * a frame and then does what the word says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dmabuf.h>

#include "queue-wire.h"

static int control, in, out;
static struct dmabuf_queue_consumer *input;
static struct dmabuf_queue *output;

/* A frame as no library would send it, with the buffer's descriptor if @fd is not negative. */
static void send_frame(struct queue_frame m, int fd)
{
	struct iovec iov = { &m, sizeof(m) };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = { { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.carries = 1;
		msg.msg_control = room.space;
		msg.msg_controllen = sizeof(room.space);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	(void)!sendmsg(out, &msg, MSG_NOSIGNAL);
}

static void wait_for_the_end(void)
{
	char byte;

	while (recv(control, &byte, 1, 0) > 0)
		;
	pause();
}

static void send_nonsense(const struct dmabuf_frame *frame, const char *way)
{
	struct queue_frame m = { .head = queue_head(QUEUE_FRAME), .used = 1 };
	int fd = dma_buf_fd(frame->dmabuf, O_CLOEXEC);

	if (!strcmp(way, "index")) {
		m.index = 4000000000u;
	} else if (!strcmp(way, "used")) {
		m.used = (uint64_t)1 << 63;
	} else if (!strcmp(way, "picture")) {
		m.width = m.height = m.plane_count = 1;
		m.planes[0].stride = 4000000000u;
	} else if (!strcmp(way, "version")) {
		m.head.version = 77;
	} else if (!strcmp(way, "type")) {
		m.head.type = 77;
	} else if (!strcmp(way, "twice")) {
		send_frame(m, fd);
		fd = -1;
	} else {
		return;
	}
	send_frame(m, fd);
}

/* Send what no library would. */
static void misbehave(const struct dmabuf_frame *frame, const char *way)
{
	send_nonsense(frame, way);
	if (!strcmp(way, "short"))
		(void)!send(out, "junk", 4, MSG_NOSIGNAL);
	else if (!strcmp(way, "empty"))
		(void)!send(out, "", 0, MSG_NOSIGNAL);
	else if (!strcmp(way, "control"))
		(void)!send(control, "junk", 4, MSG_NOSIGNAL);
	else if (!strcmp(way, "crash"))
		abort();
	else if (!strcmp(way, "early"))
		exit(0);
	else if (!strcmp(way, "touch"))
		*(volatile char *)dma_buf_vmap(frame->dmabuf) = 1;
	if (!strcmp(way, "leave")) {
		dmabuf_queue_destroy(output);
		dmabuf_queue_leave(input);
	}
	if (!strcmp(way, "error")) {
		dmabuf_queue_tell("error", "out of film");
		exit(3);
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	struct dmabuf_frame frame;
	int got;

	if (sscanf(getenv(DMABUF_QUEUE_ENV), "1:%d:%d:%d", &control, &in, &out) != 3)
		return 9;
	if (!strcmp(way, "silent"))
		wait_for_the_end();
	input = dmabuf_queue_open_input(NULL, 10000);
	output = input ? dmabuf_queue_open_output(input, NULL, 10000) : NULL;
	if (!output)
		return 8;
	/* Passes everything on, but never ends. */
	while (!strcmp(way, "hold") && (got = dmabuf_queue_take(input, &frame, 60000)) >= 0) {
		if (got == 0)
			wait_for_the_end();
		dmabuf_queue_put(output, &frame);
	}
	if (dmabuf_queue_take(input, &frame, 60000) != 1)
		return 7;
	misbehave(&frame, way);
	pause();
	return 0;
}
