// SPDX-License-Identifier: MIT
#include "command.h"
static int run(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}
const struct command command_ls = {
	.name = "ls", .summary = "list buffers and who holds them", .help = "", .run = run
};
