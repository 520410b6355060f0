// SPDX-License-Identifier: MIT
/* Joining a pipe and leaving it. */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dmabuf/share.h>

#include "clock.h"
#include "error.h"
#include "export.h"

/* The environment's sockets were taken over; their numbers may mean something else by now. */
static atomic_bool opened;

static int parse_fd(const char **text, char end)
{
	char *rest;
	long value;

	if (**text < '0' || **text > '9')
		return -1;
	errno = 0;
	value = strtol(*text, &rest, 10);
	if (errno || *rest != end || value > INT_MAX)
		return -1;
	*text = end ? rest + 1 : rest;
	return (int)value;
}

static bool is_channel_socket(int fd)
{
	int type, domain;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return false;
	len = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* Fill in the channel's sockets from the environment. */
static int take_sockets(struct dmabuf_channel *channel)
{
	const char *value = secure_getenv(DMABUF_CHANNEL_ENV);
	const char *text = value;
	int fds[3];

	if (!value)
		return dmabuf_fail(ENOENT, DMABUF_CHANNEL_ENV
				   " is not set: start this program with dmabuf pipe ... exec:");
	if (strncmp(text, "1:", 2))
		return dmabuf_fail(EINVAL, DMABUF_CHANNEL_ENV "=%.60s: not of the form 1:N:N:N",
				   value);
	text += 2;
	for (int i = 0; i < 3; i++) {
		fds[i] = parse_fd(&text, i < 2 ? ':' : '\0');
		if (fds[i] < 0)
			return dmabuf_fail(EINVAL,
					   DMABUF_CHANNEL_ENV "=%.60s: not of the form 1:N:N:N",
					   value);
		if (!is_channel_socket(fds[i]))
			return dmabuf_fail(EINVAL,
					   DMABUF_CHANNEL_ENV
					   "=%.60s: descriptor %d is not a pipe's socket",
					   value, fds[i]);
	}
	if (fds[0] == fds[1] || fds[0] == fds[2] || fds[1] == fds[2])
		return dmabuf_fail(EINVAL, DMABUF_CHANNEL_ENV "=%.60s: the same descriptor twice",
				   value);
	if (atomic_exchange(&opened, true))
		return dmabuf_fail(EBUSY, "the channel was opened before in this process");
	for (int i = 0; i < 3; i++)
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	channel->control = fds[0];
	channel->in = fds[1];
	channel->out = fds[2];
	return 0;
}

static int wait_readable(int fd, uint64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		ready = poll(&poll_fd, 1, clock_left(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return dmabuf_fail(errno, "cannot wait for the pipe's buffers");
	if (ready == 0)
		return dmabuf_fail(ETIMEDOUT, "the pipe did not send its buffers in time");
	return 0;
}

static int check_hello(struct dmabuf_channel *channel, const struct channel_hello *hello)
{
	if (hello->head.magic != CHANNEL_MAGIC || hello->head.type != CHANNEL_HELLO)
		return dmabuf_fail(EPROTO, "the pipe's first message is not a greeting");
	if (hello->head.version != CHANNEL_VERSION)
		return dmabuf_fail(EPROTO,
				   "the pipe speaks version %u, this library %u: use the "
				   "dmabuf command of this library",
				   hello->head.version, CHANNEL_VERSION);
	if (!hello->buffers || hello->buffers > DMABUF_CHANNEL_MAX_BUFFERS)
		return dmabuf_fail(EPROTO, "the pipe announces %u buffers, not 1 to %d",
				   hello->buffers, DMABUF_CHANNEL_MAX_BUFFERS);
	if (hello->role < CHANNEL_SOURCE || hello->role > CHANNEL_SINK)
		return dmabuf_fail(EPROTO, "the pipe gives this element the unknown role %u",
				   hello->role);
	channel->count = hello->buffers;
	channel->role = (enum channel_role)hello->role;
	channel->stats_ms = hello->stats_ms;
	return 0;
}

static int receive_hello(struct dmabuf_channel *channel, uint64_t deadline)
{
	struct channel_hello hello;
	ssize_t got;
	int err;

	do {
		err = wait_readable(channel->control, deadline);
		if (err < 0)
			return err;
		got = recv(channel->control, &hello, sizeof(hello), MSG_DONTWAIT | MSG_TRUNC);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got < 0 && errno != ECONNRESET)
		return dmabuf_fail(errno, "cannot receive the pipe's greeting");
	if (got <= 0)
		return dmabuf_fail(EPIPE, "the pipe ended before it began");
	if (got != sizeof(hello))
		return dmabuf_fail(EPROTO, "the pipe's greeting has %zd bytes, not %zu", got,
				   sizeof(hello));
	return check_hello(channel, &hello);
}

static int receive_pool(struct dmabuf_channel *channel, uint64_t deadline)
{
	for (uint32_t i = 0; i < channel->count; i++) {
		channel->buffers[i] = dma_buf_recv(channel->control, clock_left(deadline));
		if (!channel->buffers[i])
			return -errno;
	}
	return 0;
}

DMABUF_PUBLIC struct dmabuf_channel *dmabuf_channel_open(int timeout_ms)
{
	struct dmabuf_channel *channel;
	uint64_t deadline;
	int err;

	if (timeout_ms < 0)
		return dmabuf_fail_ptr(EINVAL, "timeout %d ms: must be 0 or more", timeout_ms);
	deadline = clock_ms() + (uint64_t)timeout_ms;
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a channel");
	err = take_sockets(channel);
	if (err < 0) {
		free(channel);
		errno = -err;
		return NULL;
	}
	err = receive_hello(channel, deadline);
	if (err == 0)
		err = receive_pool(channel, deadline);
	if (err == 0)
		err = channel_notify(channel, CHANNEL_OPENED, NULL, NULL);
	if (err < 0) {
		dmabuf_channel_close(channel);
		errno = -err;
		return NULL;
	}
	return channel;
}

DMABUF_PUBLIC void dmabuf_channel_close(struct dmabuf_channel *channel)
{
	if (!channel)
		return;
	for (uint32_t i = 0; i < channel->count; i++)
		dma_buf_put(channel->buffers[i]);
	close(channel->in);
	close(channel->out);
	close(channel->control);
	free(channel);
}
