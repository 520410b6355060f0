// SPDX-License-Identifier: MIT
/* What happened, for programs. Fields may be added, but are not renamed or taken away. */
#include "pipe.h"

#include <stdio.h>
#include <sys/wait.h>

#include "../json-members.h"

void report_seconds(json_object *to, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6f", value);
	json_object_object_add(to, key, json_object_new_double_s(value, text));
}

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static const char *role(const struct element *element)
{
	if (element->role == ELEMENT_SOURCE)
		return "source";
	return element->role == ELEMENT_SINK ? "sink" : "stage";
}

static json_object *member_json(const struct member *m)
{
	json_object *object = json_object_new_object(), *results = json_object_new_object();

	json_add_uint(object, "number", m->element.number);
	json_add_text(object, "role", role(&m->element));
	json_add_text(object, "element", m->element.text);
	json_add_uint(object, "pid", (uint64_t)m->pid);
	json_add_uint(object, "frames", m->stats.frames);
	json_add_uint(object, "bytes", m->stats.bytes);
	json_add_uint(object, "waits", m->stats.waits);
	report_seconds(object, "wait_seconds", (double)m->stats.wait_ns / 1e9);
	report_seconds(object, "user_seconds", seconds(&m->usage.ru_utime));
	report_seconds(object, "system_seconds", seconds(&m->usage.ru_stime));
	json_add_uint(object, "page_faults", (uint64_t)(m->usage.ru_minflt + m->usage.ru_majflt));
	json_add_uint(object, "exit_status",
		      WIFEXITED(m->status) ? (uint64_t)WEXITSTATUS(m->status) : 0);
	json_add_uint(object, "signal", WIFSIGNALED(m->status) ? (uint64_t)WTERMSIG(m->status) : 0);
	for (unsigned int r = 0; r < m->result_count; r++)
		json_add_text(results, m->results[r].key, m->results[r].value);
	json_object_object_add(object, "results", results);
	return object;
}

static json_object *buffers_json(const struct pipe *pipe)
{
	json_object *object = json_object_new_object(), *inodes = json_object_new_array();

	uint64_t count = pipe_has_pool(pipe) ? pipe->options.buffers : 0;

	json_add_uint(object, "count", count);
	json_add_uint(object, "size", count ? pipe->options.size : 0);
	for (uint64_t i = 0; i < count; i++)
		json_object_array_add(inodes, json_object_new_uint64(pipe->inodes[i]));
	json_object_object_add(object, "inodes", inodes);
	return object;
}

void report_outcome(json_object *to, const struct outcome *o)
{
	json_add_text(to, "result", !o->failed ? "ok" : o->signal ? "interrupted" : "failed");
	json_add_uint(to, "exit_status", (uint64_t)o->status);
	json_object_object_add(to, "reason", o->failed ? json_object_new_string(o->reason) : NULL);
	json_object_object_add(to, "failed_element",
			       o->element ? json_object_new_uint64(o->element) : NULL);
}

void report_print(const struct pipe *pipe, json_object *object)
{
	fprintf(pipe_writes_stdout(pipe) ? stderr : stdout, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							       JSON_C_TO_STRING_SPACED |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

void report_json(const struct pipe *pipe)
{
	json_object *object = json_object_new_object(), *elements = json_object_new_array();
	uint64_t bytes = pipe->members[0].stats.bytes;
	double took = pipe_seconds(pipe);

	json_add_text(object, "schema", "dmabuf-pipe/1");
	report_outcome(object, &pipe->outcome);
	report_seconds(object, "seconds", took);
	json_add_uint(object, "frames", pipe->members[0].stats.frames);
	json_add_uint(object, "bytes", bytes);
	report_seconds(object, "bytes_per_second", took > 0 ? (double)bytes / took : 0);
	json_object_object_add(object, "buffers", buffers_json(pipe));
	json_object_object_add(object, "counters", json_counters(&pipe->counters));
	for (unsigned int i = 0; i < pipe->count; i++)
		json_object_array_add(elements, member_json(&pipe->members[i]));
	json_object_object_add(object, "elements", elements);
	report_print(pipe, object);
}
