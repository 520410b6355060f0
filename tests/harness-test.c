// SPDX-License-Identifier: MIT
/* The harness itself: each test of harness-bad.c is reported as what it is. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* Runs one bad test; its report, and its exit status in *@status. */
static const char *report_of(const char *name, int *status)
{
	static char report[8192];
	char *argv[] = { getenv("HARNESS_BAD"), (char *)name, NULL };
	struct spawn_io io = { -1, -1, -1 };
	size_t used = 0;
	ssize_t n;
	int fds[2];
	pid_t pid;

	if (!argv[0])
		SKIP("HARNESS_BAD does not name the bad tests");
	ASSERT_EQ(pipe(fds), 0);
	io.out = fds[1];
	pid = spawn_exec(argv, &io);
	close(fds[1]);
	while ((n = read(fds[0], report + used, sizeof(report) - 1 - used)) > 0)
		used += (size_t)n;
	report[used] = '\0';
	close(fds[0]);
	*status = reap(pid);
	return report;
}

static void expect_failure(const char *name, const char *words)
{
	char line[128];
	const char *report;
	int status;

	report = report_of(name, &status);
	snprintf(line, sizeof(line), "not ok 1 - %s\n", name);
	ASSERT_EQ(status, 1);
	ASSERT_STR_CONTAINS(report, line);
	ASSERT_STR_CONTAINS(report, words);
}

#define REPORTED(name, words)                 \
	TEST(name##_is_reported)              \
	{                                     \
		expect_failure(#name, words); \
	}

REPORTED(leaked_descriptor, "-> /dev/null")
REPORTED(leaked_mapping, "memfd:dmabuf:left")
REPORTED(leaked_child, "leaked process")
REPORTED(unreaped_child, "leaked process")
REPORTED(leaked_grandchild, "leaked process")
REPORTED(leaked_descriptor_in_a_child, "-> /dev/null")
REPORTED(stray_after_exit, "left 1 processes behind")
REPORTED(hang, "time limit")
REPORTED(child_hangs, "still runs after")
REPORTED(crash, "signal 11")
REPORTED(aborts, "signal 6")
REPORTED(early_exit, "exit status 3")
REPORTED(assert_false, "1 + 1 == 3")
REPORTED(assert_eq, "6 * 7 is 42 (0x2a), not 41")
REPORTED(assert_ok, "Cannot allocate memory")
REPORTED(assert_err_success, "returned 0, not -EINVAL")
REPORTED(assert_err_other, "not -EINVAL")
REPORTED(assert_errno_other, "not EINVAL")
REPORTED(assert_errno_success, "succeeded, not NULL with EINVAL")
REPORTED(assert_str, "does not contain \"haystack\"")
REPORTED(assert_in_child, "is 1")

TEST(good_passes)
{
	int status;

	ASSERT_STR_CONTAINS(report_of("good", &status), "\nok 1 - good\n");
	ASSERT_EQ(status, 0);
}

TEST(skipped_says_why)
{
	int status;

	ASSERT_STR_CONTAINS(report_of("skipped", &status),
			    "ok 1 - skipped # SKIP not on this machine\n");
	ASSERT_EQ(status, 0);
}

TEST(no_such_test_is_a_failure)
{
	int status;

	ASSERT_STR_CONTAINS(report_of("nonesuch", &status), "Bail out!");
	ASSERT_EQ(status, 1);
}

static bool counted(void *arg)
{
	return ++*(int *)arg == 3;
}

static bool never(void *arg)
{
	return false;
}

TEST(eventually_looks_until_it_holds_or_time_is_up)
{
	int calls = 0;

	ASSERT(eventually(counted, &calls, 10000));
	ASSERT_EQ(calls, 3);
	ASSERT(!eventually(never, NULL, 5));
}

static int child_signals(void *arg)
{
	gate_signal(arg);
	return 42;
}

TEST(gates_and_exit_status_cross_processes)
{
	struct gate gate;
	pid_t pid;

	gate_init(&gate);
	pid = spawn(child_signals, &gate);
	gate_wait(&gate);
	gate_close(&gate);
	ASSERT_EQ(reap(pid), 42);
}

TEST_HELPER(compare)
{
	return argc == 3 && strcmp(argv[1], argv[2]) == 0 ? 0 : 9;
}

TEST(helpers_get_their_arguments)
{
	ASSERT_EQ(reap(spawn_helper("compare", "a b", "a b", NULL)), 0);
	ASSERT_EQ(reap(spawn_helper("compare", "a", "b", NULL)), 9);
	ASSERT_EQ(reap(spawn_helper("nonesuch", NULL)), 127);
}

static int killed(void *arg)
{
	raise(SIGKILL);
	return 0;
}

TEST(a_killed_child_is_told_by_its_signal)
{
	ASSERT_EQ(reap(spawn(killed, NULL)), 128 + SIGKILL);
}
