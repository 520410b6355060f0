// SPDX-License-Identifier: MIT
/* exec: elements that are programs of somebody else. */
#include "element.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command.h"

#define EXIT_NOT_RUN 127

/*
 * One word of @text into @word, which has room for all of it: quotes and backslashes as in a shell,
 * nothing else of it. Returns what follows, NULL after a quote that is not closed.
 */
static const char *next_word(const char *text, char *word)
{
	char quote = 0;

	for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
		if (*text == '\\' && quote != '\'' && text[1] &&
		    (!quote || strchr("\\\"$`", text[1]))) {
			*word++ = *++text;
		} else if (quote && *text == quote) {
			quote = 0;
		} else if (!quote && (*text == '\'' || *text == '"')) {
			quote = *text;
		} else {
			*word++ = *text;
		}
	}
	*word = '\0';
	return quote ? NULL : text;
}

static char **split_words(const char *text)
{
	/* No more words than every second byte, and a closing NULL; the bytes follow the array. */
	size_t len = strlen(text), most = len / 2 + 2, count = 0;
	char **words = calloc(1, most * sizeof(*words) + len + most);
	char *room;

	if (!words)
		return NULL;
	room = (char *)(words + most);
	for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
		words[count++] = room;
		text = next_word(text, room);
		if (!text) {
			free(words);
			errno = EINVAL;
			return NULL;
		}
		room += strlen(room) + 1;
	}
	return words;
}

static int parse_exec(struct element *element, const char *argument)
{
	element->argv = split_words(argument);
	if (!element->argv)
		return usage(element->command, "\"%s\": %s", element->text,
			     errno == EINVAL ? "a quote is not closed" : strerror(errno));
	if (!element->argv[0] || !element->argv[0][0])
		return usage(element->command, "\"%s\": a command is missing", element->text);
	return 0;
}

static int keep_across_exec(int fd)
{
	return fd < 0 ? 0 : fcntl(fd, F_SETFD, 0);
}

/* stdin is the pipe's own or nobody's, stdout the pipe's result: neither is for the program. */
static int redirect(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -1;
	return dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ? -1 : 0;
}

static int run_exec(struct element_context *context)
{
	const struct element *element = context->element;
	char sockets[64];

	snprintf(sockets, sizeof(sockets), "1:%d:%d:%d", element->control, element->in,
		 element->out);
	if (setenv(DMABUF_QUEUE_ENV, sockets, 1) < 0 || redirect() < 0 ||
	    keep_across_exec(element->control) < 0 || keep_across_exec(element->in) < 0 ||
	    keep_across_exec(element->out) < 0)
		return element_fail(context, "cannot prepare the program: %s", strerror(errno));
	execvp(element->argv[0], element->argv);
	element_fail(context, "cannot run %s: %s", element->argv[0], strerror(errno));
	_exit(EXIT_NOT_RUN);
}

const struct element_class exec_class = {
	.prefix = "exec:",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_STAGE) | ROLE(ELEMENT_SINK),
	.writes = true,
	.foreign = true,
	.parse = parse_exec,
	.run = run_exec,
};
