/* SPDX-License-Identifier: MIT */
/*
 * Another process that takes part in a buffer, told step by step what to do.
 */
#ifndef DMABUF_TEST_PEER_H
#define DMABUF_TEST_PEER_H

#include <dmabuf.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

struct peer {
	pid_t pid;
	int socket; /* in the peer: its own end */
	int (*fn)(struct peer *peer, struct dma_buf *dmabuf);
	void *arg;
};

/* One byte each way keeps two processes in step; both ends fail loudly. */
__attribute__((unused)) static void peer_tell(struct peer *peer)
{
	if (send(peer->socket, "x", 1, MSG_NOSIGNAL) != 1)
		FAIL("the other side is gone");
}

__attribute__((unused)) static void peer_wait(struct peer *peer)
{
	struct pollfd p = { .fd = peer->socket, .events = POLLIN };
	char byte;

	if (poll(&p, 1, 60000) != 1 || recv(peer->socket, &byte, 1, 0) != 1)
		FAIL("the other side said nothing");
}

static int peer_main(void *arg)
{
	struct peer *peer = arg;
	struct dma_buf *dmabuf = dma_buf_recv(peer->socket, 20000);
	int ret;

	if (!dmabuf)
		FAIL("peer: %s", dmabuf_last_error());
	ret = peer->fn(peer, dmabuf);
	close(peer->socket);
	return ret;
}

/* Run fn in another process with a handle of its own; it puts the handle itself. */
__attribute__((unused)) static void peer_start(struct peer *peer, struct dma_buf *dmabuf,
					       int (*fn)(struct peer *peer, struct dma_buf *dmabuf),
					       void *arg)
{
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	peer->fn = fn;
	peer->arg = arg;
	peer->socket = sockets[1];
	peer->pid = spawn(peer_main, peer);
	close(sockets[1]);
	peer->socket = sockets[0];
	ASSERT_OK(dma_buf_send(peer->socket, dmabuf, 20000));
}

__attribute__((unused)) static void peer_end(struct peer *peer)
{
	ASSERT_EQ(reap(peer->pid), 0);
	close(peer->socket);
}

__attribute__((unused)) static void peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	ASSERT_EQ(reap(peer->pid), 128 + SIGKILL);
	close(peer->socket);
}

/* What a look from outside says of the buffer. */
__attribute__((unused)) static struct dma_buf_info peer_info(struct dma_buf *dmabuf)
{
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(fd);
	ASSERT_OK(dma_buf_get_info(fd, &info));
	close(fd);
	return info;
}

__attribute__((unused)) static struct dma_buf_device *
device_make(const char *name, const struct dma_buf_device_parameters *parameters)
{
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = name,
					    .parameters = parameters };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	if (!dev)
		FAIL("device %s: %s", name, dmabuf_last_error());
	return dev;
}

#endif
