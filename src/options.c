// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <string.h>

#include "error.h"

/* A size beyond this was never set by anybody. */
#define OPTIONS_MAX 4096

int options_take(void *to, size_t known, const void *from, size_t least, const char *what)
{
	const char *bytes = from;
	size_t size, i;

	if (!from)
		return dmabuf_fail(EINVAL, "%s: NULL", what);
	memcpy(&size, from, sizeof(size));
	if (size < least || size > OPTIONS_MAX)
		return dmabuf_fail(EINVAL, "%s: its size is given as %zu, must be %zu", what, size,
				   known);
	for (i = known; i < size; i++)
		if (bytes[i])
			return dmabuf_fail(EINVAL,
					   "%s: byte %zu is set, but this library knows only %zu "
					   "bytes: it is older than the program",
					   what, i, known);
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}
