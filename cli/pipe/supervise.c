// SPDX-License-Identifier: MIT
/* Watching over the elements: the first failure ends all of them. */
#include "pipe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 200000000u
/* A neighbour of who failed often notices first: so long the culprit may take to turn up. */
#define CULPRIT_NS 2000000000u
/* What elements get to end by themselves after SIGTERM, and what the kernel gets after SIGKILL. */
#define TERM_NS 1000000000u
#define KILL_NS 10000000000u

uint64_t pipe_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void pipe_blame(struct pipe *pipe, const struct member *m, bool consequent, int status,
		const char *format, ...)
{
	struct outcome *o = &pipe->outcome;
	char who[160] = "", what[REPORT_VALUE_LEN];
	va_list args;

	if (o->failed && (!o->consequent || consequent))
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (m)
		element_describe(&m->element, who, sizeof(who));
	snprintf(o->reason, sizeof(o->reason), "%s%s%s", who, m ? " " : "", what);
	o->failed = true;
	o->consequent = consequent;
	o->status = status;
	o->element = m ? m->element.number : 0;
}

static void blame_exit(struct pipe *pipe, struct member *m)
{
	int code = WIFEXITED(m->status) ? WEXITSTATUS(m->status) : -1;

	if (WIFSIGNALED(m->status)) {
		const char *name = sigabbrev_np(WTERMSIG(m->status));

		pipe_blame(pipe, m, false, EXIT_FAILED, "was killed by SIG%s%s", name ? name : "?",
			   WCOREDUMP(m->status) ? " (core dumped)" : "");
	} else if (m->error[0] && (code || !m->finished)) {
		pipe_blame(pipe, m, m->peer_gone, EXIT_FAILED, "failed: %s", m->error);
	} else if (code) {
		pipe_blame(pipe, m, m->peer_gone, EXIT_FAILED, "exited with status %d", code);
	} else if (!m->opened) {
		pipe_blame(pipe, m, false, EXIT_FAILED,
			   "exited without opening its end of the queue");
	} else if (!m->finished) {
		pipe_blame(pipe, m, m->peer_gone, EXIT_FAILED,
			   "exited before the end of the stream");
	}
}

/* Its process has ended: take its last words, then its status. */
static void member_ended(struct pipe *pipe, struct member *m)
{
	/* What a program left behind; the group is its own until it is waited for. */
	if (m->element.class->foreign)
		kill(-m->pid, SIGKILL);
	if (wait4(m->pid, &m->status, 0, &m->usage) != m->pid)
		m->status = 0;
	close(m->pidfd);
	m->pidfd = -1;
	m->deadline = 0;
	while (member_receive(pipe, m))
		;
	blame_exit(pipe, m);
}

static unsigned int alive(const struct pipe *pipe)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < pipe->count; i++)
		count += pipe->members[i].pidfd >= 0;
	return count;
}

static void take_signal(struct pipe *pipe)
{
	struct signalfd_siginfo info;

	if (read(pipe->signal_fd, &info, sizeof(info)) != sizeof(info) || pipe->outcome.signal)
		return;
	/* Whatever else happens in that moment follows from it. */
	pipe->outcome.failed = false;
	pipe_blame(pipe, NULL, false, 128 + (int)info.ssi_signo, "ended by SIG%s",
		   sigabbrev_np((int)info.ssi_signo));
	pipe->outcome.signal = (int)info.ssi_signo;
}

/* Wait for something to happen until @until, and take it. */
static void wait_events(struct pipe *pipe, uint64_t until)
{
	struct pollfd fds[1 + 2 * PIPE_MAX_ELEMENTS];
	uint64_t now = pipe_now();
	int ms = until > now ? (int)((until - now) / 1000000u) + 1 : 0;

	fds[0] = (struct pollfd){ .fd = pipe->signal_fd, .events = POLLIN };
	for (unsigned int i = 0; i < pipe->count; i++) {
		fds[1 + 2 * i] =
			(struct pollfd){ .fd = pipe->members[i].control, .events = POLLIN };
		fds[2 + 2 * i] = (struct pollfd){ .fd = pipe->members[i].pidfd, .events = POLLIN };
	}
	if (poll(fds, 1 + 2 * pipe->count, ms) <= 0)
		return;
	if (fds[0].revents)
		take_signal(pipe);
	for (unsigned int i = 0; i < pipe->count; i++) {
		if (fds[1 + 2 * i].revents)
			(void)member_receive(pipe, &pipe->members[i]);
		if (fds[2 + 2 * i].revents)
			member_ended(pipe, &pipe->members[i]);
	}
}

static void check_deadlines(struct pipe *pipe)
{
	uint64_t now = pipe_now();

	for (unsigned int i = 0; i < pipe->count; i++) {
		struct member *m = &pipe->members[i];

		if (!m->deadline || now < m->deadline)
			continue;
		m->deadline = 0;
		if (m->finished)
			pipe_blame(pipe, m, false, EXIT_FAILED,
				   "did not exit after the end of the stream");
		else if (m->control < 0)
			pipe_blame(pipe, m, false, EXIT_FAILED,
				   "left the pipe before the end of the stream");
		else
			pipe_blame(pipe, m, false, EXIT_FAILED,
				   "did not open its end of the queue");
	}
}

static void signal_all(struct pipe *pipe, int signo)
{
	for (unsigned int i = 0; i < pipe->count; i++) {
		struct member *m = &pipe->members[i];

		if (m->pidfd < 0)
			continue;
		kill(m->element.class->foreign ? -m->pid : m->pid, signo);
		/* A stopped process takes its signals when it goes on. */
		kill(m->pid, SIGCONT);
	}
}

static void wait_all(struct pipe *pipe, uint64_t ns)
{
	uint64_t until = pipe_now() + ns;

	while (alive(pipe) && pipe_now() < until)
		wait_events(pipe, until);
}

/* The culprit's end may come after that of its victims: give it a moment to be seen. */
static void wait_for_culprit(struct pipe *pipe)
{
	uint64_t until = pipe_now() + CULPRIT_NS;

	while (pipe->outcome.consequent && alive(pipe) && pipe_now() < until) {
		wait_events(pipe, until);
		check_deadlines(pipe);
	}
	/* What comes from now on is our own doing. */
	pipe->outcome.consequent = false;
}

static void end_all(struct pipe *pipe)
{
	wait_for_culprit(pipe);
	signal_all(pipe, SIGTERM);
	wait_all(pipe, TERM_NS);
	signal_all(pipe, SIGKILL);
	wait_all(pipe, KILL_NS);
}

static uint64_t next_event(const struct pipe *pipe)
{
	uint64_t until = pipe_now() + TICK_NS;

	for (unsigned int i = 0; i < pipe->count; i++)
		if (pipe->members[i].deadline && pipe->members[i].deadline < until)
			until = pipe->members[i].deadline;
	return until;
}

void pipe_supervise(struct pipe *pipe)
{
	while (alive(pipe) && !pipe->outcome.failed) {
		wait_events(pipe, next_event(pipe));
		check_deadlines(pipe);
		progress_show(pipe);
	}
	if (pipe->outcome.failed)
		end_all(pipe);
	progress_clear(pipe);
	pipe->ended = pipe_now();
}
