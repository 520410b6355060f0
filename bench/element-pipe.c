// SPDX-License-Identifier: MIT
/*
 * Source and sink as elements of a real `dmabuf pipe`: the command starts this program twice, and
 * each connects back to the one that measures.
 */
#include "element.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 10000
#define SIZE_TEXT_LEN 32

/* An abstract name, which leaves nothing behind in a file system. */
static socklen_t address(struct sockaddr_un *a, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "%s", name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->sun_path + 1));
}

static int listen_at(const char *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a;
	socklen_t len = address(&a, name);

	bench_check(fd >= 0 && !bind(fd, (struct sockaddr *)&a, len) && !listen(fd, 2), "listen");
	return fd;
}

static int accept_one(int listening)
{
	struct pollfd p = { .fd = listening, .events = POLLIN };
	int fd;

	errno = ETIMEDOUT;
	bench_check(poll(&p, 1, TIMEOUT_MS) == 1, "waiting for an element of dmabuf pipe");
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	bench_check(fd >= 0, "accept");
	return fd;
}

/* build/bench/bench-frames, so build/cli/dmabuf. */
static void find_command(char *command, size_t size, const char *self)
{
	const char *slash = strrchr(self, '/');

	snprintf(command, size, "%.*s/../cli/dmabuf", (int)(slash - self), self);
}

static void start_command(const char *name)
{
	char self[512], command[600], source[600], sink[600], size[SIZE_TEXT_LEN], count[16];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	bench_check(len > 0, "readlink");
	self[len] = '\0';
	find_command(command, sizeof(command), self);
	snprintf(source, sizeof(source), "exec:'%s' --element source %s", self, name);
	snprintf(sink, sizeof(sink), "exec:'%s' --element sink %s", self, name);
	snprintf(size, sizeof(size), "%zu", FRAME_SIZE);
	snprintf(count, sizeof(count), "%d", FRAME_BUFFERS);
	execl(command, "dmabuf", "pipe", "--quiet", "--buffers", count, "--size", size, source, "!",
	      sink, (char *)NULL);
	bench_check(0, command);
}

void elements_pipe(struct elements *e)
{
	int listening, fd, i;
	char name[64], sink;
	pid_t pid;

	snprintf(name, sizeof(name), "dmabuf-bench-%d", (int)getpid());
	listening = listen_at(name);
	pid = fork();
	bench_check(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		start_command(name);
	}
	for (i = 0; i < 2; i++) {
		fd = accept_one(listening);
		bench_read(fd, &sink, 1);
		e->control[!!sink] = fd;
	}
	close(listening);
}

int element_main(int argc, char **argv)
{
	struct sockaddr_un a;
	socklen_t len;
	char sink;
	int fd;

	if (argc != 4)
		return 2;
	sink = !strcmp(argv[2], "sink");
	len = address(&a, argv[3]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench_check(fd >= 0 && !connect(fd, (struct sockaddr *)&a, len), "connect");
	bench_write(fd, &sink, 1);
	element_serve(&transport_queue, !sink, fd);
	return 0;
}
