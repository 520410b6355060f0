// SPDX-License-Identifier: MIT
/* A pipe from its first process to its report. */
#include "pipe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void pipe_init(struct pipe *pipe)
{
	pipe->signal_fd = -1;
	for (unsigned int i = 0; i < PIPE_MAX_ELEMENTS; i++) {
		struct member *m = &pipe->members[i];

		m->pidfd = m->control = m->child_control = m->child_in = m->child_out = -1;
		m->element.fd = m->element.output.fd = m->element.output.dir = -1;
	}
}

static int open_elements(struct pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->count; i++) {
		struct element *e = &pipe->members[i].element;

		if (e->class->open && e->class->open(e) < 0)
			return EXIT_FAILED;
		for (unsigned int k = 0; k < i; k++)
			if (output_same(&pipe->members[k].element.output, &e->output))
				return usage(pipe->command, "\"%s\" and \"%s\" write the same file",
					     pipe->members[k].element.text, e->text);
	}
	return EXIT_OK;
}

/* From now on the signals that end a pipe are read, in their turn. */
static int catch_signals(struct pipe *pipe)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		/* nohup and shells that start background jobs have some ignored: so it stays. */
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	/* Whoever started us may ignore dead children, and then their status would be lost. */
	signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	pipe->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return pipe->signal_fd < 0 ? -errno : 0;
}

/* Everything that can fail comes before the first name is given. */
static void commit_outputs(struct pipe *pipe)
{
	for (int step = 0; step < 2; step++) {
		for (unsigned int i = 0; i < pipe->count && !pipe->outcome.failed; i++) {
			struct member *m = &pipe->members[i];
			int err = 0;

			if (m->element.output.used)
				err = step ? output_commit(&m->element.output)
					   : output_sync(&m->element.output);
			if (err < 0)
				pipe_blame(pipe, m, false, EXIT_FAILED, "failed: cannot %s: %s",
					   step ? "name its file" : "write its file to the disk",
					   strerror(-err));
		}
	}
}

static void go(struct pipe *pipe)
{
	int err = catch_signals(pipe);

	if (err < 0)
		pipe_blame(pipe, NULL, false, EXIT_SETUP, "cannot catch signals: %s",
			   strerror(-err));
	else if (pipe_spawn(pipe) == 0)
		(void)pipe_send_pool(pipe);
	pipe_supervise(pipe);
	pipe_drop_pool(pipe);
	if (!pipe->outcome.failed)
		commit_outputs(pipe);
	pipe->ended = pipe_now();
}

static int report(const struct pipe *pipe)
{
	bool queue = pipe->options.queue.path;

	if (pipe->options.json)
		queue ? report_queue_json(pipe) : report_json(pipe);
	else
		queue ? report_queue_text(pipe) : report_text(pipe);
	if (pipe->outcome.failed)
		complain(pipe->command, "%s", pipe->outcome.reason);
	return finish_stdout(pipe->command, pipe->outcome.status);
}

void pipe_free(struct pipe *pipe)
{
	for (unsigned int i = 0; i < pipe->count; i++) {
		struct member *m = &pipe->members[i];

		output_close(&m->element.output);
		free(m->element.argv);
		if (m->control >= 0)
			close(m->control);
	}
	if (pipe->signal_fd >= 0)
		close(pipe->signal_fd);
	free(pipe);
}

struct pipe *pipe_new(const struct command *command)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe) {
		complain(command, "no memory");
		return NULL;
	}
	pipe->command = command;
	pipe_init(pipe);
	return pipe;
}

int pipe_run(struct pipe *pipe)
{
	int status = open_elements(pipe);

	if (status == EXIT_OK) {
		go(pipe);
		status = report(pipe);
	}
	pipe_free(pipe);
	return status;
}
