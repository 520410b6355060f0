/* SPDX-License-Identifier: MIT */
/*
 * A process that is killed at its n-th step, where a step is the entry into a system call or the
 * return from one: between two steps lies what it does to shared memory, so that with each n it
 * dies at another moment of its life. Whoever kills it goes on meanwhile with what it waits for.
 */
#ifndef DMABUF_TEST_KILLED_H
#define DMABUF_TEST_KILLED_H

#include <limits.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

/* At no step: it runs at its usual speed. */
#define KILLED_NEVER UINT_MAX

struct killed {
	int (*fn)(void *arg);
	void *arg;
	unsigned int at; /* the step that kills it, from 0 */
	unsigned int steps;
	pid_t pid;
	int fd; /* readable when there may be a step */
	bool ended;
	int status; /* its exit status, or 128 + the signal */
};

static inline int killed_main(void *arg)
{
	struct killed *k = arg;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	/* No look at what is left behind, which is many steps more. */
	_exit(k->fn(k->arg));
}

/* It runs until its next step. It may be gone by now, which the next look tells. */
static inline void killed_resume(const struct killed *k, int signal)
{
	(void)ptrace(k->at == KILLED_NEVER ? PTRACE_CONT : PTRACE_SYSCALL, k->pid, NULL,
		     (void *)(intptr_t)signal);
}

/* Of a process that has stopped for the first time. */
static inline void killed_begin(struct killed *k)
{
	int status;

	ASSERT_EQ(waitpid(k->pid, &status, __WALL), k->pid);
	if (!WIFSTOPPED(status))
		SKIP("no process can be traced here");
	ASSERT_OK(ptrace(PTRACE_SETOPTIONS, k->pid, NULL,
			 (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)));
	killed_resume(k, 0);
}

/* Run @fn(@arg) in a process that ends with @fn, or at step @at. Nothing is reaped but it. */
static inline void killed_start(struct killed *k, int (*fn)(void *arg), void *arg, unsigned int at)
{
	sigset_t set;

	if (test_under_valgrind())
		SKIP("valgrind has steps of its own");
	*k = (struct killed){ .fn = fn, .arg = arg, .at = at };
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	k->pid = spawn(killed_main, k);
	k->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ASSERT_OK(k->fd);
	killed_begin(k);
}

static inline void killed_end(struct killed *k, int status)
{
	k->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	k->ended = true;
	close(k->fd);
}

static inline void killed_step(struct killed *k, int signal)
{
	if (signal == (SIGTRAP | 0x80) && k->steps++ == k->at) {
		kill(k->pid, SIGKILL);
		return;
	}
	if (signal == SIGTRAP || signal == (SIGTRAP | 0x80))
		signal = 0;
	killed_resume(k, signal);
}

/* One step, if it is there. False: the process has ended. Waits for nothing. */
static inline bool killed_go_on(struct killed *k)
{
	struct signalfd_siginfo info;
	int status;

	while (!k->ended && read(k->fd, &info, sizeof(info)) == sizeof(info))
		;
	while (!k->ended && waitpid(k->pid, &status, __WALL | WNOHANG) == k->pid) {
		if (WIFSTOPPED(status))
			killed_step(k, WSTOPSIG(status));
		else
			killed_end(k, status);
	}
	return !k->ended;
}

/* Did it die of its step? */
static inline bool killed_died(const struct killed *k)
{
	return k->status == 128 + SIGKILL;
}

#endif
