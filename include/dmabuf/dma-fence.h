/* SPDX-License-Identifier: MIT */
/**
 * DOC: fences
 *
 * A fence is a promise that some work ends. It is a struct that the owner of the work embeds in a
 * job of its own, initializes, hands out references to, and signals once; others wait for it, or
 * have a callback called. Fences of one timeline share a context number, and their seqnos say
 * which is later. Names, fields and return values are those of Linux 6.1 (mission row E3). What is
 * different:
 *
 * - Timeouts are milliseconds. DMA_FENCE_WAIT_FOREVER is what MAX_SCHEDULE_TIMEOUT is there.
 * - An interrupted wait returns -EINTR: a signal handler ran in this thread, whatever its flags.
 * - A fence that nobody watches (no callback, no waiter, signalling not enabled) is signalled by
 *   one atomic operation, with no lock, no system call and no look at the clock. Its timestamp is
 *   then the time at which dma_fence_timestamp() was first asked. A watched fence is stamped when
 *   it is signalled, as in the kernel.
 * - There is no RCU: memory goes back as soon as the last reference does.
 *
 * All of this works within one process; a child of fork() must leave the parent's fences alone.
 */
#ifndef DMABUF_DMA_FENCE_H
#define DMABUF_DMA_FENCE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-fence-lock.h>
#include <dmabuf/list.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_fence;
struct dma_fence_cb;

/** DMA_FENCE_WAIT_FOREVER - a timeout that never ends: the caller's explicit choice */
#define DMA_FENCE_WAIT_FOREVER LONG_MAX

/** DMA_FENCE_MAX_ERRNO - errors of fences are -DMA_FENCE_MAX_ERRNO to -1 */
#define DMA_FENCE_MAX_ERRNO 4095

/** DMA_FENCE_TIMEOUT_MAX - the longest time that a fence can be given, in milliseconds */
#define DMA_FENCE_TIMEOUT_MAX 3600000

/**
 * enum dma_fence_flag_bits - bit numbers in dma_fence.flags
 * @DMA_FENCE_FLAG_SIGNALED_BIT: it has been signalled; never cleared again
 * @DMA_FENCE_FLAG_TIMESTAMP_BIT: dma_fence.timestamp is valid
 * @DMA_FENCE_FLAG_ENABLE_SIGNAL_BIT: somebody watches: enable_signaling was called
 * @DMA_FENCE_FLAG_USER_BITS: the first bit that is the driver's own; change them with atomic
 *	operations only
 */
enum dma_fence_flag_bits {
	DMA_FENCE_FLAG_SIGNALED_BIT = 0,
	DMA_FENCE_FLAG_TIMESTAMP_BIT = 1,
	DMA_FENCE_FLAG_ENABLE_SIGNAL_BIT = 2,
	DMA_FENCE_FLAG_USER_BITS = 8,
};

/**
 * dma_fence_func_t - what is called when a fence is signalled
 * @fence: the fence
 * @cb: what was given to dma_fence_add_callback()
 *
 * Called once, in the thread that signals, with the fence's lock held: it must not take that lock,
 * not wait, and not call what takes it (adding callbacks to fences that share the lock, removing
 * them). It may free @cb, and drop references to other fences.
 */
typedef void (*dma_fence_func_t)(struct dma_fence *fence, struct dma_fence_cb *cb);

/**
 * struct dma_fence_cb - a callback, embedded in a struct of the user's
 * @node: link in the fence's list; points at itself while it is in none
 * @func: the function
 *
 * Needs no initialization before dma_fence_add_callback().
 */
struct dma_fence_cb {
	struct dmabuf_list node;
	dma_fence_func_t func;
};

/**
 * struct dma_fence_ops - a kind of fence
 * @use_64bit_seqno: seqnos never wrap; false: they are compared as 32 bits that wrap
 * @get_driver_name: mandatory; a string that lives as long as the fence
 * @get_timeline_name: mandatory; a string that lives as long as the fence
 * @enable_signaling: [optional] called once, with the fence's lock held, when somebody begins to
 *	watch: have the fence signalled when the work ends. false: it has ended already, and the
 *	fence is signalled right away. It must not signal it itself.
 * @signaled: [optional] a look at whether the work has ended, for work that nobody reports. May be
 *	called at any time, with the lock held or not. If it is true the fence is signalled by
 *	whoever looked. A waiter does not look again by itself: enable_signaling must see to that.
 * @wait: [optional] instead of dma_fence_default_wait()
 * @release: [optional] called with the last reference; must end in dma_fence_free() or in freeing
 *	the struct that the fence is embedded in. NULL: dma_fence_free(), so the fence must be what
 *	malloc() returned.
 * @fence_value_str: [optional] the seqno as text
 * @timeline_value_str: [optional] how far the timeline is, as text
 */
struct dma_fence_ops {
	bool use_64bit_seqno;
	const char *(*get_driver_name)(struct dma_fence *fence);
	const char *(*get_timeline_name)(struct dma_fence *fence);
	bool (*enable_signaling)(struct dma_fence *fence);
	bool (*signaled)(struct dma_fence *fence);
	long (*wait)(struct dma_fence *fence, bool intr, long timeout);
	void (*release)(struct dma_fence *fence);
	void (*fence_value_str)(struct dma_fence *fence, char *str, int size);
	void (*timeline_value_str)(struct dma_fence *fence, char *str, int size);
};

/**
 * struct dma_fence - a promise that some work ends
 * @lock: the driver's lock, shared by the fences of a context; lives as long as they do
 * @ops: its kind
 * @cb_list: callbacks, guarded by @lock
 * @timestamp: when it was signalled, in ns of CLOCK_MONOTONIC; see dma_fence_timestamp()
 * @context: the timeline
 * @seqno: its place on the timeline
 * @flags: bits of enum dma_fence_flag_bits, changed by atomic operations only
 * @refcount: references
 * @waiters: threads that sleep in dma_fence_default_wait(), until it is signalled
 * @error: 0, or what dma_fence_set_error() said; 1 in an array that is not complete
 *
 * All fields but the user's flags are the library's; @context, @seqno, @ops and @lock may be read.
 */
struct dma_fence {
	struct dma_fence_lock *lock;
	const struct dma_fence_ops *ops;
	struct dmabuf_list cb_list;
	int64_t timestamp;
	uint64_t context;
	uint64_t seqno;
	unsigned long flags;
	unsigned int refcount;
	unsigned int waiters;
	int error;
};

#ifndef DMABUF_DISABLED
/**
 * dma_fence_init - make a fence
 * @fence: memory for it, usually within a struct of the caller's
 * @ops: its kind; outlives the fence
 * @lock: lock for the fences of this context; outlives the fence
 * @context: from dma_fence_context_alloc()
 * @seqno: later fences of a context have larger ones
 *
 * The caller has the one reference. Never blocks. Mission row E3.
 */
void dma_fence_init(struct dma_fence *fence, const struct dma_fence_ops *ops,
		    struct dma_fence_lock *lock, uint64_t context, uint64_t seqno);

/**
 * dma_fence_context_alloc - numbers for new timelines
 * @num: how many
 *
 * Return: the first of @num numbers in a row that no other timeline of this process has. Never
 * blocks.
 */
uint64_t dma_fence_context_alloc(unsigned int num);

/**
 * dma_fence_get - one more reference
 * @fence: the fence; NULL is ignored
 *
 * Return: @fence. Never blocks.
 */
struct dma_fence *dma_fence_get(struct dma_fence *fence);

/**
 * dma_fence_get_unless_zero - one more reference, if there is one left
 * @fence: the fence; its memory must be kept by other means, a lock of the driver's for example
 *
 * Return: @fence; NULL if it is being released. Never blocks.
 */
struct dma_fence *dma_fence_get_unless_zero(struct dma_fence *fence);

/**
 * dma_fence_put - drop a reference
 * @fence: the fence; NULL is ignored
 *
 * The last one runs dma_fence_release().
 */
void dma_fence_put(struct dma_fence *fence);

/**
 * dma_fence_release - what the last dma_fence_put() does; not for anybody else
 * @fence: a fence with no references
 *
 * Callbacks that still wait are not left waiting: the fence is signalled with -EDEADLK, and the log
 * is told. Then ops->release or dma_fence_free().
 */
void dma_fence_release(struct dma_fence *fence);

/**
 * dma_fence_free - free() a fence that malloc() returned; for ops->release
 * @fence: the fence; NULL is ignored
 */
void dma_fence_free(struct dma_fence *fence);

/**
 * dma_fence_signal - the work has ended
 * @fence: the fence; the caller has a reference and does not hold its lock
 *
 * Runs the callbacks, wakes the waiters. Makes no system call if nobody sleeps.
 *
 * Return: 0; -EINVAL: it has been signalled before, or is NULL.
 */
int dma_fence_signal(struct dma_fence *fence);

/**
 * dma_fence_signal_locked - the same with the fence's lock held
 * @fence: the fence
 *
 * Return: 0; -EINVAL.
 */
int dma_fence_signal_locked(struct dma_fence *fence);

/**
 * dma_fence_signal_timestamp - the work ended then
 * @fence: the fence; the caller does not hold its lock
 * @timestamp: ns of CLOCK_MONOTONIC
 *
 * Return: 0; -EINVAL: it has been signalled before, or is NULL.
 */
int dma_fence_signal_timestamp(struct dma_fence *fence, int64_t timestamp);

/**
 * dma_fence_signal_timestamp_locked - the same with the fence's lock held
 * @fence: the fence
 * @timestamp: ns of CLOCK_MONOTONIC
 *
 * Return: 0; -EINVAL.
 */
int dma_fence_signal_timestamp_locked(struct dma_fence *fence, int64_t timestamp);

/**
 * dma_fence_timestamp - when it was signalled
 * @fence: the fence
 *
 * Exact for a fence that was watched, or whose owner gave the time. For one that nobody watched it
 * is when this was first asked. Looks at the signalled bit only, not at ops->signaled.
 *
 * Return: ns of CLOCK_MONOTONIC; 0: not signalled yet. Never blocks.
 */
int64_t dma_fence_timestamp(struct dma_fence *fence);

/**
 * dma_fence_set_error - the work failed
 * @fence: a fence that has not been signalled
 * @error: -DMA_FENCE_MAX_ERRNO to -1
 *
 * Goes before dma_fence_signal(), by whoever signals. The kernel's has no return value.
 *
 * Return: 0; -EINVAL: signalled already, or not an error; nothing was changed. Never blocks.
 */
int dma_fence_set_error(struct dma_fence *fence, int error);

/**
 * dma_fence_set_timeout - have the fence end by then, whatever its owner does
 * @fence: the fence; the caller has a reference and does not hold its lock
 * @timeout: milliseconds from now, 0 to DMA_FENCE_TIMEOUT_MAX
 *
 * If it has not been signalled by then, a thread of the library signals it with -ETIMEDOUT; the
 * owner's own signal is then one too many (-EINVAL), and it is the owner's business that work which
 * still goes on does no harm. Several timeouts can be set, the earliest counts. Signalling is
 * enabled, and the fence kept until it is signalled.
 *
 * Not the kernel's dma_fence_set_deadline() (6.4), which is a hint that somebody would like the
 * work to be done by then, and ends nothing.
 *
 * Return: 0 (also if it is signalled already); -EINVAL; -ENOMEM, -EMFILE, -ENFILE, -EAGAIN (no
 * thread). Never blocks. Thread-safe. Mission row E3.
 */
int dma_fence_set_timeout(struct dma_fence *fence, long timeout);

/**
 * dma_fence_get_status - has it ended, and how
 * @fence: the fence; the caller does not hold its lock
 *
 * Return: 0: not yet; 1: it has; negative: it has, with this error.
 */
int dma_fence_get_status(struct dma_fence *fence);

/**
 * dma_fence_get_status_locked - the same with the fence's lock held
 * @fence: the fence
 *
 * Return: 0, 1 or the error.
 */
int dma_fence_get_status_locked(struct dma_fence *fence);

/**
 * dma_fence_add_callback - have a function called when the fence is signalled
 * @fence: the fence; the caller has a reference and does not hold its lock
 * @cb: what to link in; belongs to the fence until it was called or removed
 * @func: the function
 *
 * Return: 0; -ENOENT: signalled already, @func will not be called; -EINVAL: @fence or @func is
 * NULL.
 */
int dma_fence_add_callback(struct dma_fence *fence, struct dma_fence_cb *cb, dma_fence_func_t func);

/**
 * dma_fence_remove_callback - have it not called
 * @fence: the fence; the caller does not hold its lock
 * @cb: a callback that was added to this fence with success
 *
 * When it returns the callback is not running and will not run. So it must not be called from a
 * callback of this fence.
 *
 * Return: true: it was removed; false: it has been called.
 */
bool dma_fence_remove_callback(struct dma_fence *fence, struct dma_fence_cb *cb);

/**
 * dma_fence_enable_sw_signaling - watch the fence from now on
 * @fence: the fence; the caller does not hold its lock
 *
 * Calls ops->enable_signaling if nobody did; the timestamp will be exact.
 */
void dma_fence_enable_sw_signaling(struct dma_fence *fence);

/**
 * dma_fence_poll_signaled - ask ops->signaled, and signal the fence if it says so
 * @fence: the fence
 * @locked: the fence's lock is held
 *
 * What dma_fence_is_signaled() calls where the bit does not settle it.
 *
 * Return: true: it is signalled.
 */
bool dma_fence_poll_signaled(struct dma_fence *fence, bool locked);

/**
 * dma_fence_test_signaled_flag - has it been signalled, by the bit alone
 * @fence: the fence
 *
 * Return: true: it has. Never blocks.
 */
static inline bool dma_fence_test_signaled_flag(const struct dma_fence *fence)
{
	return __atomic_load_n(&fence->flags, __ATOMIC_ACQUIRE) &
	       (1ul << DMA_FENCE_FLAG_SIGNALED_BIT);
}

/**
 * dma_fence_is_signaled - has the work ended
 * @fence: the fence; the caller does not hold its lock
 *
 * Return: true: it has, and the fence is signalled.
 */
static inline bool dma_fence_is_signaled(struct dma_fence *fence)
{
	return dma_fence_test_signaled_flag(fence) ||
	       (fence->ops->signaled && dma_fence_poll_signaled(fence, false));
}

/**
 * dma_fence_is_signaled_locked - the same with the fence's lock held
 * @fence: the fence
 *
 * Return: true: it has, and the fence is signalled.
 */
static inline bool dma_fence_is_signaled_locked(struct dma_fence *fence)
{
	return dma_fence_test_signaled_flag(fence) ||
	       (fence->ops->signaled && dma_fence_poll_signaled(fence, true));
}

/**
 * dma_fence_seqno_is_later - compare two places on one timeline (kernel: __dma_fence_is_later)
 * @f1: a seqno
 * @f2: another
 * @ops: the kind of the fences: do seqnos wrap at 32 bits?
 *
 * Return: true: @f1 is later. Never blocks.
 */
static inline bool dma_fence_seqno_is_later(uint64_t f1, uint64_t f2,
					    const struct dma_fence_ops *ops)
{
	if (ops->use_64bit_seqno)
		return f1 > f2;
	return (int32_t)((uint32_t)f1 - (uint32_t)f2) > 0;
}

/**
 * dma_fence_is_later - which of two fences of a context ends last
 * @f1: a fence
 * @f2: another of the same context
 *
 * Return: true: @f1 does; false: it does not, or the contexts differ. Never blocks.
 */
static inline bool dma_fence_is_later(const struct dma_fence *f1, const struct dma_fence *f2)
{
	return f1->context == f2->context &&
	       dma_fence_seqno_is_later(f1->seqno, f2->seqno, f1->ops);
}

/**
 * dma_fence_later - the one that is left to wait for
 * @f1: a fence
 * @f2: another of the same context
 *
 * Return: the later one, without a reference; NULL: that one is signalled, so both are, or the
 * contexts differ (errno EINVAL).
 */
struct dma_fence *dma_fence_later(struct dma_fence *f1, struct dma_fence *f2);

/**
 * dma_fence_default_wait - sleep until the fence is signalled; for ops->wait
 * @fence: the fence; the caller has a reference and does not hold its lock
 * @intr: let signal handlers end it
 * @timeout: milliseconds, or DMA_FENCE_WAIT_FOREVER
 *
 * Return: the milliseconds that were left, 1 at least, if it is signalled (@timeout as given, or 1
 * for 0, if it was so already); 0: timed out; -EINTR; -EINVAL: a negative timeout.
 */
long dma_fence_default_wait(struct dma_fence *fence, bool intr, long timeout);

/**
 * dma_fence_wait_timeout - sleep until the fence is signalled
 * @fence: the fence; the caller has a reference and does not hold its lock
 * @intr: let signal handlers end it
 * @timeout: milliseconds; 0: only look; or DMA_FENCE_WAIT_FOREVER
 *
 * A wait that began is ended by a handler that runs from then on, not by an earlier one. A custom
 * ops->wait answers for its own results.
 *
 * Return: as dma_fence_default_wait().
 */
long dma_fence_wait_timeout(struct dma_fence *fence, bool intr, long timeout);

/**
 * dma_fence_wait - sleep until the fence is signalled, however long that takes
 * @fence: the fence; the caller has a reference and does not hold its lock
 * @intr: let signal handlers end it
 *
 * Ends when the fence does: every fence is signalled by its owner. Who does not trust the owner
 * uses dma_fence_wait_timeout().
 *
 * Return: 0: it is signalled (see dma_fence_get_status() for how); -EINTR.
 */
long dma_fence_wait(struct dma_fence *fence, bool intr);

/**
 * dma_fence_wait_any_timeout - sleep until one of several is signalled
 * @fences: the fences; the caller has references and holds none of their locks
 * @count: how many
 * @intr: let signal handlers end it
 * @timeout: milliseconds; 0: only look; or DMA_FENCE_WAIT_FOREVER
 * @idx: [optional] set to the index of a signalled one if the result is positive
 *
 * Return: the milliseconds that were left, 1 at least; 0: timed out; -EINTR; -EINVAL: no fences, or
 * a negative timeout; -ENOMEM.
 */
long dma_fence_wait_any_timeout(struct dma_fence **fences, uint32_t count, bool intr, long timeout,
				uint32_t *idx);

/**
 * dma_fence_get_stub - a fence that is signalled already
 *
 * Return: a reference to one that all share. Never blocks.
 */
struct dma_fence *dma_fence_get_stub(void);

/**
 * dma_fence_allocate_private_stub - a signalled fence of one's own
 *
 * Return: a new fence; NULL with errno ENOMEM. Never blocks.
 */
struct dma_fence *dma_fence_allocate_private_stub(void);

/**
 * dma_fence_match_context - does it belong to a timeline
 * @fence: the fence; of an array, all its fences must
 * @context: the timeline
 *
 * Return: true: it does. Never blocks.
 */
bool dma_fence_match_context(struct dma_fence *fence, uint64_t context);

/**
 * dma_fence_describe - the fence in words
 * @fence: the fence
 * @text: filled with one line, always closed by a NUL
 * @size: room in @text, 1 or more
 *
 * For example "camera frames seq 17 signalled". 160 bytes are enough for short names.
 *
 * Return: 0; -EINVAL; -ENOSPC (cut short). Never blocks.
 */
int dma_fence_describe(struct dma_fence *fence, char *text, size_t size);
#else
#include <dmabuf/stubs/dma-fence.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
