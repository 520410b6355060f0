// SPDX-License-Identifier: MIT
#include "text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "error.h"

static bool printable(uint32_t c)
{
	/* Control characters could play with a terminal, also those above ASCII. */
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* Marks that reverse the reading order could make one name look like another. */
	return !(c >= 0x200e && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

/* Bytes of the character at @text if it is well-formed UTF-8 that may be shown, else 0. */
static size_t character(const char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *in = (const unsigned char *)text;
	size_t n = in[0] < 0x80 ? 1 : in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? in[0] : in[0] & (0xff >> (n + 1));
	size_t i;

	if (in[0] >= 0xf8 || (in[0] >= 0x80 && in[0] < 0xc0) || n > len)
		return 0;
	for (i = 1; i < n; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (in[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return printable(c) ? n : 0;
}

int text_check(const char *text, size_t room, bool may_be_empty, const char *what)
{
	size_t len, i, n;

	if (!text || (!text[0] && !may_be_empty))
		return dmabuf_fail(EINVAL, "%s is missing: give 1 to %zu bytes of text", what,
				   room - 1);
	len = strnlen(text, room);
	if (len == room)
		return dmabuf_fail(ENAMETOOLONG, "%s \"%.40s...\" is longer than %zu bytes", what,
				   text, room - 1);
	for (i = 0; i < len; i += n) {
		n = character(text + i, len - i);
		if (!n)
			return dmabuf_fail(EINVAL,
					   "%s has a byte 0x%02x at %zu that is no printable UTF-8",
					   what, (unsigned char)text[i], i);
	}
	return 0;
}

void text_copy_untrusted(char *to, size_t room, const char *from, size_t len)
{
	const volatile char *in = from;
	size_t i, n, end = 0;

	/* Each byte is read once, as it may be changing. */
	memset(to, 0, room);
	while (end + 1 < room && end < len && (to[end] = in[end]))
		end++;
	for (i = 0; i < end; i += n) {
		n = character(to + i, end - i);
		if (!n) {
			to[i] = '?';
			n = 1;
		}
	}
}

void text_copy(char *to, size_t room, const char *from)
{
	text_copy_untrusted(to, room, from, room);
}
