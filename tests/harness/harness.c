// SPDX-License-Identifier: MIT
#include "internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test *tests, **tests_end = &tests;
static struct test_helper *helpers;

int report_fd = STDOUT_FILENO;
char *skip_reason;

void test_register(struct test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

void test_helper_register(struct test_helper *helper)
{
	helper->next = helpers;
	helpers = helper;
}

/* The test's process: what the body leaves behind is looked at here, where it can be named. */
static void run_body(const struct test *test)
{
	struct inventory before;
	bool clean;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	inventory_take(&before);
	test->fn();
	clean = children_check();
	clean = inventory_check(&before) && clean;
	fflush(NULL);
	if (!clean)
		_exit(1);
	exit(0); /* not _exit(): leak checkers do their work here */
}

static void describe_end(const struct test *test, bool ended, int status)
{
	if (!ended)
		test_note("%s: still running after its time limit of %d s: killed", test->name,
			  slow_ms(test->timeout_s * 1000) / 1000);
	else if (WIFSIGNALED(status))
		test_note("%s: killed by signal %d (%s)", test->name, WTERMSIG(status),
			  strsignal(WTERMSIG(status)));
	else
		test_note("%s: exit status %d", test->name, WEXITSTATUS(status));
}

static bool run_test(const struct test *test, int number)
{
	int status = 0, strays;
	bool ended, skipped, good;
	pid_t pid;

	fflush(NULL);
	skip_reason[0] = '\0';
	pid = fork();
	if (pid < 0) {
		printf("not ok %d - %s # fork: %s\n", number, test->name, strerror(errno));
		return false;
	}
	if (pid == 0)
		run_body(test);
	setpgid(pid, pid);

	ended = wait_child(pid, slow_ms(test->timeout_s * 1000), &status);
	kill(-pid, SIGKILL);
	if (!ended) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	strays = children_kill();
	skipped = ended && WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED;
	good = skipped || (ended && status == 0);
	if (!good)
		describe_end(test, ended, status);
	if (strays && ended && WIFEXITED(status)) {
		test_note("%s: left %d processes behind", test->name, strays);
		good = false;
	}
	printf("%sok %d - %s%s%s\n", good ? "" : "not ", number, test->name,
	       skipped ? " # SKIP " : "", skipped ? skip_reason : "");
	return good;
}

static bool wanted(const struct test *test, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], test->name) == 0)
			return true;
	}
	return argc <= 1;
}

static int run_helper(int argc, char **argv)
{
	struct test_helper *helper;

	report_fd = STDERR_FILENO; /* stdout may be a pipe that the test reads */
	for (helper = helpers; helper; helper = helper->next) {
		if (argc > 0 && strcmp(helper->name, argv[0]) == 0)
			return helper->fn(argc, argv);
	}
	fprintf(stderr, "no such helper: %s\n", argc > 0 ? argv[0] : "(none)");
	return 127;
}

static int list_tests(void)
{
	struct test *test;

	for (test = tests; test; test = test->next)
		puts(test->name);
	return 0;
}

int main(int argc, char **argv)
{
	int count = 0, number = 0, failed = 0;
	struct test *test;

	if (argc > 1 && strcmp(argv[1], "--list") == 0)
		return list_tests();
	if (argc > 1 && strcmp(argv[1], "--helper") == 0)
		return run_helper(argc - 2, argv + 2);

	setvbuf(stdout, NULL, _IOLBF, 0);
	report_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100);
	skip_reason = mmap(NULL, SKIP_REASON_LEN, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report_fd < 0 || skip_reason == MAP_FAILED) {
		printf("Bail out! %s\n", strerror(errno));
		return 1;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	for (test = tests; test; test = test->next)
		count += wanted(test, argc, argv);
	printf("1..%d\n", count);
	for (test = tests; test; test = test->next) {
		if (wanted(test, argc, argv))
			failed += !run_test(test, ++number);
	}
	if (!count)
		printf("Bail out! no such test\n");
	return failed || !count;
}
