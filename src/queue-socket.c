// SPDX-License-Identifier: MIT
#include "queue-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "error.h"
#include "text.h"

/* Room for more than we take, so that a sender's surplus is received and closed. */
#define ROOM_FDS 8
/* What the socket's owner may have asked the kernel to add: credentials, a label, a pidfd. */
#define ROOM_OTHERS 512

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

int queue_send(int fd, const void *message, size_t length, const int *fds, unsigned int fd_count)
{
	struct iovec iov = { (void *)message, length };
	union {
		char space[CMSG_SPACE(QUEUE_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent;

	if (fd_count) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	do {
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	/* Too many descriptors in flight, or no memory for the message: both pass. */
	if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM)
		return -ENOBUFS;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static void take_fds(struct queue_packet *p, const struct cmsghdr *c, bool *surplus)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (size_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (c->cmsg_type == SCM_RIGHTS && p->fd_count < QUEUE_MAX_FDS) {
			p->fds[p->fd_count++] = fd;
			continue;
		}
		*surplus |= c->cmsg_type == SCM_RIGHTS;
		close(fd);
	}
}

void queue_packet_close(struct queue_packet *p)
{
	while (p->fd_count)
		close(p->fds[--p->fd_count]);
}

static int check_packet(struct queue_packet *p, int flags, bool surplus, const char *who)
{
	int err;

	if (flags & MSG_CTRUNC || surplus)
		err = dmabuf_fail(EPROTO,
				  "%s sent more descriptors than a message has (or none is left "
				  "in this process)",
				  who);
	else if (flags & MSG_TRUNC || p->length < sizeof(p->m.head) ||
		 p->m.head.magic != QUEUE_MAGIC)
		err = dmabuf_fail(EPROTO, "%s sent %zu bytes that are no message of a queue", who,
				  p->length);
	else if (p->m.head.version != QUEUE_VERSION)
		err = dmabuf_fail(EPROTO, "%s speaks version %u of the queue, this library %u", who,
				  p->m.head.version, QUEUE_VERSION);
	else
		return 1;
	queue_packet_close(p);
	return err;
}

/* An empty packet looks like the end, but the end goes on. */
static bool at_end(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int queue_recv(int fd, struct queue_packet *p, bool wait, const char *who)
{
	struct iovec iov = { &p->m, sizeof(p->m) };
	union {
		char space[CMSG_SPACE(ROOM_FDS * sizeof(int)) + ROOM_OTHERS];
		struct cmsghdr align;
	} control;
	struct msghdr msg;
	bool surplus = false;
	ssize_t got;

	do {
		msg = (struct msghdr){ .msg_iov = &iov,
				       .msg_iovlen = 1,
				       .msg_control = control.space,
				       .msg_controllen = sizeof(control.space) };
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
		/*
		 * A peer that closed without reading all of ours: said once, and what it sent
		 * before comes after that.
		 */
	} while (got < 0 && (errno == ECONNRESET || (errno == EINTR && !wait)));
	if (got < 0)
		return errno == EAGAIN || errno == EINTR
			       ? -errno
			       : dmabuf_fail(errno, "cannot receive from %s: %s", who,
					     strerror(errno));
	p->length = (size_t)got;
	p->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET &&
		    (c->cmsg_type == SCM_RIGHTS || c->cmsg_type == SCM_PIDFD))
			take_fds(p, c, &surplus);
	if (got == 0 && at_end(fd)) {
		queue_packet_close(p);
		return 0;
	}
	return check_packet(p, msg.msg_flags, surplus, who);
}

void queue_peer_name(char *name, const char *label, const struct ucred *peer)
{
	char shown[DMABUF_QUEUE_LABEL_LEN] = "?";

	if (label)
		text_copy_untrusted(shown, sizeof(shown), label, DMABUF_QUEUE_LABEL_LEN);
	snprintf(name, QUEUE_NAME_LEN, "%s (pid %d)", shown, (int)peer->pid);
}

struct ucred queue_peer_of(int fd)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		peer = (struct ucred){ 0 };
	return peer;
}

static int option(int fd, int which)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, which, &value, &length) < 0 ? -1 : value;
}

int queue_socket_check(int fd, bool *listens)
{
	if (option(fd, SO_DOMAIN) != AF_UNIX || option(fd, SO_TYPE) != SOCK_SEQPACKET)
		return dmabuf_fail(EINVAL, "descriptor %d is no Unix socket of type SOCK_SEQPACKET",
				   fd);
	*listens = option(fd, SO_ACCEPTCONN) == 1;
	return 0;
}

int queue_address(const char *path, struct sockaddr_un *address, socklen_t *length)
{
	size_t len;

	if (!path || !path[0] || !strcmp(path, "@"))
		return dmabuf_fail(EINVAL, "a queue's path is missing");
	len = strlen(path);
	if (len >= sizeof(address->sun_path))
		return dmabuf_fail(ENAMETOOLONG, "path %.40s... is longer than %zu bytes", path,
				   sizeof(address->sun_path) - 1);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, len);
	*length = sizeof(*address);
	if (path[0] == '@') {
		address->sun_path[0] = '\0';
		*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	return 0;
}

int queue_dial(const struct sockaddr_un *address, socklen_t length)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, length) < 0 ? -errno : 0;
	if (err == 0)
		err = queue_nonblocking(fd, false);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

void queue_hang_up(int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
	close(fd);
}

int queue_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
