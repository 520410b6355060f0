/* SPDX-License-Identifier: MIT */
/**
 * DOC: dmabuf-sync: locks of groups of buffers
 *
 * A sync object names buffers and how each will be accessed; locking it takes them all, across
 * processes, threads and devices: reads are shared, writes exclusive (mission rows D1 to D8).
 *
 *	sync = dmabuf_sync_init(NULL, "compositor");
 *	dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R);
 *	dmabuf_sync_lock(sync);
 *	... access ...
 *	dmabuf_sync_unlock(sync);
 *	dmabuf_sync_put_all(sync);
 *	dmabuf_sync_fini(sync);
 *
 * What holds for all of it:
 *
 * - Groups cannot deadlock, whoever takes which buffers in whatever order they were added: members
 *   are taken one at a time, in ascending order of what fstat says of their descriptors. A thread
 *   that holds one sync object and locks another whose buffers come before gets EDEADLK instead of
 *   waiting for what may never come.
 * - First come, first served; readers share. Nobody who came later gets a buffer before one who has
 *   waited for half a millisecond, if the two accesses exclude each other.
 * - A hold ends: by unlock, by the death of its process, or by its lease (5 s from the grant of the
 *   group's last member, unless set otherwise) as soon as somebody else waits. Who lost a hold
 *   that way is told by dmabuf_sync_unlock(), which then changes nothing. A lease keeps nobody's
 *   CPU from writing through a mapping that it still has; see docs/sync.md.
 * - A writer that died or lost its lease leaves the content torn. The next holder is told: lock
 *   returns -EOWNERDEAD *and holds the buffers* (as a robust mutex does). Torn buffers go to one
 *   holder at a time, readers too, until somebody who was told has written (and unlocked), or said
 *   so with dmabuf_sync_repaired().
 * - An access that somebody else does for you (a device) is of a DMA type. If its process dies it
 *   keeps the buffer until the transfer is known to have ended.
 *
 * Locks see to the CPU's caches where a non-coherent device takes part (row D6): at each grant and
 * release the library knows what was accessed last and by whom, and does what that transition
 * needs, usually nothing. An access of a DMA type lends this process's non-coherent mappings to
 * their devices until the unlock; in between, from the first such lock on, they belong to nobody
 * (dma_buf_sync_sg_for_cpu() and _for_device() hand them over by hand). A process without
 * attachments counts as a device that shares the caches. A lock calls no op of the exporter:
 * whoever needs its begin_cpu_access calls dma_buf_begin_cpu_access() inside of the lock, and finds
 * the caches done.
 *
 * A sync object is used by one thread at a time; it may be handed from one to another while it is
 * not locked, and unlocked by another thread than locked it. In a forked child everything on the
 * parent's objects answers -ECHILD.
 */
#ifndef DMABUF_DMABUF_SYNC_H
#define DMABUF_DMABUF_SYNC_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/info.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Access types (row D2). RW counts as W. */
#define DMA_BUF_ACCESS_R 0x1u
#define DMA_BUF_ACCESS_W 0x2u
#define DMA_BUF_ACCESS_DMA 0x4u
#define DMA_BUF_ACCESS_RW (DMA_BUF_ACCESS_R | DMA_BUF_ACCESS_W)
#define DMA_BUF_ACCESS_DMA_R (DMA_BUF_ACCESS_R | DMA_BUF_ACCESS_DMA)
#define DMA_BUF_ACCESS_DMA_W (DMA_BUF_ACCESS_W | DMA_BUF_ACCESS_DMA)
#define DMA_BUF_ACCESS_DMA_RW (DMA_BUF_ACCESS_DMA_R | DMA_BUF_ACCESS_DMA_W)

/** DMABUF_SYNC_NAME_LEN - room for a sync object's name, the closing NUL included; others see 23 */
#define DMABUF_SYNC_NAME_LEN 64
/** DMABUF_SYNC_LEASE_MS - how long a hold lasts when somebody waits, unless set otherwise */
#define DMABUF_SYNC_LEASE_MS 5000u
/** DMABUF_SYNC_LEASE_MAX_MS - the longest lease; an exporter may set a shorter bound */
#define DMABUF_SYNC_LEASE_MAX_MS 600000u
/** DMABUF_SYNC_TIMEOUT_MS - how long dmabuf_sync_lock() waits */
#define DMABUF_SYNC_TIMEOUT_MS 60000

struct dmabuf_sync;

#ifndef DMABUF_DISABLED
/**
 * is_dmabuf_sync_supported - can buffers be locked here (the kernel patch's name: no prefix)
 *
 * Return: true. The stub says false. Never blocks. Row D1.
 */
bool is_dmabuf_sync_supported(void);

/**
 * dmabuf_sync_init - make a sync object
 * @priv: the caller's own, see dmabuf_sync_priv()
 * @name: up to 63 bytes of printable text; NULL: the program's name. It is what a timeout and
 *	`dmabuf ls` show others, cut to 23 bytes
 *
 * Return: the object, with no buffers; NULL with errno ENOMEM, EINVAL or ENAMETOOLONG (the name).
 * Never blocks. Row D1.
 */
struct dmabuf_sync *dmabuf_sync_init(void *priv, const char *name);

/**
 * dmabuf_sync_fini - free a sync object
 * @sync: the object; NULL is ignored
 *
 * What it holds or waits for is given back, and its buffers are put.
 */
void dmabuf_sync_fini(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_priv - the caller's own
 * @sync: the object; NULL gives NULL
 *
 * Return: what dmabuf_sync_init() was given. Never blocks.
 */
void *dmabuf_sync_priv(const struct dmabuf_sync *sync);

/**
 * dmabuf_sync_get - add a buffer
 * @sync: the object, not locked
 * @sync_buf: a struct dma_buf; the object takes a reference
 * @type: DMA_BUF_ACCESS_R, _W, _RW, _DMA_R, _DMA_W or _DMA_RW
 *
 * What a lock needs is reserved here, so that locking finds it.
 *
 * Return: 0; -EFAULT (NULL, or a buffer without reservation), -EINVAL (another @type), -EEXIST (the
 * buffer is in it already), -EBUSY (the object is locked, or waits), -EACCES (writing by CPU to a
 * read-only share of another process), -ENOSPC (DMA_BUF_MAX_ACCESSES reached), -ECHILD, -ENOMEM,
 * -EIO (spoilt). Never blocks. Rows D1, D2.
 */
int dmabuf_sync_get(struct dmabuf_sync *sync, void *sync_buf, unsigned int type);

/**
 * dmabuf_sync_get_range - add a buffer, and say which part will be accessed
 * @sync: the object, not locked
 * @dmabuf: the buffer
 * @type: as dmabuf_sync_get()
 * @start: first byte
 * @len: bytes; the range is within the buffer
 *
 * The whole buffer is locked; the range is for coherency, and for whoever is told of torn content.
 *
 * Return: as dmabuf_sync_get(), and -EINVAL for a range outside of the buffer.
 */
int dmabuf_sync_get_range(struct dmabuf_sync *sync, struct dma_buf *dmabuf, unsigned int type,
			  size_t start, size_t len);

/**
 * dmabuf_sync_put - take a buffer out
 * @sync: the object; NULL is ignored
 * @dmabuf: the buffer; one that is not in the object is ignored
 *
 * If the object is locked, this buffer is given back first. Row D1.
 */
void dmabuf_sync_put(struct dmabuf_sync *sync, struct dma_buf *dmabuf);

/**
 * dmabuf_sync_put_all - take all buffers out
 * @sync: the object; NULL is ignored
 */
void dmabuf_sync_put_all(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_lock - take all buffers of the object
 * @sync: the object
 *
 * All or none. Waits up to DMABUF_SYNC_TIMEOUT_MS. Caches are seen to at the grant (row D6).
 *
 * Return: 0; -EOWNERDEAD: *locked*, and at least one buffer's content is torn, see
 * dmabuf_sync_get_torn(); -EFAULT (NULL); -EINVAL (empty, or locked already); -EBUSY (it waits, see
 * dmabuf_sync_lock_async()); -ETIMEDOUT, with words that say who has what since when, and what they
 * wait for; -EDEADLK (this thread would wait for itself); -ECHILD; -EIO (spoilt); -ENOSPC
 * (holds that were lost while they wrote left their places behind as torn, and there is no other:
 * nobody answered for the content DMA_BUF_MAX_ACCESSES times); what cache
 * operations answer. Row D1.
 */
int dmabuf_sync_lock(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_lock_timeout - the same, waiting so long at most
 * @sync: the object
 * @timeout_ms: milliseconds; 0: not at all, which is a trylock; LONG_MAX: as long as it takes,
 *	which leases bound
 *
 * Return: as dmabuf_sync_lock(); -EBUSY instead of -ETIMEDOUT for a timeout of 0; -EINVAL for a
 * negative one.
 */
int dmabuf_sync_lock_timeout(struct dmabuf_sync *sync, long timeout_ms);

/**
 * dmabuf_sync_lock_interruptible - the same, ended by signal handlers too
 * @sync: the object
 * @timeout_ms: as dmabuf_sync_lock_timeout()
 *
 * Return: as dmabuf_sync_lock_timeout(), and -EINTR: a handler ran in this thread; nothing is held.
 */
int dmabuf_sync_lock_interruptible(struct dmabuf_sync *sync, long timeout_ms);

/**
 * dmabuf_sync_trylock - take all buffers now or not at all
 * @sync: the object
 *
 * Return: as dmabuf_sync_lock_timeout() with 0. Does not wait for anybody.
 */
int dmabuf_sync_trylock(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_unlock - give all buffers back
 * @sync: the object
 *
 * The object is unlocked afterwards, whatever the result says.
 *
 * Return: 0; -EFAULT (NULL); -EAGAIN (it is not locked); -ETIMEDOUT: at least one buffer had been
 * lost to its lease, and somebody else may have it: what was written may be torn; -ECHILD; -EIO
 * (spoilt). Never waits. Row D1.
 */
int dmabuf_sync_unlock(struct dmabuf_sync *sync);

/**
 * dmabuf_sync_is_locked - does the object (still) hold all its buffers
 * @sync: the object; NULL: no
 *
 * A look at the shared words, so a hold that was lost to its lease is noticed. Never blocks.
 *
 * Return: true: it did when looked at.
 */
bool dmabuf_sync_is_locked(const struct dmabuf_sync *sync);

/**
 * dmabuf_sync_set_lease - how long this object's holds last once somebody waits
 * @sync: the object, not locked
 * @lease_ms: 1 to DMABUF_SYNC_LEASE_MAX_MS; a buffer's exporter may have set a shorter bound
 *
 * Return: 0; -EFAULT (NULL); -EINVAL; -EBUSY (locked). Never blocks. Row D5.
 */
int dmabuf_sync_set_lease(struct dmabuf_sync *sync, unsigned int lease_ms);

/**
 * dma_buf_set_max_lease - bound the leases of a buffer, whatever a holder asks for
 * @dmabuf: a buffer that this process exported
 * @lease_ms: 1 to DMABUF_SYNC_LEASE_MAX_MS
 *
 * Return: 0; -EINVAL; -EPERM (another process exported it); -ECHILD. Never blocks. Row D5.
 */
int dma_buf_set_max_lease(struct dma_buf *dmabuf, unsigned int lease_ms);

/**
 * dmabuf_sync_get_torn - who did not finish writing
 * @sync: an object that holds the buffer
 * @dmabuf: the buffer
 * @info: filled in: label, process, range
 * @count: room in @info
 *
 * Return: how many there are (more than @count: those are left out); 0: the content is whole;
 * -EFAULT (NULL); -ENOENT (the buffer is not in the object); -EAGAIN (not locked); -ECHILD. Never
 * blocks. Row D5.
 */
int dmabuf_sync_get_torn(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
			 struct dma_buf_access_info *info, unsigned int count);

/**
 * dmabuf_sync_repaired - answer for a buffer's content
 * @sync: an object that holds the buffer
 * @dmabuf: the buffer
 *
 * Later holders are told no more. An unlock after writing does the same, a reader's does not.
 *
 * Return: 0; -EFAULT, -ENOENT, -EAGAIN, -ECHILD as dmabuf_sync_get_torn(). Never blocks. Row D5.
 */
int dmabuf_sync_repaired(struct dmabuf_sync *sync, struct dma_buf *dmabuf);

/**
 * dmabuf_sync_single_lock - lock one buffer, without a sync object
 * @dmabuf: the buffer
 * @type: as dmabuf_sync_get()
 * @wait: up to DMABUF_SYNC_TIMEOUT_MS; false: not at all
 *
 * The lock belongs to the calling thread, and a thread has one of a buffer.
 *
 * Return: as dmabuf_sync_get() and dmabuf_sync_lock(); -EDEADLK: this thread has one already. Row
 * D1.
 */
int dmabuf_sync_single_lock(struct dma_buf *dmabuf, unsigned int type, bool wait);

/**
 * dmabuf_sync_single_unlock - give it back
 * @dmabuf: the buffer
 *
 * Return: as dmabuf_sync_unlock(); -EAGAIN: this thread has no such lock. Row D1.
 */
int dmabuf_sync_single_unlock(struct dma_buf *dmabuf);

/**
 * dma_buf_flock - lock a buffer by its descriptor, in flock(2)'s terms
 * @fd: any descriptor of the buffer that dma_buf_get() takes
 * @operation: LOCK_SH, LOCK_EX or LOCK_UN of <sys/file.h>; with LOCK_NB it does not wait
 *
 * The lock is the one that dmabuf_sync_single_lock() takes, for access by the CPU. It belongs to
 * the calling thread; a process keeps a handle on the buffer while it has one. Asking for the other
 * kind converts, which is, as with flock(2), giving back and taking anew.
 *
 * Return: 0; -EOWNERDEAD: locked, and the content is torn; -EWOULDBLOCK (LOCK_NB); -ETIMEDOUT
 * (DMABUF_SYNC_TIMEOUT_MS; with LOCK_UN: it had been lost to its lease); -EINTR: a signal handler
 * ran; -EINVAL; -EBADF; and what dma_buf_get() answers. LOCK_UN without a lock: 0, as flock(2). Row
 * D7.
 */
int dma_buf_flock(int fd, int operation);

/**
 * dma_buf_flock_timeout - the same, waiting so long at most
 * @fd: as dma_buf_flock()
 * @operation: LOCK_SH, LOCK_EX or LOCK_UN
 * @timeout_ms: milliseconds, as dmabuf_sync_lock_timeout()
 *
 * Return: as dma_buf_flock(). Row D7.
 */
int dma_buf_flock_timeout(int fd, int operation, long timeout_ms);
#else
#include <dmabuf/stubs/dmabuf-sync.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
