// SPDX-License-Identifier: MIT
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t sink;

_Noreturn void bench_fail(const char *what, int err)
{
	fprintf(stderr, "bench: %s failed: %s\n", what, strerror(err));
	exit(1);
}

static double clock_read(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

double bench_now_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

static double faults_now(void)
{
	struct rusage usage;

	bench_check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
	return (double)usage.ru_minflt + (double)usage.ru_majflt;
}

void bench_begin(struct bench_sample *sample)
{
	sample->copied = 0;
	sample->faults = faults_now();
	sample->cpu_ns = clock_read(CLOCK_PROCESS_CPUTIME_ID);
	sample->wall_ns = bench_now_ns();
}

void bench_end(struct bench_sample *sample)
{
	sample->wall_ns = bench_now_ns() - sample->wall_ns;
	sample->cpu_ns = clock_read(CLOCK_PROCESS_CPUTIME_ID) - sample->cpu_ns;
	sample->faults = faults_now() - sample->faults;
}

void bench_pin(unsigned int n)
{
	cpu_set_t allowed, one;
	int cpu, seen = 0;

	bench_check(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
	n %= (unsigned int)CPU_COUNT(&allowed);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && seen++ == (int)n)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	bench_check(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
}

void bench_confine(unsigned int count)
{
	cpu_set_t allowed, some;
	int cpu;

	bench_check(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
	CPU_ZERO(&some);
	for (cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&some) < (int)count; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			CPU_SET(cpu, &some);
	bench_check(sched_setaffinity(0, sizeof(some), &some) == 0, "sched_setaffinity");
}

void bench_read(int fd, void *bytes, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = read(fd, (char *)bytes + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EPIPE;
		bench_check(n > 0, "read from the other process");
		done += (size_t)n;
	}
}

void bench_write(int fd, const void *bytes, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = write(fd, (const char *)bytes + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		bench_check(n > 0, "write to the other process");
		done += (size_t)n;
	}
}

void bench_write_pages(void *memory, size_t size)
{
	volatile uint64_t *word;
	size_t at;

	for (at = 0; at < size; at += 4096) {
		word = (volatile uint64_t *)((char *)memory + at);
		*word = at;
	}
}

void bench_read_pages(const void *memory, size_t size)
{
	uint64_t sum = 0;
	size_t at;

	for (at = 0; at < size; at += 4096)
		sum += *(const volatile uint64_t *)((const char *)memory + at);
	sink = sum;
}
