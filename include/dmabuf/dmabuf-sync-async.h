/* SPDX-License-Identifier: MIT */
/**
 * DOC: dmabuf-sync without waiting
 *
 * The same locks for those who must not sleep: asked for now, granted later, taken over when it
 * suits; and unlocks that a device's fence brings about (mission rows D7 and E4).
 *
 *	dmabuf_sync_lock_async(sync, 1000, &fence);
 *	... the fence is signalled, or the descriptor of dmabuf_sync_fd() becomes readable ...
 *	dmabuf_sync_lock_finish(sync);
 *	... start the device ...
 *	dmabuf_sync_unlock_fence(sync, job_fence);
 *
 * A sync object is unlocked, *locking* or locked:
 *
 *	unlocked --lock_async--> locking --lock_finish--> locked --unlock, unlock_fence--> unlocked
 *	                         locking --cancel, put, fini, lock_finish of what failed--> unlocked
 *
 * - While it is locking, a thread of the library takes its buffers by the same rules as
 *   dmabuf_sync_lock(): in the same queues, one at a time in ascending order. The place in the
 *   first buffer's queue is that of the moment of the call.
 * - An attempt ends by a grant (all buffers are held, and the lease runs) or by a failure (nothing
 *   is held). Either signals the fence and makes the descriptor readable. Both, and
 *   dmabuf_sync_lock_finish(), say which: 0; -EOWNERDEAD: granted, and content is torn;
 *   -ETIMEDOUT; -EIO (spoilt); the fence says -ECANCELED if it was cancelled before.
 * - A grant by descriptor that nobody takes over within DMABUF_SYNC_CLAIM_MS goes to the next who
 *   waits; dmabuf_sync_lock_finish() then answers -ETIMEDOUT.
 * - An attempt that failed need not be asked: the next lock of the object begins anew.
 *
 * All calls here may be made in callbacks of fences, the grant's own among them, and none of them
 * waits for anybody. As everywhere, a sync object is used by one thread at a time.
 */
#ifndef DMABUF_DMABUF_SYNC_ASYNC_H
#define DMABUF_DMABUF_SYNC_ASYNC_H

#include <dmabuf/dma-fence.h>
#include <dmabuf/dmabuf-sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMABUF_SYNC_CLAIM_MS - how long a grant by descriptor waits to be taken over, unless set */
#define DMABUF_SYNC_CLAIM_MS 100u

#ifndef DMABUF_DISABLED
/**
 * dmabuf_sync_lock_async - begin to take all buffers of the object
 * @sync: the object, unlocked
 * @timeout_ms: how long it may take; LONG_MAX: as long as it takes, which leases bound
 * @fence: [optional] set to a new reference to a fence that is signalled when the attempt has
 *	ended. It is of the driver "dmabuf-sync", its timeline is the object's name, and it outlives
 *	the object
 *
 * If all buffers are free they are taken at once, and the fence is signalled already. Whoever gets
 * the fence may wait for it, but only the owner of @sync has the buffers then. This thread may have
 * locked the same buffers itself: it is granted after the unlock.
 *
 * Return: 0: the object is locking; or, with nothing changed, -EFAULT (NULL), -EINVAL (empty,
 * locked already, a negative timeout), -EBUSY (it is locking already), -EAGAIN (no thread can be
 * had), -ENOMEM, -ENOSPC, -ETIMEDOUT (a timeout of 0, and they are not free), -ECHILD, -EIO
 * (spoilt). Never blocks. Row D7.
 */
int dmabuf_sync_lock_async(struct dmabuf_sync *sync, long timeout_ms, struct dma_fence **fence);

/**
 * dmabuf_sync_lock_after - the same, granted when these fences have been signalled as well
 * @sync: the object, unlocked
 * @after: fences that are to be waited for too; the library takes references of its own
 * @num_after: how many; 0: as dmabuf_sync_lock_async()
 * @timeout_ms: how long buffers and fences may take together
 * @fence: as dmabuf_sync_lock_async()
 *
 * The buffers are queued for at once and not only when the fences have been signalled, so whoever
 * locks the first of them later comes later: work can be submitted before its inputs are ready, and
 * nobody reads the old content meanwhile. So no fence here may depend on somebody who gets these
 * buffers only afterwards: such a wait ends with the timeout. The lease runs from the grant. If a
 * fence was signalled with an error, the attempt fails with it.
 *
 * Return: as dmabuf_sync_lock_async(), and -EINVAL if a fence is NULL. Never blocks. Row E4.
 */
int dmabuf_sync_lock_after(struct dmabuf_sync *sync, struct dma_fence **after,
			   unsigned int num_after, long timeout_ms, struct dma_fence **fence);

/**
 * dmabuf_sync_lock_finish - take over what was asked for
 * @sync: the object, locking
 *
 * From here on it is as if this thread had called dmabuf_sync_lock(). Caches are seen to here.
 *
 * Return: 0: locked; -EOWNERDEAD: *locked*, and content is torn, see dmabuf_sync_get_torn();
 * -EAGAIN: it waits still, and the object stays locking. With the object unlocked: -ETIMEDOUT: the
 * buffers could not be had in time (the words say who has them), or had been granted and were lost
 * to the lease or not claimed in time; -EIO (spoilt); the error of a fence of
 * dmabuf_sync_lock_after(); what cache operations answer. With nothing changed: -EFAULT (NULL),
 * -EINVAL (it is not locking), -ECHILD. Waits for nobody. Row D7.
 */
int dmabuf_sync_lock_finish(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_cancel - withdraw
 * @sync: the object, locking
 *
 * What is held already is given back, also if all was granted. A fence that has not been signalled
 * is, with -ECANCELED, which runs its callbacks here.
 *
 * Return: 0: the object is unlocked; -EFAULT (NULL); -EINVAL (it is not locking); -ECHILD. Waits
 * for nobody. Row D7.
 */
int dmabuf_sync_cancel(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_fd - a descriptor that says when an attempt has ended
 * @sync: the object, not locking
 *
 * For poll(), select() and epoll: POLLIN is there when an asynchronous lock of the object has
 * ended, and until dmabuf_sync_lock_finish(), dmabuf_sync_cancel() or the next lock of the object.
 * When it is there and the claim's time is not over, the buffers are held: nobody can come in
 * between. From the first call on, grants that are not claimed in time pass on
 * (dmabuf_sync_set_claim()).
 *
 * Return: the descriptor, close-on-exec, the same one each time; it is the object's, which closes
 * it in dmabuf_sync_fini(), so do not close, read or write it; -EFAULT (NULL), -EBUSY (locking),
 * -EMFILE, -ENFILE, -ENOMEM, -ECHILD. Never blocks. Row D7.
 */
int dmabuf_sync_fd(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_set_claim - how long a grant by descriptor waits to be taken over
 * @sync: the object, not locking
 * @claim_ms: 1 to DMABUF_SYNC_LEASE_MAX_MS
 *
 * Return: 0; -EFAULT (NULL); -EINVAL; -EBUSY (locking); -ECHILD. Never blocks. Row D7.
 */
int dmabuf_sync_set_claim(struct dmabuf_sync *sync, unsigned int claim_ms);

/**
 * dmabuf_sync_unlock_fence - give all buffers back when a fence is signalled
 * @sync: the object, locked; unlocked afterwards, and may be locked again at once: as anybody's,
 *	that lock waits for the fence
 * @fence: any fence, an array, a chain and one of another process too; the library takes a
 *	reference
 *
 * Whoever signals the fence gives the buffers back there and then, in its callback: no thread of
 * the application wakes up in between, and no system call is made unless somebody sleeps. (Only
 * where non-coherent devices take part the library's thread does it, after the cache operations.)
 *
 * - The lease goes on meanwhile. An access by CPU is lost to it as any other; an access of a DMA
 *   type blocks the buffer until the fence is signalled, or the process is dead and its devices
 *   are done.
 * - A fence that is signalled with an error leaves what was locked for writing torn: the next
 *   holder gets -EOWNERDEAD, and dmabuf_sync_get_torn() names this object. What was locked for
 *   reading is given back.
 * - dmabuf_sync_fini() and dmabuf_sync_put() leave the holds alone; the fence gives them back.
 * - What an access needs was reserved for the next one before this one is let go, so a sync object
 *   with n unlocks under way occupies n + 1 places in its buffers' reservations.
 *
 * Do not call it with @fence's lock held. If the fence is signalled already it is
 * dmabuf_sync_unlock().
 *
 * Return: 0; as dmabuf_sync_unlock() if the fence is signalled already; or, with the object still
 * locked, -EFAULT (NULL), -EINVAL (no fence), -EAGAIN (not locked, or no thread can be had),
 *-ENOMEM, -ENOSPC (DMA_BUF_MAX_ACCESSES reached), -ECHILD, -EIO (spoilt). Waits for nobody. Row E4.
 */
int dmabuf_sync_unlock_fence(struct dmabuf_sync *sync, struct dma_fence *fence);
#else
#include <dmabuf/stubs/dmabuf-sync-async.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
