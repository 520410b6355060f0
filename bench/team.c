// SPDX-License-Identifier: MIT
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

void *team_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	bench_check(memory != MAP_FAILED, "mmap");
	return memory;
}

void team_forget(void *memory, size_t size)
{
	munmap(memory, size);
}

pid_t team_fork(void (*body)(unsigned int self), unsigned int self)
{
	pid_t parent = getpid(), pid = fork();

	bench_check_err(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return pid;
	bench_check(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	if (getppid() == parent)
		body(self);
	_exit(0);
}

void team_wait(pid_t pid, bool killed)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		bench_check(errno == EINTR, "waitpid");
	errno = ECHILD;
	bench_check(killed ? WIFSIGNALED(status) : status == 0, "one of the processes");
}

void team_run(unsigned int count, void (*body)(unsigned int self))
{
	pid_t *pids = calloc(count, sizeof(*pids));
	unsigned int i;

	bench_check(pids != NULL, "allocation");
	for (i = 0; i < count; i++)
		pids[i] = team_fork(body, i);
	for (i = 0; i < count; i++)
		team_wait(pids[i], false);
	free(pids);
}

void team_meet(_Atomic(uint32_t) *place, uint32_t count)
{
	atomic_fetch_add(place, 1);
	while (atomic_load(place) < count)
		sched_yield();
}

/* The state is the word after the name in parentheses, which may have any characters in it. */
static char state_of(int stat)
{
	char text[512], *end;
	ssize_t n = pread(stat, text, sizeof(text) - 1, 0);

	bench_check(n > 0, "reading a process's state");
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : '?';
}

void team_until_asleep(pid_t pid)
{
	char path[64];
	int stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = open(path, O_RDONLY | O_CLOEXEC);
	bench_check_err(stat < 0 ? -errno : 0, path);
	/* Without yielding: that would be to wait for whatever else the machine does. */
	while (state_of(stat) != 'S')
		;
	close(stat);
}

double team_busy(double from_ns, double for_ns)
{
	double now;

	do
		now = bench_now_ns();
	while (now - from_ns < for_ns);
	return now;
}
