// SPDX-License-Identifier: MIT
/* dmabuf pipe: a pool of buffers goes round between processes, nothing is copied between them. */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pipe/pipe.h"

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
				return usage(&command_pipe, "\"%s\" and \"%s\" write the same file",
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
	if (pipe->options.json)
		report_json(pipe);
	else
		report_text(pipe);
	if (pipe->outcome.failed)
		complain(&command_pipe, "%s", pipe->outcome.reason);
	return finish_stdout(&command_pipe, pipe->outcome.status);
}

static void pipe_exit(struct pipe *pipe)
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

static int run(int argc, char **argv)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	int status;

	if (!pipe) {
		complain(&command_pipe, "no memory");
		return EXIT_SETUP;
	}
	pipe_init(pipe);
	status = pipe_parse(pipe, argc, argv);
	if (status == EXIT_OK)
		status = open_elements(pipe);
	if (status == EXIT_OK) {
		go(pipe);
		status = report(pipe);
	}
	pipe_exit(pipe);
	return status;
}

const struct command command_pipe = {
	.name = "pipe",
	.summary = "stream a file or pictures through processes without copying",
	.help = "Usage: dmabuf pipe [OPTION]... SOURCE ! [STAGE !]... SINK\n\n"
		"Starts one process for each element, shares one pool of buffers among them and\n"
		"streams. The words between the \"!\" are one element each; quote those with "
		"blanks.\n\n"
		"Sources:\n"
		"  file:PATH              a file or block device\n"
		"  -                      standard input\n"
		"  null:[frames=N|bytes=N]  zeros, endless without a limit\n"
		"  test:WxH@FPS[,frames=N]  NV12 test pictures; @0: as fast as possible\n"
		"Stages:\n"
		"  sha256, crc32          digest of all bytes\n"
		"  count                  frames and bytes\n"
		"  verify                 fails unless these are test:'s pictures, whole, in "
		"order\n"
		"  tee:PATH               write a copy\n"
		"  exec:COMMAND           a program that uses <dmabuf/queue.h>\n"
		"Sinks:\n"
		"  file:PATH, -, null:, exec:COMMAND\n\n"
		"Options:\n"
		"  -b, --buffers N        buffers in the pool, 1 to 64 (8)\n"
		"  -s, --size BYTES[K|M|G]  size of each, 4K to 64G (1M; at least a picture)\n"
		"  -q, --quiet            no progress, no table: digests and errors only\n"
		"      --json             the result as JSON on stdout\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Digests go to stdout as sha256sum prints them, everything else to stderr; if the\n"
		"sink is -, all of it goes to stderr. An output gets its name when all has "
		"succeeded.\n\n"
		"Exit status: 0 all went well; 1 an element failed; 2 usage; 3 the pipe could not "
		"be\n"
		"set up; 128 + N ended by signal N.\n",
	.run = run,
};
