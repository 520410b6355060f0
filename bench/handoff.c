// SPDX-License-Identifier: MIT
/*
 * From one process to another that waits: how long after the one gave the lock back does the other
 * have it? Between two processors with the other one awake, on one processor, and to one that
 * sleeps. The limit is one line of memory that goes from cache to cache, and a turn that is given
 * instead of a lock: it knows who is next, and nothing else.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "lock-kind.h"
#include "lock-peers.h"
#include "relax.h"
#include "team.h"

/* After the other one said that it is about to wait, until it surely does, and not yet asleep. */
#define SETTLE_NS 5000
#define MOST 4096
/* Processors fetch lines in pairs. */
#define APART __attribute__((aligned(2 * PEER_LINE)))

enum place { OTHER_PROCESSOR, SAME_PROCESSOR, ASLEEP };

struct handoff {
	const struct lock_kind *kind;
	enum place place;
};

/* Each process writes its own part only, which the other one reads while it holds the lock. */
struct part {
	_Atomic(uint32_t) asks APART;
	_Atomic(uint32_t) gets;
	_Atomic(int) pid;
	double gave[MOST] APART;
	double got[MOST];
};

static struct shared {
	_Atomic(uint32_t) start APART;
	struct part parts[2];
} * shared;

static _Atomic(uint32_t) *turn;
static const struct handoff *current;
static unsigned long repeats;
static unsigned int self_number;

/* The limits. A turn is taken by waiting for it, and given to the other one. */

static void turn_make(unsigned int count)
{
	turn = team_memory(sizeof(*turn));
}

static void turn_drop(void)
{
	team_forget(turn, sizeof(*turn));
}

static void turn_leave(void)
{
}

static void turn_join(unsigned int self)
{
	self_number = self;
}

static int my_turn(void)
{
	return atomic_load_explicit(turn, memory_order_acquire) == self_number;
}

static void turn_give(unsigned int i)
{
	atomic_store_explicit(turn, 1 - self_number, memory_order_release);
}

static void yield_take(unsigned int i)
{
	while (!my_turn())
		sched_yield();
}

static void sleep_take(unsigned int i)
{
	while (!my_turn())
		syscall(SYS_futex, turn, FUTEX_WAIT, 1 - self_number, NULL, NULL, 0);
}

static void sleep_give(unsigned int i)
{
	turn_give(i);
	syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#define TURN(take_it, give_it)                                                            \
	{                                                                                 \
		turn_make, turn_drop, turn_join, turn_leave, take_it, give_it, NULL, NULL \
	}
static const struct lock_kind yield_turn = TURN(yield_take, turn_give);
static const struct lock_kind sleep_turn = TURN(sleep_take, sleep_give);

static void until(const _Atomic(uint32_t) *count, uint32_t n)
{
	while (atomic_load(count) < n)
		if (current->place == SAME_PROCESSOR)
			sched_yield();
		else
			relax();
}

/* Until the other one waits for the @n-th time. */
static void until_it_waits(const struct part *other, uint32_t n)
{
	until(&other->asks, n);
	if (current->place == ASLEEP)
		team_until_asleep(atomic_load(&other->pid));
	else if (current->place == OTHER_PROCESSOR)
		team_busy(bench_now_ns(), SETTLE_NS);
}

/* Not every lock keeps who gave it back from taking it again before the one that waits. */
static void give(struct part *mine, const struct part *other, uint32_t n)
{
	until_it_waits(other, n + 1);
	mine->gave[n] = bench_now_ns();
	current->kind->give(0);
	until(&other->gets, n + 1);
}

static void ask(struct part *mine, uint32_t n)
{
	atomic_store(&mine->asks, n + 1);
	current->kind->take(0);
	mine->got[n] = bench_now_ns();
	atomic_store(&mine->gets, n + 1);
}

static void take_part(unsigned int self)
{
	struct part *mine = &shared->parts[self], *other = &shared->parts[1 - self];
	uint32_t n;

	bench_pin(current->place == SAME_PROCESSOR ? 0 : self);
	current->kind->join(self);
	atomic_store(&mine->pid, (int)getpid());
	if (self == 0)
		current->kind->take(0);
	team_meet(&shared->start, 2);
	for (n = 0; n < repeats; n++) {
		if (self == 0)
			give(mine, other, n);
		ask(mine, n);
		if (self == 1)
			give(mine, other, n);
	}
	if (self == 0)
		current->kind->give(0);
	current->kind->leave();
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What two readings of the clock contain that is not between them. */
static double clock_cost(void)
{
	double least = 1e9, from, to;
	int i;

	for (i = 0; i < 200; i++) {
		from = bench_now_ns();
		to = bench_now_ns();
		least = to - from < least ? to - from : least;
	}
	return least;
}

/*
 * The mean of the middle half, so that whoever interrupts one of them does not count, nor how
 * coarse the clock is.
 */
static double middle_ns(void)
{
	static double all[2 * MOST];
	unsigned long n;
	double sum = 0;

	for (n = 0; n < repeats; n++) {
		all[2 * n] = shared->parts[1].got[n] - shared->parts[0].gave[n];
		all[2 * n + 1] = shared->parts[0].got[n] - shared->parts[1].gave[n];
	}
	qsort(all, 2 * repeats, sizeof(all[0]), compare);
	for (n = repeats / 2; n < 2 * repeats - repeats / 2; n++)
		sum += all[n];
	return sum / (double)(n - repeats / 2) - clock_cost();
}

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	current = c->context;
	repeats = repeat;
	errno = EINVAL;
	bench_check(repeat <= MOST, "so many at once");
	shared = team_memory(sizeof(*shared));
	current->kind->make(1);
	team_run(2, take_part);
	current->kind->drop();
	sample->wall_ns = middle_ns() * (double)repeat;
	sample->cpu_ns = sample->wall_ns;
	team_forget(shared, sizeof(*shared));
}

/* clang-format off */
#define HANDOFF(id, text, baseline, times, target, lock, where) \
	{ id, text, baseline, 0, times, target, 0, run, &(const struct handoff){ &(lock), where } }

static const struct bench_case cases[] = {
	HANDOFF("line", "other processor: a ticket lock's word", NULL, 1000, 0, lock_kind_ticket,
		OTHER_PROCESSOR),
	HANDOFF("other-dmabuf", "other processor: dmabuf_sync", "line", 1000, 1.2, lock_kind_dmabuf,
		OTHER_PROCESSOR),
	HANDOFF("other-futex", "other processor: spin + futex", "line", 1000, 0, lock_kind_futex,
		OTHER_PROCESSOR),
	HANDOFF("yield", "same processor: sched_yield()", NULL, 200, 0, yield_turn, SAME_PROCESSOR),
	HANDOFF("same-dmabuf", "same processor: dmabuf_sync", "yield", 200, 1.8, lock_kind_dmabuf,
		SAME_PROCESSOR),
	HANDOFF("same-robust", "same processor: robust mutex", "yield", 200, 0, lock_kind_robust,
		SAME_PROCESSOR),
	HANDOFF("wake", "asleep: a futex", NULL, 50, 0, sleep_turn, ASLEEP),
	HANDOFF("asleep-dmabuf", "asleep: dmabuf_sync", "wake", 50, 1.05, lock_kind_dmabuf,
		ASLEEP),
	HANDOFF("asleep-robust", "asleep: robust mutex", "wake", 50, 0, lock_kind_robust, ASLEEP),
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "handoff",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 15,
	};

	return bench_main(argc, argv, &subject);
}
