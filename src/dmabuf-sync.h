/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DMABUF_SYNC_H
#define DMABUF_SRC_DMABUF_SYNC_H

#include <dmabuf/dmabuf-sync.h>

#include "resv/resv.h"

enum sync_status {
	SYNC_UNLOCKED, /* the kernel patch's GOT, or nothing in it yet */
	SYNC_LOCKING,  /* the library's thread takes its members */
	SYNC_LOCKED,
};

/* One buffer of a group; it does not move, others may be looking at its hold. */
struct sync_member {
	struct resv_hold hold;
	struct dma_buf *dmabuf; /* a reference */
	unsigned int type;
	size_t start;
	size_t len;
	bool begun;		    /* coherency knows of the access */
	bool as_cpu;		    /* begun by devices, some of which share the CPU's caches */
	struct kernel_fence *fence; /* how the kernel sees the hold; NULL: not at all */
	struct check_hold *check;   /* of checking mode; NULL: not checked */
};

struct check_hold;
struct kernel_fence;
struct sync_attempt;
struct sync_release;

struct dmabuf_sync {
	/* What locking one buffer reads of it: one line of the cache. */
	uint64_t cookie;		  /* of the process that it belongs to, */
	const _Atomic(uint64_t) *process; /* and where that is found */
	struct sync_member *only;	  /* the one member; NULL: none, or more */
	enum sync_status status;	  /* see sync_status() */
	unsigned int count;
	void *priv;
	unsigned int room;
	uint32_t lease_ms;
	struct sync_member **members; /* ascending by what fstat says of the buffer */
	char name[DMABUF_SYNC_NAME_LEN];
	/* From here on for asynchronous locks and unlocks. */
	struct sync_attempt *attempt;  /* not NULL while LOCKING; of a job: until the next one */
	struct sync_release *releases; /* holds that fences give back, see dmabuf-sync-release.c */
	int fd;			       /* says that an attempt has ended; -1: was never asked for */
	uint32_t claim_ms;
	uint64_t fence_context; /* of the attempts' fences; 0: there was none */
	uint64_t fence_seqno;
};

/* 0; -EFAULT for NULL; -ECHILD with words in a forked child. */
int sync_check(const struct dmabuf_sync *sync);

/* Its members are others now. */
static inline void sync_members_changed(struct dmabuf_sync *sync)
{
	sync->only = sync->count == 1 ? sync->members[0] : NULL;
}

/*
 * What it is. An only member that the fast path took says LOCKED itself, and the object's own word
 * stays UNLOCKED: one store less before each of the two atomic operations, which wait for stores.
 */
static inline enum sync_status sync_status(const struct dmabuf_sync *sync)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): sync_check() refuses NULL */
	if (sync->status == SYNC_UNLOCKED && sync->only &&
	    atomic_load_explicit(&sync->only->hold.taken, memory_order_relaxed))
		return SYNC_LOCKED;
	return sync->status;
}

/* All members are held. */
static inline void sync_say_locked(struct dmabuf_sync *sync)
{
	if (sync_status(sync) != SYNC_LOCKED)
		sync->status = SYNC_LOCKED;
}

/* 0; as buffer_check(); -EFAULT with words: without a reservation. */
int sync_check_buffer(const struct dma_buf *dmabuf);

/* 0, or -EINVAL with words; RW counts as W. */
int sync_check_type(unsigned int *type);

/* A member for @dmabuf with a reference and an entry; NULL with errno and words. */
struct sync_member *sync_member_new(struct dma_buf *dmabuf, unsigned int type, size_t start,
				    size_t len, const char *label, uint32_t lease_ms);
void sync_member_free(struct sync_member *m);

/* The next access is another one; while it is not held. */
void sync_member_set_type(struct sync_member *m, unsigned int type);

/* Take @count members, which are in order. As dmabuf_sync_lock_timeout(). */
int sync_lock_members(struct sync_member **members, unsigned int count, long timeout_ms, bool intr);

/* Give them back: 0; -ETIMEDOUT if one had been lost; -EIO. */
int sync_unlock_members(struct sync_member **members, unsigned int count);

/*
 * Whose hold it is, for who would wait for itself; 0: no thread's. Before it is asked for: the
 * thread that had it last would take it for its own. Seldom a store, which the atomic operation
 * that follows would wait for.
 */
static inline void sync_note(struct sync_member *m, uintptr_t thread)
{
	if (atomic_load_explicit(&m->hold.thread, memory_order_relaxed) != thread)
		atomic_store_explicit(&m->hold.thread, thread, memory_order_relaxed);
}

/*
 * Say of @count members that the rest of their group is waited for, so that their leases have not
 * begun, at the buffer of @inode (0: at something else); or that no more.
 */
void sync_say_acquiring(struct sync_member **members, unsigned int count, bool acquiring,
			uint64_t inode);

/* 0, or -ETIMEDOUT with words: one was lost while others were waited for. */
int sync_still_held(struct sync_member **members, unsigned int count);

/* Give back what was not used: what is torn stays so, and told to the next. */
void sync_return_members(struct sync_member **members, unsigned int count);

/* All are held and coherency is asked: 0, or an error, and they are given back. */
int sync_begin_members(struct sync_member **members, unsigned int count, uint64_t deadline,
		       bool intr);

/* 0; -EINVAL, -EBUSY, -EFAULT, -ECHILD with words. */
int sync_check_lock(struct dmabuf_sync *sync, long timeout_ms);

/* 0; -EAGAIN (not locked), -EFAULT, -ECHILD with words. */
int sync_check_locked(const struct dmabuf_sync *sync);

/*
 * dmabuf-sync-coherency.c: an access that was granted begins, or ends (also one that was lost), and
 * the coherency core is asked. A failed begin changes nothing.
 */
int sync_coherency_begin(struct sync_member *m);
int sync_coherency_end(struct sync_member *m);

/* One load while no device is non-coherent. */
static inline bool sync_is_tracked(const struct sync_member *m)
{
	return atomic_load_explicit(&m->hold.state->coherency, memory_order_acquire);
}

#endif
