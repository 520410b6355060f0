/* SPDX-License-Identifier: MIT */
/* Huge pages for a test: root lets the kernel make some when asked; others use what there is. */
#ifndef DMABUF_TEST_HUGE_PAGES_H
#define DMABUF_TEST_HUGE_PAGES_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "harness.h"

#define HUGE_OVERCOMMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

struct huge_pages {
	int fd; /* locked, so that tests do not restore each other's number */
	char before[32];
};

static inline void huge_pages_begin(struct huge_pages *h, unsigned int count)
{
	char text[32];
	ssize_t n;

	h->fd = open(HUGE_OVERCOMMIT, O_RDWR | O_CLOEXEC);
	if (h->fd < 0)
		return;
	ASSERT_OK(flock(h->fd, LOCK_EX));
	n = pread(h->fd, h->before, sizeof(h->before) - 1, 0);
	ASSERT(n > 0);
	h->before[n] = '\0';
	snprintf(text, sizeof(text), "%lu", strtoul(h->before, NULL, 10) + count);
	ASSERT(pwrite(h->fd, text, strlen(text), 0) > 0);
}

static inline void huge_pages_end(struct huge_pages *h)
{
	if (h->fd < 0)
		return;
	ASSERT(pwrite(h->fd, h->before, strlen(h->before), 0) > 0);
	close(h->fd);
}

#endif
