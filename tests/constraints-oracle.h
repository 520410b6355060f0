/* SPDX-License-Identifier: MIT */
/*
 * The slow and obvious way to tell whether a heap suits: every start, every way to cut a buffer
 * into segments, every need by itself. Shares no code with the solver. Sizes are tiny.
 */
#ifndef DMABUF_TEST_CONSTRAINTS_ORACLE_H
#define DMABUF_TEST_CONSTRAINTS_ORACLE_H

#include "constraints/constraints.h"

#define ORACLE_SIZE 24
#define ORACLE_NEVER 1000u

/* Fewest segments that cover [0, size) in the worst start; ORACLE_NEVER: not from every start. */
unsigned int oracle_worst(uint64_t size, const struct constraints_limits *l, uint64_t chunk,
			  uint64_t alignment);

/* Does @heap suit, with the needs that @p does not drop? */
bool oracle_fits(const struct constraints_problem *p, const struct dma_buf_heap_info *heap);
bool oracle_feasible(const struct constraints_problem *p);

#endif
