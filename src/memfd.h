/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_MEMFD_H
#define DMABUF_SRC_MEMFD_H

#include <stddef.h>

/* A sealable, close-on-exec memfd of @size zero bytes that is never executable. -errno with words.
 */
int memfd_make(const char *name, size_t size);

/* Add seals. 0 or -errno with words. */
int memfd_seal(int fd, int seals);

#endif
