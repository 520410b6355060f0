// SPDX-License-Identifier: MIT
/*
 * Processes that want the same buffers: each holds for 2 us and is away for 2 us, awake all the
 * time, on two processors. If handing over cost nothing, a buffer would be held all the time:
 * 500,000 holds a second. Beside the rate: does everybody get as much, and how long did the
 * unluckiest wait? Two processes that only spin show what the machine itself does to a wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lock-kind.h"
#include "lock-peers.h"
#include "team.h"
#include "wait-times.h"

#define HELD_NS 2000
#define AWAY_NS 2000
#define RUN_NS 200e6
#define PROCESSORS 2
#define MOST 8
#define ROUNDS 9
#define MAX_ROUNDS 1000

struct contention_case {
	const char *name;
	const char *label;
	const struct lock_kind *kind;
	unsigned int processes;
	unsigned int buffers; /* more than one: two of them at a time */
	/* targets, 0: none */
	double kops;
	double share;
	double worst_us;
};

/* clang-format off */
static const struct contention_case cases[] = {
	{ "ticket-2", "2 processes, only spinning", &lock_kind_ticket, 2, 1 },
	{ "dmabuf-2", "2 processes, dmabuf_sync", &lock_kind_dmabuf, 2, 1, 425, 0.9, 2000 },
	{ "futex-2", "2 processes, spin + futex", &lock_kind_futex, 2, 1 },
	{ "robust-2", "2 processes, robust mutex", &lock_kind_robust, 2, 1 },
	{ "dmabuf-8", "8 processes, dmabuf_sync", &lock_kind_dmabuf, 8, 1, 425, 0.9, 2000 },
	{ "futex-8", "8 processes, spin + futex", &lock_kind_futex, 8, 1 },
	{ "robust-8", "8 processes, robust mutex", &lock_kind_robust, 8, 1 },
	{ "dmabuf-pairs", "8 processes, pairs of 8 buffers, dmabuf_sync", &lock_kind_dmabuf, 8, 8,
	  400, 0.9 },
	{ "futex-pairs", "8 processes, pairs of 8, spin + futex in order", &lock_kind_futex, 8, 8 },
	{ "robust-pairs", "8 processes, pairs of 8, robust mutexes in order", &lock_kind_robust, 8,
	  8 },
};
/* clang-format on */

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct run {
	_Atomic(uint32_t) start;
	struct {
		_Atomic(uint64_t) owner;
		uint64_t holds;
	} __attribute__((aligned(PEER_LINE))) payload[MOST];
	struct {
		uint64_t holds;
		struct wait_times waits;
	} __attribute__((aligned(PEER_LINE))) process[MOST];
};

enum { KOPS, SHARE, WORST, P9999, FIGURES };
static const char *const figure_names[FIGURES] = { "kops", "share", "worst_ns", "p9999_ns" };
static double figures[CASES][FIGURES][MAX_ROUNDS];

static struct run *run;
static const struct contention_case *current;

/* Anybody else in here meanwhile would show. */
static void payload_begin(unsigned int i, unsigned int self)
{
	errno = EBUSY;
	bench_check(!atomic_exchange(&run->payload[i].owner, self + 1), "having a buffer alone");
}

static void payload_end(unsigned int i, unsigned int self)
{
	run->payload[i].holds++;
	errno = EBUSY;
	bench_check(atomic_exchange(&run->payload[i].owner, 0) == self + 1,
		    "having a buffer alone");
}

static double hold_one(unsigned int self, double *began)
{
	double now;

	*began = bench_now_ns();
	current->kind->take(0);
	now = bench_now_ns();
	payload_begin(0, self);
	team_busy(now, HELD_NS);
	payload_end(0, self);
	current->kind->give(0);
	return now;
}

static double hold_two(unsigned int self, double *began, unsigned int *seed)
{
	unsigned int i = (unsigned int)rand_r(seed) % current->buffers;
	unsigned int j =
		(i + 1 + (unsigned int)rand_r(seed) % (current->buffers - 1)) % current->buffers;
	double now;

	*began = bench_now_ns();
	current->kind->take_two(i, j);
	now = bench_now_ns();
	payload_begin(i, self);
	payload_begin(j, self);
	team_busy(now, HELD_NS);
	payload_end(j, self);
	payload_end(i, self);
	current->kind->give_two(i, j);
	return now;
}

static void take_part(unsigned int self)
{
	unsigned int seed = self * 7919 + 1;
	double end, began = 0, got;

	if (current->processes <= PROCESSORS)
		bench_pin(self);
	else
		bench_confine(PROCESSORS);
	current->kind->join(self);
	team_meet(&run->start, current->processes);
	end = bench_now_ns() + RUN_NS;
	while (began < end) {
		got = current->buffers == 1 ? hold_one(self, &began)
					    : hold_two(self, &began, &seed);
		wait_times_note(&run->process[self].waits, got - began);
		run->process[self].holds++;
		team_busy(bench_now_ns(), AWAY_NS);
	}
	current->kind->leave();
}

static void sum_up(const struct contention_case *c, double result[FIGURES])
{
	uint64_t all = 0, least = UINT64_MAX, most = 0, payload = 0;
	struct wait_times waits = { .worst_ns = 0 };
	unsigned int i;

	for (i = 0; i < c->processes; i++) {
		uint64_t holds = run->process[i].holds;

		all += holds;
		least = holds < least ? holds : least;
		most = holds > most ? holds : most;
		wait_times_add(&waits, &run->process[i].waits);
	}
	for (i = 0; i < c->buffers; i++)
		payload += run->payload[i].holds;
	errno = EIO;
	bench_check(payload == all * (c->buffers > 1 ? 2 : 1), "counting every hold once");
	result[KOPS] = (double)all / RUN_NS * 1e6;
	result[SHARE] = (double)least / (double)most;
	result[WORST] = waits.worst_ns;
	result[P9999] = wait_times_below(&waits, all / 10000);
}

static void run_case(const struct contention_case *c, double result[FIGURES])
{
	current = c;
	run = team_memory(sizeof(*run));
	c->kind->make(c->buffers);
	team_run(c->processes, take_part);
	sum_up(c, result);
	c->kind->drop();
	team_forget(run, sizeof(*run));
}

static void add_target(struct json_object *o, const char *key, double value)
{
	if (value > 0)
		json_object_object_add(o, key, json_object_new_double(value));
}

static struct json_object *report(size_t i, size_t rounds)
{
	struct json_object *o = json_object_new_object(), *targets = json_object_new_object();
	int f;

	bench_check(o && targets, "allocation");
	json_object_object_add(o, "name", json_object_new_string(cases[i].name));
	json_object_object_add(o, "label", json_object_new_string(cases[i].label));
	json_object_object_add(o, "processes", json_object_new_int((int)cases[i].processes));
	for (f = 0; f < FIGURES; f++)
		json_object_object_add(o, figure_names[f], bench_statistics(figures[i][f], rounds));
	add_target(targets, "kops", cases[i].kops);
	add_target(targets, "share", cases[i].share);
	add_target(targets, "worst_ns", cases[i].worst_us * 1000);
	json_object_object_add(o, "targets", targets);
	return o;
}

int main(int argc, char **argv)
{
	size_t rounds = bench_rounds(argc, argv, "contention", ROUNDS, MAX_ROUNDS), round, i;
	struct json_object *list = json_object_new_array();
	double result[FIGURES];
	int f;

	bench_check(list != NULL, "allocation");
	for (round = 0; round < rounds; round++)
		for (i = 0; i < CASES; i++) {
			size_t at = round & 1 ? CASES - 1 - i : i;

			run_case(&cases[at], result);
			for (f = 0; f < FIGURES; f++)
				figures[at][f][round] = result[f];
		}
	for (i = 0; i < CASES; i++)
		json_object_array_add(list, report(i, rounds));
	bench_print_cases("contention", rounds, list);
	return 0;
}
