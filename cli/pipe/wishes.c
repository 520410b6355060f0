// SPDX-License-Identifier: MIT
/* "PATH,name=value,...": a device, and what is asked of it. */
#include "wishes.h"

#include <stdio.h>
#include <string.h>

#include "../command.h"

int wishes_parse(struct element *e, const char *argument, const struct wishes *wishes)
{
	size_t len = strcspn(argument, ",");
	char name[16], value[64];

	if (!len || len >= sizeof(e->video.path))
		return usage(e->command, "\"%s\": the path of a device is missing, such as %s",
			     e->text, wishes->example);
	memcpy(e->video.path, argument, len);
	for (const char *at = argument + len; *at; at += len) {
		int end = 0;

		at++;
		len = strcspn(at, ",");
		if (e->role != ELEMENT_SOURCE ||
		    sscanf(at, "%15[a-z]=%63[^,]%n", name, value, &end) != 2 ||
		    (size_t)end != len || !wishes->take(e, name, value))
			return usage(
				e->command, "\"%s\": \"%.*s\" is not %s", e->text, (int)len, at,
				e->role == ELEMENT_SOURCE ? wishes->what
							  : "understood: a sink has no options");
	}
	return 0;
}
