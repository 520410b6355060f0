/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_OPTIONS_H
#define DMABUF_SRC_OPTIONS_H

#include <stddef.h>

/*
 * Take an options struct whose first member is its size. @to has @known bytes and is untouched on
 * failure. A caller built against an older header may give less, but at least @least; one built
 * against a newer header may give more, as long as what this library does not know is zero. What
 * was not given is zero. 0, or -EINVAL with words that call it @what.
 */
int options_take(void *to, size_t known, const void *from, size_t least, const char *what);

#endif
