/* SPDX-License-Identifier: MIT */
/*
 * How processes that adopt one kernel dma-buf by themselves come to share its state. Whoever has it
 * answers at an abstract address made of the dma-buf's inode, the number of its mark and a small
 * number more. Nobody gets the state who does not show the dma-buf itself, and nobody is believed
 * who does not: the address alone is worth nothing.
 */
#ifndef DMABUF_SRC_KERNEL_RENDEZVOUS_H
#define DMABUF_SRC_KERNEL_RENDEZVOUS_H

#include <stdint.h>

#include "buffer.h"
#include "kernel/dmabuf.h"
#include "registry.h"

/* An address that is taken for a while; { .socket.fd = -1 }: none. In place and unmoved. */
struct kernel_claim {
	struct registry_fd socket;
};

/*
 * The state of @fd's dma-buf: the control memfd that others have, or a fresh one. @claim is taken
 * for the latter, and to be dropped once the handle exists. A descriptor, or -errno with words:
 * -EXDEV (others have it, in a network namespace that cannot be reached), -ETIMEDOUT, -EIO, ...
 */
int kernel_rendezvous(int fd, const struct kernel_facts *facts, struct kernel_claim *claim);

/*
 * We answer for the state of number @own: set its mark anew, and look whether there is another
 * state, of somebody who did not find ours while it was on its way to us. Its control memfd; 0: no;
 * -errno with words.
 */
int kernel_rendezvous_other(int fd, const struct kernel_facts *facts, uint32_t own);

/* 0; -EADDRINUSE without words; -errno with. */
int kernel_claim_take(struct kernel_claim *claim, uint64_t inode, uint32_t number,
		      unsigned int place);
void kernel_claim_drop(struct kernel_claim *claim);

/* A fresh state under that number; 0: nobody finds it. A control memfd or -errno with words. */
int kernel_state_new(const struct kernel_facts *facts, uint32_t number);

/*
 * From now on this process answers for @b, whose state has @number. Failures are told the log: the
 * buffer works, and others may not find its state here.
 */
void kernel_serve(struct buffer *b, uint32_t number);

/* The number of @b's state; 0: it is private, or nobody is answered. */
uint32_t kernel_served(const struct buffer *b);

/* No more. The mark goes with the last holder. Only the memory, if the handle is a parent's. */
void kernel_serve_end(struct buffer *b);

#endif
