/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_QUEUE_FORMAT_H
#define DMABUF_SRC_QUEUE_FORMAT_H

#include <dmabuf/queue.h>

/*
 * Does the picture that @frame describes lie within @size bytes? Of formats that are known, every
 * line of every plane; of others, the planes' offsets, and their first lines. NULL, or words that
 * say what is wrong.
 */
const char *queue_format_check(const struct dmabuf_frame *frame, uint64_t size);

#endif
