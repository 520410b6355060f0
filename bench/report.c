// SPDX-License-Identifier: MIT
/* Rounds, statistics, and the results as JSON. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct results {
	double *wall;
	double *cpu;
	double *faults;
	double *copied;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t count, double q)
{
	double at = q * (double)(count - 1);
	size_t below = (size_t)at;
	double rest = at - (double)below;

	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] * (1 - rest) + sorted[below + 1] * rest;
}

static void add_number(struct json_object *o, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(o, key, json_object_new_double_s(value, text));
}

struct json_object *bench_statistics(const double *samples, size_t count)
{
	struct json_object *o = json_object_new_object(), *all = json_object_new_array();
	double *sorted = malloc(count * sizeof(*sorted));
	char text[32];
	size_t i;

	bench_check(o && all && sorted, "allocation");
	memcpy(sorted, samples, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	add_number(o, "median", quantile(sorted, count, 0.5));
	add_number(o, "p10", quantile(sorted, count, 0.1));
	add_number(o, "p90", quantile(sorted, count, 0.9));
	add_number(o, "min", sorted[0]);
	add_number(o, "max", sorted[count - 1]);
	for (i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%.6g", samples[i]);
		json_object_array_add(all, json_object_new_double_s(samples[i], text));
	}
	json_object_object_add(o, "samples", all);
	free(sorted);
	return o;
}

static const struct bench_case *find_case(const struct bench_subject *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->cases[i].name, name))
			return &s->cases[i];
	return NULL;
}

static struct json_object *ratio(const double *mine, const double *baseline, size_t rounds)
{
	double *pairs = malloc(rounds * sizeof(*pairs));
	struct json_object *o;
	size_t i;

	bench_check(pairs != NULL, "allocation");
	for (i = 0; i < rounds; i++)
		pairs[i] = mine[i] / baseline[i];
	o = bench_statistics(pairs, rounds);
	free(pairs);
	return o;
}

static void compare_cases(struct json_object *o, const struct bench_subject *s,
			  const struct bench_case *c, const struct results *all,
			  unsigned int rounds)
{
	const struct bench_case *baseline = find_case(s, c->baseline);
	const struct results *mine = &all[c - s->cases];

	errno = EINVAL;
	bench_check(baseline != NULL, "finding a case's baseline");
	json_object_object_add(o, "baseline", json_object_new_string(c->baseline));
	json_object_object_add(o, "ratio",
			       ratio(mine->wall, all[baseline - s->cases].wall, rounds));
	json_object_object_add(o, "cpu_ratio",
			       ratio(mine->cpu, all[baseline - s->cases].cpu, rounds));
}

static struct json_object *report_case(const struct bench_subject *s, const struct bench_case *c,
				       const struct results *all, unsigned int rounds)
{
	const struct results *mine = &all[c - s->cases];
	struct json_object *o = json_object_new_object();

	bench_check(o != NULL, "allocation");
	json_object_object_add(o, "name", json_object_new_string(c->name));
	json_object_object_add(o, "label", json_object_new_string(c->label));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)c->size));
	json_object_object_add(o, "repeat", json_object_new_int64((int64_t)c->repeat));
	json_object_object_add(o, "wall_ns", bench_statistics(mine->wall, rounds));
	json_object_object_add(o, "cpu_ns", bench_statistics(mine->cpu, rounds));
	json_object_object_add(o, "faults", bench_statistics(mine->faults, rounds));
	json_object_object_add(o, "copied", bench_statistics(mine->copied, rounds));
	if (c->baseline)
		compare_cases(o, s, c, all, rounds);
	if (c->target_ratio > 0)
		add_number(o, "target_ratio", c->target_ratio);
	if (c->target_ns > 0)
		add_number(o, "target_ns", c->target_ns);
	return o;
}

static void report(const struct bench_subject *s, const struct results *all, unsigned int rounds)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	size_t i;

	bench_check(root && list, "allocation");
	for (i = 0; i < s->count; i++)
		json_object_array_add(list, report_case(s, &s->cases[i], all, rounds));
	json_object_object_add(root, "subject", json_object_new_string(s->name));
	json_object_object_add(root, "rounds", json_object_new_int((int)rounds));
	json_object_object_add(root, "warm_up", json_object_new_int(BENCH_WARM_UP));
	json_object_object_add(root, "cases", list);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
	json_object_put(root);
}

static void measure(const struct bench_case *c, struct results *r, int round)
{
	struct bench_sample sample = { 0 };
	double n = (double)c->repeat;

	c->run(c, c->repeat, &sample);
	if (round < 0)
		return;
	r->wall[round] = sample.wall_ns / n;
	r->cpu[round] = sample.cpu_ns / n;
	r->faults[round] = sample.faults / n;
	r->copied[round] = sample.copied / n;
}

static void run_rounds(const struct bench_subject *s, unsigned int rounds)
{
	struct results *all = calloc(s->count, sizeof(*all));
	double *room = calloc(4 * s->count * rounds, sizeof(*room));
	size_t i;
	int round;

	bench_check(all && room, "allocation");
	for (i = 0; i < s->count; i++) {
		all[i].wall = room + 4 * i * rounds;
		all[i].cpu = all[i].wall + rounds;
		all[i].faults = all[i].cpu + rounds;
		all[i].copied = all[i].faults + rounds;
	}
	for (round = -BENCH_WARM_UP; round < (int)rounds; round++)
		for (i = 0; i < s->count; i++) {
			size_t at = round & 1 ? s->count - 1 - i : i;

			measure(&s->cases[at], &all[at], round);
		}
	report(s, all, rounds);
	free(room);
	free(all);
}

size_t bench_rounds(int argc, char **argv, const char *subject, size_t usual, size_t most)
{
	size_t rounds = usual;

	if (argc == 3 && !strcmp(argv[1], "--rounds"))
		rounds = strtoul(argv[2], NULL, 10);
	else if (argc != 1)
		rounds = 0;
	if (rounds >= 1 && rounds <= most)
		return rounds;
	fprintf(stderr, "usage: %s [--rounds N], at most %zu\n", subject, most);
	exit(2);
}

void bench_print_cases(const char *subject, size_t rounds, struct json_object *list)
{
	struct json_object *root = json_object_new_object();

	bench_check(root && list, "allocation");
	json_object_object_add(root, "subject", json_object_new_string(subject));
	json_object_object_add(root, "rounds", json_object_new_int((int)rounds));
	json_object_object_add(root, "cases", list);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
	json_object_put(root);
}

static int usage(const struct bench_subject *s)
{
	size_t i;

	fprintf(stderr, "usage: %s [--rounds N] | --only CASE --repeat N\ncases:\n", s->name);
	for (i = 0; i < s->count; i++)
		fprintf(stderr, "  %-24s %s\n", s->cases[i].name, s->cases[i].label);
	return 2;
}

static int run_one(const struct bench_subject *s, const char *name, unsigned long repeat)
{
	const struct bench_case *c = find_case(s, name);
	struct bench_sample sample = { 0 };

	if (!c)
		return usage(s);
	if (repeat)
		c->run(c, repeat, &sample);
	return 0;
}

int bench_main(int argc, char **argv, const struct bench_subject *subject)
{
	unsigned long rounds = subject->rounds ? subject->rounds : BENCH_ROUNDS, repeat = 1;
	const char *only = NULL;
	int i, result = 0;

	for (i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--rounds"))
			rounds = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--only"))
			only = argv[i + 1];
		else if (!strcmp(argv[i], "--repeat"))
			repeat = strtoul(argv[i + 1], NULL, 10);
		else
			return usage(subject);
	}
	if (i < argc || !rounds || rounds > BENCH_MAX_ROUNDS)
		return usage(subject);
	if (subject->start)
		subject->start();
	if (only)
		result = run_one(subject, only, repeat);
	else
		run_rounds(subject, (unsigned int)rounds);
	if (subject->stop)
		subject->stop();
	return result;
}
