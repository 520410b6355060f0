// SPDX-License-Identifier: MIT OR GPL-2.0-only
#include "constraints.h"

void constraints_text_init(struct constraints_text *t, char *text, size_t size)
{
	t->at = text;
	t->left = size;
	t->cut = false;
	*text = '\0';
}

void constraints_put(struct constraints_text *t, const char *words)
{
	while (*words && t->left > 1) {
		*t->at++ = *words++;
		t->left--;
	}
	*t->at = '\0';
	t->cut |= *words != '\0';
}

static void put_base(struct constraints_text *t, uint64_t value, unsigned int base)
{
	char digits[24], *first = digits + sizeof(digits);

	*--first = '\0';
	do {
		*--first = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	constraints_put(t, first);
}

void constraints_put_number(struct constraints_text *t, uint64_t value)
{
	put_base(t, value, 10);
}

void constraints_put_hex(struct constraints_text *t, uint64_t value)
{
	constraints_put(t, "0x");
	put_base(t, value, 16);
}

void constraints_put_size(struct constraints_text *t, uint64_t bytes)
{
	static const char *const units[] = { " bytes", " KiB", " MiB", " GiB",
					     " TiB",   " PiB", " EiB" };
	unsigned int unit = 0;

	while (bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	constraints_put_number(t, bytes);
	constraints_put(t, bytes == 1 && !unit ? " byte" : units[unit]);
}
