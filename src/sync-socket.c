// SPDX-License-Identifier: MIT
#include "sync-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"

_Static_assert(SYNC_NAME_MAX == sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
	       "a name fills an abstract address");

#define ADDRESS_HEAD (offsetof(struct sockaddr_un, sun_path) + 1)

/*
 * A stream, because socket filters, which any holder can attach, do not work on streams. Nobody can
 * send to the owner, who would not read it.
 */
int sync_socket_make(const struct sync_name *name, int *owner, int *fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = ADDRESS_HEAD + (socklen_t)sync_name_write(name, address.sun_path + 1);
	int ends[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return dmabuf_fail(errno,
				   "no descriptors for a fence: %s; one that has not ended takes "
				   "two here, RLIMIT_NOFILE is the limit",
				   strerror(errno));
	if (bind(ends[1], (struct sockaddr *)&address, length) == 0 &&
	    shutdown(ends[0], SHUT_RD) == 0) {
		*owner = ends[0];
		*fd = ends[1];
		return 0;
	}
	err = errno;
	close(ends[0]);
	close(ends[1]);
	return dmabuf_fail(err, "a fence's descriptor cannot be given its name: %s", strerror(err));
}

/* The record fits, as the queue is empty. If there is no memory for it, the end has to do. */
void sync_socket_tell(int owner, const struct sync_record *record)
{
	(void)!send(owner, record, sizeof(*record), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(owner, SHUT_WR);
}

static bool option_is(int fd, int option, int wanted)
{
	socklen_t length = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

int sync_socket_check(int fd, struct sync_name *name)
{
	struct sockaddr_un address = { 0 };
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) == 0) {
		if (option_is(fd, SO_DOMAIN, AF_UNIX) && option_is(fd, SO_TYPE, SOCK_STREAM) &&
		    option_is(fd, SO_ACCEPTCONN, 0) && length > ADDRESS_HEAD &&
		    length <= sizeof(address) && !address.sun_path[0] &&
		    sync_name_read(name, address.sun_path + 1, length - ADDRESS_HEAD) == 0)
			return 0;
	} else if (fcntl(fd, F_GETFD) < 0) {
		return dmabuf_fail(EBADF, "descriptor %d is not open", fd);
	}
	return dmabuf_fail(EINVAL,
			   "descriptor %d is not a fence: it must come from "
			   "dmabuf_sync_file_create() or dmabuf_sync_file_merge()",
			   fd);
}

static ssize_t peek(int fd, void *bytes, size_t room)
{
	ssize_t n;

	do
		n = recv(fd, bytes, room, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

/* 0, or the errno of what is to be made of @n and @bytes. */
static int judge(ssize_t n, const void *bytes, struct sync_record *record)
{
	if (n == 0)
		return EOWNERDEAD;
	return n < 0 || sync_record_read(record, bytes, (size_t)n) ? EBADMSG : 0;
}

int sync_socket_look(int fd, bool readable, struct sync_record *record)
{
	char bytes[sizeof(*record) + 1];
	ssize_t n = peek(fd, bytes, sizeof(bytes));
	int from_the_start = -1, err;

	if (n < 0 && errno == EAGAIN && !readable)
		return 0;
	err = judge(n, bytes, record);
	if (err) {
		/* A holder may have moved the place to peek at, which all share. */
		setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &from_the_start, sizeof(int));
		err = judge(peek(fd, bytes, sizeof(bytes)), bytes, record);
	}
	if (err)
		*record = sync_record_make(-err, (int64_t)clock_ns());
	return 1;
}

pid_t sync_socket_maker(int fd)
{
	struct ucred maker = { 0 };
	socklen_t length = sizeof(maker);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &length) == 0 ? maker.pid : 0;
}
