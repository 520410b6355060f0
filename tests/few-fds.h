/* SPDX-License-Identifier: MIT */
/* A process whose descriptors run out: at each number from none, until what it does succeeds. */
#ifndef DMABUF_TEST_FEW_FDS_H
#define DMABUF_TEST_FEW_FDS_H

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include <dmabuf.h>

#include "harness/harness.h"

/* Until few_fds_end() this process may have @more descriptors than it has. What it had before. */
static inline struct rlimit few_fds_begin(int more)
{
	struct rlimit before, few;
	int fd = 0;

	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &before));
	few = before;
	for (int room = more; room || fcntl(fd, F_GETFD) >= 0; fd++)
		room -= room && fcntl(fd, F_GETFD) < 0;
	few.rlim_cur = (rlim_t)fd;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &few));
	return before;
}

static inline void few_fds_end(const struct rlimit *before)
{
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, before));
}

static inline bool few_fds_as_before(void *arg)
{
	return open_fds() <= *(int *)arg;
}

/*
 * @fn: 0, or a negative errno, then with nothing done. It is called with no descriptor left, with
 * one, and so on until it succeeds; how many that took. Each failure is -EMFILE, says so in words,
 * and leaves nothing behind.
 */
static inline int few_fds(int (*fn)(void *arg), void *arg)
{
	int before = open_fds(), err = -EMFILE;

	for (int more = 0; more < 64; more++) {
		struct rlimit limit = few_fds_begin(more);

		err = fn(arg);
		few_fds_end(&limit);
		if (!err)
			return more;
		if (err != -EMFILE)
			FAIL("with %d descriptors: %s", more, strerror(-err));
		if (!strstr(dmabuf_last_error(), "descriptor") &&
		    !strstr(dmabuf_last_error(), "Too many open files"))
			FAIL("with %d descriptors, the words do not say so", more);
		ASSERT(eventually(few_fds_as_before, &before, 20000));
	}
	FAIL("64 descriptors are not enough");
}

#endif
