/* SPDX-License-Identifier: MIT */
/**
 * DOC: reservation objects
 *
 * The fences of one piece of memory, each with what it is for, and the lock of that memory. Names,
 * fields and return values are those of Linux 6.1 (mission row E2). Room for a fence is reserved,
 * which can fail, before the work is begun; adding it afterwards cannot. What is different:
 *
 * - Adding a fence without room is an error, not the end of the program.
 * - Timeouts are milliseconds, see <dmabuf/dma-fence.h>.
 *
 * An object can be anywhere in memory, whether it belongs to a buffer or not. One that
 * dma_resv_init() made works within one process. That of a buffer (dma_buf.resv, unless its
 * exporter gave its own) works across all processes that have the buffer:
 *
 * - Its lock is everybody's, see <dmabuf/ww-mutex.h> for contexts, leases, deaths and errors.
 * - A fence of usage kernel, write or read that is added here is *published*: it takes its place in
 *   the queue of those who access the memory, where locks of <dmabuf/dmabuf-sync.h> are too, and
 *   leaves when it is signalled. Others wait behind it. Signalling of it is enabled with that. One
 *   that ends with an error leaves torn content; one that takes longer than 5 s while others wait
 *   keeps them away all the same, and the next one is told. Bookkeeping stays within the process.
 * - What other processes have there or queue for, locks and published fences, is found after this
 *   process's own fences: as a fence that ends with that very hold, with -EOWNERDEAD if its process
 *   died, -ETIMEDOUT if it was lost to its lease, -EIO if its own fence failed. A read is for usage
 *   read, a write for write, a kernel fence for kernel. Callbacks run in the library's thread.
 * - Locks of this process are no fences to it, nor is what waits behind them: nobody waits for
 *   himself. Whoever holds the memory by a lock and submits work for it hands the hold over with
 *   dmabuf_sync_unlock_fence(); a fence that is only added queues behind, where others can come in
 *   between.
 * - The handle stays until the fences that were added here have ended, also after the last
 *   dma_buf_put().
 * - A forked child finds nothing there, and its locks answer -ECHILD.
 */
#ifndef DMABUF_DMA_RESV_H
#define DMABUF_DMA_RESV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-fence.h>
#include <dmabuf/ww-mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_resv_list;

/**
 * enum dma_resv_usage - what a fence is for
 * @DMA_RESV_USAGE_KERNEL: moving or clearing the memory; everybody waits for it
 * @DMA_RESV_USAGE_WRITE: writing; implicit synchronisation waits for it to read
 * @DMA_RESV_USAGE_READ: reading; implicit synchronisation waits for it to write
 * @DMA_RESV_USAGE_BOOKKEEP: anything else that uses the memory; waited for before it goes away
 *
 * In this order: whoever asks for one gets all before it as well.
 */
enum dma_resv_usage {
	DMA_RESV_USAGE_KERNEL,
	DMA_RESV_USAGE_WRITE,
	DMA_RESV_USAGE_READ,
	DMA_RESV_USAGE_BOOKKEEP,
};

/**
 * struct dma_resv - a reservation object
 * @lock: the lock of the memory; held to change the fences
 * @list_lock: makes each change one step for those who look without @lock
 * @fences: the fences, or NULL
 * @version: changes with @fences
 *
 * For the library only.
 */
struct dma_resv {
	struct dmabuf_ww_mutex lock;
	struct dma_fence_lock list_lock;
	struct dma_resv_list *fences;
	uint64_t version;
};

/**
 * struct dma_resv_iter - where a look at the fences is
 * @obj: the object
 * @usage: up to which usage
 * @fence: the current one, with a reference if the look is an unlocked one
 * @fence_usage: what it is for
 * @index: the next one
 * @version: the list that was begun with
 * @num_fences: how many that had
 * @is_restarted: this is the first one
 * @entry: the next one of other processes
 *
 * For the library only; see dma_resv_iter_usage() and dma_resv_iter_is_restarted().
 */
struct dma_resv_iter {
	struct dma_resv *obj;
	enum dma_resv_usage usage;
	struct dma_fence *fence;
	enum dma_resv_usage fence_usage;
	unsigned int index;
	uint64_t version;
	unsigned int num_fences;
	bool is_restarted;
	unsigned int entry;
};

#ifndef DMABUF_DISABLED
/**
 * dma_resv_usage_rw - what to wait for before reading or writing
 * @write: writing
 *
 * Return: reads, and with them writes, before writing; writes before reading.
 */
static inline enum dma_resv_usage dma_resv_usage_rw(bool write)
{
	return write ? DMA_RESV_USAGE_READ : DMA_RESV_USAGE_WRITE;
}

/**
 * dma_resv_ww_class - the class of all reservations' locks (kernel: reservation_ww_class)
 *
 * Return: a wait-die class, as in Linux, for dmabuf_ww_acquire_init(). Never blocks.
 */
struct dmabuf_ww_class *dma_resv_ww_class(void);

/**
 * dma_resv_init - an object without fences
 * @obj: memory for it
 */
void dma_resv_init(struct dma_resv *obj);

/**
 * dma_resv_fini - drop all fences
 * @obj: an object that nobody uses any more
 *
 * Drops references to fences, which can run their release.
 */
void dma_resv_fini(struct dma_resv *obj);

/**
 * dma_resv_lock - lock the memory
 * @obj: the object
 * @ctx: acquire context, or NULL
 *
 * Return: as dmabuf_ww_mutex_lock(): 0, -EDEADLK, -EALREADY, -EINVAL; of a buffer also -ENOMEM,
 * -ENOSPC, -EIO, -ECHILD.
 */
int dma_resv_lock(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dma_resv_lock_interruptible - the same, ended by signal handlers
 * @obj: the object
 * @ctx: acquire context, or NULL
 *
 * Return: the same, or -EINTR.
 */
int dma_resv_lock_interruptible(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dma_resv_lock_slow - after -EDEADLK, when everything else was unlocked
 * @obj: the object that brought it
 * @ctx: the context; holds nothing
 *
 * Return: as dmabuf_ww_mutex_lock_slow(): 0, -EINVAL.
 */
int dma_resv_lock_slow(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dma_resv_lock_slow_interruptible - the same, ended by signal handlers
 * @obj: the object that brought it
 * @ctx: the context; holds nothing
 *
 * Return: the same, or -EINTR.
 */
int dma_resv_lock_slow_interruptible(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dma_resv_trylock - lock the memory if nobody has
 * @obj: the object
 *
 * Return: true: locked, without a context. Never blocks.
 */
bool dma_resv_trylock(struct dma_resv *obj);

/**
 * dma_resv_unlock - unlock the memory
 * @obj: the object
 *
 * Fences that a locked look found are not to be used any more, unless references were taken.
 *
 * Return: 0; -EPERM: it is not locked, or by another process; -ETIMEDOUT: a buffer's, which was
 * lost to the lease before; -ECHILD.
 */
int dma_resv_unlock(struct dma_resv *obj);

/**
 * dma_resv_is_locked - has anybody locked the memory
 * @obj: the object
 *
 * Return: true: somebody has. Never blocks.
 */
bool dma_resv_is_locked(const struct dma_resv *obj);

/**
 * dma_resv_assert_held - say so if nobody has locked the memory
 * @obj: the object
 *
 * Return: 0; -EPERM: it is not locked, or by another process.
 */
int dma_resv_assert_held(const struct dma_resv *obj);

/**
 * dma_resv_locking_ctx - with which context the memory is locked
 * @obj: the object
 *
 * Return: the context; NULL: none, or another process's. Never blocks.
 */
struct dmabuf_ww_acquire_ctx *dma_resv_locking_ctx(const struct dma_resv *obj);

/**
 * dma_resv_reserve_fences - room for fences
 * @obj: the object, locked
 * @num_fences: for how many, 1 or more
 *
 * Makes place by dropping fences that are signalled. The room is there until the fences are added
 * or the object is unlocked; asking again does not add up. In a buffer's object each takes one of
 * the DMA_BUF_MAX_ACCESSES entries that all its holders share.
 *
 * Return: 0; -EINVAL: @num_fences is 0; -EPERM: not locked; -ENOMEM: no memory, or no entries left.
 * Waits for nobody.
 */
int dma_resv_reserve_fences(struct dma_resv *obj, unsigned int num_fences);

/**
 * dma_resv_add_fence - the memory is used until the fence ends
 * @obj: the object, locked
 * @fence: the fence; a reference is taken; better no array or chain, but its fences
 * @usage: what for
 *
 * Takes the place of an earlier fence of its context that is for this usage or a later one in the
 * enum, or of one that is signalled. The kernel's has no return value.
 *
 * Return: 0; -ENOSPC: no room was reserved, nothing was added; -EPERM: not locked; -EINVAL.
 */
int dma_resv_add_fence(struct dma_resv *obj, struct dma_fence *fence, enum dma_resv_usage usage);

/**
 * dma_resv_replace_fences - what the fences of a context stood for ends with another fence
 * @obj: the object, locked
 * @context: the context
 * @replacement: the fence; a reference is taken for each
 * @usage: what for
 */
void dma_resv_replace_fences(struct dma_resv *obj, uint64_t context, struct dma_fence *replacement,
			     enum dma_resv_usage usage);

/**
 * dma_resv_copy_fences - give an object the fences of another
 * @dst: the object, locked; its own fences are dropped
 * @src: the other; need not be locked
 *
 * Fences of @src that are signalled are left out.
 *
 * Return: 0; -EPERM: @dst is not locked; -ENOMEM: @dst is as it was.
 */
int dma_resv_copy_fences(struct dma_resv *dst, struct dma_resv *src);

/**
 * dma_resv_get_fences - all fences that are not signalled
 * @obj: the object; need not be locked
 * @usage: up to which usage
 * @num_fences: set to how many there are
 * @fences: set to an array for free(), with a reference to each; NULL if there are none
 *
 * Return: 0; -ENOMEM.
 */
int dma_resv_get_fences(struct dma_resv *obj, enum dma_resv_usage usage, unsigned int *num_fences,
			struct dma_fence ***fences);

/**
 * dma_resv_get_singleton - all fences that are not signalled as one
 * @obj: the object; need not be locked
 * @usage: up to which usage
 * @fence: set to the one, to an array of them, or to NULL if there are none; with a reference
 *
 * Return: 0; -ENOMEM.
 */
int dma_resv_get_singleton(struct dma_resv *obj, enum dma_resv_usage usage,
			   struct dma_fence **fence);

/**
 * dma_resv_wait_timeout - sleep until all fences are signalled
 * @obj: the object; need not be locked
 * @usage: up to which usage
 * @intr: let signal handlers end it
 * @timeout: milliseconds; 0: only look; or DMA_FENCE_WAIT_FOREVER
 *
 * Return: the milliseconds that were left, 1 at least; 0: timed out; -EINTR; -EINVAL.
 */
long dma_resv_wait_timeout(struct dma_resv *obj, enum dma_resv_usage usage, bool intr,
			   long timeout);

/**
 * dma_resv_test_signaled - are all fences signalled
 * @obj: the object; need not be locked
 * @usage: up to which usage
 *
 * Return: true: they are. Never blocks.
 */
bool dma_resv_test_signaled(struct dma_resv *obj, enum dma_resv_usage usage);

/**
 * dma_resv_describe - the fences in words
 * @obj: the object; need not be locked
 * @text: filled with one line for each fence that is not signalled, always closed by a NUL
 * @size: room in @text, 1 or more
 *
 * Return: 0; -EINVAL; -ENOSPC (cut short).
 */
int dma_resv_describe(struct dma_resv *obj, char *text, size_t size);

/**
 * dma_resv_iter_begin - begin to look at the fences
 * @cursor: set up
 * @obj: the object
 * @usage: up to which usage
 */
void dma_resv_iter_begin(struct dma_resv_iter *cursor, struct dma_resv *obj,
			 enum dma_resv_usage usage);

/**
 * dma_resv_iter_end - end an unlocked look; puts the current fence
 * @cursor: the cursor
 */
void dma_resv_iter_end(struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_first - the first fence, signalled or not
 * @cursor: the cursor; the object is locked until the look ends
 *
 * Return: the fence, without a reference; NULL: there is none. Never blocks.
 */
struct dma_fence *dma_resv_iter_first(struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_next - the next one
 * @cursor: the cursor
 *
 * Return: as dma_resv_iter_first().
 */
struct dma_fence *dma_resv_iter_next(struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_first_unlocked - the first fence that is not signalled
 * @cursor: the cursor; the object need not be locked
 *
 * Return: the fence, valid until the next call with @cursor; NULL: there is none.
 */
struct dma_fence *dma_resv_iter_first_unlocked(struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_next_unlocked - the next one
 * @cursor: the cursor
 *
 * If the list has been exchanged meanwhile, the look begins anew: dma_resv_iter_is_restarted() is
 * true then, and what was gathered before has to be forgotten.
 *
 * Return: as dma_resv_iter_first_unlocked().
 */
struct dma_fence *dma_resv_iter_next_unlocked(struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_usage - what the current fence is for
 * @cursor: the cursor
 *
 * Return: the usage. Never blocks.
 */
enum dma_resv_usage dma_resv_iter_usage(const struct dma_resv_iter *cursor);

/**
 * dma_resv_iter_is_restarted - is the current fence the first one (again)
 * @cursor: the cursor
 *
 * Return: true: it is. Never blocks.
 */
bool dma_resv_iter_is_restarted(const struct dma_resv_iter *cursor);
#else
#include <dmabuf/stubs/dma-resv.h>
#endif

/**
 * dma_resv_for_each_fence - all fences of a locked object
 * @cursor: struct dma_resv_iter *
 * @obj: the object, locked until the end
 * @usage: up to which usage
 * @fence: struct dma_fence * that runs, without references
 */
#define dma_resv_for_each_fence(cursor, obj, usage, fence)                                   \
	for (dma_resv_iter_begin(cursor, obj, usage), (fence) = dma_resv_iter_first(cursor); \
	     (fence) != NULL; (fence) = dma_resv_iter_next(cursor))

/**
 * dma_resv_for_each_fence_unlocked - all fences of an object that are not signalled
 * @cursor: struct dma_resv_iter *, between dma_resv_iter_begin() and dma_resv_iter_end()
 * @fence: struct dma_fence * that runs
 */
#define dma_resv_for_each_fence_unlocked(cursor, fence)                       \
	for ((fence) = dma_resv_iter_first_unlocked(cursor); (fence) != NULL; \
	     (fence) = dma_resv_iter_next_unlocked(cursor))

#ifdef __cplusplus
}
#endif
#endif
