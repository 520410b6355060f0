// SPDX-License-Identifier: MIT
/* Elements that stand for a file: file:, tee:. */
#include "element.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../command.h"

static int parse_file(struct element *element, const char *argument)
{
	if (*argument)
		return 0;
	return usage(element->command, "\"%s\": a path is missing", element->text);
}

static int open_fail(const struct element *element, const char *what, int err)
{
	char who[160];

	element_describe(element, who, sizeof(who));
	complain(element->command, "%s: %s: %s", who, what, strerror(err));
	return -1;
}

static int open_input(struct element *element)
{
	struct stat st;

	element->fd = open(element->argument, O_RDONLY | O_CLOEXEC);
	if (element->fd < 0 || fstat(element->fd, &st) < 0)
		return open_fail(element, "cannot open it", errno);
	if (S_ISDIR(st.st_mode))
		return open_fail(element, "cannot read it", EISDIR);
	/* Files of /proc and /sys say that they are empty, and are not. */
	element->streams = !(S_ISREG(st.st_mode) && st.st_size) && !S_ISBLK(st.st_mode);
	return 0;
}

static int open_output(struct element *element)
{
	const char *what;
	struct stat st;
	int err = output_open(&element->output, element->argument, &what);

	if (err < 0)
		return open_fail(element, what, -err);
	element->fd = element->output.fd;
	if (fstat(element->fd, &st) < 0)
		return open_fail(element, "cannot look at it", errno);
	element->streams = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
	return 0;
}

static int open_file(struct element *element)
{
	return element->role == ELEMENT_SOURCE ? open_input(element) : open_output(element);
}

static int run_file(struct element_context *context)
{
	if (context->element->role == ELEMENT_SOURCE)
		return context->element->streams ? stream_read(context) : transfer_read(context);
	return context->element->streams ? stream_write(context) : transfer_write(context);
}

const struct element_class file_class = {
	.prefix = "file:",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_SINK),
	.parse = parse_file,
	.open = open_file,
	.run = run_file,
};

const struct element_class tee_class = {
	.prefix = "tee:",
	.roles = ROLE(ELEMENT_STAGE),
	.parse = parse_file,
	.open = open_output,
	.run = run_file,
};
