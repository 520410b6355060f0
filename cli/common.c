// SPDX-License-Identifier: MIT
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 0))) static void say(const struct command *command,
						      const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	make_printable(text);
	fprintf(stderr, "dmabuf%s%s: %s\n", command ? " " : "", command ? command->name : "", text);
}

void complain(const struct command *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, format, args);
	va_end(args);
}

int usage(const struct command *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, format, args);
	va_end(args);
	fprintf(stderr, "Try: dmabuf %s%s--help\n", command ? command->name : "",
		command ? " " : "");
	return EXIT_USAGE;
}

int finish_stdout(const struct command *command, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain(command, "cannot write to stdout: %s", strerror(errno));
	return status == EXIT_OK ? EXIT_FAILED : status;
}

bool color_parse(const char *text, enum color_mode *mode)
{
	static const char *const names[] = { "auto", "always", "never" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]))
			continue;
		*mode = (enum color_mode)i;
		return true;
	}
	return false;
}

bool color_wanted(enum color_mode mode, FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (mode != COLOR_AUTO)
		return mode == COLOR_ALWAYS;
	if ((no_color && *no_color) || !term || !strcmp(term, "dumb"))
		return false;
	return isatty(fileno(stream));
}

const char *color_bold(bool wanted)
{
	return wanted ? "\033[1m" : "";
}

const char *color_end(bool wanted)
{
	return wanted ? "\033[0m" : "";
}

bool number_parse(const char *text, uint64_t max, uint64_t *number)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value > max)
		return false;
	*number = value;
	return true;
}

bool size_parse(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	char digits[32];
	size_t len = strlen(text);
	const char *unit = NULL;
	unsigned int shift = 0;
	uint64_t value;

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, text, len + 1);
	unit = strchr(units, digits[len - 1]);
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		digits[len - 1] = '\0';
	}
	if (!number_parse(digits, (uint64_t)INT64_MAX >> shift, &value))
		return false;
	*size = value << shift;
	return true;
}

void size_format(double bytes, char *text, size_t room)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	int unit = 0;

	while (bytes >= 1024 && unit < 5) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, room, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}
