/* SPDX-License-Identifier: MIT */
/* What the subcommands of dmabuf share. */
#ifndef DMABUF_CLI_COMMAND_H
#define DMABUF_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses; a command ended by signal N exits with 128 + N. */
#define EXIT_OK 0
#define EXIT_FAILED 1 /* the thing itself failed: an element of a pipe, an output */
#define EXIT_USAGE 2  /* the command line makes no sense */
#define EXIT_SETUP 3  /* this machine did not let us begin: memory, processes, descriptors */

struct command {
	const char *name;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command command_cast;
extern const struct command command_catch;
extern const struct command command_devices;
extern const struct command command_doctor;
extern const struct command command_help;
extern const struct command command_ls;
extern const struct command command_pipe;
extern const struct command command_solve;
extern const struct command command_version;

/* All of them, closed by NULL. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);

/* "dmabuf pipe: ..." on stderr, with a newline. */
void complain(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same with a hint where help is; returns EXIT_USAGE. */
int usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Write what stdout still has; EXIT_FAILED with words if that fails, else @status. */
int finish_stdout(const struct command *command, int status);

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* "auto", "always", "never". */
bool color_parse(const char *text, enum color_mode *mode);
/* May @stream have colours? Minds NO_COLOR and TERM=dumb. */
bool color_wanted(enum color_mode mode, FILE *stream);
/* The sequences, or "" where colours are not wanted. */
const char *color_bold(bool wanted);
const char *color_end(bool wanted);

/* "12K", "3M", "1G", plain bytes; false if it is no such thing or over 2^63 - 1. */
bool size_parse(const char *text, uint64_t *size);
/* Digits only, up to @max. */
bool number_parse(const char *text, uint64_t max, uint64_t *number);
/* "1.5 GiB" into @text. */
void size_format(double bytes, char *text, size_t room);

/* Bytes from outside, made fit to be shown: control characters become '?'. */
void make_printable(char *text);

#endif
