/* SPDX-License-Identifier: MIT */
/**
 * DOC: the kernel's spellings for locks, fences and time
 *
 * Opt-in, part of <dmabuf/kernel.h>. Most of what drivers call has the kernel's name anyway
 * (dma_fence_*, dma_resv_*); this is the rest.
 *
 * - spinlock_t is the lock of fences; the irq, bh and irqsave forms are the same, as there are no
 *   interrupts.
 * - A jiffy is a millisecond. An interrupted wait returns -ERESTARTSYS, which is -EINTR.
 * - Functions that return nothing in the kernel may return an error here, that can be ignored.
 * - dma_buf.resv works across processes. A context that holds something is told -EDEADLK also by a
 *   lock without a context, which the loop around dma_resv_lock_slow() handles as it is; a lock
 * that was lost to its lease is told at dma_resv_unlock(), whose result drivers may ignore.
 * - There is no RCU: dma_fence_get_rcu() is safe only while something else keeps the fence's
 *   memory.
 */
#ifndef DMABUF_KERNEL_SYNC_H
#define DMABUF_KERNEL_SYNC_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <dmabuf/dma-fence-array.h>
#include <dmabuf/dma-fence-chain.h>
#include <dmabuf/dma-fence-unwrap.h>
#include <dmabuf/dma-fence.h>
#include <dmabuf/dma-resv.h>
#include <dmabuf/kernel-list.h>
#include <dmabuf/sync-file.h>
#include <dmabuf/ww-mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Errors and time. */
#ifndef ERESTARTSYS
#define ERESTARTSYS EINTR
#endif
#ifndef MAX_ERRNO
#define MAX_ERRNO DMA_FENCE_MAX_ERRNO
#endif
#define HZ 1000
#define MAX_SCHEDULE_TIMEOUT DMA_FENCE_WAIT_FOREVER
#define NSEC_PER_SEC 1000000000L

/** ktime_t - nanoseconds of CLOCK_MONOTONIC */
typedef int64_t ktime_t;

#ifdef CLOCK_MONOTONIC /* not with -std=c11 alone */
static inline ktime_t ktime_get(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ktime_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}
#endif

static inline int64_t ktime_to_ns(ktime_t time)
{
	return time;
}

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return ms;
}

static inline unsigned int jiffies_to_msecs(unsigned long jiffies)
{
	return (unsigned int)jiffies;
}

/* Bits, changed by atomic operations. */
#define BITS_PER_LONG_ (8 * sizeof(unsigned long))

static inline bool test_bit(unsigned int bit, const unsigned long *word)
{
	return __atomic_load_n(word + bit / BITS_PER_LONG_, __ATOMIC_ACQUIRE) >>
		       (bit % BITS_PER_LONG_) &
	       1;
}

static inline bool test_and_set_bit(unsigned int bit, unsigned long *word)
{
	return __atomic_fetch_or(word + bit / BITS_PER_LONG_, 1ul << (bit % BITS_PER_LONG_),
				 __ATOMIC_SEQ_CST) >>
		       (bit % BITS_PER_LONG_) &
	       1;
}

static inline bool test_and_clear_bit(unsigned int bit, unsigned long *word)
{
	return __atomic_fetch_and(word + bit / BITS_PER_LONG_, ~(1ul << (bit % BITS_PER_LONG_)),
				  __ATOMIC_SEQ_CST) >>
		       (bit % BITS_PER_LONG_) &
	       1;
}

static inline void set_bit(unsigned int bit, unsigned long *word)
{
	test_and_set_bit(bit, word);
}

static inline void clear_bit(unsigned int bit, unsigned long *word)
{
	test_and_clear_bit(bit, word);
}

/* Spinlocks. */
typedef struct dma_fence_lock spinlock_t;

#define DEFINE_SPINLOCK(name) spinlock_t name = DMA_FENCE_LOCK_INIT
#define spin_lock_init(lock) dma_fence_lock_init(lock)
#define spin_lock(lock) dma_fence_lock_lock(lock)
#define spin_trylock(lock) dma_fence_lock_trylock(lock)
#define spin_unlock(lock) dma_fence_lock_unlock(lock)
#define spin_lock_bh(lock) dma_fence_lock_lock(lock)
#define spin_unlock_bh(lock) dma_fence_lock_unlock(lock)
#define spin_lock_irq(lock) dma_fence_lock_lock(lock)
#define spin_unlock_irq(lock) dma_fence_lock_unlock(lock)
#define spin_lock_irqsave(lock, flags) ((void)((flags) = 0), dma_fence_lock_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), dma_fence_lock_unlock(lock))

/* Wound/wait mutexes. */
#define DEFINE_WW_CLASS(name) DMABUF_DEFINE_WW_CLASS(name)
#define DEFINE_WD_CLASS(name) DMABUF_DEFINE_WD_CLASS(name)
#define ww_mutex_init(lock, ww_class) dmabuf_ww_mutex_init(lock, ww_class)
#define ww_mutex_destroy(lock) dmabuf_ww_mutex_destroy(lock)
#define ww_mutex_lock(lock, ctx) dmabuf_ww_mutex_lock(lock, ctx)
#define ww_mutex_lock_interruptible(lock, ctx) dmabuf_ww_mutex_lock_interruptible(lock, ctx)
#define ww_mutex_lock_slow(lock, ctx) dmabuf_ww_mutex_lock_slow(lock, ctx)
#define ww_mutex_lock_slow_interruptible(lock, ctx) \
	dmabuf_ww_mutex_lock_slow_interruptible(lock, ctx)
#define ww_mutex_trylock(lock, ctx) dmabuf_ww_mutex_trylock(lock, ctx)
#define ww_mutex_unlock(lock) dmabuf_ww_mutex_unlock(lock)
#define ww_mutex_is_locked(lock) dmabuf_ww_mutex_is_locked(lock)
#define ww_acquire_init(ctx, ww_class) dmabuf_ww_acquire_init(ctx, ww_class)
#define ww_acquire_done(ctx) dmabuf_ww_acquire_done(ctx)
#define ww_acquire_fini(ctx) dmabuf_ww_acquire_fini(ctx)
#define reservation_ww_class (*dma_resv_ww_class())

/* Fences. */
#define to_dma_fence_array(fence) dma_fence_to_array(fence)
#define to_dma_fence_chain(fence) dma_fence_to_chain(fence)
#define dma_fence_get_rcu(fence) dma_fence_get_unless_zero(fence)
#define dma_resv_held(obj) dma_resv_is_locked(obj)
#define sync_file_get_fence(fd) dmabuf_sync_file_get_fence(fd)

/* Only a check in the kernel, that reserved room is not kept beyond the lock. */
static inline void dma_resv_reset_max_fences(struct dma_resv *obj)
{
	(void)obj;
}

static inline bool __dma_fence_is_later(uint64_t f1, uint64_t f2, const struct dma_fence_ops *ops)
{
	return dma_fence_seqno_is_later(f1, f2, ops);
}

static inline bool dma_fence_is_container(struct dma_fence *fence)
{
	return dma_fence_is_array(fence) || dma_fence_is_chain(fence);
}

/* Annotations for a checker that does not exist here. */
static inline bool dma_fence_begin_signalling(void)
{
	return false;
}

static inline void dma_fence_end_signalling(bool cookie)
{
	(void)cookie;
}

#ifndef __cplusplus
/** dma_fence_unwrap_merge - one fence for those given as arguments */
#define dma_fence_unwrap_merge(...)                                                  \
	dma_fence_unwrap_merge_array(sizeof((struct dma_fence *[]){ __VA_ARGS__ }) / \
					     sizeof(struct dma_fence *),             \
				     (struct dma_fence *[]){ __VA_ARGS__ })
#endif

#ifdef __cplusplus
}
#endif

#define ww_class dmabuf_ww_class
#define ww_mutex dmabuf_ww_mutex
#define ww_acquire_ctx dmabuf_ww_acquire_ctx

#endif
