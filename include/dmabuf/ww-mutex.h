/* SPDX-License-Identifier: MIT */
/**
 * DOC: wound/wait mutexes
 *
 * Mutexes of which a thread can take several, in any order, without deadlock. The thread begins an
 * acquire context, which has a stamp: its age. If two contexts come to wait for each other, the
 * younger one is told -EDEADLK, gives back what it holds and begins anew, still with its old stamp,
 * so that it gets through in the end. Rules and return values are those of Linux 6.1 (mission row
 * E1); the kernel's spellings are in <dmabuf/kernel.h>.
 *
 * Two kinds of classes: in a wait-die class, a younger context that meets an older one dies
 * (-EDEADLK at once) if it holds anything; in a wound-wait class, an older context wounds a younger
 * holder, which gets -EDEADLK at the next mutex that it would have to wait for, or wakes up with it
 * if it waits already. Wound-wait has fewer retries, wait-die finds out sooner.
 *
 * A mutex that is given back while others wait is handed to the first of them, so nobody overtakes
 * a waiter. What waits is ordered by age; those without a context come in their order of arrival
 * and are not overtaken by contexts that come later and are younger than all that wait.
 *
 * A mutex works within one process, and its waits end when the holder gives it back. The lock of a
 * buffer's reservation object (dma_buf.resv) is such a mutex too, for all processes that have the
 * buffer, and contexts take both kinds at once. There, ages are compared across processes, with the
 * time at which the contexts began; a context's own class says whether it dies or is wounded.
 * Beyond what Linux does:
 *
 * - A context that holds something never waits behind somebody without a context: -EDEADLK.
 * - After some -EDEADLK in a row, the first mutex that a context takes next brings with it, in one
 *   order that is the same for all, the buffers that it asked for before; asking for them again
 *   returns 0 at once. So it gets through, whatever ages others pretend to have.
 * - A holder that dies is found out, and one that keeps others waiting for longer than 5 s from its
 *   last grant loses the mutex; its dmabuf_ww_mutex_unlock() returns -ETIMEDOUT.
 * - Further errors: -ENOMEM, -ENOSPC (the buffer's reservation is full), -EIO (the buffer is
 *   spoilt), -ECHILD (the handle is the parent process's), -EDEADLK without a context: this thread
 *   has the mutex, or one that comes after it.
 */
#ifndef DMABUF_WW_MUTEX_H
#define DMABUF_WW_MUTEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-fence-lock.h>
#include <dmabuf/list.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dmabuf_ww_class - mutexes that are taken together (kernel: struct ww_class)
 * @stamp: the age given out last
 * @is_wait_die: wait-die; false: wound-wait
 *
 * DMABUF_DEFINE_WW_CLASS() and DMABUF_DEFINE_WD_CLASS() make one.
 */
struct dmabuf_ww_class {
	uint64_t stamp;
	bool is_wait_die;
};

/** DMABUF_DEFINE_WW_CLASS - a wound-wait class of this name */
#define DMABUF_DEFINE_WW_CLASS(name) struct dmabuf_ww_class name = { 0, false }

/** DMABUF_DEFINE_WD_CLASS - a wait-die class of this name */
#define DMABUF_DEFINE_WD_CLASS(name) struct dmabuf_ww_class name = { 0, true }

struct dmabuf_ww_set;
struct dmabuf_ww_shared;

/**
 * struct dmabuf_ww_acquire_ctx - one go at several mutexes (kernel: struct ww_acquire_ctx)
 * @ww_class: the class of the mutexes
 * @stamp: age; smaller is older, with wrap; no two contexts of a machine have the same
 * @acquired: how many mutexes it holds
 * @event: changes when its thread, asleep, has to look
 * @wounded: an older context waits for what this one holds
 * @done: dmabuf_ww_acquire_done() was called
 * @ordered: it has its buffers in ascending order, and without an age
 * @back_offs: -EDEADLK so far
 * @shared: buffers' mutexes that it holds
 * @set: buffers that it asked for, if it had to back off
 *
 * Lives on the stack of the thread that uses it; used by one thread at a time. For the library
 * only.
 */
struct dmabuf_ww_acquire_ctx {
	struct dmabuf_ww_class *ww_class;
	uint64_t stamp;
	unsigned int acquired;
	uint32_t event;
	bool wounded;
	bool done;
	bool ordered;
	unsigned int back_offs;
	struct dmabuf_list shared;
	struct dmabuf_ww_set *set;
};

/**
 * struct dmabuf_ww_mutex - a mutex (kernel: struct ww_mutex)
 * @word: 0: free; else bit 0, the holder's context, and bit 1 if @waiters is not empty
 * @ww_class: its class
 * @waiters: those who wait, in the order in which they get it
 * @lock: guards @waiters
 * @shared: the buffer whose mutex this is; NULL: it is this process's only
 *
 * Can be anywhere in memory. For the library only.
 */
struct dmabuf_ww_mutex {
	uintptr_t word;
	struct dmabuf_ww_class *ww_class;
	struct dmabuf_list waiters;
	struct dma_fence_lock lock;
	struct dmabuf_ww_shared *shared;
};

#ifndef DMABUF_DISABLED
/**
 * dmabuf_ww_mutex_init - a free mutex
 * @lock: memory for it
 * @ww_class: its class; outlives the mutex
 */
void dmabuf_ww_mutex_init(struct dmabuf_ww_mutex *lock, struct dmabuf_ww_class *ww_class);

/**
 * dmabuf_ww_mutex_destroy - the mutex's memory is about to be used for something else
 * @lock: the mutex
 *
 * Return: 0; -EBUSY: it is held or waited for (the kernel does not say so).
 */
int dmabuf_ww_mutex_destroy(struct dmabuf_ww_mutex *lock);

/**
 * dmabuf_ww_acquire_init - begin to take mutexes
 * @ctx: memory for the context
 * @ww_class: the class of the mutexes
 *
 * The context is younger than all that began before it.
 */
void dmabuf_ww_acquire_init(struct dmabuf_ww_acquire_ctx *ctx, struct dmabuf_ww_class *ww_class);

/**
 * dmabuf_ww_acquire_done - all mutexes are taken
 * @ctx: the context
 *
 * Not mandatory; taking another one afterwards is refused.
 *
 * Return: 0; -EINVAL: it was called before (the kernel does not say so).
 */
int dmabuf_ww_acquire_done(struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_acquire_fini - all mutexes are given back, the context's memory may go
 * @ctx: the context
 *
 * Return: 0; -EBUSY: it still holds mutexes (the kernel does not say so).
 */
int dmabuf_ww_acquire_fini(struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_lock - take a mutex
 * @lock: the mutex
 * @ctx: the context, or NULL to take this one mutex only
 *
 * Blocks until whoever holds it gives it back, or the context has to give way. Signals do not end
 * it.
 *
 * Return: 0; -EDEADLK: give back all mutexes of @ctx, call dmabuf_ww_mutex_lock_slow() for @lock,
 * then take the others again; -EALREADY: @ctx holds it; -EINVAL: @ctx is of another class, or done.
 */
int dmabuf_ww_mutex_lock(struct dmabuf_ww_mutex *lock, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_lock_interruptible - the same, ended by signal handlers
 * @lock: the mutex
 * @ctx: the context, or NULL
 *
 * Return: as dmabuf_ww_mutex_lock(); -EINTR: a handler ran while this thread waited.
 */
int dmabuf_ww_mutex_lock_interruptible(struct dmabuf_ww_mutex *lock,
				       struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_lock_slow - take the mutex that brought -EDEADLK, after all others were given
 * back
 * @lock: the mutex
 * @ctx: the context; holds nothing
 *
 * Never -EDEADLK: who holds nothing is in nobody's way. The kernel's has no return value.
 *
 * Return: 0; -EINVAL: @ctx still holds mutexes, or is of another class, or done.
 */
int dmabuf_ww_mutex_lock_slow(struct dmabuf_ww_mutex *lock, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_lock_slow_interruptible - the same, ended by signal handlers
 * @lock: the mutex
 * @ctx: the context; holds nothing
 *
 * Return: 0; -EINTR; -EINVAL.
 */
int dmabuf_ww_mutex_lock_slow_interruptible(struct dmabuf_ww_mutex *lock,
					    struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_trylock - take a mutex if it is free
 * @lock: the mutex
 * @ctx: the context, or NULL
 *
 * Return: 1: taken; 0: it is held, by @ctx itself perhaps, or @ctx is of another class, or done.
 * Never blocks.
 */
int dmabuf_ww_mutex_trylock(struct dmabuf_ww_mutex *lock, struct dmabuf_ww_acquire_ctx *ctx);

/**
 * dmabuf_ww_mutex_unlock - give a mutex back
 * @lock: the mutex
 *
 * Makes no system call if nobody waits. The kernel's has no return value.
 *
 * Return: 0; -EPERM: it is not held; -ETIMEDOUT: a buffer's, which was lost to the lease before.
 */
int dmabuf_ww_mutex_unlock(struct dmabuf_ww_mutex *lock);

/**
 * dmabuf_ww_mutex_is_locked - does anybody hold it
 * @lock: the mutex
 *
 * Return: true: somebody does. Never blocks.
 */
bool dmabuf_ww_mutex_is_locked(const struct dmabuf_ww_mutex *lock);

/**
 * dmabuf_ww_mutex_ctx - with which context it is held
 * @lock: the mutex; held by the caller, or the answer may be old
 *
 * Return: the context; NULL: it is free or was taken without one. Never blocks.
 */
struct dmabuf_ww_acquire_ctx *dmabuf_ww_mutex_ctx(const struct dmabuf_ww_mutex *lock);
#else
#include <dmabuf/stubs/ww-mutex.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
