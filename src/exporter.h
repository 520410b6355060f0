/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_EXPORTER_H
#define DMABUF_SRC_EXPORTER_H

#include <dmabuf/dma-buf.h>

struct buffer;

/* Exporter of dma_buf_alloc(), known to every process. */
#define EXPORTER_MEMFD "memfd"

/* Ops for plain memory of the library's own. */
extern const struct dma_buf_ops memory_ops;

/* 0, or -EINVAL with words that name the missing op. */
int exporter_check_ops(const struct dma_buf_ops *ops);

/*
 * Give a handle that came from elsewhere its ops: the class registered under its exporter's name,
 * or plain memory. Runs the class's open hook. 0 or -errno.
 */
int exporter_open(struct buffer *b);
void exporter_close(struct buffer *b);

/* Held across fork(), so that a child finds the classes whole. */
void exporter_hold_for_fork(bool hold);

#endif
