// SPDX-License-Identifier: MIT
/* dmabuf: finds the subcommand and hands over. */
#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command *const commands[] = {
	&command_pipe,	  &command_cast,   &command_catch,   &command_ls,   &command_solve,
	&command_devices, &command_doctor, &command_version, &command_help, NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* Nothing that is opened later may become stdin, stdout or stderr by accident. */
static bool open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	const struct command *command;

	/* A reader that goes away is told as an error, so that outputs are cleaned up. */
	signal(SIGPIPE, SIG_IGN);
	if (!open_standard())
		return EXIT_SETUP;
	if (argc < 2)
		return usage(NULL, "a subcommand is missing");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		command = &command_help;
	else if (!strcmp(argv[1], "--version"))
		command = &command_version;
	else
		command = command_find(argv[1]);
	if (!command)
		return usage(NULL, "there is no subcommand \"%s\"", argv[1]);
	for (int i = 2; i < argc && strcmp(argv[i], "!") && strcmp(argv[i], "--"); i++) {
		if (strcmp(argv[i], "--help") && strcmp(argv[i], "-h"))
			continue;
		fputs(command->help, stdout);
		return finish_stdout(command, EXIT_OK);
	}
	return command->run(argc - 1, argv + 1);
}
