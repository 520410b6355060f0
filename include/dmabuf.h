/* SPDX-License-Identifier: MIT */
/**
 * DOC: libdmabuf
 *
 * The Linux dma-buf framework in userspace: one file descriptor is a buffer; every process that
 * holds it can attach devices, map, access, and see who else does.
 *
 * Conventions that hold for every function here:
 *
 * - A function that returns a pointer returns NULL on failure and sets errno. A function that
 *   returns int returns 0 (or a descriptor, or a count) on success and a negative errno on failure.
 * - Outputs are untouched on failure. dmabuf_last_error() has the words for this thread.
 * - Functions are thread-safe unless they say otherwise; none is async-signal-safe unless it says
 *   so. None is a cancellation point that leaks.
 * - In a forked child, handles that came from the parent answer ECHILD; dma_buf_get() on the
 *   inherited descriptor gives the child a handle of its own.
 * - Compiled with DMABUF_DISABLED defined, every entry point is an inline stub that answers ENODEV,
 *   NULL or nothing (mission row A7).
 *
 * The bare kernel spellings (struct device, struct sg_table) are in <dmabuf/kernel.h>.
 */
#ifndef DMABUF_H
#define DMABUF_H

#include <dmabuf/attach.h>
#include <dmabuf/block.h>
#include <dmabuf/check.h>
#include <dmabuf/device-lock.h>
#include <dmabuf/constraints.h>
#include <dmabuf/device-parameters.h>
#include <dmabuf/device.h>
#include <dmabuf/dma-buf.h>
#include <dmabuf/dma-direction.h>
#include <dmabuf/dma-fence-array.h>
#include <dmabuf/dma-fence-chain.h>
#include <dmabuf/dma-fence-lock.h>
#include <dmabuf/dma-fence-unwrap.h>
#include <dmabuf/dma-fence.h>
#include <dmabuf/dma-resv.h>
#include <dmabuf/dmabuf-sync-async.h>
#include <dmabuf/dmabuf-sync.h>
#include <dmabuf/drm.h>
#include <dmabuf/error.h>
#include <dmabuf/heap.h>
#include <dmabuf/info.h>
#include <dmabuf/list.h>
#include <dmabuf/pool.h>
#include <dmabuf/queued-work.h>
#include <dmabuf/queue.h>
#include <dmabuf/sg-table.h>
#include <dmabuf/share.h>
#include <dmabuf/storage.h>
#include <dmabuf/sync-file.h>
#include <dmabuf/v4l2.h>
#include <dmabuf/ww-mutex.h>

#endif
