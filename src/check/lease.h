/* SPDX-License-Identifier: MIT */
/*
 * Whoever keeps a lock past its lease loses it to who waits, and learns of that when it unlocks.
 * What it writes until then lands in somebody else's access: with checking mode its pages are
 * closed as soon as the loss is seen, so that a late touch is told.
 */
#ifndef DMABUF_SRC_CHECK_LEASE_H
#define DMABUF_SRC_CHECK_LEASE_H

#include "dmabuf-sync.h"

/* A hold for the CPU of a buffer that is checked has begun, or is about to end. */
void check_hold_begin(struct sync_member *m, enum dma_data_direction direction);
void check_hold_end(struct sync_member *m);

#endif
