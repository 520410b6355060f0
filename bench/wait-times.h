/* SPDX-License-Identifier: MIT */
/* Times by length, counted in eight steps for each power of two; zeroed to begin with. */
#ifndef DMABUF_BENCH_WAIT_TIMES_H
#define DMABUF_BENCH_WAIT_TIMES_H

#include <stdint.h>

#define WAIT_BINS (64 * 8)

struct wait_times {
	uint32_t bins[WAIT_BINS];
	double worst_ns;
};

void wait_times_note(struct wait_times *w, double ns);

/* @from's are @to's too. */
void wait_times_add(struct wait_times *to, const struct wait_times *from);

/* What all but @above of them stay below. */
double wait_times_below(const struct wait_times *w, uint64_t above);

#endif
