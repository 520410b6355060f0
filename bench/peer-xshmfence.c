// SPDX-License-Identifier: MIT
#include "peer-xshmfence.h"

#include <X11/xshmfence.h>
#include <unistd.h>

static struct xshmfence *fences[FENCE_WAKE_MOST];

void peer_xshmfence_start(void)
{
	int i, fd;

	for (i = 0; i < FENCE_WAKE_MOST; i++) {
		fd = xshmfence_alloc_shm();
		bench_check(fd >= 0, "xshmfence_alloc_shm");
		fences[i] = xshmfence_map_shm(fd);
		bench_check(fences[i] != NULL, "xshmfence_map_shm");
		close(fd);
	}
}

/* With the reset that makes it usable again: another of its calls, as cheap as a store. */
void peer_xshmfence_run_signal(const struct bench_case *c, unsigned long repeat,
			       struct bench_sample *sample)
{
	unsigned long i;

	bench_begin(sample);
	for (i = 0; i < repeat; i++) {
		xshmfence_reset(fences[0]);
		bench_check(!xshmfence_trigger(fences[0]), "xshmfence_trigger");
	}
	bench_end(sample);
}

void peer_xshmfence_run_query(const struct bench_case *c, unsigned long repeat,
			      struct bench_sample *sample)
{
	unsigned long i;

	xshmfence_trigger(fences[0]);
	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		bench_check(xshmfence_query(fences[0]), "xshmfence_query");
	bench_end(sample);
}

static void make(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		xshmfence_reset(fences[i]);
}

static void wait_for(unsigned int i)
{
	bench_check(!xshmfence_await(fences[i]), "xshmfence_await");
}

static void signal_it(unsigned int i)
{
	bench_check(!xshmfence_trigger(fences[i]), "xshmfence_trigger");
}

const struct fence_kind fence_kind_xshmfence = { make, wait_for, signal_it, NULL };
