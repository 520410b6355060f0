/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: coherency
 *
 * Pure: who owns the buffer, which bytes are dirty where, and so which cache operation a transition
 * needs (mission rows C1, C3, D6). No I/O, no locks, no allocation, freestanding; the caller holds
 * whatever lock guards the state, runs the operation and counts.
 *
 * One cache domain, the CPU's (coherent devices snoop it and count as CPU), stands against memory
 * as the non-coherent devices see it. Two sets of byte ranges describe the difference: dirty (the
 * CPU's caches may hold newer bytes) and stale (memory may hold newer bytes, the caches may have
 * prefetched older ones).
 */
#ifndef DMABUF_COHERENCY_H
#define DMABUF_COHERENCY_H

#include <stdbool.h>
#include <stdint.h>

#define COHERENCY_RANGES 4

enum coherency_op {
	COHERENCY_NONE = 0,
	COHERENCY_CLEAN = 1,	  /* write dirty lines back */
	COHERENCY_INVALIDATE = 2, /* drop lines */
	COHERENCY_FLUSH = 3,	  /* write back, then drop */
};

/* Bit 0: reads memory, bit 1: writes it. For a device DMA_TO_DEVICE reads, for the CPU it writes.
 */
enum coherency_access {
	COHERENCY_READ = 1,
	COHERENCY_WRITE = 2,
	COHERENCY_READ_WRITE = 3,
};

/* [start, end), never empty when listed */
struct coherency_range {
	uint64_t start;
	uint64_t end;
};

/* Sorted, disjoint, not touching; widened to fewer ranges when it would overflow. */
struct coherency_set {
	uint32_t count;
	uint32_t pad;
	struct coherency_range range[COHERENCY_RANGES];
};

/* Lives in shared memory; coherency_sanitize() a private copy before use. */
struct coherency_state {
	struct coherency_set dirty;
	struct coherency_set stale;
	uint32_t device_readers; /* non-coherent mappings owned by the device, that read only */
	uint32_t device_writers; /* ... that write */
	uint32_t cpu_writers;	 /* open CPU brackets that write */
	uint32_t pad;
};

/* What a transition asks for. Only bytes are named; whoever executes rounds out to cache lines. */
struct coherency_plan {
	uint32_t count;	  /* operations to run, in order */
	uint32_t skipped; /* 1 if an untracked implementation would have done one and none is needed
			   */
	struct {
		enum coherency_op op;
		struct coherency_range range;
	} step[2 * COHERENCY_RANGES + 2];
};

void coherency_init(struct coherency_state *s);

/* Returns false, and leaves a state that is safe for any past (everything dirty), if @s is
 * nonsense. */
bool coherency_sanitize(struct coherency_state *s, uint64_t size, uint32_t max_mappings);

/* The first non-coherent device appears: what the CPU did before was not recorded. */
void coherency_assume_dirty(struct coherency_state *s, uint64_t size);

/* A non-coherent device takes the buffer over (map, sync for device). */
void coherency_device_begin(struct coherency_state *s, uint64_t size, enum coherency_access access,
			    struct coherency_plan *plan);

/* It hands it back (unmap, sync for cpu, its process died). */
void coherency_device_end(struct coherency_state *s, uint64_t size, enum coherency_access access,
			  struct coherency_plan *plan);

/* The CPU, or a coherent device, begins to access [start, end). */
void coherency_cpu_begin(struct coherency_state *s, uint64_t start, uint64_t end,
			 enum coherency_access access, struct coherency_plan *plan);

/* It is done. If a device owns the buffer meanwhile, the bytes must reach memory now. */
void coherency_cpu_end(struct coherency_state *s, uint64_t start, uint64_t end,
		       enum coherency_access access, struct coherency_plan *plan);

#endif
