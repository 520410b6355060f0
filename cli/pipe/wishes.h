/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_CLI_PIPE_WISHES_H
#define DMABUF_CLI_PIPE_WISHES_H

#include "element.h"

struct wishes {
	const char *example; /* of a path */
	const char *what;    /* "fps=N or frames=N" */
	bool (*take)(struct element *element, const char *name, const char *value);
};

/* The path goes to @element's, its wishes, which only sources have, to @wishes->take. 0 or
 * EXIT_USAGE. */
int wishes_parse(struct element *element, const char *argument, const struct wishes *wishes);

#endif
