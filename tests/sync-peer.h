/* SPDX-License-Identifier: MIT */
/* Fences of several processes: descriptors on their way, and an owner told step by step what to do.
 */
#ifndef DMABUF_TEST_SYNC_PEER_H
#define DMABUF_TEST_SYNC_PEER_H

#include <dmabuf.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fence.h"
#include "harness.h"

#define LONG_MS 60000

static inline void send_fds(int socket, const int *fds, unsigned int count)
{
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { "f", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	if (sendmsg(socket, &msg, MSG_NOSIGNAL) != 1)
		FAIL("descriptors cannot be sent");
}

static inline bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

static inline void recv_fds(int socket, int *fds, unsigned int count)
{
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };

	if (!readable(socket, LONG_MS) || recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1 ||
	    msg.msg_controllen != CMSG_SPACE(count * sizeof(int)))
		FAIL("no %u descriptors came", count);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), count * sizeof(int));
}

static inline void tell(int socket, char what)
{
	if (send(socket, &what, 1, MSG_NOSIGNAL) != 1)
		FAIL("the other side is gone");
}

/* 0: the other side is gone. */
static inline char hear(int socket)
{
	char what = 0;

	if (!readable(socket, 3 * LONG_MS))
		FAIL("the other side said nothing");
	return recv(socket, &what, 1, 0) == 1 ? what : 0;
}

/*
 * The owner of one fence. 's': signal it; 'e': with EIO; 't': with a timestamp of 12345; 'q': end
 * by itself; 'c': drop its own descriptor.
 */
struct owner {
	pid_t pid;
	int socket;
	int other; /* the socket's other end */
	int fd;	   /* the fence, here */
	uint32_t timeout_ms;
	uint64_t context;
	uint64_t seqno;
};

static int owner_main(void *arg)
{
	struct owner *owner = arg;
	struct dmabuf_sync_file_options options = { .size = sizeof(options),
						    .name = "owned",
						    .timeout_ms = owner->timeout_ms };
	struct dma_fence *fence = &job_new_at(owner->context, owner->seqno)->base;
	int fd = dmabuf_sync_file_create(fence, &options);
	char what;

	close(owner->other);
	if (fd < 0)
		FAIL("owner: %s", dmabuf_last_error());
	send_fds(owner->socket, &fd, 1);
	close(fd);
	while ((what = hear(owner->socket)) && what != 'q') {
		if (what == 'e')
			ASSERT_OK(dma_fence_set_error(fence, -EIO));
		if (what == 't')
			ASSERT_OK(dma_fence_signal_timestamp(fence, 12345));
		else
			ASSERT_OK(dma_fence_signal(fence));
		tell(owner->socket, 'd');
	}
	_exit(0);
}

static inline void owner_start(struct owner *owner)
{
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	if (!owner->context)
		owner->context = 7;
	owner->socket = sockets[1];
	owner->other = sockets[0];
	owner->pid = spawn(owner_main, owner);
	close(sockets[1]);
	owner->socket = sockets[0];
	recv_fds(owner->socket, &owner->fd, 1);
}

static inline void owner_do(struct owner *owner, char what)
{
	tell(owner->socket, what);
	ASSERT_EQ(hear(owner->socket), 'd');
}

static inline void owner_end(struct owner *owner)
{
	send(owner->socket, "q", 1, MSG_NOSIGNAL);
	ASSERT_EQ(reap(owner->pid), 0);
	close(owner->socket);
	close(owner->fd);
}

static inline int status_of(int fd)
{
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };

	ASSERT_OK(dmabuf_sync_file_get_info(fd, &info));
	return info.status;
}

/* How a wait for it ends. */
static inline int ended_with(int fd)
{
	int status = 0;

	ASSERT(dmabuf_sync_file_wait(fd, LONG_MS, &status) > 0);
	return status;
}

#endif
