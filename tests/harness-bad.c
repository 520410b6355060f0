// SPDX-License-Identifier: MIT
/* Tests that must fail, each in its own way; harness-test.c runs them one by one. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static int sleeper(void *arg)
{
	for (;;)
		pause();
	return 0;
}

static int leaky(void *arg)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0;
}

TEST(good)
{
	ASSERT(true);
}

TEST(skipped)
{
	SKIP("not on this machine");
}

TEST(leaked_descriptor)
{
	ASSERT(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

TEST(leaked_mapping)
{
	int fd = memfd_create("dmabuf:left", MFD_CLOEXEC);

	ASSERT(fd >= 0);
	ASSERT_EQ(ftruncate(fd, 4096), 0);
	ASSERT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	close(fd);
}

TEST(leaked_child)
{
	spawn(sleeper, NULL);
}

TEST(unreaped_child)
{
	siginfo_t info;

	ASSERT(waitid(P_PID, spawn_exec((char *[]){ "true", NULL }, NULL), &info,
		      WEXITED | WNOWAIT) == 0);
}

static int orphan_maker(void *arg)
{
	if (fork() == 0) {
		setsid();
		for (;;)
			pause();
	}
	return 0;
}

TEST(leaked_grandchild)
{
	ASSERT_EQ(reap(spawn(orphan_maker, NULL)), 0);
}

TEST(leaked_descriptor_in_a_child)
{
	ASSERT_EQ(reap(spawn(leaky, NULL)), 0);
}

TEST(stray_after_exit)
{
	orphan_maker(NULL);
	_exit(0);
}

TEST_TIMEOUT(hang, 1)
{
	sleeper(NULL);
}

TEST(child_hangs)
{
	reap_within(spawn(sleeper, NULL), 100);
}

TEST(crash)
{
	signal(SIGSEGV, SIG_DFL); /* sanitizers have a handler of their own */
	raise(SIGSEGV);
}

TEST(aborts)
{
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
}

TEST(early_exit)
{
	_exit(3);
}

TEST(assert_false)
{
	ASSERT(1 + 1 == 3);
}

TEST(assert_eq)
{
	ASSERT_EQ(6 * 7, 41);
}

TEST(assert_ok)
{
	ASSERT_OK(-ENOMEM);
}

TEST(assert_err_success)
{
	ASSERT_ERR(0, EINVAL);
}

TEST(assert_err_other)
{
	ASSERT_ERR(-ENOMEM, EINVAL);
}

static void *answer_null(int err)
{
	errno = err;
	return NULL;
}

TEST(assert_errno_other)
{
	ASSERT_ERRNO(answer_null(ENOMEM), EINVAL);
}

TEST(assert_errno_success)
{
	ASSERT_ERRNO("something", EINVAL);
}

TEST(assert_str)
{
	ASSERT_STR_CONTAINS("needle", "haystack");
}

TEST(assert_in_child)
{
	ASSERT_EQ(reap(spawn_helper("asserts", NULL)), 0);
}

TEST_HELPER(asserts)
{
	ASSERT(false);
	return 0;
}
