// SPDX-License-Identifier: MIT
/*
 * Negotiation: what finding memory for a number of devices costs, and finding out why there is
 * none. Six heaps, devices with different limits, half of them without an IOMMU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dmabuf/constraints.h>

#include "bench.h"

#define HEAPS 6
#define SIZE (UINT64_C(8) << 20)

static struct dma_buf_heap_info heaps[HEAPS];
static struct dma_buf_device_parameters parameters[DMA_BUF_MAX_PARTICIPANTS];
static struct dma_buf_participant participants[DMA_BUF_MAX_PARTICIPANTS];
static char names[DMA_BUF_MAX_PARTICIPANTS][16];
static struct dma_buf_negotiation answer;

static void start(void)
{
	static const uint64_t chunks[HEAPS] = { 4096, 4096, 1 << 21, 4096, 0, 1 << 16 };

	for (unsigned int h = 0; h < HEAPS; h++) {
		heaps[h].size = sizeof(heaps[h]);
		snprintf(heaps[h].name, sizeof(heaps[h].name), "heap%u", h);
		heaps[h].chunk = chunks[h];
		heaps[h].alignment = chunks[h] ? chunks[h] : 4096;
		heaps[h].cost = 10 + h;
		heaps[h].page_backed = heaps[h].cpu_mappable = heaps[h].available = true;
	}
	heaps[3].trust_domain = 1;
	for (unsigned int i = 0; i < DMA_BUF_MAX_PARTICIPANTS; i++) {
		struct dma_buf_device_parameters *p = &parameters[i];

		p->size = sizeof(*p);
		p->max_segment_size = UINT64_C(65536) << i % 3;
		p->segment_boundary_mask = 0xffffffff;
		p->address_alignment = p->length_granularity = 512;
		p->physical = i % 2;
		snprintf(names[i], sizeof(names[i]), "device%u", i);
		participants[i] = (struct dma_buf_participant){ .name = names[i],
								.parameters = p,
								.direction = DMA_BIDIRECTIONAL };
	}
	answer.struct_size = sizeof(answer);
}

struct question {
	unsigned int participants;
	bool impossible;
};

static void solve(const struct question *question)
{
	struct dma_buf_request request = {
		.struct_size = sizeof(request),
		.size = SIZE,
		.participants = participants,
		.participant_count = question->participants,
		.heaps = heaps,
		.heap_count = HEAPS,
	};
	int count = dma_buf_negotiate(&request, &answer);

	bench_check_err(count, "dma_buf_negotiate");
	if ((count == 0) != question->impossible)
		bench_fail("dma_buf_negotiate: another answer than expected", EINVAL);
}

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	const struct question *question = c->context;
	unsigned long i;

	/* Of two in the middle, one cannot live with what the other one leaves it. */
	parameters[1].max_segment_count = question->impossible ? 16 : 0;
	solve(question);
	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		solve(question);
	bench_end(sample);
}

static void call_kernel(const struct bench_case *c, unsigned long repeat,
			struct bench_sample *sample)
{
	unsigned long i;

	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		syscall(SYS_getppid);
	bench_end(sample);
}

#define CASE(ident, words, count, is_impossible, times, limit)                         \
	{                                                                              \
		.name = ident, .label = words, .baseline = "syscall", .repeat = times, \
		.target_ns = limit, .run = run,                                        \
		.context = &(const struct question){ count, is_impossible },           \
	}

static const struct bench_case cases[] = {
	{ .name = "syscall",
	  .label = "a system call (getppid)",
	  .repeat = 5000,
	  .run = call_kernel },
	CASE("plan-2", "plan for 2 devices", 2, false, 5000, 1000),
	CASE("plan-8", "plan for 8 devices", 8, false, 2000, 5000),
	CASE("plan-64", "plan for 64 devices", 64, false, 300, 50000),
	CASE("why-2", "why there is none for 2 devices", 2, true, 300, 0),
	CASE("why-64", "why there is none for 64 devices", 64, true, 10, 0),
};

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "solve",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = BENCH_ROUNDS,
		.start = start,
	};

	return bench_main(argc, argv, &subject);
}
