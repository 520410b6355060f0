/* SPDX-License-Identifier: MIT */
/* Packets with descriptors over Unix sockets, and who is at the other end. */
#ifndef DMABUF_SRC_QUEUE_SOCKET_H
#define DMABUF_SRC_QUEUE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "queue-wire.h"

/* A buffer's two descriptors and a fence. */
#define QUEUE_MAX_FDS 3

struct queue_packet {
	union queue_message m;
	size_t length;
	int fds[QUEUE_MAX_FDS];
	unsigned int fd_count;
};

/*
 * 0; -EAGAIN (no room now), -ENOBUFS (no memory now, or too many descriptors in flight), -EPIPE
 * (the peer is gone), other errors. No words. Never blocks.
 */
int queue_send(int fd, const void *message, size_t length, const int *fds, unsigned int fd_count);

/*
 * A message into @p, with its descriptors close-on-exec and the caller's: 1; 0 when the peer has
 * closed and nothing is left; -EAGAIN (with @wait: the socket's receive timeout passed), -EINTR;
 * -EPROTO with words for what cannot be a message. @who is the peer's name for words.
 */
int queue_recv(int fd, struct queue_packet *p, bool wait, const char *who);
void queue_packet_close(struct queue_packet *p);

/* "label (pid N)" of a peer; @label may be NULL. */
#define QUEUE_NAME_LEN 80
void queue_peer_name(char *name, const char *label, const struct ucred *peer);
/* Credentials of the peer of @fd, or pid 0 where there are none. */
struct ucred queue_peer_of(int fd);

/* Is @fd an AF_UNIX SOCK_SEQPACKET socket? 0, or -EINVAL with words; *@listens says of what kind.
 */
int queue_socket_check(int fd, bool *listens);

/* Room for a path with its NUL. */
#define QUEUE_PATH_LEN sizeof(((struct sockaddr_un *)0)->sun_path)
/* A path, or "@name", as an address. 0, -EINVAL or -ENAMETOOLONG with words. */
int queue_address(const char *path, struct sockaddr_un *address, socklen_t *length);
/* Connect at once or not at all: a descriptor or a negative errno, no words. */
int queue_dial(const struct sockaddr_un *address, socklen_t length);
/* Close it for the peer too, should a child of ours have a copy. */
void queue_hang_up(int fd);
/* Let calls on @fd never wait, or let them wait. 0 or a negative errno, no words. */
int queue_nonblocking(int fd, bool on);

#endif
