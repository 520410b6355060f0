// SPDX-License-Identifier: MIT
#include "wait-times.h"

static unsigned int bin_of(double ns)
{
	uint64_t n = ns < 8 ? 8 : (uint64_t)ns;
	unsigned int exponent = 63 - (unsigned int)__builtin_clzll(n);

	return exponent * 8 + (unsigned int)(n >> (exponent - 3) & 7);
}

/* The upper end of a bin. */
static double bin_end(unsigned int bin)
{
	return (double)(1ull << bin / 8) * (1 + (bin % 8 + 1) / 8.0);
}

void wait_times_note(struct wait_times *w, double ns)
{
	w->bins[bin_of(ns)]++;
	if (ns > w->worst_ns)
		w->worst_ns = ns;
}

void wait_times_add(struct wait_times *to, const struct wait_times *from)
{
	unsigned int bin;

	for (bin = 0; bin < WAIT_BINS; bin++)
		to->bins[bin] += from->bins[bin];
	if (from->worst_ns > to->worst_ns)
		to->worst_ns = from->worst_ns;
}

double wait_times_below(const struct wait_times *w, uint64_t above)
{
	unsigned int bin = WAIT_BINS;
	uint64_t seen = 0;
	double end;

	while (bin > 0 && seen <= above)
		seen += w->bins[--bin];
	end = bin_end(bin);
	return end < w->worst_ns ? end : w->worst_ns;
}
