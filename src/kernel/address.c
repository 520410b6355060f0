// SPDX-License-Identifier: MIT
#include "kernel/address.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

#define MAGIC 0x32666264u /* "dbf2" */
/* More than two are received to be closed. */
#define ROOM_FDS 8

union room {
	char space[CMSG_SPACE(ROOM_FDS * sizeof(int))];
	struct cmsghdr align;
};

static socklen_t address_of(struct sockaddr_un *address, uint64_t inode, uint32_t number,
			    unsigned int place)
{
	int n;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	n = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
		     "dmabuf-kernel:%" PRIx64 ":%" PRIx32 ":%x", inode, number, place);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)n;
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		return fd;
	return dmabuf_fail(errno, "no socket to share a dma-buf's state by: %s", strerror(errno));
}

int kernel_address_bind(uint64_t inode, uint32_t number, unsigned int place)
{
	struct sockaddr_un address;
	socklen_t length = address_of(&address, inode, number, place);
	int fd = make_socket(), err;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	err = errno;
	close(fd);
	if (err == EADDRINUSE)
		return -err;
	return dmabuf_fail(err, "an address to share a dma-buf's state by cannot be had: %s",
			   strerror(err));
}

/* @to: NULL for a socket that is connected. */
static int send_two(int socket, struct sockaddr_un *to, socklen_t length, const int fds[2])
{
	uint32_t magic = MAGIC;
	struct iovec iov = { .iov_base = &magic, .iov_len = sizeof(magic) };
	union room control;
	struct msghdr msg = { .msg_name = to,
			      .msg_namelen = length,
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = CMSG_SPACE(2 * sizeof(int)) };
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
	while (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int kernel_message_send_to(uint64_t inode, uint32_t number, unsigned int place, const int fds[2])
{
	struct sockaddr_un address;
	socklen_t length = address_of(&address, inode, number, place);
	int socket = make_socket(), err;

	if (socket < 0)
		return socket;
	err = send_two(socket, &address, length, fds);
	close(socket);
	if (!err)
		return 0;
	if (err == -ECONNREFUSED)
		return -ENOENT;
	/* EPROTOTYPE: whoever took the address listens there with another kind of socket. */
	if (err == -EAGAIN || err == -EPROTOTYPE || err == -EPERM)
		return -EAGAIN;
	return dmabuf_fail(-err, "asking for a dma-buf's state failed: %s", strerror(-err));
}

int kernel_message_send(int socket, const int fds[2])
{
	return send_two(socket, NULL, 0, fds);
}

static int collect(struct msghdr *msg, int *fds)
{
	struct cmsghdr *c;
	int count = 0;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < n && count < ROOM_FDS; i++)
			memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return count;
}

int kernel_message_receive(int socket, int fds[2])
{
	uint32_t words[2] = { 0 };
	struct iovec iov = { .iov_base = words, .iov_len = sizeof(words) };
	int got[ROOM_FDS], count;
	union room control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	bool lost;
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPROTO;
	count = collect(&msg, got);
	if (n == sizeof(words[0]) && words[0] == MAGIC && count == 2 &&
	    !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		memcpy(fds, got, 2 * sizeof(int));
		return 0;
	}
	/* There was room for more, so it is this process that has none left. */
	lost = msg.msg_flags & MSG_CTRUNC && count < ROOM_FDS;
	while (count > 0)
		close(got[--count]);
	return lost ? -EMFILE : -EPROTO;
}
