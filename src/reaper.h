/* SPDX-License-Identifier: MIT */
/*
 * Late release. An exporter that dropped its handle while descriptors or other processes' handles
 * were left keeps a zombie; a thread of the library finishes it once the kernel says that nobody
 * refers to the buffer any more. Closing a descriptor tells nobody, so the thread looks now and
 * then.
 */
#ifndef DMABUF_SRC_REAPER_H
#define DMABUF_SRC_REAPER_H

/* A zombie was made. With the registry's lock held. If no thread can be had, put() tries again. */
void reaper_wake(void);

#endif
