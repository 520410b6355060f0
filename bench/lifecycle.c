// SPDX-License-Identifier: MIT
/*
 * Create, share, map, use and destroy a buffer, against the same with bare memfds. The peer lives
 * as long as the program, so no process creation is measured. Both processes share one processor:
 * what they cost then adds up, and no idle processor has to be woken in between.
 */
#include "lifecycle.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct command {
	uint32_t kind;
	uint32_t repeat;
	struct lifecycle what;
};

static const struct lifecycle_kind *const kinds[] = { &lifecycle_memfd, &lifecycle_dmabuf };

static int buffers_socket, control_socket;
static pid_t peer_pid;

static void serve(void)
{
	struct bench_sample sample;
	struct command command;
	uint32_t i;

	for (;;) {
		bench_read(control_socket, &command, sizeof(command));
		if (!command.repeat)
			exit(0);
		bench_begin(&sample);
		for (i = 0; i < command.repeat; i++)
			kinds[command.kind]->peer(buffers_socket, control_socket, &command.what);
		bench_end(&sample);
		bench_write(control_socket, &sample, sizeof(sample));
	}
}

static void start(void)
{
	int buffers[2], control[2];

	bench_pin(0);
	bench_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, buffers), "socketpair");
	bench_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), "socketpair");
	peer_pid = fork();
	bench_check(peer_pid >= 0, "fork");
	buffers_socket = buffers[!peer_pid];
	control_socket = control[!peer_pid];
	close(buffers[!!peer_pid]);
	close(control[!!peer_pid]);
	if (peer_pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	serve();
}

static void stop(void)
{
	struct command end = { 0 };
	int status;

	bench_write(control_socket, &end, sizeof(end));
	bench_check(waitpid(peer_pid, &status, 0) == peer_pid, "waitpid");
}

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	const struct lifecycle_kind *kind = c->context;
	struct bench_sample theirs;
	struct command command;
	unsigned long i;

	memset(&command, 0, sizeof(command));
	command.kind = kind == &lifecycle_dmabuf;
	command.repeat = (uint32_t)repeat;
	command.what.size = c->size;
	command.what.touch = !strstr(c->name, "untouched");
	bench_write(control_socket, &command, sizeof(command));
	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		kind->owner(buffers_socket, control_socket, &command.what);
	bench_end(sample);
	bench_read(control_socket, &theirs, sizeof(theirs));
	sample->cpu_ns += theirs.cpu_ns;
	sample->faults += theirs.faults;
}

/* clang-format off */
#define PAIR(id, text, bytes, times) \
	{ "memfd-" id, "memfd, " text, NULL, bytes, times, 0, 0, run, &lifecycle_memfd }, \
	{ "dmabuf-" id, "dmabuf, " text, "memfd-" id, bytes, times, 1.1, 0, run, &lifecycle_dmabuf }

static const struct bench_case cases[] = {
	PAIR("4k", "4 KiB", 4096, 64),
	PAIR("64k", "64 KiB", 65536, 32),
	PAIR("1m", "1 MiB", 1048576, 6),
	PAIR("1080p", "1080p NV12", 3110400, 3),
	PAIR("8m", "8 MiB", 8388608, 2),
	{ "memfd-untouched", "memfd, 1080p NV12, untouched", NULL, 3110400, 64, 0, 0, run,
	  &lifecycle_memfd },
	{ "dmabuf-untouched", "dmabuf, 1080p NV12, untouched", "memfd-untouched", 3110400, 64, 0, 0,
	  run, &lifecycle_dmabuf },
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "lifecycle",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 41,
		.start = start,
		.stop = stop,
	};

	return bench_main(argc, argv, &subject);
}
