/* SPDX-License-Identifier: MIT */
/* The processes at both ends of a transport, and how the one that measures talks to them. */
#ifndef DMABUF_BENCH_ELEMENT_H
#define DMABUF_BENCH_ELEMENT_H

#include <stdbool.h>

#include "bench.h"
#include "transport.h"

struct element_command {
	uint32_t frames; /* 0: end */
	uint32_t touch;	 /* write and read every byte */
};

struct element_result {
	struct bench_sample sample;
	double start_ns;
	double end_ns;
};

/* Source and sink of a transport: their control sockets, in this order. */
struct elements {
	int control[2];
};

/* As source or sink, until told to end. */
void element_serve(const struct transport *t, bool source, int control);

/* As children of this process. */
void elements_fork(const struct transport *t, struct elements *e);
/* As elements of `dmabuf pipe`; they call element_main() with the arguments given here. */
void elements_pipe(struct elements *e);
int element_main(int argc, char **argv);
/* All that were started. */
void elements_wait(void);

#endif
