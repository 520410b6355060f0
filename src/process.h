/* SPDX-License-Identifier: MIT */
/*
 * Who this process is. Handles belong to the process that made them: a forked child shares the
 * parent's memory but must not act in its name, so a page that fork wipes tells the two apart.
 */
#ifndef DMABUF_SRC_PROCESS_H
#define DMABUF_SRC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A number that is this process's own and never 0; changes in a forked child. 0 if the machinery
 * could not be set up (no memory), with errno set. Async-signal-safe after the first call.
 */
uint64_t process_cookie(void);

/* Label shown to other holders: dmabuf_set_label() or the program's name. At least 32 bytes. */
void process_label(char *label);

/* Held across fork(), so that a child finds the label whole. */
void process_hold_for_fork(bool hold);

#endif
