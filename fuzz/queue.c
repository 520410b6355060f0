// SPDX-License-Identifier: MIT
/*
 * One end of a queue whose other end sends what it likes. Bytes: which end; then steps: what to do,
 * and for a message of the other side: of what type, how long it is, how many descriptors come with
 * it, how it differs from a right one, and the bytes.
 */
#include <sys/socket.h>

#include <dmabuf/queue.h>

#include "hostile.h"
#include "queue-wire.h"

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

/* Descriptors that a peer might have: a buffer's, one that can be polled, one that cannot. */
static int kinds[3];

static void make_kinds(void)
{
	struct dma_buf *buffer = dma_buf_alloc("sent", HOSTILE_SIZE, O_RDWR);

	HOSTILE_CHECK(buffer);
	kinds[0] = dma_buf_fd(buffer, O_CLOEXEC);
	kinds[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	kinds[2] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	HOSTILE_CHECK(kinds[0] >= 0 && kinds[1] >= 0 && kinds[2] >= 0);
	dma_buf_put(buffer);
}

static size_t right_message(union queue_message *m, uint8_t which)
{
	memset(m, 0, sizeof(*m));
	switch (which % 8) {
	case 0:
		m->frame = (struct queue_frame){ .head = queue_head(QUEUE_FRAME), .used = 1 };
		return sizeof(m->frame);
	case 1:
		m->join = (struct queue_join){ .head = queue_head(QUEUE_JOIN),
					       .policy = DMABUF_QUEUE_BLOCK,
					       .min = 1,
					       .preferred = 3 };
		return sizeof(m->join);
	case 2:
		m->ret = (struct queue_return){ .head = queue_head(QUEUE_RETURN), .buffers = 1 };
		return sizeof(m->ret);
	case 3:
		m->slot = (struct queue_slot){ .head = queue_head(QUEUE_SLOT) };
		return sizeof(m->slot);
	case 4:
		m->words = (struct queue_words){ .head = queue_head(QUEUE_CUT_OFF) };
		return sizeof(m->words);
	case 5:
		m->head = queue_head(QUEUE_END);
		return sizeof(m->head);
	case 6:
		m->head = queue_head(QUEUE_BYE);
		return sizeof(m->head);
	default:
		m->welcome = (struct queue_welcome){ .head = queue_head(QUEUE_WELCOME) };
		return sizeof(m->welcome);
	}
}

static void send_message(int socket, struct input *in)
{
	union {
		union queue_message m;
		uint8_t bytes[320];
	} message = { { { 0 } } };
	union {
		char space[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	size_t length = right_message(&message.m, take(in));
	unsigned int longer = take(in), from = take(in), count = take(in), fds = take(in) % 9, i;
	struct iovec iov = { &message, longer % 4 ? length : longer };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	for (i = 0; i < count && from + i < sizeof(message.bytes) && in->left; i++)
		message.bytes[from + i] = take(in);
	if (fds) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(fds * sizeof(int)) };
		for (i = 0; i < fds; i++)
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)) + i * sizeof(int),
			       &kinds[take(in) % 3], sizeof(int));
	}
	(void)!sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void drain(int socket)
{
	char bytes[512];

	while (recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static bool documented(int err)
{
	return err >= 0 || err == -EPIPE || err == -EPROTO || err == -ETIMEDOUT || err == -EINVAL ||
	       err == -ECONNABORTED || err == -EUSERS || err == -ENOSPC;
}

static void check_frame(const struct dmabuf_frame *frame)
{
	HOSTILE_CHECK(frame->index < DMABUF_QUEUE_MAX_BUFFERS);
	HOSTILE_CHECK(frame->dmabuf && frame->used <= frame->dmabuf->size);
	HOSTILE_CHECK(frame->plane_count <= DMABUF_FRAME_MAX_PLANES);
	for (uint32_t i = 0; i < frame->plane_count; i++)
		HOSTILE_CHECK(frame->planes[i].offset <= frame->dmabuf->size);
}

static void play_consumer(struct input *in)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o), .flags = take(in) % 4 };
	union queue_message welcome;
	size_t length = right_message(&welcome, 7);
	struct dmabuf_frame frame = { .index = 99 };
	struct dmabuf_queue_consumer *c;
	int sv[2], got;

	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	HOSTILE_CHECK(send(sv[0], &welcome, length, 0) == (ssize_t)length);
	c = dmabuf_queue_join(sv[1], &o, 0);
	HOSTILE_CHECK(c);
	while (in->left) {
		switch (take(in) % 3) {
		case 0:
			send_message(sv[0], in);
			break;
		case 1:
			got = dmabuf_queue_take(c, &frame, 0);
			HOSTILE_CHECK(documented(got) || sane(-got));
			if (got == 1)
				check_frame(&frame);
			break;
		default:
			frame.index ^= take(in);
			HOSTILE_CHECK(documented(dmabuf_queue_release(c, &frame)));
		}
		drain(sv[0]);
	}
	dmabuf_queue_leave(c);
	close(sv[0]);
}

static void play_producer(struct input *in)
{
	struct dmabuf_queue_options o = {
		.size = sizeof(o), .buffer_size = HOSTILE_SIZE, .max_buffers = 4, .stall_ms = 1
	};
	struct dmabuf_queue *q = dmabuf_queue_create(&o);
	struct dmabuf_frame frame = { .index = 99 };
	int sv[2];

	HOSTILE_CHECK(q);
	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	HOSTILE_CHECK(!dmabuf_queue_add(q, sv[0]));
	while (in->left) {
		switch (take(in) % 4) {
		case 0:
			send_message(sv[1], in);
			break;
		case 1:
			HOSTILE_CHECK(documented(dmabuf_queue_get(q, &frame, 0)));
			frame.used = 1;
			break;
		case 2:
			frame.index ^= take(in) & 3;
			HOSTILE_CHECK(documented(dmabuf_queue_put(q, &frame)));
			break;
		default:
			HOSTILE_CHECK(!dmabuf_queue_dispatch(q));
		}
		if (take(in) % 4 == 0)
			drain(sv[1]);
	}
	close(sv[1]);
	HOSTILE_CHECK(!dmabuf_queue_dispatch(q));
	dmabuf_queue_destroy(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!kinds[0])
		make_kinds();
	if (take(&in) % 2)
		play_producer(&in);
	else
		play_consumer(&in);
	return 0;
}
