/* SPDX-License-Identifier: MIT */
/*
 * What a careful program does with nothing but the kernel: a sealed size, and a receiver that looks
 * at seals and size before it maps what somebody sent.
 */
#ifndef DMABUF_BENCH_MEMFD_H
#define DMABUF_BENCH_MEMFD_H

#include <stddef.h>

/* A sealed memfd of @size bytes. */
int memfd_make(size_t size);
void memfd_send(int socket, int fd);
int memfd_recv(int socket);
/* The received descriptor's size, after looking at its seals. */
size_t memfd_check(int fd);
void *memfd_map(int fd, size_t size);

#endif
