// SPDX-License-Identifier: MIT
/* The command line of a pipe. */
#include "pipe.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* A buffer smaller than a page only costs; the upper end is a matter of taste. */
#define MIN_SIZE 4096u
#define MAX_SIZE ((uint64_t)1 << 36)

static const struct element_class *const classes[] = {
	&file_class,  &stream_class, &null_class,   &test_class, &sha256_class,
	&crc32_class, &count_class,  &verify_class, &tee_class,	 &exec_class,
	&png_class,   &video_class,  &drm_class,
};

#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static bool is_class(const struct element_class *class, const char *text)
{
	size_t len = strlen(class->prefix);

	return class->prefix[len - 1] == ':' ? !strncmp(text, class->prefix, len)
					     : !strcmp(text, class->prefix);
}

static int check_role(const struct element *element, unsigned int count)
{
	if (element->class->roles & ROLE(element->role))
		return 0;
	if (element->command != &command_pipe)
		return usage(element->command, "\"%s\" cannot be the %s", element->text,
			     element->role == ELEMENT_SOURCE ? "source" : "sink");
	if (count == 1)
		return usage(&command_pipe, "\"%s\" alone is no pipe: SOURCE ! SINK at least",
			     element->text);
	if (element->role == ELEMENT_SOURCE)
		return usage(&command_pipe,
			     "\"%s\" cannot be the source: begin with file:PATH, -, null:, test:, "
			     "v4l2:PATH or drm:PATH",
			     element->text);
	if (element->role == ELEMENT_SINK)
		return usage(&command_pipe,
			     "\"%s\" cannot be the sink: end with ! file:PATH, ! - or ! null:",
			     element->text);
	return usage(&command_pipe, "\"%s\" cannot be a stage: it is a source%s", element->text,
		     element->class->roles & ROLE(ELEMENT_SINK) ? " or a sink" : "");
}

static int find_class(struct element *element)
{
	for (size_t c = 0; c < CLASSES; c++)
		if (is_class(classes[c], element->text))
			element->class = classes[c];
	if (!element->class)
		return usage(element->command, "there is no element \"%s\"", element->text);
	element->argument = element->text + strlen(element->class->prefix);
	return 0;
}

static int parse_element(struct pipe *pipe, unsigned int i)
{
	struct element *element = &pipe->members[i].element;

	element->command = pipe->command;
	element->frames = UINT64_MAX;
	if (find_class(element))
		return EXIT_USAGE;
	element->role = i == 0		       ? ELEMENT_SOURCE
			: i == pipe->count - 1 ? ELEMENT_SINK
					       : ELEMENT_STAGE;
	element->number = i + 1;
	if (check_role(element, pipe->count))
		return EXIT_USAGE;
	pipe->stages_write |= element->class->writes;
	return element->class->parse ? element->class->parse(element, element->argument) : 0;
}

/* One word for each element, "!" between them. */
static int split_elements(struct pipe *pipe, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		bool separator = !strcmp(argv[i], "!");

		if (i % 2 == 0 && separator)
			return usage(&command_pipe, "an element is missing before \"!\"");
		if (i % 2 && !separator)
			return usage(&command_pipe,
				     "unexpected \"%s\" after \"%s\": put \"!\" between "
				     "elements, and quotes around an element with blanks",
				     argv[i], argv[i - 1]);
		if (separator)
			continue;
		if (pipe->count == PIPE_MAX_ELEMENTS)
			return usage(&command_pipe, "more than %d elements", PIPE_MAX_ELEMENTS);
		pipe->members[pipe->count++].element.text = argv[i];
	}
	if (!argc)
		return usage(&command_pipe, "elements are missing: SOURCE ! STAGE ! ... ! SINK");
	if (argc % 2 == 0)
		return usage(&command_pipe, "an element is missing after the last \"!\"");
	return 0;
}

/* A picture must fit one buffer. */
static void fit_buffers(struct pipe *pipe)
{
	const struct element *source = &pipe->members[0].element;

	if (source->class == &test_class && pipe->options.size < picture_size(&source->picture))
		pipe->options.size = picture_size(&source->picture);
	if (source->role == ELEMENT_SOURCE && source->class->max_buffers &&
	    pipe->options.buffers > source->class->max_buffers)
		pipe->options.buffers = source->class->max_buffers;
}

int pipe_parse_only(struct pipe *pipe, const char *text, enum element_role role)
{
	struct element *element = &pipe->members[0].element;
	bool catches = role == ELEMENT_SINK;

	pipe->count = 1;
	*element = (struct element){ .command = pipe->command,
				     .text = text,
				     .role = role,
				     .number = 1,
				     .fd = -1,
				     .output = element->output,
				     .frames = UINT64_MAX };
	if (find_class(element))
		return EXIT_USAGE;
	if (!(catches && element->class->roles & ROLE(ELEMENT_CATCHER)) && check_role(element, 1))
		return EXIT_USAGE;
	if (element->class->parse && element->class->parse(element, element->argument))
		return EXIT_USAGE;
	if (catches)
		element->frames = pipe->options.queue.frames;
	element->period = pipe->options.queue.period;
	fit_buffers(pipe);
	return 0;
}

bool seconds_parse(const char *text, double scale, uint64_t *value)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0) || seconds > 1e6)
		return false;
	*value = (uint64_t)(seconds * scale);
	return true;
}

/* Of this process and all that it starts; in the words of the environment, if it has some. */
static void ask_for_checks(void)
{
	const char *asked = getenv("DMABUF_CHECK");

	if (!asked || !asked[0] || !strcmp(asked, "0"))
		setenv("DMABUF_CHECK", "1", 1);
}

static int parse_options(struct pipe_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "buffers", required_argument, NULL, 'b' },
		{ "size", required_argument, NULL, 's' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "color", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:b:s:q", longs, NULL)) != -1) {
		switch (option) {
		case 'b':
			if (!number_parse(optarg, DMABUF_QUEUE_MAX_BUFFERS, &options->buffers) ||
			    !options->buffers)
				return usage(&command_pipe, "--buffers \"%s\": not 1 to %d", optarg,
					     DMABUF_QUEUE_MAX_BUFFERS);
			break;
		case 's':
			if (!size_parse(optarg, &options->size) || options->size < MIN_SIZE ||
			    options->size > MAX_SIZE)
				return usage(&command_pipe, "--size \"%s\": not 4K to 64G", optarg);
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'j':
			options->json = true;
			break;
		case 'c':
			if (!color_parse(optarg, &options->color))
				return usage(&command_pipe,
					     "--color \"%s\": not auto, always or never", optarg);
			break;
		case 'k':
			ask_for_checks();
			break;
		case ':':
			return usage(&command_pipe, "\"%s\" needs a value", argv[optind - 1]);
		default:
			return usage(&command_pipe, "there is no option \"%s\"", argv[optind - 1]);
		}
	}
	return 0;
}

int pipe_parse(struct pipe *pipe, int argc, char **argv)
{
	pipe->options = (struct pipe_options){ .buffers = 8, .size = 1 << 20 };
	if (parse_options(&pipe->options, argc, argv) ||
	    split_elements(pipe, argc - optind, argv + optind))
		return EXIT_USAGE;
	for (unsigned int i = 0; i < pipe->count; i++)
		if (parse_element(pipe, i))
			return EXIT_USAGE;
	fit_buffers(pipe);
	return 0;
}
