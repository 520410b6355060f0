/* SPDX-License-Identifier: MIT */
/*
 * Fences on their way between processes: exports are fences of this process that have a descriptor,
 * imports are fences of this process that stand for another's.
 */
#ifndef DMABUF_SRC_SYNC_FILE_H
#define DMABUF_SRC_SYNC_FILE_H

#include <pthread.h>

#include <dmabuf/sync-file.h>

#include "dma-fence.h"
#include "sync-wire.h"

/*
 * Guards the tables of both. Outside of the worker's lock; no fence's lock is taken, and no
 * reference to a fence dropped, while it is held.
 */
void sync_lock(void);
void sync_unlock(void);

/* A random number that is this process's, not its children's; 0 before the first export. */
uint64_t sync_instance(void);

/* A descriptor for @fence, which ends with -ETIMEDOUT after @name's timeout. */
int sync_export(struct dma_fence *fence, struct sync_name *name);

/* A reference to the fence behind an export of this process; NULL: it has gone. */
struct dma_fence *sync_export_find(uint64_t id);

/* In a child, with sync_lock() held: what the parent had is none of its business. */
void sync_exports_forget(void);
void sync_imports_forget(void);

/* A reference to the fence that stands for @fd's; NULL with errno and words. */
struct dma_fence *sync_import(int fd);

/* Another descriptor of an import; -ENOENT: no import, or it has ended; -EMFILE, with words. */
int sync_import_dup(struct dma_fence *fence);

#endif
