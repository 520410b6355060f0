// SPDX-License-Identifier: MIT
/* dmabuf ls: which buffers exist, who holds them, which devices are attached. */
#include "command.h"

#include <getopt.h>
#include <string.h>

#include "ls/list.h"

struct ls_options {
	bool json;
	bool brief;
	enum color_mode color;
};

static int parse(struct ls_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "short", no_argument, NULL, 's' },
		{ "color", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:s", longs, NULL)) != -1) {
		if (option == 'j')
			options->json = true;
		else if (option == 's')
			options->brief = true;
		else if (option == 'c' && !color_parse(optarg, &options->color))
			return usage(&command_ls, "--color \"%s\": not auto, always or never",
				     optarg);
		else if (option == ':')
			return usage(&command_ls, "\"%s\" needs a value", argv[optind - 1]);
		else if (option == '?')
			return usage(&command_ls, "there is no option \"%s\"", argv[optind - 1]);
	}
	if (optind < argc)
		return usage(&command_ls, "unexpected argument \"%s\"", argv[optind]);
	return 0;
}

static int run(int argc, char **argv)
{
	struct ls_options options = { 0 };
	struct ls_list list;
	int err;

	if (parse(&options, argc, argv))
		return EXIT_USAGE;
	err = ls_scan(&list);
	if (err < 0) {
		complain(&command_ls, "cannot read /proc: %s", strerror(-err));
		ls_free(&list);
		return EXIT_FAILED;
	}
	if (options.json)
		ls_print_json(&list);
	else
		ls_print_text(&list, options.brief, color_wanted(options.color, stdout));
	if (list.denied && !options.json)
		complain(&command_ls, "%u processes of other users could not be looked into",
			 list.denied);
	ls_free(&list);
	return finish_stdout(&command_ls, EXIT_OK);
}

const struct command command_ls = {
	.name = "ls",
	.summary = "list buffers, who holds them, what is attached",
	.help = "Usage: dmabuf ls [OPTION]...\n\n"
		"Lists the buffers that processes of this machine have descriptors of, with their\n"
		"holders, the devices attached and what happened so far. The kernel's own "
		"dma-bufs\n"
		"are listed too. Looking changes nothing.\n\n"
		"Options:\n"
		"  -s, --short            one line for each buffer\n"
		"      --json             the same as JSON\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Without privileges only processes of the same user can be looked into; how many\n"
		"others there are is said on stderr.\n\n"
		"Exit status: 0 all went well; 1 /proc could not be read; 2 usage.\n",
	.run = run,
};
