/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_TEST_HARNESS_INTERNAL_H
#define DMABUF_TEST_HARNESS_INTERNAL_H

#include "harness.h"

#define TEST_SKIPPED 77

/* What a process had open and mapped at one time. */
struct inventory {
	int fds[1024];
	int fd_count;
	int mappings;
};

void inventory_take(struct inventory *inv);
/* True if nothing was added since @before; false after a test_note() for each thing that was. */
bool inventory_check(const struct inventory *before);
/* True if this process has no children; else each was noted. */
bool children_check(void);

/* Kill and collect every child of this process. Returns how many there were. */
int children_kill(void);

/* @ms multiplied by DMABUF_TEST_SLOW. */

/* Wait for @pid's end, @ms at most: true and *@status, or false. */
bool wait_child(pid_t pid, int ms, int *status);

/* The descriptor that the report goes to, and where a skipped test says why. */
extern int report_fd;
extern char *skip_reason;
#define SKIP_REASON_LEN 256

#endif
