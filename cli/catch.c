// SPDX-License-Identifier: MIT
/* dmabuf catch: take the frames of a dmabuf cast, or of any producer of a queue. */
#include <getopt.h>
#include <string.h>

#include "pipe/pipe.h"

enum { OPTION_COLOR = 256, OPTION_EVERY, OPTION_RECONNECT, OPTION_LABEL, OPTION_ON_FULL };

#define DEFAULT_CONNECT_MS 10000
#define SECOND 1e9

static int take_policy(struct pipe *pipe, const char *value)
{
	static const char *const names[] = { "drop-oldest", "drop-newest", "block" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(value, names[i]))
			continue;
		pipe->options.queue.policy = (enum dmabuf_queue_policy)i;
		return 0;
	}
	return usage(pipe->command, "--on-full \"%s\": not drop-oldest, drop-newest or block",
		     value);
}

/* "2" or "2:6". */
static int take_buffers(struct pipe *pipe, const char *value)
{
	struct queue_terms *terms = &pipe->options.queue;
	const char *colon = strchr(value, ':');
	char first[8] = "";

	if (colon && (size_t)(colon - value) < sizeof(first))
		memcpy(first, value, (size_t)(colon - value));
	if (number_parse(colon ? first : value, DMABUF_QUEUE_MAX_BUFFERS, &terms->min_buffers) &&
	    number_parse(colon ? colon + 1 : value, DMABUF_QUEUE_MAX_BUFFERS,
			 &terms->preferred_buffers) &&
	    terms->min_buffers && terms->preferred_buffers >= terms->min_buffers)
		return 0;
	return usage(pipe->command, "--buffers \"%s\": not MIN or MIN:PREFERRED, 1 to %d", value,
		     DMABUF_QUEUE_MAX_BUFFERS);
}

static int take_time(struct pipe *pipe, const char *name, const char *value, double scale,
		     uint64_t *result)
{
	if (seconds_parse(value, scale, result))
		return 0;
	return usage(pipe->command, "--%s \"%s\": not seconds", name, value);
}

static int take_option(struct pipe *pipe, int option, const char *value)
{
	struct pipe_options *o = &pipe->options;

	switch (option) {
	case OPTION_ON_FULL:
		return take_policy(pipe, value);
	case 'b':
		return take_buffers(pipe, value);
	case 'n':
		if (number_parse(value, UINT64_MAX - 1, &o->queue.frames) && o->queue.frames)
			return 0;
		return usage(pipe->command, "--frames \"%s\": not a number from 1", value);
	case 't':
		return take_time(pipe, "timeout", value, 1e3, &o->queue.connect_ms);
	case OPTION_RECONNECT:
		return take_time(pipe, "reconnect", value, 1e3, &o->queue.reconnect_ms);
	case OPTION_EVERY:
		return take_time(pipe, "every", value, SECOND, &o->queue.period);
	case OPTION_LABEL:
		o->queue.label = value;
		return *value && strlen(value) < DMABUF_QUEUE_LABEL_LEN
			       ? 0
			       : usage(pipe->command, "--label \"%s\": not 1 to %d bytes", value,
				       DMABUF_QUEUE_LABEL_LEN - 1);
	case OPTION_COLOR:
		return color_parse(value, &o->color)
			       ? 0
			       : usage(pipe->command, "--color \"%s\": not auto, always or never",
				       value);
	case 'q':
		o->quiet = true;
		return 0;
	default:
		o->json = true;
		return 0;
	}
}

static int parse(struct pipe *pipe, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "on-full", required_argument, NULL, OPTION_ON_FULL },
		{ "buffers", required_argument, NULL, 'b' },
		{ "frames", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "reconnect", required_argument, NULL, OPTION_RECONNECT },
		{ "every", required_argument, NULL, OPTION_EVERY },
		{ "label", required_argument, NULL, OPTION_LABEL },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "color", required_argument, NULL, OPTION_COLOR },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":b:n:t:q", longs, NULL)) != -1) {
		if (option == ':')
			return usage(pipe->command, "\"%s\" needs a value", argv[optind - 1]);
		if (option == '?')
			return usage(pipe->command, "there is no option \"%s\"", argv[optind - 1]);
		if (take_option(pipe, option, optarg))
			return EXIT_USAGE;
	}
	if (optind + 2 != argc)
		return usage(pipe->command,
			     optind + 2 < argc ? "unexpected \"%s\"" : "PATH and SINK are needed",
			     optind + 2 < argc ? argv[optind + 2] : "");
	pipe->options.queue.path = argv[optind];
	return pipe_parse_only(pipe, argv[optind + 1], ELEMENT_SINK);
}

static int run(int argc, char **argv)
{
	struct pipe *pipe = pipe_new(&command_catch);

	if (!pipe)
		return EXIT_SETUP;
	pipe->options = (struct pipe_options){
		.buffers = 8,
		.size = 1 << 20,
		.queue = { .connect_ms = DEFAULT_CONNECT_MS,
			   .frames = UINT64_MAX,
			   .period = (uint64_t)SECOND },
	};
	if (parse(pipe, argc, argv) == 0)
		return pipe_run(pipe);
	pipe_free(pipe);
	return EXIT_USAGE;
}

const struct command command_catch = {
	.name = "catch",
	.summary = "take the frames of a cast",
	.help = "Usage: dmabuf catch [OPTION]... PATH SINK\n\n"
		"Takes frames from the producer that listens at PATH, beginning with the next one, "
		"until\n"
		"the end of the stream. Nothing is copied on the way.\n\n"
		"Sinks:\n"
		"  file:PATH, -           all bytes\n"
		"  png:DIR, png:PATTERN   a picture every so often; a pattern has %d or %06d for "
		"the\n"
		"                         frame's number\n"
		"  sha256, crc32          digest of all bytes\n"
		"  count                  frames and bytes\n"
		"  verify                 fails unless these are test:'s pictures, whole, and "
		"none\n"
		"                         missing but those that were dropped\n"
		"  null:                  drops everything\n"
		"  v4l2:PATH              a video output\n"
		"  drm:PATH               a graphics driver that imports, with a checksum\n"
		"  exec:COMMAND           a program that uses <dmabuf/queue.h>\n\n"
		"Options:\n"
		"      --on-full HOW      drop-oldest, drop-newest or block (drop-oldest)\n"
		"  -n, --frames N         stop after N frames\n"
		"  -b, --buffers MIN[:PREFERRED]  buffers to have at a time\n"
		"  -t, --timeout SECONDS  how long to wait for the producer (10)\n"
		"      --reconnect SECONDS  how long to try again when it is gone (0)\n"
		"      --every SECONDS    between pictures of png: (1)\n"
		"      --label TEXT       shown to the producer\n"
		"  -q, --quiet            digests and errors only\n"
		"      --json             the result as JSON on stdout\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Exit status: 0 all went well; 1 the sink failed, or the producer was gone; 2 "
		"usage;\n"
		"3 it could not be set up; 128 + N ended by signal N.\n",
	.run = run,
};
