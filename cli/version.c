// SPDX-License-Identifier: MIT
/* dmabuf version */
#include "command.h"

#include <dmabuf/error.h>

static int run(int argc, char **argv)
{
	if (argc > 1 && argv[0][0] != '-')
		return usage(&command_version, "unexpected argument \"%s\"", argv[1]);
	printf("dmabuf %s (libdmabuf %s)\n", DMABUF_VERSION, dmabuf_version());
	return finish_stdout(&command_version, EXIT_OK);
}

const struct command command_version = {
	.name = "version",
	.summary = "print the version of the command and of the library",
	.help = "Usage: dmabuf version\n\n"
		"Prints the version of the command and of the library that it found.\n",
	.run = run,
};
