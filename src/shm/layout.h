/* SPDX-License-Identifier: MIT */
/**
 * DOC: control block
 *
 * The shared half of a buffer, at the end of its memfd:
 *
 *	compact:  | payload ... | storage | reservation | attachments | header |
 *	split:                  | storage | reservation | attachments | header |
 *
 * Compact is one memfd, with the payload at offset 0; split has the payload in a memfd of its own.
 * Where that can change, or is not chosen yet, is what the storage part is about; see
 * ../storage-deferred.h. Others never touch it.
 *
 * The header is the file's last 4096 bytes, so it is found without knowing the payload's size. No
 * pointers are in here, and nothing in here is trusted: every reader checks a private copy.
 * SHM_VERSION changes with every change of this layout.
 */
#ifndef DMABUF_SHM_LAYOUT_H
#define DMABUF_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>

#include "coherency.h"

#define SHM_MAGIC 0x3130667562616d64ull /* "dmabuf01" */
#define SHM_VERSION 5
#define SHM_HEADER_SIZE 4096

/* shm_header.flags */
#define SHM_SPLIT 1u
#define SHM_READ_ONLY 2u
#define SHM_OWN_TABLES 4u /* see dma_buf_ops.own_tables */
#define SHM_KERNEL 8u	  /* the payload is a kernel dma-buf */
#define SHM_DEFERRED 16u  /* storage is chosen at the first access */
#define SHM_FIXED 32u	  /* and never migrates then */
#define SHM_FLAGS \
	(SHM_SPLIT | SHM_READ_ONLY | SHM_OWN_TABLES | SHM_KERNEL | SHM_DEFERRED | SHM_FIXED)

/* shm_resv_state.coherency: why a lock has more to do than to take the word */
#define SHM_LOCK_COHERENCY 1u /* coherency is tracked */
#define SHM_LOCK_STORAGE 2u   /* storage may have moved */
#define SHM_LOCK_KERNEL 4u    /* the kernel has fences and accesses of its own */
#define SHM_LOCK_CHECKED 8u   /* somebody checks its accesses */

/*
 * shm_header.tracked: coherency is kept; an access may have ended without being recorded there, so
 * everything counts as dirty, and does so as long as there are holds that may write
 */
#define SHM_TRACKED 1u
#define SHM_TRACKED_DOUBT 2u

/*
 * Lock bytes, far behind any file's end. A holder keeps a write lock on the byte of its slot, every
 * published descriptor a read lock on the first byte; both through open file descriptions, so the
 * kernel drops them when the last descriptor is closed or the last thread of the process is gone.
 */
#define SHM_LOCK_PUBLISHED ((int64_t)1 << 60)
#define SHM_LOCK_SLOT(slot) (SHM_LOCK_PUBLISHED + 1 + (int64_t)(slot))
/*
 * The byte of a client's devices, through one more description, which whatever drives a device
 * keeps a reference to until its last transfer has ended (io_uring: as a registered file). So a
 * transfer that outlives its process is seen to.
 */
#define SHM_LOCK_DEVICE(slot) (SHM_LOCK_SLOT(DMA_BUF_MAX_CLIENTS) + (int64_t)(slot))

enum shm_client_state {
	SHM_CLIENT_FREE = 0,
	SHM_CLIENT_LIVE = 1,
};

/* One process's handle. Whoever holds the lock byte owns the slot, whatever state says. */
struct shm_client {
	_Atomic(uint32_t) state;
	_Atomic(uint32_t) generation;
	_Atomic(uint32_t) pid;	       /* in its own PID namespace; for display only */
	_Atomic(uint32_t) cpu_writers; /* open CPU accesses that write */
	char label[DMA_BUF_NAME_LEN];
};

/* What the kernel marks when a client's process ends, see life.h; 0: it keeps no word. */
struct shm_life {
	_Atomic(uint32_t) word;
	uint32_t pad; /* a list's node is a pointer long */
};

/* shm_parameters.flags */
#define SHM_NEEDS_NONCOHERENT 1u
#define SHM_NEEDS_CONTIGUOUS 2u
#define SHM_NEEDS_PAGE_BACKED 4u
#define SHM_NEEDS_CPU 8u
#define SHM_NEEDS_NO_CPU 16u
#define SHM_NEEDS_PROTECTED 32u
#define SHM_NEEDS_PHYSICAL 64u
#define SHM_NEEDS_LINES 128u

/* struct dma_buf_device_parameters with nothing in it that could be misread; see parameters.h. */
struct shm_parameters {
	uint64_t max_segment_size;
	uint64_t max_segment_count;
	uint64_t segment_boundary_mask;
	uint64_t dma_mask;
	uint64_t address_alignment;
	uint64_t length_granularity;
	uint64_t trust_domain;
	uint64_t preferred_segment_size;
	uint32_t min_buffers;
	uint32_t preferred_buffers;
	uint32_t flags;
	uint32_t pad;
	struct {
		char name[DMA_BUF_PARAMETER_NAME_LEN];
		uint32_t rule;
		uint32_t ignorable;
		uint64_t value;
	} named[DMA_BUF_NAMED_PARAMETERS];
};

/* shm_attachment.flags: the exporter vouches for it, so its parameters do not count */
#define SHM_ATTACHMENT_VOUCHED 1u

/* One device at the buffer. owner is 0 while free, else slot + 1 and the slot's generation. */
struct shm_attachment {
	_Atomic(uint64_t) owner;
	_Atomic(uint32_t) mapped;
	_Atomic(uint32_t) direction;
	_Atomic(uint32_t) device_readers; /* non-coherent mappings that the device owns, */
	_Atomic(uint32_t) device_writers; /* by what it may do */
	char device[DMA_BUF_DEVICE_NAME_LEN];
	uint32_t usage; /* an enum dma_data_direction: what it is attached for */
	uint32_t flags;
	struct shm_parameters parameters; /* in force for that use */
	uint64_t pad[2];
};

struct shm_counters {
	_Atomic(uint64_t) cpu_access;
	_Atomic(uint64_t) maps;
	_Atomic(uint64_t) cached_maps;
	_Atomic(uint64_t) sync_needed;
	_Atomic(uint64_t) sync_done;
	_Atomic(uint64_t) sync_skipped;
	_Atomic(uint64_t) recovered;
	_Atomic(uint64_t) leases_lost;
};

/*
 * A reservation's words: resv/word.h says what they mean. Buffers that are locked together would
 * meet in few sets of a CPU's cache if their words were at one offset in the page, so the lines go
 * around: line i is at (first + i) modulo SHM_RESV_LINES, with `first` by the buffer's identity.
 */
#define SHM_RESV_LINES 128
#define SHM_RESV_BUSY 2
#define SHM_RESV_STATES 2 /* access to the memory, the object's lock */
#define SHM_RESV_ENTRIES (SHM_RESV_LINES - SHM_RESV_STATES)

struct shm_resv_state {
	_Atomic(uint64_t) word;
	_Atomic(uint32_t) used; /* entries from here on have never been claimed */
	/* Not 0: an access has more to do than to take the word, SHM_LOCK_*. In the line of the
	 * word, so that locking many buffers touches no further one. */
	_Atomic(uint32_t) coherency;
	_Atomic(uint32_t) watchers; /* who may sleep on the word, see resv/linger.h */
	/* A bit for each entry that may be in this word's queue, or torn: what a sweep reads. */
	_Atomic(uint64_t) busy[SHM_RESV_BUSY];
};

/* One access. Only the word counts; the rest describes, and is complete before the word says so. */
struct shm_resv_entry {
	_Atomic(uint64_t) word;
	_Atomic(uint64_t) start; /* the range of the buffer */
	_Atomic(uint64_t) length;
	_Atomic(uint64_t) stamp;     /* ns: asked for, or first seen to be held; for display */
	_Atomic(uint64_t) waits_for; /* inode of the buffer that its group waits for next, or 0 */
	_Atomic(uint64_t) context;   /* age of its wound/wait context; 0: a plain entry */
	_Atomic(uint32_t) lease_ms;
	_Atomic(uint32_t) acquiring; /* its group is not complete, so its lease has not begun */
	_Atomic(uint64_t) holds;     /* how often it held */
};

union shm_resv_line {
	struct shm_resv_state state;
	struct shm_resv_entry entry;
};

#define SHM_RESV_LABEL_LEN 24
struct shm_resv_label {
	_Atomic(uint64_t) text[SHM_RESV_LABEL_LEN / 8];
	_Atomic(uint32_t) pid; /* in its own PID namespace; for display only */
	/* Of a fence: 1 + its usage. Of the object's lock: RESV_WOUND of the hold that is to yield.
	 */
	_Atomic(uint32_t) note;
};

struct shm_resv {
	union shm_resv_line lines[SHM_RESV_LINES];
	struct shm_resv_label labels[SHM_RESV_LINES]; /* by the entry's index */
};

/*
 * shm_storage.state: the generation of the storage, 0 while none is chosen, above these bits:
 * somebody is at work on the next one, and no access begins; somebody waits for the accesses to
 * end; a device has come that the storage does not suit.
 */
#define SHM_STORAGE_MOVING 1u
#define SHM_STORAGE_QUEUED 2u
#define SHM_STORAGE_WANTED 4u
#define SHM_STORAGE_SHIFT 8

/* shm_storage.out */
#define SHM_STORAGE_RAW 1u /* a descriptor of the payload was handed out: it must not move */

#define SHM_STORAGE_TRIED 8
#define SHM_STORAGE_HEAP_LEN 32

/* What one generation is. Complete before the state says so. */
struct shm_storage_record {
	uint64_t generation; /* as long as it is another one, that of the latter is not known */
	uint64_t payload_dev;
	uint64_t payload_ino;
	char heap[SHM_STORAGE_HEAP_LEN];
	uint32_t tried_count; /* heaps that were asked before, and what they said */
	uint32_t pad;
	struct {
		char heap[SHM_STORAGE_HEAP_LEN];
		uint32_t err;
		uint32_t pad;
	} tried[SHM_STORAGE_TRIED];
};

/* Accesses that a client has begun; a line each. */
struct shm_storage_pins {
	_Atomic(uint32_t) count;
	uint32_t pad[15];
};

struct shm_storage {
	_Atomic(uint64_t) state;
	_Atomic(uint64_t) owner; /* who is at work, or waits: as an attachment's; 0: nobody */
	_Atomic(uint32_t) turn;	 /* what those sleep on who wait for a change; counts them */
	_Atomic(uint32_t) out;
	/* Where the payload's descriptor is to be had; constant. */
	uint8_t home_name[16];
	uint8_t home_secret[16];
	/* Of the generation in force, and of the next or the one before. */
	struct shm_storage_record record[2] __attribute__((aligned(64)));
	struct shm_storage_pins pins[DMA_BUF_MAX_CLIENTS] __attribute__((aligned(64)));
};

/* Held for moments by living clients only, see lock.h. */
struct shm_lock {
	_Atomic(uint32_t) word;
};

struct shm_header {
	_Atomic(uint64_t) magic;
	uint32_t version;
	uint32_t flags;
	uint64_t size; /* payload bytes */
	uint64_t payload_dev;
	uint64_t payload_ino;
	uint32_t exporter_generation;	/* of slot 0 while the exporter has it */
	_Atomic(uint32_t) tracked;	/* 0 until a non-coherent device comes, then SHM_TRACKED* */
	uint32_t resv_first;		/* where the reservation's lines begin */
	_Atomic(uint32_t) lease_max_ms; /* the exporter's bound; 0: the library's */
	uint32_t rendezvous; /* of a kernel dma-buf: how this state is found; 0: it is not */
	uint32_t pad;
	char exp_name[DMA_BUF_NAME_LEN];
	_Atomic(uint64_t) name[DMA_BUF_NAME_LEN / 8];
	struct shm_counters counters __attribute__((aligned(64)));
	struct shm_lock list_lock __attribute__((aligned(64)));
	struct shm_lock coherency_lock;
	struct coherency_state coherency __attribute__((aligned(64)));
	struct shm_client clients[DMA_BUF_MAX_CLIENTS] __attribute__((aligned(64)));
	struct shm_life life[DMA_BUF_MAX_CLIENTS];
};

_Static_assert(sizeof(struct shm_header) <= SHM_HEADER_SIZE, "the header is one page");
_Static_assert(sizeof(struct shm_attachment) == 320, "five cache lines");
_Static_assert(sizeof(union shm_resv_line) == 64, "a cache line");
_Static_assert(sizeof(struct shm_storage_pins) == 64, "a cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "shared atomics");

#define SHM_LIST_SIZE (DMA_BUF_MAX_ATTACHMENTS * sizeof(struct shm_attachment))
#define SHM_RESV_OFFSET (SHM_HEADER_SIZE + SHM_LIST_SIZE + sizeof(struct shm_resv))
#define SHM_CONTROL_SIZE (SHM_RESV_OFFSET + sizeof(struct shm_storage))

#endif
