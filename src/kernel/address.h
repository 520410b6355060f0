/* SPDX-License-Identifier: MIT */
/* The messages of the rendezvous: two descriptors in a datagram to an abstract address. */
#ifndef DMABUF_SRC_KERNEL_ADDRESS_H
#define DMABUF_SRC_KERNEL_ADDRESS_H

#include <stdint.h>

#include <dmabuf/dma-buf.h>

/* So many can answer for one state in one namespace. */
#define KERNEL_PLACES DMA_BUF_MAX_CLIENTS

/* A socket there, close-on-exec, that does not block. -EADDRINUSE without words; -errno with. */
int kernel_address_bind(uint64_t inode, uint32_t number, unsigned int place);

/*
 * 0; -ENOENT: nobody is there; -EAGAIN: somebody is, whose queue is full or is no datagram's;
 * -errno with words.
 */
int kernel_message_send_to(uint64_t inode, uint32_t number, unsigned int place, const int fds[2]);

/* On a connected socket, without waiting. 0 or -errno without words. */
int kernel_message_send(int socket, const int fds[2]);

/* Without waiting. 0: both are the caller's, close-on-exec; -EAGAIN; -EMFILE: there was no
 * descriptor left for them; -EPROTO: something else came, and was closed. */
int kernel_message_receive(int socket, int fds[2]);

#endif
