/* SPDX-License-Identifier: MIT */
/**
 * DOC: outputs
 *
 * A file that a pipe writes appears under its name when the whole pipe has succeeded, and not
 * before: it is written without a name (O_TMPFILE), or under a temporary one in the same directory
 * where the file system cannot do that, and gets its name in output_commit().
 */
#ifndef DMABUF_CLI_PIPE_OUTPUT_H
#define DMABUF_CLI_PIPE_OUTPUT_H

#include <stdbool.h>
#include <sys/types.h>

struct output {
	bool used;
	bool in_place; /* a device or FIFO: written as it goes */
	int fd;
	int dir;
	char *base;    /* name in @dir */
	char *scratch; /* temporary name in @dir, NULL while there is none */
	dev_t dev;     /* of @dir */
	ino_t ino;
};

/* Start one for @path. 0 or a negative errno with *@what saying which step failed. */
int output_open(struct output *output, const char *path, const char **what);
/* Would both get the same name? */
bool output_same(const struct output *a, const struct output *b);
/* Bring the bytes to the medium; nothing is visible yet. */
int output_sync(struct output *output);
/* Give it its name, in the place of what had it. */
int output_commit(struct output *output);
/* Drop what is left: after output_commit() only memory and descriptors. */
void output_close(struct output *output);

#endif
