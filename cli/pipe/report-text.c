// SPDX-License-Identifier: MIT
/* What happened, for people. */
#include "pipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool pipe_writes_stdout(const struct pipe *pipe)
{
	const struct element *last = &pipe->members[pipe->count - 1].element;

	/* The only element of a cast is a source. */
	return last->class == &stream_class && last->role == ELEMENT_SINK;
}

double pipe_seconds(const struct pipe *pipe)
{
	return pipe->started ? (double)(pipe->ended - pipe->started) / 1e9 : 0;
}

/* The source as coreutils would call it. */
static const char *input_name(const struct pipe *pipe)
{
	const struct element *source = &pipe->members[0].element;

	return source->class == &file_class ? source->argument : source->text;
}

/* As sha256sum does it: a name with a newline or backslash is escaped, and the line says so. */
static void print_digest(FILE *out, const char *digest, const char *name)
{
	bool escape = strpbrk(name, "\n\r\\");

	fprintf(out, "%s%s  ", escape ? "\\" : "", digest);
	for (; *name; name++) {
		if (*name == '\n')
			fputs("\\n", out);
		else if (*name == '\r')
			fputs("\\r", out);
		else if (*name == '\\')
			fputs("\\\\", out);
		else
			fputc(*name, out);
	}
	fputc('\n', out);
}

static void print_results(const struct pipe *pipe, FILE *out)
{
	const char *name = input_name(pipe);

	for (unsigned int i = 0; i < pipe->count; i++) {
		const struct member *m = &pipe->members[i];
		bool digest = m->element.class == &sha256_class || m->element.class == &crc32_class;

		for (unsigned int r = 0; r < m->result_count && digest; r++)
			print_digest(out, m->results[r].value, name);
	}
}

static bool is_method(const struct pipe_result *result)
{
	return !strcmp(result->key, "method") || !strcmp(result->key, "requests") ||
	       !strcmp(result->key, "bounced") || !strcmp(result->key, "device") ||
	       !strcmp(result->key, "driver");
}

static void print_member(const struct member *m)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %s", m->element.number, m->element.text);
	make_printable(text);
	fprintf(stderr, "%-28.28s %9" PRIu64 " %14" PRIu64 " %7" PRIu64 " %8.3f %7ld", text,
		m->stats.frames, m->stats.bytes, m->stats.waits, (double)m->stats.wait_ns / 1e9,
		m->usage.ru_minflt + m->usage.ru_majflt);
	for (unsigned int r = 0; r < m->result_count; r++)
		if (!is_method(&m->results[r]))
			fprintf(stderr, "  %s", m->results[r].value);
	fputc('\n', stderr);
}

static const char *suffix(const struct pipe_result *result)
{
	if (!strcmp(result->key, "requests"))
		return " requests";
	return !strcmp(result->key, "bounced") ? " through the page cache" : "";
}

/* How a file was read or written takes a line of its own. */
static void print_methods(const struct pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->count; i++) {
		const struct member *m = &pipe->members[i];
		char separator = ' ';

		for (unsigned int r = 0; r < m->result_count; r++) {
			if (!is_method(&m->results[r]))
				continue;
			if (separator == ' ')
				fprintf(stderr, "%u:", m->element.number);
			fprintf(stderr, "%s%s%s", separator == ' ' ? " " : "; ",
				m->results[r].value, suffix(&m->results[r]));
			separator = ';';
		}
		if (separator == ';')
			fputc('\n', stderr);
	}
}

static void print_totals(const struct pipe *pipe)
{
	const struct dma_buf_counters *c = &pipe->counters;
	uint64_t bytes = pipe->members[0].stats.bytes;
	double seconds = pipe_seconds(pipe);
	char size[32], done[32], rate[32];

	size_format((double)pipe->options.size, size, sizeof(size));
	size_format((double)bytes, done, sizeof(done));
	size_format(seconds > 0 ? (double)bytes / seconds : 0, rate, sizeof(rate));
	fprintf(stderr, "%s in %.3f s, %s/s", done, seconds, rate);
	if (!pipe_has_pool(pipe)) {
		fputs(", through buffers that the source made\n", stderr);
		return;
	}
	fprintf(stderr, ", through %" PRIu64 " buffers of %s\n", pipe->options.buffers, size);
	fprintf(stderr,
		"%" PRIu64 " CPU accesses, %" PRIu64 " mappings; cache operations: %" PRIu64
		" needed, %" PRIu64 " done, %" PRIu64 " avoided\n",
		c->cpu_access, c->maps, c->sync_needed, c->sync_done, c->sync_skipped);
}

void report_text(const struct pipe *pipe)
{
	bool bold = color_wanted(pipe->options.color, stderr);

	if (!pipe->outcome.failed)
		print_results(pipe, pipe_writes_stdout(pipe) ? stderr : stdout);
	if (pipe->options.quiet || !pipe->started)
		return;
	fprintf(stderr, "%s%-28s %9s %14s %7s %8s %7s  %s%s\n", color_bold(bold), "ELEMENT",
		"FRAMES", "BYTES", "WAITS", "WAITED/S", "FAULTS", "RESULT", color_end(bold));
	for (unsigned int i = 0; i < pipe->count; i++)
		print_member(&pipe->members[i]);
	print_methods(pipe);
	print_totals(pipe);
}
