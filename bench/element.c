// SPDX-License-Identifier: MIT
#include "element.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONES 0x0101010101010101ull

static void produce(const struct transport *t, uint64_t number, bool touch)
{
	void *frame = t->begin();

	if (touch)
		memset(frame, (int)(number & 0xff), FRAME_SIZE);
	else
		memcpy(frame, &number, sizeof(number));
	t->commit();
}

static uint64_t sum(const void *frame)
{
	const uint64_t *words = frame;
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < FRAME_SIZE / sizeof(*words); i++)
		total += words[i];
	return total;
}

/* A transport that loses or tears frames is not worth measuring. */
static void consume(const struct transport *t, uint64_t number, bool touch)
{
	const void *frame = t->take();
	uint64_t first;

	memcpy(&first, frame, sizeof(first));
	errno = EBADMSG;
	if (touch)
		bench_check(sum(frame) == (number & 0xff) * ONES * (FRAME_SIZE / 8), t->name);
	else
		bench_check(first == number, t->name);
	t->release();
}

void element_serve(const struct transport *t, bool source, int control)
{
	struct element_command command;
	struct element_result result;
	uint64_t number = 0;

	bench_pin(source ? 0 : 1);
	t->join(source);
	for (;;) {
		bench_read(control, &command, sizeof(command));
		if (!command.frames)
			break;
		transport_copied = 0;
		bench_begin(&result.sample);
		result.start_ns = bench_now_ns();
		for (; command.frames; command.frames--, number++) {
			if (source)
				produce(t, number, command.touch);
			else
				consume(t, number, command.touch);
		}
		result.end_ns = bench_now_ns();
		bench_end(&result.sample);
		result.sample.copied = (double)transport_copied;
		bench_write(control, &result, sizeof(result));
	}
	if (t->leave)
		t->leave();
}

void elements_fork(const struct transport *t, struct elements *e)
{
	int pair[2], i;
	pid_t pid;

	t->prepare();
	for (i = 0; i < 2; i++) {
		bench_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
			    "socketpair");
		pid = fork();
		bench_check(pid >= 0, "fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(pair[0]);
			element_serve(t, i == 0, pair[1]);
			_exit(0);
		}
		close(pair[1]);
		e->control[i] = pair[0];
	}
}

void elements_wait(void)
{
	int status;

	while (waitpid(-1, &status, 0) > 0) {
		errno = ECHILD;
		bench_check(WIFEXITED(status) && !WEXITSTATUS(status), "a process at work");
	}
}
