/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a fence: one end of a pair of sockets, whose other end is the owner's. What is
 * known from the beginning is the address that the descriptor's end is bound to; the end of the
 * fence is a record in its queue, at which all holders only peek; the owner's death is the end of
 * the stream.
 */
#ifndef DMABUF_SRC_SYNC_SOCKET_H
#define DMABUF_SRC_SYNC_SOCKET_H

#include <sys/types.h>

#include "sync-wire.h"

/* A pair of ends, both close-on-exec. 0, or -EMFILE, -ENFILE, -ENOMEM, ..., with words. */
int sync_socket_make(const struct sync_name *name, int *owner, int *fd);

/* The fence has ended so. The owner's end is of no use afterwards, but to be closed. */
void sync_socket_tell(int owner, const struct sync_record *record);

/*
 * Is it one of ours? The kernel's sync_files are looked for before, see kernel/sync-file.h.
 * 0: one of ours, @name is filled in; -EBADF, -EINVAL (not a fence), with words.
 */
int sync_socket_check(int fd, struct sync_name *name);

/*
 * Has it ended? @readable: poll() says that something is there. 0: not yet. 1: it has, and @record
 * says how; what is no record is -EBADMSG, the end of the stream -EOWNERDEAD.
 */
int sync_socket_look(int fd, bool readable, struct sync_record *record);

/* Who made the pair, as this process sees it; 0: cannot be told. Cannot be forged. */
pid_t sync_socket_maker(int fd);

#endif
