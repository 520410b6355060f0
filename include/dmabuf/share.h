/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SHARE_H
#define DMABUF_SHARE_H

#include <stddef.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DMABUF_DISABLED
/**
 * dma_buf_send - pass a buffer to the process at the other end of a Unix socket
 * @socket: a connected Unix socket of any type
 * @dmabuf: the buffer
 * @timeout_ms: how long to wait while the socket is full; 0: not at all; negative: -EINVAL
 *
 * One message with everything that the other side needs (for an O_RDONLY buffer, the payload's
 * descriptor too).
 *
 * Return: 0; -EINVAL, -EBADF, -ENOTSOCK, -EPIPE and -ECONNRESET (the peer is gone; never SIGPIPE),
 * -ETIMEDOUT, -ETOOMANYREFS (too many descriptors in flight), -ECHILD. Blocks up to @timeout_ms.
 */
int dma_buf_send(int socket, struct dma_buf *dmabuf, int timeout_ms);

/**
 * dma_buf_recv - take a buffer that dma_buf_send() passed
 * @socket: a connected Unix socket of any type
 * @timeout_ms: how long to wait for it; 0: not at all; negative: errno EINVAL
 *
 * Descriptors that come along are close-on-exec, and closed again on every failure.
 *
 * Return: a handle with one reference; NULL with errno ETIMEDOUT, EPIPE (the peer closed),
 * EPROTO (a message that dma_buf_send() did not make), and those of dma_buf_get(). Blocks up to
 * @timeout_ms.
 */
struct dma_buf *dma_buf_recv(int socket, int timeout_ms);
#else
#include <dmabuf/stubs/share.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
