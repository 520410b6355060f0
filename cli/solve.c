// SPDX-License-Identifier: MIT
/* dmabuf solve: which memory suits these devices, or why none does. */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <dmabuf/error.h>

#include "solve/solve.h"

struct solve {
	struct solve_machine machine;
	struct dma_buf_request request;
	struct dma_buf_negotiation answer;
	struct dma_buf_participant participants[DMA_BUF_MAX_PARTICIPANTS];
	const char *file;
	bool json;
	bool trial;
	char text[16384];
};

static int parse(struct solve *s, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "size", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ "max-buffers", required_argument, NULL, 'm' },
		{ "own-tables", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "try", no_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct dma_buf_request *r = &s->request;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:f:", longs, NULL)) != -1) {
		if (option == 's' && (!size_parse(optarg, &r->size) || !r->size))
			return usage(&command_solve, "--size \"%s\": not a size", optarg);
		if (option == 'm' &&
		    (!number_parse(optarg, UINT32_MAX, &r->max_buffers) || !r->max_buffers))
			return usage(&command_solve, "--max-buffers \"%s\": not a number", optarg);
		if (option == ':')
			return usage(&command_solve, "\"%s\" needs a value", argv[optind - 1]);
		if (option == '?')
			return usage(&command_solve, "there is no option \"%s\"", argv[optind - 1]);
		if (option == 'f')
			s->file = optarg;
		s->json |= option == 'j';
		s->trial |= option == 't';
		r->own_tables |= option == 'o';
	}
	if (optind == argc && !s->file)
		return usage(&command_solve, "no devices are named, and no --file");
	return EXIT_OK;
}

/* "vda", "vda:read", "vda:write". */
static bool split_direction(char *word, enum dma_data_direction *direction)
{
	static const struct {
		const char *name;
		enum dma_data_direction direction;
	} uses[] = { { "read", DMA_TO_DEVICE },
		     { "write", DMA_FROM_DEVICE },
		     { "both", DMA_BIDIRECTIONAL } };
	char *colon = strrchr(word, ':');

	for (int i = 0; colon && i < 3; i++) {
		if (strcmp(colon + 1, uses[i].name) != 0)
			continue;
		*colon = '\0';
		*direction = uses[i].direction;
		return true;
	}
	return false;
}

static int add(struct solve *s, struct solve_device *d, enum dma_data_direction direction)
{
	if (!d->known) {
		complain(&command_solve, "nothing is known of %s: it %s", d->name, d->about);
		return EXIT_SETUP;
	}
	if (s->request.participant_count == DMA_BUF_MAX_PARTICIPANTS)
		return usage(&command_solve, "more than %u devices", DMA_BUF_MAX_PARTICIPANTS);
	s->participants[s->request.participant_count++] = (struct dma_buf_participant){
		.name = d->name,
		.parameters = &d->parameters,
		.write_parameters = &d->write_parameters,
		.direction = direction,
	};
	return EXIT_OK;
}

static int add_named(struct solve *s, char *word)
{
	struct solve_device *d = solve_find(&s->machine, word);
	enum dma_data_direction direction;

	if (d)
		return add(s, d, d->direction);
	if (split_direction(word, &direction))
		d = solve_find(&s->machine, word);
	if (!d)
		return usage(&command_solve,
			     "there is no device \"%s\"; `dmabuf devices` lists this machine's",
			     word);
	return add(s, d, direction);
}

static int collect(struct solve *s, int count, char **words)
{
	unsigned int first = 0;
	char why[512];
	int status = EXIT_OK;

	solve_look(&s->machine, s->trial);
	if (s->file && !solve_read(&s->machine, s->file, &first, why, sizeof(why)))
		return usage(&command_solve, "%s: %s", s->file, why);
	for (int i = 0; i < count && status == EXIT_OK; i++)
		status = add_named(s, words[i]);
	for (unsigned int i = first; !count && i < s->machine.device_count && status == EXIT_OK;
	     i++)
		status = add(s, &s->machine.devices[i], s->machine.devices[i].direction);
	if (status == EXIT_OK && !s->request.participant_count)
		status = usage(&command_solve, "%s describes no device", s->file);
	if (status == EXIT_OK && !s->request.size && !s->machine.plane_count)
		status = usage(&command_solve, "--size is missing");
	if (status == EXIT_OK && !s->machine.heap_count)
		status = usage(&command_solve, "%s describes no heap", s->file);
	return status;
}

static int solve(struct solve *s)
{
	struct dma_buf_request *r = &s->request;
	int count;

	r->struct_size = sizeof(*r);
	r->participants = s->participants;
	r->planes = s->machine.planes;
	r->plane_count = s->machine.plane_count;
	r->heaps = s->machine.heaps;
	r->heap_count = s->machine.heap_count;
	s->answer.struct_size = sizeof(s->answer);
	count = dma_buf_negotiate(r, &s->answer);
	if (count == -ENOMEM) {
		complain(&command_solve, "%s", dmabuf_last_error());
		return EXIT_SETUP;
	}
	if (count < 0)
		return usage(&command_solve, "%s", dmabuf_last_error());
	/* Cut short it is still worth reading. */
	(void)dma_buf_explain(r, &s->answer, s->text, sizeof(s->text));
	if (s->json)
		solve_print_json(solve_json(r, &s->answer, s->text));
	else
		fputs(s->text, stdout);
	return count ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
	struct solve *s = calloc(1, sizeof(*s));
	int status;

	if (!s) {
		complain(&command_solve, "no memory");
		return EXIT_SETUP;
	}
	status = parse(s, argc, argv);
	if (status == EXIT_OK)
		status = collect(s, argc - optind, argv + optind);
	if (status == EXIT_OK)
		status = finish_stdout(&command_solve, solve(s));
	free(s);
	return status;
}

const struct command command_solve = {
	.name = "solve",
	.summary = "find memory that suits several devices, or say why none does",
	.help = "Usage: dmabuf solve [OPTION]... [DEVICE[:read|:write|:both]]...\n\n"
		"Says where memory for a buffer that these devices share should come from, and "
		"what\n"
		"each of them will see; or which of their needs cannot hold together, and what "
		"would\n"
		"help. Nothing is allocated.\n\n"
		"Devices are those that `dmabuf devices` lists, by name or path "
		"(v4l2:/dev/video0),\n"
		"or a file describes; without any, all of the file. :read and :write say what the "
		"device does with the buffer.\n\n"
		"Options:\n"
		"  -s, --size BYTES[K|M|G|T]  of one buffer\n"
		"  -f, --file FILE        JSON that describes devices, planes, heaps; see the "
		"manual\n"
		"      --max-buffers N    most buffers that can be afforded\n"
		"      --own-tables       each device obeys its own limits only, not the merged "
		"ones\n"
		"      --try              give each video device a buffer, to see what it takes\n"
		"      --json             the answer as JSON\n"
		"      --help             this text\n\n"
		"Exit status: 0 there is a plan; 1 there is none; 2 usage, or a file that makes "
		"no\n"
		"sense; 3 no memory, or a device that cannot be looked at.\n",
	.run = run,
};
