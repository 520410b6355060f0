// SPDX-License-Identifier: MIT
/* What happened at one end of a queue: dmabuf cast, dmabuf catch. */
#include "pipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../json-members.h"

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static const char *policy_name(enum dmabuf_queue_policy policy)
{
	if (policy == DMABUF_QUEUE_BLOCK)
		return "block";
	return policy == DMABUF_QUEUE_DROP_NEWEST ? "drop-newest" : "drop-oldest";
}

static double mean(uint64_t ns, uint64_t count)
{
	return count ? (double)ns / 1e9 / (double)count : 0;
}

static json_object *caught_json(const struct caught *c)
{
	json_object *object = json_object_new_object();

	json_add_uint(object, "id", c->info.id);
	json_add_text(object, "label", c->info.label);
	json_add_uint(object, "pid", c->info.pid < 0 ? 0 : (uint64_t)c->info.pid);
	json_add_uint(object, "uid", c->info.uid);
	json_add_text(object, "policy", policy_name(c->info.policy));
	json_add_uint(object, "writes", !!c->info.writes);
	json_add_uint(object, "frames", c->info.frames);
	json_add_uint(object, "dropped", c->info.dropped);
	json_add_uint(object, "waits", c->info.waits);
	report_seconds(object, "latency_mean_seconds", mean(c->info.latency_ns, c->info.frames));
	report_seconds(object, "latency_max_seconds", (double)c->info.latency_max_ns / 1e9);
	json_add_text(object, "end", caught_end(c->event));
	json_add_text(object, "words", c->words);
	return object;
}

static void add_cast(const struct pipe *pipe, json_object *to)
{
	json_object *consumers = json_object_new_array();

	json_add_uint(to, "consumers_seen", pipe->caught_total);
	for (unsigned int i = 0; i < pipe->caught_count; i++)
		json_object_array_add(consumers, caught_json(&pipe->caught[i]));
	json_object_object_add(to, "consumers", consumers);
}

static void add_catch(const struct dmabuf_queue_stats *stats, json_object *to)
{
	json_add_uint(to, "connects", stats->connects);
	report_seconds(to, "latency_mean_seconds", mean(stats->latency_ns, stats->frames));
	report_seconds(to, "latency_max_seconds", (double)stats->latency_max_ns / 1e9);
}

void report_queue_json(const struct pipe *pipe)
{
	json_object *object = json_object_new_object(), *results = json_object_new_object();
	const struct member *m = &pipe->members[0];
	bool casts = m->element.role == ELEMENT_SOURCE;

	json_add_text(object, "schema", casts ? "dmabuf-cast/1" : "dmabuf-catch/1");
	report_outcome(object, &pipe->outcome);
	json_add_text(object, "socket", pipe->options.queue.path);
	json_add_text(object, "element", m->element.text);
	json_add_uint(object, "pid", (uint64_t)m->pid);
	report_seconds(object, "seconds", pipe_seconds(pipe));
	json_add_uint(object, "frames", m->stats.frames);
	json_add_uint(object, "bytes", m->stats.bytes);
	json_add_uint(object, "dropped", m->stats.dropped);
	json_add_uint(object, "waits", m->stats.waits);
	report_seconds(object, "wait_seconds", (double)m->stats.wait_ns / 1e9);
	report_seconds(object, "user_seconds", seconds(&m->usage.ru_utime));
	report_seconds(object, "system_seconds", seconds(&m->usage.ru_stime));
	json_add_uint(object, "page_faults", (uint64_t)(m->usage.ru_minflt + m->usage.ru_majflt));
	if (casts)
		add_cast(pipe, object);
	else
		add_catch(&m->stats, object);
	for (unsigned int r = 0; r < m->result_count; r++)
		json_add_text(results, m->results[r].key, m->results[r].value);
	json_object_object_add(object, "results", results);
	report_print(pipe, object);
}

static void print_consumers(const struct pipe *pipe)
{
	bool bold = color_wanted(pipe->options.color, stderr);

	fprintf(stderr, "%s%-32s %7s %-12s %9s %9s %10s %10s  %s%s\n", color_bold(bold), "CONSUMER",
		"PID", "POLICY", "FRAMES", "DROPPED", "MEAN/MS", "WORST/MS", "END",
		color_end(bold));
	for (unsigned int i = 0; i < pipe->caught_count; i++) {
		const struct caught *c = &pipe->caught[i];

		fprintf(stderr, "%-32s %7d %-12s %9" PRIu64 " %9" PRIu64 " %10.3f %10.3f  %s\n",
			c->info.label, (int)c->info.pid, policy_name(c->info.policy),
			c->info.frames, c->info.dropped,
			mean(c->info.latency_ns, c->info.frames) * 1e3,
			(double)c->info.latency_max_ns / 1e6, caught_end(c->event));
	}
}

static void print_results(const struct member *m, FILE *out)
{
	for (unsigned int r = 0; r < m->result_count; r++) {
		const struct pipe_result *result = &m->results[r];

		if (!strcmp(result->key, "sha256") || !strcmp(result->key, "crc32"))
			fprintf(out, "%s  -\n", result->value);
		else
			fprintf(stderr, "%s: %s\n", result->key, result->value);
	}
}

void report_queue_text(const struct pipe *pipe)
{
	const struct member *m = &pipe->members[0];
	const struct dmabuf_queue_stats *s = &m->stats;

	if (!pipe->outcome.failed)
		print_results(m, pipe_writes_stdout(pipe) ? stderr : stdout);
	if (pipe->options.quiet || !pipe->started)
		return;
	if (m->element.role == ELEMENT_SOURCE)
		print_consumers(pipe);
	fprintf(stderr, "%" PRIu64 " frames in %.3f s, %" PRIu64 " dropped, %.3f s of CPU time",
		s->frames, pipe_seconds(pipe), s->dropped,
		seconds(&m->usage.ru_utime) + seconds(&m->usage.ru_stime));
	if (m->element.role == ELEMENT_SINK)
		fprintf(stderr, "; latency %.3f ms, at worst %.3f ms",
			mean(s->latency_ns, s->frames) * 1e3, (double)s->latency_max_ns / 1e6);
	fputc('\n', stderr);
}
