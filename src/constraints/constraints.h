/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: the constraint solver
 *
 * Pure: participants, size and heaps in, plan or conflict out. No I/O, no locks, no allocation,
 * freestanding.
 *
 * A participant's parameters are needs, each of which can be dropped for the sake of argument
 * (struct constraints_problem.dropped). Merging the rest gives struct constraints_needs; each heap
 * is held against that. Dropping a need never makes a problem harder, and on that stands the search
 * for minimal conflicts: what can be dropped while it stays impossible is not part of one.
 *
 * Files: check.c (do parameters make sense), merge.c (needs), segments.c (how many entries),
 * fit.c (needs against a heap), solve.c (plan), conflict.c and relax.c (why not, what then),
 * explain.c (words), text.c.
 */
#ifndef DMABUF_SRC_CONSTRAINTS_CONSTRAINTS_H
#define DMABUF_SRC_CONSTRAINTS_CONSTRAINTS_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/constraints.h>

/* Sizes and addresses below this can be added up and rounded without a look at every step. */
#define CONSTRAINTS_MAX_SIZE (UINT64_C(1) << 62)
/* Where devices go line by line, lines begin at multiples of this, short ones of less. */
#define CONSTRAINTS_PAGE UINT64_C(4096)

/* Why parameters make no sense. */
struct constraints_fault {
	const char *field;
	uint64_t value;
	const char *why;
};

/* Everything was checked before. */
struct constraints_problem {
	const struct dma_buf_device_parameters *const *participants;
	const char *const *names;
	unsigned int count;
	uint64_t size; /* 0: by the planes */
	const struct dma_buf_plane *planes;
	unsigned int plane_count;
	const struct dma_buf_heap_info *const *heaps;
	unsigned int heap_count;
	uint64_t max_buffers; /* 0: no limit */
	bool own_tables;
	const uint32_t *dropped; /* a bit for each parameter, of each participant; NULL: none */
};

/* How long and how many segments may be. No zeros: what is not limited is at its maximum. */
struct constraints_limits {
	uint64_t max_segment_size;
	uint64_t max_segment_count;
	uint64_t segment_boundary_mask;
	uint64_t address_alignment;
	uint64_t length_granularity;
};

struct constraints_needs {
	uint64_t size;
	uint64_t strides[DMA_BUF_MAX_PLANES];
	uint64_t offsets[DMA_BUF_MAX_PLANES];
	struct constraints_limits limits;
	uint64_t physical_mask; /* of those that see physical addresses */
	uint64_t virtual_mask;	/* of the others */
	uint64_t min_buffers, preferred_buffers;
	uint64_t trust_domain;	 /* of those that need protected memory; 0: nobody does */
	bool kind[4];		 /* bit 0 of the index: who goes line by line, bit 1: physically */
	uint64_t line_alignment; /* of the addresses of those that do; 0: nobody does */
	bool contiguous, page_backed, cpu_needed, cpu_forbidden;
	/* What no heap could change: DMA_BUF_PARAMETER_...; NOBODY: nothing */
	uint32_t impossible;
	struct dma_buf_named_parameter named[DMA_BUF_MERGED_NAMED];
	unsigned int named_count;
};

static inline bool constraints_dropped(const struct constraints_problem *p, unsigned int i,
				       unsigned int parameter)
{
	return p->dropped && (p->dropped[i] >> parameter & 1);
}

static inline bool constraints_is_power_of_two(uint64_t value)
{
	return value && (value & (value - 1)) == 0;
}

/* @to a multiple of @unit, a power of two; for values up to CONSTRAINTS_MAX_SIZE. */
static inline uint64_t constraints_round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

/* The smallest power of two that is not below @value, which is at most CONSTRAINTS_MAX_SIZE. */
static inline uint64_t constraints_power_above(uint64_t value)
{
	return value <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}

/* The smallest common multiple, UINT64_MAX if there is none that fits. */
uint64_t constraints_common_multiple(uint64_t a, uint64_t b);

bool constraints_name_is(const char *a, const char *b);
bool constraints_name_before(const char *a, const char *b);

/* check.c: false with @fault filled in. */
bool constraints_check(const struct dma_buf_device_parameters *p, struct constraints_fault *fault);
bool constraints_check_heap(const struct dma_buf_heap_info *heap, struct constraints_fault *fault);
/* Is that a named parameter that the library itself acts on? */
bool constraints_knows(const char *name);
/* What a device needs when it does both; @to was checked, and must be again. */
bool constraints_add(struct dma_buf_device_parameters *to,
		     const struct dma_buf_device_parameters *more, struct constraints_fault *fault);

/* merge.c */
void constraints_merge(const struct constraints_problem *p, struct constraints_needs *needs);
/* The same as parameters: zeros where there is no limit. */
void constraints_tell(const struct constraints_problem *p, const struct constraints_needs *needs,
		      struct dma_buf_device_parameters *merged);
/* The limits of participant @i alone, without what was dropped. */
void constraints_limits_of(const struct constraints_problem *p, unsigned int i,
			   struct constraints_limits *limits);
/* What a line's start is aligned to at least if somebody goes line by line. */
uint64_t constraints_line_start(const struct dma_buf_plane *plane);
/* The value that a participant gives a parameter; neutral: it needs nothing there. */
uint64_t constraints_value(const struct dma_buf_device_parameters *p, unsigned int parameter);
bool constraints_is_neutral(const struct dma_buf_device_parameters *p, unsigned int parameter);

/*
 * segments.c: how many segments @size bytes need at most, if they start at a multiple of
 * @alignment and memory comes in naturally aligned pieces of @chunk bytes (0: in one).
 * DMA_BUF_NOBODY, or the parameter that makes it impossible.
 */
uint32_t constraints_segments(uint64_t size, const struct constraints_limits *limits,
			      uint64_t chunk, uint64_t alignment, uint64_t *count,
			      uint64_t *longest);

/* fit.c: true, or why @heap does not suit, but for @why->heap. @why may be NULL. */
bool constraints_fit(const struct constraints_problem *p, const struct constraints_needs *needs,
		     const struct dma_buf_heap_info *heap, struct dma_buf_rejection *why);
/* How many entries the table of participant @i has on a heap that suits. */
void constraints_table_of(const struct constraints_problem *p,
			  const struct constraints_needs *needs, unsigned int i,
			  const struct dma_buf_heap_info *heap, uint64_t *segments,
			  uint64_t *longest);
bool constraints_wants_larger(const struct constraints_problem *p,
			      const struct constraints_needs *needs, unsigned int i,
			      const struct dma_buf_heap_info *heap);

/* solve.c: does any heap suit? */
bool constraints_feasible(const struct constraints_problem *p);
/* Fills in everything but struct_size. */
void constraints_solve(const struct constraints_problem *p, struct dma_buf_negotiation *answer);
/* What alternative heap @heap means for each participant; it suits. */
void constraints_plan_for(const struct constraints_problem *p, unsigned int heap,
			  struct dma_buf_plan_participant *participants);

/* All needs there are; how a device goes through a picture is none, see fit.c. */
#define CONSTRAINTS_PARAMETERS (DMA_BUF_PARAMETER_NAMED + DMA_BUF_NAMED_PARAMETERS)

/* Is that a need of participant @i? */
static inline bool constraints_is_need(unsigned int parameter)
{
	return parameter != DMA_BUF_PARAMETER_LINE_BY_LINE;
}

/* conflict.c: @p is not feasible. @order: participants by name and parameters. */
void constraints_order(const struct constraints_problem *p, unsigned int *order);
void constraints_conflicts(const struct constraints_problem *p, const unsigned int *order,
			   struct dma_buf_negotiation *answer);
/* relax.c */
void constraints_relaxations(const struct constraints_problem *p, const unsigned int *order,
			     struct dma_buf_negotiation *answer);

/* explain.c: false: @text was too small. */
bool constraints_explain(const struct constraints_problem *p,
			 const struct dma_buf_negotiation *answer, char *text, size_t size);
/* Its words for parameter @parameter of @p, which may be NULL. */
const char *constraints_parameter(const struct dma_buf_device_parameters *p,
				  unsigned int parameter);

/* text.c: a text that grows in given room, always closed by a NUL. */
struct constraints_text {
	char *at;
	size_t left; /* room, that for the NUL included */
	bool cut;
};
void constraints_text_init(struct constraints_text *t, char *text, size_t size);
void constraints_put(struct constraints_text *t, const char *words);
void constraints_put_number(struct constraints_text *t, uint64_t value);
void constraints_put_hex(struct constraints_text *t, uint64_t value);
/* "2 MiB", "3000 bytes". */
void constraints_put_size(struct constraints_text *t, uint64_t bytes);

#endif
