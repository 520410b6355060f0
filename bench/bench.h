/* SPDX-License-Identifier: MIT */
/**
 * DOC: measuring
 *
 * A subject is a program with a list of cases. All its cases run in turn, round after round, in
 * alternating order, so that whatever else the machine does meets all of them alike. The first
 * rounds are discarded. What a case costs is the median of its rounds; how it compares with its
 * baseline is the median of the ratios of one round's pair.
 */
#ifndef DMABUF_BENCH_H
#define DMABUF_BENCH_H

#include <errno.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_ROUNDS 25
#define BENCH_WARM_UP 3
#define BENCH_MAX_ROUNDS 1000

/* What a number of operations took, in all processes that took part. */
struct bench_sample {
	double wall_ns;
	double cpu_ns;
	double faults;
	double copied; /* payload bytes that were copied, where the case counts them */
};

/**
 * struct bench_case - one thing that is measured
 * @name: identifies it, for --only and in the results
 * @label: what a reader sees
 * @baseline: name of the case that it is compared with, or NULL
 * @size: payload bytes, 0 where there is none
 * @repeat: operations in one sample
 * @target_ratio: at most this many times the baseline; 0: no target
 * @target_ns: at most this long; 0: no target
 * @run: does @repeat operations and fills the sample in for all of them together
 * @context: the case's own
 */
struct bench_case {
	const char *name;
	const char *label;
	const char *baseline;
	size_t size;
	unsigned long repeat;
	double target_ratio;
	double target_ns;
	void (*run)(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample);
	const void *context;
};

/**
 * struct bench_subject - a program
 * @name: identifies it in the results
 * @rounds: kept rounds if not said otherwise
 * @start: [optional] before the first case
 * @stop: [optional] after the last one
 */
struct bench_subject {
	const char *name;
	const struct bench_case *cases;
	size_t count;
	unsigned int rounds;
	void (*start)(void);
	void (*stop)(void);
};

/**
 * bench_main - run a subject
 *
 * Without arguments, and with --rounds N: the results as JSON on standard output. With
 * --only NAME --repeat N: that case N times and nothing else, for counting system calls.
 */
int bench_main(int argc, char **argv, const struct bench_subject *subject);

/* A measurement that goes wrong is not reported: these end the program with words. */
_Noreturn void bench_fail(const char *what, int err);

static inline void bench_check(int ok, const char *what)
{
	if (!ok)
		bench_fail(what, errno);
}

static inline void bench_check_err(int err, const char *what)
{
	if (__builtin_expect(err < 0, 0))
		bench_fail(what, -err);
}

double bench_now_ns(void);

/* Start and stop measuring this process: between the two, @sample gets what it cost. */
void bench_begin(struct bench_sample *sample);
void bench_end(struct bench_sample *sample);

/* The n-th processor that this program may use, from 0 and around again. */
void bench_pin(unsigned int n);
/* The first @count of them. */
void bench_confine(unsigned int count);

/* Statistics of @count numbers as a JSON object: median, p10, p90, min, max, samples. */
struct json_object *bench_statistics(const double *samples, size_t count);

/*
 * For subjects that are no bench_main(): the number of rounds from the command line, 1 to @most;
 * anything else ends the program with its usage. And the results, @list of which is taken over.
 */
size_t bench_rounds(int argc, char **argv, const char *subject, size_t usual, size_t most);
void bench_print_cases(const char *subject, size_t rounds, struct json_object *list);

/* Exactly @length bytes through a stream, or the end of the program. */
void bench_read(int fd, void *bytes, size_t length);
void bench_write(int fd, const void *bytes, size_t length);

/* One word in every page: what a first use of memory costs at least. */
void bench_write_pages(void *memory, size_t size);
void bench_read_pages(const void *memory, size_t size);

#endif
