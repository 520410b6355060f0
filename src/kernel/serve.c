// SPDX-License-Identifier: MIT
/* Answering for a state, in the library's thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "kernel/address.h"
#include "kernel/marks.h"
#include "kernel/rendezvous.h"
#include "list.h"
#include "process.h"
#include "registry.h"
#include "worker.h"

/* Before others that the thread works for have their turn. */
#define ANSWERS_AT_ONCE 16

struct kernel_buffer {
	struct buffer *buffer;
	struct registry_fd socket; /* -1: nobody is answered */
	struct worker_watch watch;
	struct kernel_mark mark;
};

static bool is_unix(int fd)
{
	socklen_t length = sizeof(int);
	int domain = 0;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

static bool shows(const struct buffer *b, int fd)
{
	struct stat st;

	return kernel_is_dmabuf(fd) && fstat(fd, &st) == 0 && st.st_dev == b->key.device &&
	       st.st_ino == b->key.inode;
}

/* The published description; -1 once the handle is about to go. */
static int control_of(struct buffer *b)
{
	int fd;

	registry_lock();
	fd = b->fd < 0 ? -1 : fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
	registry_unlock();
	return fd;
}

static void answer(struct buffer *b, int socket, int shown)
{
	int fds[2] = { -1, b->storage.fd };

	if (!is_unix(socket) || !shows(b, shown))
		return;
	fds[0] = control_of(b);
	if (fds[0] < 0)
		return;
	(void)kernel_message_send(socket, fds);
	close(fds[0]);
}

static void asked(struct worker_watch *watch, uint32_t events)
{
	struct kernel_buffer *k = container_of(watch, struct kernel_buffer, watch);
	int fds[2], turn, ret;

	for (turn = 0; turn < ANSWERS_AT_ONCE; turn++) {
		ret = kernel_message_receive(k->socket.fd, fds);
		if (ret == -EAGAIN)
			return;
		if (ret)
			continue;
		answer(k->buffer, fds[0], fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
}

/* Any place will do, but one's own is likely to be free. */
static int bind_somewhere(const struct kernel_buffer *k)
{
	unsigned int i;
	int fd = -EADDRINUSE;

	for (i = 0; i < KERNEL_PLACES && fd == -EADDRINUSE; i++)
		fd = kernel_address_bind(k->buffer->key.inode, k->mark.number,
					 (k->buffer->client.slot + i) % KERNEL_PLACES);
	return fd == -EADDRINUSE ? dmabuf_fail(EADDRINUSE, "all addresses are taken") : fd;
}

static int begin(struct kernel_buffer *k)
{
	int err;

	registry_lock();
	k->socket.fd = bind_somewhere(k);
	err = k->socket.fd < 0 ? k->socket.fd : 0;
	if (!err)
		registry_track_fd(&k->socket);
	registry_unlock();
	if (!err)
		err = worker_watch_fd(&k->watch, k->socket.fd, EPOLLIN, asked);
	return err ? err : kernel_mark_set(k->buffer->storage.fd, &k->mark);
}

void kernel_serve(struct buffer *b, uint32_t number)
{
	struct kernel_buffer *k;
	int err = -ENOMEM;

	if (!number || number > KERNEL_MARK_NUMBER_MAX)
		return;
	k = calloc(1, sizeof(*k));
	if (k) {
		k->buffer = b;
		k->socket.fd = -1;
		k->mark = (struct kernel_mark){ .number = number, .netns = kernel_netns() };
		b->kernel = k;
		err = begin(k);
	}
	if (err)
		dmabuf_log(DMABUF_LOG_WARNING,
			   "others who adopt kernel dma-buf %llu by themselves may not find its "
			   "state here: %s",
			   (unsigned long long)b->key.inode, k ? dmabuf_last_error() : "no memory");
}

uint32_t kernel_served(const struct buffer *b)
{
	return b->kernel && b->kernel->socket.fd >= 0 ? b->kernel->mark.number : 0;
}

static void stop(struct kernel_buffer *k)
{
	worker_unwatch(&k->watch);
	registry_lock();
	if (k->socket.fd >= 0) {
		close(k->socket.fd);
		registry_untrack_fd(&k->socket);
	}
	registry_unlock();
}

void kernel_serve_end(struct buffer *b)
{
	struct kernel_buffer *k = b->kernel;

	if (!k)
		return;
	b->kernel = NULL;
	if (b->cookie == process_cookie()) {
		stop(k);
		/* What is on its way to somebody counts too: he would look for others in vain. */
		buffer_close_fd(&b->fd);
		if (!client_others(&b->client))
			kernel_mark_clear(b->storage.fd, &k->mark);
	}
	free(k);
}
