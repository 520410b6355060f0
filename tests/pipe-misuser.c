// SPDX-License-Identifier: MIT
/*
 * An element that misbehaves, for tests of dmabuf pipe: pipe-misuser WAY. It joins the pipe, takes
 * a frame and then does what the word says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dmabuf.h>

#include "channel-wire.h"

static int control, in, out;

static void send_frame(uint32_t index, uint64_t used, uint32_t height)
{
	struct channel_message m = {
		.head = channel_head(CHANNEL_FRAME),
		.index = index,
		.used = used,
		.height = height,
		.stride = height,
	};

	(void)!send(out, &m, sizeof(m), MSG_NOSIGNAL);
}

static void wait_for_the_end(void)
{
	char byte;

	while (recv(control, &byte, 1, 0) > 0)
		;
	pause();
}

/* Send what no library would. */
static void misbehave(struct dmabuf_channel *channel, struct dmabuf_channel_frame *frame, const char *way)
{
	struct channel_message bad = { .head = channel_head(CHANNEL_FRAME) };

	if (!strcmp(way, "index"))
		send_frame(4000000000u, 1, 0);
	else if (!strcmp(way, "used"))
		send_frame(frame->index, (uint64_t)1 << 63, 0);
	else if (!strcmp(way, "picture"))
		send_frame(frame->index, 1, 4000000000u);
	else if (!strcmp(way, "short"))
		(void)!send(out, "junk", 4, MSG_NOSIGNAL);
	else if (!strcmp(way, "empty"))
		(void)!send(out, "", 0, MSG_NOSIGNAL);
	else if (!strcmp(way, "control"))
		(void)!send(control, "junk", 4, MSG_NOSIGNAL);
	else if (!strcmp(way, "crash"))
		abort();
	else if (!strcmp(way, "leave"))
		dmabuf_channel_close(channel);
	else if (!strcmp(way, "early"))
		exit(0);
	else if (!strcmp(way, "twice"))
		for (int i = 0; i < 100; i++)
			send_frame(frame->index, 1, 0);
	if (!strcmp(way, "version"))
		bad.head.version = 77;
	if (!strcmp(way, "type"))
		bad.head.type = 77;
	if (!strcmp(way, "version") || !strcmp(way, "type"))
		(void)!send(out, &bad, sizeof(bad), MSG_NOSIGNAL);
	if (!strcmp(way, "error")) {
		dmabuf_channel_tell(channel, "error", "out of film");
		exit(3);
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	struct dmabuf_channel *channel;
	struct dmabuf_channel_frame frame;
	int got;

	if (sscanf(getenv(DMABUF_CHANNEL_ENV), "1:%d:%d:%d", &control, &in, &out) != 3)
		return 9;
	if (!strcmp(way, "silent"))
		wait_for_the_end();
	channel = dmabuf_channel_open(10000);
	if (!channel)
		return 8;
	/* Passes everything on, but never ends. */
	while (!strcmp(way, "hold") && (got = dmabuf_channel_next(channel, &frame, 60000)) >= 0) {
		if (got == 0)
			wait_for_the_end();
		dmabuf_channel_pass(channel, &frame);
	}
	if (dmabuf_channel_next(channel, &frame, 60000) != 1)
		return 7;
	misbehave(channel, &frame, way);
	pause();
	return 0;
}
