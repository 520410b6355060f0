// SPDX-License-Identifier: MIT
/*
 * A process that holds a buffer is killed while it runs, with no thread in the kernel: how long
 * until the one that waits, asleep, has it? The robust mutex tells the next one as soon as the
 * thread that held begins to end. The library waits until the last thread is gone, since one that
 * is still in a read(2) would write into the buffer: not before the kernel drops the process's
 * lock on a byte of the file.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "lock-kind.h"
#include "lock-peers.h"
#include "relax.h"
#include "team.h"

static struct shared {
	_Atomic(uint32_t) held;
	_Atomic(uint32_t) asks;
	_Atomic(uint64_t) got_ns;
} * shared;

static const struct lock_kind *kind;
static int file = -1;

static void hold_on(void)
{
	atomic_store(&shared->held, 1);
	for (;;)
		relax();
}

static void hold(unsigned int self)
{
	bench_pin(1);
	kind->join(self);
	kind->take(0);
	hold_on();
}

static void wait_for_it(unsigned int self)
{
	bench_pin(0);
	kind->join(self);
	atomic_store(&shared->asks, 1);
	kind->take(0);
	atomic_store(&shared->got_ns, (uint64_t)bench_now_ns());
	kind->give(0);
	kind->leave();
}

static void until(_Atomic(uint32_t) *flag)
{
	while (!atomic_load(flag))
		sched_yield();
}

static double kill_holder(pid_t holder)
{
	double now = bench_now_ns();

	bench_check(!kill(holder, SIGKILL), "kill");
	return now;
}

static double one_death(void)
{
	pid_t holder, waiter;
	double killed;

	holder = team_fork(hold, 0);
	until(&shared->held);
	waiter = team_fork(wait_for_it, 1);
	until(&shared->asks);
	team_until_asleep(waiter);
	killed = kill_holder(holder);
	team_wait(waiter, false);
	team_wait(holder, true);
	return (double)atomic_load(&shared->got_ns) - killed;
}

static double death_of_lock(const void *which)
{
	double ns;

	kind = which;
	kind->make(1);
	ns = one_death();
	kind->drop();
	return ns;
}

/* The byte of a file, as the library has one for each client, as if it were the lock. */

static void byte_make(unsigned int count)
{
	file = peer_file();
}

static void byte_drop(void)
{
	close(file);
}

static void byte_join(unsigned int self)
{
	file = peer_file_again(file);
}

static void byte_set(short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	bench_check(!fcntl(file, F_OFD_SETLKW, &lock), "F_OFD_SETLKW");
}

static void byte_take(unsigned int i)
{
	byte_set(F_WRLCK);
}

static void byte_give(unsigned int i)
{
	byte_set(F_UNLCK);
}

static const struct lock_kind byte = { byte_make, byte_drop, byte_join, byte_drop,
				       byte_take, byte_give, NULL,	NULL };

static double death_of_process(const void *which)
{
	struct pollfd gone = { .events = POLLIN };
	pid_t holder;
	double killed;

	kind = which;
	kind->make(1);
	holder = team_fork(hold, 0);
	gone.fd = (int)syscall(SYS_pidfd_open, holder, 0);
	bench_check(gone.fd >= 0, "pidfd_open");
	until(&shared->held);
	killed = kill_holder(holder);
	while (poll(&gone, 1, -1) < 0)
		bench_check(errno == EINTR, "poll");
	killed = bench_now_ns() - killed;
	close(gone.fd);
	team_wait(holder, true);
	kind->drop();
	return killed;
}

struct death {
	double (*once)(const void *argument);
	const void *argument;
};

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	const struct death *death = c->context;
	unsigned long i;

	for (i = 0; i < repeat; i++) {
		shared = team_memory(sizeof(*shared));
		sample->wall_ns += death->once(death->argument);
		team_forget(shared, sizeof(*shared));
	}
	sample->cpu_ns = sample->wall_ns;
}

static void start(void)
{
	bench_pin(0);
}

/* clang-format off */
#define DEATH(id, text, baseline, target, once, which) \
	{ id, text, baseline, 0, 1, 0, target, run, &(const struct death){ once, which } }

static const struct bench_case cases[] = {
	DEATH("byte", "the kernel gives its lock on a byte to the next one", NULL, 0,
	      death_of_lock, &byte),
	DEATH("process", "its pidfd says that it is gone", "byte", 0, death_of_process, &byte),
	DEATH("dmabuf", "the next one has the buffer, dmabuf_sync", "byte", 40000, death_of_lock,
	      &lock_kind_dmabuf),
	DEATH("robust", "the next one has a robust mutex", "byte", 0, death_of_lock,
	      &lock_kind_robust),
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "death",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 51,
		.start = start,
	};

	return bench_main(argc, argv, &subject);
}
