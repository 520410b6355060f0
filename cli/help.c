// SPDX-License-Identifier: MIT
/* dmabuf help */
#include "command.h"

#define HELP_HEAD                                    \
	"Usage: dmabuf SUBCOMMAND [ARGUMENT]...\n\n" \
	"Memory buffers shared between processes and devices without copying.\n\n"

static int run(int argc, char **argv)
{
	const struct command *command;

	if (argc > 2)
		return usage(&command_help, "unexpected argument \"%s\"", argv[2]);
	if (argc == 2 && argv[0][0] != '-') {
		command = command_find(argv[1]);
		if (!command)
			return usage(&command_help, "there is no subcommand \"%s\"", argv[1]);
		fputs(command->help, stdout);
		return finish_stdout(&command_help, EXIT_OK);
	}
	fputs(HELP_HEAD, stdout);
	for (size_t i = 0; commands[i]; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nEach has --help and a manual page, for example dmabuf-pipe(1).\n", stdout);
	return finish_stdout(&command_help, EXIT_OK);
}

const struct command command_help = {
	.name = "help",
	.summary = "explain a subcommand, or list them",
	.help = "Usage: dmabuf help [SUBCOMMAND]\n",
	.run = run,
};
