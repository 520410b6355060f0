// SPDX-License-Identifier: MIT
#include "text.h"

#include <errno.h>
#include <string.h>

#include "error.h"

/* Bytes above 127 pass, so that UTF-8 does; control characters could play with a terminal. */
static bool printable(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= 0x20 && byte != 0x7f;
}

int text_check(const char *text, size_t room, bool may_be_empty, const char *what)
{
	size_t len, i;

	if (!text || (!text[0] && !may_be_empty))
		return dmabuf_fail(EINVAL, "%s is missing: give 1 to %zu bytes of text", what,
				   room - 1);
	len = strnlen(text, room);
	if (len == room)
		return dmabuf_fail(ENAMETOOLONG, "%s \"%.40s...\" is longer than %zu bytes", what,
				   text, room - 1);
	for (i = 0; i < len; i++)
		if (!printable(text[i]))
			return dmabuf_fail(EINVAL, "%s has an unprintable byte 0x%02x at %zu", what,
					   (unsigned char)text[i], i);
	return 0;
}

void text_copy_untrusted(char *to, size_t room, const char *from, size_t len)
{
	size_t i;

	memset(to, 0, room);
	for (i = 0; i + 1 < room && i < len && from[i]; i++)
		to[i] = printable(from[i]) ? from[i] : '?';
}

void text_copy(char *to, size_t room, const char *from)
{
	text_copy_untrusted(to, room, from, room);
}
