/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_KERNEL_ADOPT_H
#define DMABUF_SRC_KERNEL_ADOPT_H

#include "buffer.h"
#include "kernel/dmabuf.h"

/*
 * What dma_buf_adopt() does; @fd is taken over, also on failure, @shown is its number in words.
 */
struct dma_buf *kernel_adopt(int fd, int shown, unsigned int flags);

/*
 * The identity of a buffer whose payload is @payload_fd, if that is a kernel dma-buf: the
 * dma-buf's, which is the same in all processes. False: it is not, and @key is left alone.
 */
bool kernel_payload_key(int payload_fd, struct buffer_key *key);

/* A descriptor of the state that this process has of it, for a look; -ENOENT: none. */
int kernel_own_state(const struct kernel_facts *facts);

/* Is @fd the control memfd that @b has? Anything else would be another state of the same bytes. */
bool kernel_same_state(const struct buffer *b, int fd);

#endif
