/* SPDX-License-Identifier: MIT */
/* How long until all threads that sleep at a fence are awake again. */
#ifndef DMABUF_BENCH_FENCE_WAKE_H
#define DMABUF_BENCH_FENCE_WAKE_H

#include "bench.h"

/* So many fences, one after the other, in one sample. */
#define FENCE_WAKE_MOST 16

/* @drop is optional. */
struct fence_kind {
	void (*make)(unsigned int count);
	void (*wait)(unsigned int i);
	void (*signal)(unsigned int i);
	void (*drop)(void);
};

/* A word and the system call: the limit. */
extern const struct fence_kind fence_kind_futex;

struct fence_wake {
	const struct fence_kind *kind;
	unsigned int threads;
};

/* A case whose context is a struct fence_wake. */
void fence_wake_run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample);

#endif
