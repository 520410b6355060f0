/* SPDX-License-Identifier: MIT */
/**
 * DOC: run tokens
 *
 * A queue that hands a buffer to somebody who sleeps pays a context switch each time. With more
 * contenders than CPUs that is every time. So of those who contend on one CPU only one at a time
 * takes part in the queue, for a slice of time: it has the CPU's run token. The others sleep in the
 * CPU's line, first come, first served. Those who take part are on different CPUs, and hand the
 * buffer to each other awake. (One line for all was tried: who woke was put behind the other one
 * who ran, while the CPU of the one who had let him on went idle.)
 *
 * Tokens are hints. Who has none loses nothing but time, a token that does not move is taken over,
 * and the queue alone decides who has the buffer. They are only looked at when a buffer is
 * contended.
 */
#ifndef DMABUF_RESV_TOKEN_H
#define DMABUF_RESV_TOKEN_H

#include "resv/resv.h"

/*
 * Before joining the queue: get a token, or wait for one until @deadline, or not for long. 0, or
 * -EINTR: a signal handler ran meanwhile.
 */
int resv_token_take(struct resv_hold *h, uint64_t deadline);

/* Before a long sleep in the queue, and in the end: let the next one on. */
void resv_token_pass(struct resv_hold *h);

#endif
