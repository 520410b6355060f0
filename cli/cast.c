// SPDX-License-Identifier: MIT
/* dmabuf cast: one source, many consumers that come and go. */
#include <getopt.h>
#include <string.h>

#include "pipe/pipe.h"

enum { OPTION_STALL = 256, OPTION_COLOR };

static int take_option(struct pipe *pipe, int option, const char *value)
{
	struct pipe_options *o = &pipe->options;
	uint64_t ms;

	switch (option) {
	case 'S':
		o->queue.path = value;
		return 0;
	case 'w':
		if (number_parse(value, DMABUF_QUEUE_MAX_CONSUMERS, &o->queue.consumers))
			return 0;
		return usage(pipe->command, "--wait \"%s\": not 0 to %d", value,
			     DMABUF_QUEUE_MAX_CONSUMERS);
	case 'b':
		if (number_parse(value, DMABUF_QUEUE_MAX_BUFFERS, &o->buffers) && o->buffers)
			return 0;
		return usage(pipe->command, "--buffers \"%s\": not 1 to %d", value,
			     DMABUF_QUEUE_MAX_BUFFERS);
	case 's':
		if (size_parse(value, &o->size) && o->size >= 4096 && o->size <= (uint64_t)1 << 36)
			return 0;
		return usage(pipe->command, "--size \"%s\": not 4K to 64G", value);
	case OPTION_STALL:
		if (!strcmp(value, "never")) {
			o->queue.stall_ms = -1;
			return 0;
		}
		if (!seconds_parse(value, 1e3, &ms) || !ms || ms > INT32_MAX)
			return usage(pipe->command, "--stall \"%s\": not seconds, nor \"never\"",
				     value);
		o->queue.stall_ms = (int32_t)ms;
		return 0;
	case OPTION_COLOR:
		if (color_parse(value, &o->color))
			return 0;
		return usage(pipe->command, "--color \"%s\": not auto, always or never", value);
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
		{ "socket", required_argument, NULL, 'S' },
		{ "wait", required_argument, NULL, 'w' },
		{ "buffers", required_argument, NULL, 'b' },
		{ "size", required_argument, NULL, 's' },
		{ "stall", required_argument, NULL, OPTION_STALL },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "color", required_argument, NULL, OPTION_COLOR },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":S:w:b:s:q", longs, NULL)) != -1) {
		if (option == ':')
			return usage(pipe->command, "\"%s\" needs a value", argv[optind - 1]);
		if (option == '?')
			return usage(pipe->command, "there is no option \"%s\"", argv[optind - 1]);
		if (take_option(pipe, option, optarg))
			return EXIT_USAGE;
	}
	if (optind == argc)
		return usage(pipe->command, "the source is missing");
	if (optind + 1 < argc)
		return usage(pipe->command, "unexpected \"%s\"", argv[optind + 1]);
	if (!pipe->options.queue.path)
		return usage(pipe->command, "--socket PATH is missing: where consumers come");
	return pipe_parse_only(pipe, argv[optind], ELEMENT_SOURCE);
}

static int run(int argc, char **argv)
{
	struct pipe *pipe = pipe_new(&command_cast);

	if (!pipe)
		return EXIT_SETUP;
	pipe->options = (struct pipe_options){ .buffers = DMABUF_QUEUE_MAX_BUFFERS,
					       .size = 1 << 20,
					       .queue = { .stall_ms = 5000 } };
	if (parse(pipe, argc, argv) == 0)
		return pipe_run(pipe);
	pipe_free(pipe);
	return EXIT_USAGE;
}

const struct command command_cast = {
	.name = "cast",
	.summary = "hand one source's frames to all who come, without copying",
	.help = "Usage: dmabuf cast [OPTION]... SOURCE --socket PATH\n\n"
		"Listens at PATH (\"@name\": an abstract name) and hands every frame of the source "
		"to\n"
		"all consumers that are there: `dmabuf catch`, and programs that use\n"
		"<dmabuf/queue.h>. They share the buffers, nothing is copied.\n\n"
		"Sources:\n"
		"  file:PATH, -           a file or block device, standard input\n"
		"  null:[frames=N|bytes=N]  zeros\n"
		"  test:WxH@FPS[,frames=N]  NV12 test pictures; @0: as fast as possible\n"
		"  v4l2:PATH[,format=FOURCC][,size=WxH][,fps=N][,frames=N][,memory=HOW]...  a "
		"camera\n"
		"  drm:PATH[,fps=N][,frames=N][,crtc=N]  what a graphics card's display shows\n"
		"  exec:COMMAND           a program that uses <dmabuf/queue.h>\n\n"
		"Options:\n"
		"  -S, --socket PATH      where consumers come\n"
		"  -w, --wait N           begin when N consumers are there (0)\n"
		"      --stall SECONDS    cut off a blocking consumer that holds all up for so "
		"long,\n"
		"                         or \"never\" (5)\n"
		"  -b, --buffers N        at most so many buffers, 1 to 64 (64)\n"
		"  -s, --size BYTES[K|M|G]  size of each, 4K to 64G (1M; at least a picture)\n"
		"  -q, --quiet            errors only\n"
		"      --json             the result as JSON on stdout\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Exit status: 0 all went well; 1 the source failed; 2 usage; 3 it could not be set "
		"up;\n"
		"128 + N ended by signal N.\n",
	.run = run,
};
