/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: coherency
 *
 * Pure: who owns the buffer, which bytes are dirty where, and so which cache operation a transition
 * needs (mission rows C1, C3, D6). No I/O, no locks, no allocation, freestanding; the caller holds
 * whatever lock guards the state, works on a private copy, runs the plan, and stores the copy when
 * all steps are done. If a step fails it drops the copy and refuses the access: then nothing
 * happened.
 *
 * One cache domain, the CPU's (coherent devices snoop it and count as CPU), stands against memory
 * as the non-coherent devices see it. Two sets of byte ranges describe the difference: dirty (the
 * CPU's caches may hold newer bytes) and stale (memory may hold newer bytes, the caches may have
 * prefetched older ones at any time, whether anybody asked for them or not). All ranges and sizes
 * that come in are rounded out to cache lines by the caller; then all ranges that go out are whole
 * lines.
 *
 * What the accessing sides owe, and on what everything below rests. It is about the lines that are
 * really touched, not about the ranges that brackets and mappings claim, so brackets may nest, and
 * overlap each other and mappings, in any number of processes:
 *
 * 1. The CPU touches a line inside a bracket that covers it; it writes inside one that says so.
 * 2. A device touches a line while it owns the buffer (between begin and end), and writes it if
 *    it said so.
 * 3. What a device wrote, the CPU touches in a bracket that began afterwards.
 * 4. What the CPU wrote, a device touches after the bracket it was written in has ended.
 *
 * Then every access gets the latest bytes, no write is lost, and every operation is one that some
 * run of events would have needed:
 *
 * - Dirty lines are cleaned before a device takes over, even one that only writes: evicted later
 *   they would overwrite what it wrote, and dropped instead they would take along what a partial
 *   transfer leaves as it was.
 * - A device's writes leave everything stale, but the lines are dropped only where and when the CPU
 *   comes for them. Dropping them earlier is in vain, as they are prefetched again.
 * - That holds for CPU writes as well: a partly written line keeps the rest from the cache.
 * - What the CPU wrote is cleaned at the end of the bracket if a device owns the buffer, else when
 *   one takes over, and never if none does.
 * - Open brackets may dirty lines at any time, and are counted: as long as there are any, lines are
 *   flushed and not just dropped. Also where dirty and stale overlap: a device came and went while
 *   a bracket was open. A flush never hurts: only dirty lines are written.
 * - A set that overflows is widened across its smallest gap. A wider dirty set cleans clean lines,
 *   a wider stale set drops fresh ones: needless, and nothing else is, but safe, because a possibly
 *   dirty line is always in the dirty set or in an open bracket, and so is never dropped unwritten.
 *
 * A bracket or mapping whose process died is ended by whoever cleans up, as if the process had done
 * it (for a device: once its transfers are known to have ended). If its range is lost, the end is
 * given for the whole buffer.
 */
#ifndef DMABUF_COHERENCY_H
#define DMABUF_COHERENCY_H

#include <stdbool.h>
#include <stdint.h>

#ifndef COHERENCY_RANGES
#define COHERENCY_RANGES 4
#endif

/*
 * A count that is not known, and so assumed to be above zero for ever: begin and end leave it as it
 * is. A caller that counts anew may assign the right number.
 */
#define COHERENCY_UNKNOWN UINT32_MAX

enum coherency_op {
	COHERENCY_NONE = 0,
	COHERENCY_CLEAN = 1,	  /* write dirty lines back */
	COHERENCY_INVALIDATE = 2, /* drop lines */
	COHERENCY_FLUSH = 3,	  /* write back, then drop */
};

/*
 * Bit 0: reads memory, bit 1: writes it. For a device DMA_TO_DEVICE reads, for the CPU it writes.
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

/* What a transition asks for. */
struct coherency_plan {
	uint32_t count; /* operations to run, in order */
	uint32_t
		skipped; /* 1 if an untracked implementation would do one here and none is needed */
	struct {
		enum coherency_op op;
		struct coherency_range range;
	} step[COHERENCY_RANGES];
};

/* Nothing dirty, nothing stale, nobody there. */
void coherency_init(struct coherency_state *s);

/*
 * Checks every field of a private copy. Returns false if it is nonsense: then it is replaced by a
 * state that is safe for any past (everything dirty and stale, all counts unknown), for any number
 * of open brackets and mappings. Either way every plan made from it stays inside [0, size), if the
 * caller's own ranges do.
 */
bool coherency_sanitize(struct coherency_state *s, uint64_t size, uint32_t max_mappings);

/*
 * The first non-coherent device appears, and what the CPU did before was not recorded. Brackets
 * that are open now may be ended with coherency_cpu_end() although nobody counted their begin: the
 * count is unknown from here on. A caller that knows it (usually 0) may assign it.
 */
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

/*
 * Dirty bytes while a device owns the buffer: a writer died in the middle of its access, and
 * whoever cleaned up could not run operations. They are cleaned before anybody goes on.
 */
void coherency_settle(struct coherency_state *s, struct coherency_plan *plan);

/* Set algebra; empty ranges change nothing. Both may leave the set wider than exact, see above. */
void coherency_set_add(struct coherency_set *set, uint64_t start, uint64_t end);
void coherency_set_remove(struct coherency_set *set, uint64_t start, uint64_t end);
bool coherency_set_overlaps(const struct coherency_set *set, uint64_t start, uint64_t end);

#endif
