/* SPDX-License-Identifier: MIT */
/**
 * DOC: run tokens
 *
 * A queue that hands a buffer to somebody who sleeps pays a context switch each time. With more
 * contenders than CPUs that is every time. So no more contenders than there are CPUs take part in
 * the queue at a time, each for a slice of time, and hand the buffer to each other awake: they have
 * run tokens. The others sleep in a line, first come, first served.
 *
 * Tokens are hints. Who has none loses nothing but time, a token that does not move is taken over,
 * and the queue alone decides who has the buffer. They are only looked at when a buffer is
 * contended.
 */
#ifndef DMABUF_RESV_TOKEN_H
#define DMABUF_RESV_TOKEN_H

#include "resv/resv.h"

/* Before joining the queue: get a token, or wait for one until @deadline, or not for long. */
void resv_token_take(struct resv_hold *h, uint64_t deadline);

/* Before a long sleep in the queue, and in the end: let the next one on. */
void resv_token_pass(struct resv_hold *h);

#endif
