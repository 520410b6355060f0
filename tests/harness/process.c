// SPDX-License-Identifier: MIT
#include "internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 60000

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int slow_factor(void)
{
	const char *text = getenv("DMABUF_TEST_SLOW");
	int factor = text ? atoi(text) : 1;

	return factor < 1 ? 1 : factor;
}

bool test_is_slow(void)
{
	return slow_factor() > 1;
}

bool test_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "/vgpreload_");
}

int slow_ms(int ms)
{
	int factor = slow_factor();

	return ms > 0x7fffffff / factor ? 0x7fffffff : ms * factor;
}

bool eventually(bool (*cond)(void *arg), void *arg, int ms)
{
	const struct timespec step = { 0, 1000000 };
	int64_t end = now_ms() + slow_ms(ms);

	while (!cond(arg)) {
		if (now_ms() >= end)
			return cond(arg);
		ppoll(NULL, 0, &step, NULL);
	}
	return true;
}

static bool wait_readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t end = now_ms() + ms, left;
	int n;

	do {
		left = end - now_ms();
		n = poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

struct waited {
	pid_t pid;
	int status;
};

static bool has_ended(void *arg)
{
	struct waited *w = arg;

	return waitpid(w->pid, &w->status, WNOHANG) != 0;
}

/* Looks every millisecond where there is no pidfd_open() (valgrind, some containers). */
bool wait_child(pid_t pid, int ms, int *status)
{
	struct waited w = { pid, 0 };
	static bool no_pidfd;
	int pidfd = no_pidfd ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	bool ended;

	no_pidfd = no_pidfd || (pidfd < 0 && errno == ENOSYS);
	if (pidfd >= 0) {
		ended = wait_readable(pidfd, ms) && has_ended(&w);
		close(pidfd);
	} else {
		ended = eventually(has_ended, &w, ms / slow_ms(1));
	}
	*status = w.status;
	return ended;
}

bool other_threads_sleep(void *arg)
{
	char name[300], text[512], *state;
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	bool sleeping = true;
	FILE *stat;

	while (tasks && (entry = readdir(tasks))) {
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)syscall(SYS_gettid))
			continue;
		snprintf(name, sizeof(name), "/proc/self/task/%s/stat", entry->d_name);
		stat = fopen(name, "re");
		state = stat && fgets(text, sizeof(text), stat) ? strrchr(text, ')') : NULL;
		if (state && state[2] != 'S')
			sleeping = false;
		if (stat)
			fclose(stat);
	}
	if (tasks)
		closedir(tasks);
	return sleeping;
}

/*
 * A sanitizer's allocator has locks that fork() does not hold: a child of a process whose other
 * threads are at it just then never gets them. A sleeper has none.
 */
static void before_fork(void)
{
	if (TEST_SANITIZED)
		/* Some tests mean it. */
		(void)eventually(other_threads_sleep, NULL, 10);
}

pid_t spawn(int (*fn)(void *arg), void *arg)
{
	struct inventory before;
	pid_t pid;
	int ret;

	fflush(NULL);
	before_fork();
	pid = fork();
	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	inventory_take(&before);
	ret = fn(arg);
	if (!inventory_check(&before) && ret == 0)
		ret = 1;
	fflush(NULL);
	exit(ret);
}

static void give_fd(int fd, int as)
{
	if (fd < 0 || fd == as)
		return;
	if (dup2(fd, as) < 0)
		_exit(127);
}

pid_t spawn_exec(char *const argv[], const struct spawn_io *io)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (io) {
		give_fd(io->in, 0);
		give_fd(io->out, 1);
		give_fd(io->err, 2);
	}
	execvp(argv[0], argv);
	test_note("%s: %s", argv[0], strerror(errno));
	_exit(127);
}

/* Not "/proc/self/exe" itself: under valgrind that is valgrind. */
static char *own_path(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len < 0)
		FAIL("/proc/self/exe: %s", strerror(errno));
	path[len] = '\0';
	return path;
}

pid_t spawn_helper(const char *name, ...)
{
	char *argv[12] = { own_path(), "--helper", (char *)name };
	int argc = 3;
	va_list args;

	va_start(args, name);
	while (argc < 11 && (argv[argc] = va_arg(args, char *)) != NULL)
		argc++;
	va_end(args);
	argv[argc] = NULL;
	return spawn_exec(argv, NULL);
}

int reap_within(pid_t pid, int ms)
{
	int status;

	if (!wait_child(pid, slow_ms(ms), &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		FAIL("process %d still runs after %d ms: killed", (int)pid, slow_ms(ms));
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int reap(pid_t pid)
{
	return reap_within(pid, WAIT_MS);
}

void socket_pair(int type, int sv[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) < 0)
		FAIL("socketpair: %s", strerror(errno));
}

void gate_init(struct gate *gate)
{
	if (pipe2(gate->fd, O_CLOEXEC) < 0)
		FAIL("pipe: %s", strerror(errno));
}

void gate_signal(struct gate *gate)
{
	if (write(gate->fd[1], "", 1) != 1)
		FAIL("gate: %s", strerror(errno));
}

void gate_wait(struct gate *gate)
{
	char byte;

	if (!wait_readable(gate->fd[0], slow_ms(WAIT_MS)) || read(gate->fd[0], &byte, 1) != 1)
		FAIL("gate: nobody came in %d ms", slow_ms(WAIT_MS));
}

void gate_close(struct gate *gate)
{
	close(gate->fd[0]);
	close(gate->fd[1]);
}
