/* SPDX-License-Identifier: MIT */
/* libxshmfence, where it is there. */
#ifndef DMABUF_BENCH_PEER_XSHMFENCE_H
#define DMABUF_BENCH_PEER_XSHMFENCE_H

#include "bench.h"
#include "fence-wake.h"

#ifdef HAVE_XSHMFENCE
void peer_xshmfence_start(void);
void peer_xshmfence_run_signal(const struct bench_case *c, unsigned long repeat,
			       struct bench_sample *sample);
void peer_xshmfence_run_query(const struct bench_case *c, unsigned long repeat,
			      struct bench_sample *sample);
extern const struct fence_kind fence_kind_xshmfence;
#else
static inline void peer_xshmfence_start(void)
{
}
#endif

#endif
