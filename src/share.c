// SPDX-License-Identifier: MIT
/*
 * A buffer in one message over a Unix socket: its descriptor and, in the split layout, the
 * payload's, or a socket to its home.
 */
#include <dmabuf/share.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "error.h"
#include "export.h"
#include "share.h"
#include "storage-deferred.h"

#define SHARE_MAGIC 0x66626d64u /* "dmbf" */
/* Room for more than we take, so that a sender's surplus is received and closed, not lost track of.
 */
#define SHARE_ROOM_FDS 16

/*
 * What the socket's owner may have asked the kernel to add to each message: credentials, a security
 * label, a pidfd, a timestamp.
 */
#define SHARE_ROOM_OTHERS 512

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

struct share_message {
	uint32_t magic;
	uint32_t fds;
};

struct received {
	int fds[SHARE_ROOM_FDS];
	unsigned int count;
};

static int wait_for(int socket, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = socket, .events = events };
	int n;

	for (;;) {
		n = poll(&p, 1, clock_left(deadline));
		if (n > 0)
			return 0;
		if (n == 0)
			return dmabuf_fail(ETIMEDOUT, "socket %d: the peer did not answer in time",
					   socket);
		if (errno != EINTR)
			return dmabuf_fail(errno, "poll of socket %d failed", socket);
	}
}

static int timeout_check(int timeout_ms)
{
	if (timeout_ms >= 0)
		return 0;
	return dmabuf_fail(EINVAL, "timeout of %d ms: every wait has an end", timeout_ms);
}

static ssize_t send_once(int socket, const struct share_message *m, size_t done, const int *fds)
{
	struct iovec iov = { .iov_base = (char *)m + done, .iov_len = sizeof(*m) - done };
	union {
		char space[CMSG_SPACE(SHARE_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (!done) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(m->fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(m->fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, m->fds * sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* On a stream socket the eight bytes may go in parts; the descriptors go with the first. */
static int send_all(int socket, const struct share_message *m, const int *fds, uint64_t deadline)
{
	size_t done = 0;
	ssize_t n;
	int err;

	while (done < sizeof(*m)) {
		n = send_once(socket, m, done, fds);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return dmabuf_fail(errno, "sending a buffer on socket %d failed: %s",
					   socket, strerror(errno));
		err = wait_for(socket, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

int share_fds(struct dma_buf *dmabuf, int fds[SHARE_MAX_FDS])
{
	struct buffer *b = to_buffer(dmabuf);
	int count = 0, home;

	atomic_store(&b->escaped, true);
	fds[count++] = b->fd;
	/* What is deferred may be another payload when the message is read: its home knows. */
	home = storage_home_socket(b);
	if (home >= 0)
		fds[count++] = home;
	else if (b->storage.own_fd && !b->storage.deferred)
		fds[count++] = b->storage.fd;
	return count;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct dma_buf *share_adopt(const int *fds, unsigned int count)
{
	struct dma_buf *dmabuf;
	int payload = -1, home = -1, err;

	if (count > 1)
		*(is_socket(fds[1]) ? &home : &payload) = fds[1];
	/* Nobody else knows the first number yet, so that no copy is needed. */
	dmabuf = buffer_get_owned(fds[0], fds[0], payload, home);
	err = errno;
	for (unsigned int i = 1; i < count; i++)
		close(fds[i]);
	errno = err;
	return dmabuf;
}

DMABUF_PUBLIC int dma_buf_send(int socket, struct dma_buf *dmabuf, int timeout_ms)
{
	struct share_message m = { .magic = SHARE_MAGIC };
	int fds[SHARE_MAX_FDS];
	int err = buffer_check(dmabuf);

	if (!err)
		err = timeout_check(timeout_ms);
	if (err)
		return err;
	m.fds = (uint32_t)share_fds(dmabuf, fds);
	return send_all(socket, &m, fds, clock_ms() + (uint64_t)timeout_ms);
}

static void collect(struct msghdr *msg, struct received *r)
{
	struct cmsghdr *c;
	size_t n, i;
	int fd;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (c->cmsg_type == SCM_PIDFD && n) {
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
			close(fd);
		}
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (r->count < SHARE_ROOM_FDS)
				r->fds[r->count++] = fd;
			else
				close(fd);
		}
	}
}

static int recv_once(int socket, int type, struct share_message *m, size_t *done,
		     struct received *r)
{
	struct iovec iov = { .iov_base = (char *)m + *done, .iov_len = sizeof(*m) - *done };
	union {
		char space[CMSG_SPACE(SHARE_ROOM_FDS * sizeof(int)) + SHARE_ROOM_OTHERS];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	collect(&msg, r);
	if (n == 0 && type != SOCK_DGRAM)
		return dmabuf_fail(EPIPE, "socket %d: the peer closed it", socket);
	if (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
		return dmabuf_fail(
			EPROTO,
			"socket %d: the message does not fit one buffer (or no descriptor "
			"is left here)",
			socket);
	if (type != SOCK_STREAM && (size_t)n != sizeof(*m))
		return dmabuf_fail(EPROTO, "socket %d: a message of %zd bytes, not %zu", socket, n,
				   sizeof(*m));
	*done += (size_t)n;
	return 0;
}

/* Only on a stream does a message come in parts; elsewhere the rest would be another message. */
static int socket_type(int socket)
{
	socklen_t length = sizeof(int);
	int type;

	if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return dmabuf_fail(errno, "descriptor %d: %s", socket, strerror(errno));
	return type;
}

static int recv_all(int socket, struct share_message *m, struct received *r, uint64_t deadline)
{
	int type = socket_type(socket), err;
	size_t done = 0;

	if (type < 0)
		return type;
	while (done < sizeof(*m)) {
		err = recv_once(socket, type, m, &done, r);
		if (!err || err == -EINTR)
			continue;
		if (err == -EAGAIN || err == -EWOULDBLOCK)
			err = wait_for(socket, POLLIN, deadline);
		else if (err != -EPIPE && err != -EPROTO)
			err = dmabuf_fail(-err, "receiving on socket %d failed: %s", socket,
					  strerror(-err));
		if (err)
			return err;
	}
	if (m->magic != SHARE_MAGIC || !r->count || r->count > SHARE_MAX_FDS || m->fds != r->count)
		return dmabuf_fail(EPROTO, "socket %d: not a message of dma_buf_send()", socket);
	return 0;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_recv(int socket, int timeout_ms)
{
	struct received r = { .count = 0 };
	struct share_message m = { 0 };
	int err = timeout_check(timeout_ms);

	if (!err)
		err = recv_all(socket, &m, &r, clock_ms() + (uint64_t)timeout_ms);
	if (!err)
		return share_adopt(r.fds, r.count);
	for (unsigned int i = 0; i < r.count; i++)
		close(r.fds[i]);
	errno = -err;
	return NULL;
}
