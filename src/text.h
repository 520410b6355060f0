/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_TEXT_H
#define DMABUF_SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is @text fit to be shown to others: printable, at most @room - 1 bytes, not empty unless
 * @may_be_empty? 0, -EINVAL or -ENAMETOOLONG with words that call it @what.
 */
int text_check(const char *text, size_t room, bool may_be_empty, const char *what);

/* Copy as much as fits, fill the rest with NUL, turn unprintable bytes into '?'. */
void text_copy(char *to, size_t room, const char *from);

/* The same from @from[0..len), which came from outside and may lack its NUL. */
void text_copy_untrusted(char *to, size_t room, const char *from, size_t len);

#endif
