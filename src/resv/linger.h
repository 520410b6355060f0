/* SPDX-License-Identifier: MIT */
/**
 * DOC: before the queue
 *
 * A queue that hands a buffer to somebody who sleeps leaves it idle for a context switch, and those
 * who come meanwhile fall asleep behind him: with more contenders than CPUs it stays that way. So
 * who finds a buffer taken does not join the queue at once. For a moment he waits awake, then he
 * sleeps on the state word, which says so (`watched`): who leaves it free wakes one, but does not
 * keep the buffer for him. Who runs may have it first, for as long as a patience lasts. Then he
 * joins the queue, where nobody overtakes him.
 *
 * Who contends and never sleeps would run until the kernel takes the CPU away, perhaps from one who
 * holds something. So he lets others have the CPU now and then, while he holds nothing.
 *
 * Nothing here decides who has a buffer, and no sleep outlasts the patience.
 */
#ifndef DMABUF_RESV_LINGER_H
#define DMABUF_RESV_LINGER_H

#include "resv/resv.h"

/*
 * The armed @h was not to be had when it was asked for, at @began: wait for a moment before the
 * queue. 0: we have it; -EAGAIN: time to join; -EINTR if @intr.
 */
int resv_linger(struct resv_hold *h, uint64_t began, uint64_t deadline, bool intr);

/* Before taking what was contended lately: let others have this CPU, if we had it for long. */
void resv_step_aside(struct resv_hold *h);

#endif
