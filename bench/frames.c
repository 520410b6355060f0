// SPDX-License-Identifier: MIT
/*
 * 1080p NV12 frames, or 4K RGBA ones, from one process to another, each on a processor of its own:
 * through the queue, as `dmabuf pipe` sets it up, a pipe, and shared rings. Once with every byte
 * written and read, once with the handing over alone. The processes live as long as the program.
 */
#include "element.h"

#include <string.h>

#define TRANSPORTS 5

static const struct transport *const transports[TRANSPORTS] = {
	&transport_limit, &transport_pipe, &transport_ring, &transport_in_place, &transport_queue,
};

static struct elements elements[TRANSPORTS];

static int index_of(const struct transport *t)
{
	int i = 0;

	while (transports[i] != t)
		i++;
	return i;
}

static void start(void)
{
	int i;

	for (i = 0; i < TRANSPORTS; i++)
		if (transports[i] == &transport_queue)
			elements_pipe(&elements[i]);
		else
			elements_fork(transports[i], &elements[i]);
}

static void stop(void)
{
	struct element_command end = { 0 };
	int i;

	for (i = 0; i < TRANSPORTS; i++) {
		bench_write(elements[i].control[0], &end, sizeof(end));
		bench_write(elements[i].control[1], &end, sizeof(end));
	}
	elements_wait();
}

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	const struct elements *e = &elements[index_of(c->context)];
	struct element_command command = { (uint32_t)repeat, strstr(c->name, "handoff") == NULL };
	struct element_result source, sink;

	bench_write(e->control[1], &command, sizeof(command));
	bench_write(e->control[0], &command, sizeof(command));
	bench_read(e->control[0], &source, sizeof(source));
	bench_read(e->control[1], &sink, sizeof(sink));
	sample->wall_ns = sink.end_ns - source.start_ns;
	sample->cpu_ns = source.sample.cpu_ns + sink.sample.cpu_ns;
	sample->faults = source.sample.faults + sink.sample.faults;
	sample->copied = source.sample.copied + sink.sample.copied;
}

/* clang-format off */
#define FRAMES(id, text, baseline, times, target, transport) \
	{ id, text, baseline, FRAME_SIZE, times, target, 0, run, &(transport) }
#ifdef FRAMES_4K
#define NAME "frames-4k"
#define TIMES 8
#define ROUNDS 11
#else
#define NAME "frames"
#define TIMES 40
#define ROUNDS 21
#endif

static const struct bench_case cases[] = {
	FRAMES("limit", "memset here, read there", NULL, TIMES, 0, transport_limit),
	FRAMES("queue", "queue (dmabuf pipe)", "limit", TIMES, 1.05, transport_queue),
	FRAMES("in-place", "shared ring, in place", "limit", TIMES, 0, transport_in_place),
	FRAMES("ring", "shared ring, two memcpys", "limit", TIMES, 0, transport_ring),
	FRAMES("pipe", "pipe(2)", "limit", TIMES, 0, transport_pipe),
#ifndef FRAMES_4K
	FRAMES("queue-handoff", "queue (dmabuf pipe)", NULL, 400, 0, transport_queue),
	FRAMES("in-place-handoff", "shared ring, in place", "queue-handoff", 400, 0,
	       transport_in_place),
	FRAMES("ring-handoff", "shared ring, two memcpys", "queue-handoff", TIMES, 0,
	       transport_ring),
	FRAMES("pipe-handoff", "pipe(2)", "queue-handoff", TIMES, 0, transport_pipe),
#endif
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = NAME,
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = ROUNDS,
		.start = start,
		.stop = stop,
	};

	if (argc > 1 && !strcmp(argv[1], "--element"))
		return element_main(argc, argv);
	return bench_main(argc, argv, &subject);
}
