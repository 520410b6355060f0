// SPDX-License-Identifier: MIT
/* Packets between visitors and homes. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "home/homes.h"

union one_fd {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int talk_send(int fd, const void *message, size_t length, int send_fd)
{
	struct iovec iov = { (void *)message, length };
	union one_fd control = { .space = { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (send_fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &send_fd, sizeof(int));
	}
	do {
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* The kernel closes what there is no room for. There may be room for two, for alignment's sake. */
static int collect(struct msghdr *msg, int *take_fd)
{
	struct cmsghdr *c;
	int err = 0, fd;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			err = -EPROTO;
			continue;
		}
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			memcpy(&fd, (char *)c + at, sizeof(int));
			if (*take_fd < 0) {
				*take_fd = fd;
			} else {
				close(fd);
				err = -EPROTO;
			}
		}
	}
	return msg->msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -EPROTO : err;
}

int talk_receive(int fd, union wire_message *m, int *take_fd)
{
	struct iovec iov = { m, sizeof(*m) };
	union one_fd control;
	struct msghdr msg;
	int taken = -1, err;
	ssize_t got;

	do {
		/* Without room for descriptors none of a stranger's ever gets in here. */
		msg = (struct msghdr){ .msg_iov = &iov,
				       .msg_iovlen = 1,
				       .msg_control = take_fd ? control.space : NULL,
				       .msg_controllen = take_fd ? sizeof(control.space) : 0 };
		got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (take_fd)
		*take_fd = -1;
	if (got < 0)
		return -errno;
	err = collect(&msg, &taken);
	if (err) {
		if (taken >= 0)
			close(taken);
		return err;
	}
	if (take_fd)
		*take_fd = taken;
	return (int)got;
}

static int option(int fd, int which)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, which, &value, &length) < 0 ? -1 : value;
}

bool talk_is_socket(int fd)
{
	return option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_TYPE) == SOCK_SEQPACKET &&
	       option(fd, SO_ACCEPTCONN) == 0;
}

void talk_hang_up(int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
	close(fd);
}

socklen_t talk_address(const uint8_t name[8], struct sockaddr_un *address)
{
	char text[sizeof(address->sun_path) - 1];
	size_t length = (size_t)snprintf(text, sizeof(text), "dmabuf-home-");

	for (int i = 0; i < 8; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%02x", name[i]);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path + 1, text, length);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}
