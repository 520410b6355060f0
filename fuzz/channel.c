// SPDX-License-Identifier: MIT
/*
 * An element of a pipe whose neighbours send what they like. Bytes: the element's role, the number
 * of buffers; then steps: what to do, and for a message of the element before, how long it is, how
 * it differs from a right one, and the bytes.
 */
#include <sys/socket.h>

#include "hostile.h"
#include "channel.h"

#define BUFFERS 4

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static struct dma_buf *pool[BUFFERS];

/* A frame whose fields the input overwrites from a byte on. */
static void send_message(int socket, struct input *in)
{
	union {
		struct channel_message m;
		uint8_t bytes[128];
	} message = { .m = { .head = channel_head(CHANNEL_FRAME), .used = 1 } };
	unsigned int length = take(in), from = take(in), count = take(in), i;

	length = length % 4 ? sizeof(message.m) : length % sizeof(message.bytes);
	message.m.index = take(in);
	for (i = 0; i < count && from + i < sizeof(message.bytes) && in->left; i++)
		message.bytes[from + i] = take(in);
	(void)!send(socket, &message, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool documented(int err)
{
	return err == 0 || err == -EPIPE || err == -EPROTO || err == -ETIMEDOUT || err == -EINVAL ||
	       err == -EAGAIN;
}

static void check_frame(const struct dmabuf_channel *channel, const struct dmabuf_channel_frame *frame)
{
	HOSTILE_CHECK(frame->index < channel->count);
	HOSTILE_CHECK(frame->dmabuf == pool[frame->index] && channel->held[frame->index]);
	HOSTILE_CHECK(frame->used <= frame->dmabuf->size);
	HOSTILE_CHECK((uint64_t)frame->stride * frame->height <= frame->dmabuf->size);
}

static void drain(int socket)
{
	char bytes[1024];

	while (recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void play(struct dmabuf_channel *channel, struct input *in, int before, int after)
{
	struct dmabuf_channel_frame frame = { 0 };
	char key[4] = { 0 };
	int err;

	while (in->left) {
		switch (take(in) % 5) {
		case 0:
			send_message(before, in);
			break;
		case 1:
			err = dmabuf_channel_next(channel, &frame, 0);
			HOSTILE_CHECK(err == 1 || documented(err));
			if (err == 1)
				check_frame(channel, &frame);
			break;
		case 2:
			frame.index ^= take(in);
			HOSTILE_CHECK(documented(dmabuf_channel_pass(channel, &frame)));
			break;
		case 3:
			key[0] = (char)take(in);
			HOSTILE_CHECK(documented(dmabuf_channel_tell(channel, key, key)));
			break;
		default:
			if (take(in) % 8 == 0)
				HOSTILE_CHECK(documented(dmabuf_channel_finish(channel)));
		}
		drain(after);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct dmabuf_channel *channel = calloc(1, sizeof(*channel));
	int control[2], before[2], after[2], i;

	HOSTILE_CHECK(channel);
	for (i = 0; i < BUFFERS && !pool[BUFFERS - 1]; i++)
		pool[i] = dma_buf_alloc("frame", HOSTILE_SIZE, O_RDWR);
	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, before));
	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, after));
	channel->control = control[0];
	channel->in = before[0];
	channel->out = after[0];
	channel->role = (enum channel_role)(CHANNEL_SOURCE + take(&in) % 3);
	channel->count = 1 + take(&in) % BUFFERS;
	for (i = 0; i < (int)channel->count; i++) {
		channel->buffers[i] = pool[i];
		get_dma_buf(pool[i]);
	}
	/* The runner does not listen: what must reach it says so instead of waiting for ever. */
	close(control[1]);
	play(channel, &in, before[1], after[1]);
	close(before[1]);
	close(after[1]);
	dmabuf_channel_close(channel);
	return 0;
}
