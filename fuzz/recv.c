// SPDX-License-Identifier: MIT
/*
 * dma_buf_recv() on what a hostile sender writes. The first byte chooses the socket's type; then
 * come messages: a byte with their length, a byte with the number of descriptors, a byte for each
 * that says of what kind, and the bytes themselves.
 */
#include <sys/socket.h>

#include "hostile.h"

#define MAX_FDS 24
#define KINDS 8

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

/* Descriptors that a sender might have: made once, sent again and again. */
static int kinds[KINDS];

static void make_kinds(void)
{
	struct dma_buf *buffer = dma_buf_alloc("sent", HOSTILE_SIZE, O_RDWR);
	struct dma_buf *share = dma_buf_alloc("shared", HOSTILE_SIZE, O_RDONLY);
	size_t size;
	char *bytes;

	hostile_register();
	bytes = hostile_template(HOSTILE_SIZE, &size);
	HOSTILE_CHECK(buffer && share);
	kinds[0] = dma_buf_fd(buffer, O_CLOEXEC);
	kinds[1] = dma_buf_fd(share, O_CLOEXEC);
	kinds[2] = dma_buf_payload_fd(share, O_CLOEXEC);
	kinds[3] = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	kinds[4] = forge_memfd(bytes, size, 0);
	kinds[5] = forge_memfd(NULL, size, SEALS_OF_A_BUFFER);
	kinds[6] = open("/dev/null", O_RDWR | O_CLOEXEC);
	kinds[7] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	free(bytes);
	dma_buf_put(buffer);
	dma_buf_put(share);
}

static void send_message(int socket, struct input *in)
{
	union {
		char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	uint8_t bytes[255];
	int fds[MAX_FDS];
	unsigned int length = take(in), count = take(in) % (MAX_FDS + 1), i;
	struct iovec iov = { bytes, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	for (i = 0; i < count; i++)
		fds[i] = kinds[take(in) % KINDS];
	for (i = 0; i < length; i++)
		bytes[i] = take(in);
	if (count) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	(void)!sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool answer_is_documented(int err)
{
	return err == EPIPE || err == ECONNRESET || err == EBADF || sane(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct input in = { data, size };
	struct dma_buf *dmabuf;
	int sv[2], lowest, messages, rounds;

	if (!kinds[0])
		make_kinds();
	lowest = fcntl(kinds[6], F_DUPFD_CLOEXEC, 0);
	close(lowest);
	HOSTILE_CHECK(socketpair(AF_UNIX, types[take(&in) % 3] | SOCK_CLOEXEC, 0, sv) == 0);
	for (messages = 0; in.left && messages < 16; messages++)
		send_message(sv[0], &in);
	close(sv[0]);
	for (rounds = 0; rounds < 32; rounds++) {
		dmabuf = dma_buf_recv(sv[1], 0);
		HOSTILE_CHECK(dmabuf || answer_is_documented(errno));
		if (dmabuf)
			HOSTILE_CHECK(dmabuf->size == HOSTILE_SIZE);
		else if (errno == EPIPE || errno == ETIMEDOUT)
			rounds = 32;
		dma_buf_put(dmabuf);
	}
	close(sv[1]);
	/* The lowest free number is the same again, so nothing was kept open. */
	HOSTILE_CHECK(fcntl(kinds[6], F_DUPFD_CLOEXEC, 0) == lowest);
	close(lowest);
	return 0;
}
