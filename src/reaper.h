/* SPDX-License-Identifier: MIT */
/*
 * Late release. An exporter that dropped its handle while descriptors or other processes' handles
 * were left keeps a zombie; a thread of the library finishes it once the kernel says that nobody
 * refers to the buffer any more. Closing a descriptor tells nobody, so the thread looks now and
 * then.
 */
#ifndef DMABUF_SRC_REAPER_H
#define DMABUF_SRC_REAPER_H

struct buffer;

/* The end of a handle that left the registry: detach, release or close, destroy. */
void reaper_finish(struct buffer *b);

/* Both with the registry's lock held. A zombie was made. */
void reaper_wake(void);

/* Any other occasion: get the thread that could not be had then. */
void reaper_retry(void);

#endif
