// SPDX-License-Identifier: MIT
/* Starting the elements' processes and giving them the pool. */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf/error.h>
#include <dmabuf/share.h>

/* How long an element may take to open its end of the queue. */
#define OPEN_NS 10000000000u
/* A message that finds the socket full waits so long: the other side has not read for that time. */
#define SEND_MS 10000
/* How often elements say how far they are. */
#define STATS_MS 200

static int make_sockets(struct pipe *pipe)
{
	int pair[2];

	for (unsigned int i = 0; i < pipe->count; i++) {
		struct member *m = &pipe->members[i];

		if (i + 1 < pipe->count) {
			if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
				return -errno;
			m->child_out = pair[0];
			pipe->members[i + 1].child_in = pair[1];
		}
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return -errno;
		m->control = pair[0];
		m->child_control = pair[1];
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In a child: only what is its own stays open, or others would not notice that a peer is gone. */
static void close_others(struct pipe *pipe, struct member *own)
{
	close_fd(&pipe->signal_fd);
	for (unsigned int i = 0; i < pipe->count; i++) {
		struct member *m = &pipe->members[i];

		close_fd(&m->control);
		close_fd(&m->pidfd);
		if (m == own)
			continue;
		close_fd(&m->child_control);
		close_fd(&m->child_in);
		close_fd(&m->child_out);
		if (m->element.fd > STDERR_FILENO)
			close_fd(&m->element.fd);
	}
}

static void child(struct pipe *pipe, struct member *own, pid_t runner)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != runner)
		_exit(EXIT_SETUP);
	/* Its own group, so that its children can be ended with it. */
	if (own->element.class->foreign) {
		setpgid(0, 0);
		signal(SIGPIPE, SIG_DFL);
	}
	close_others(pipe, own);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	own->element.control = own->child_control;
	own->element.in = own->child_in;
	own->element.out = own->child_out;
	element_main(&own->element, pipe->stages_write);
}

static int start_one(struct pipe *pipe, struct member *m)
{
	pid_t runner = getpid();

	m->pid = fork();
	if (m->pid < 0)
		return -errno;
	if (m->pid == 0)
		child(pipe, m, runner);
	/* In both processes, so that it is done whoever comes first. */
	if (m->element.class->foreign)
		setpgid(m->pid, m->pid);
	m->pidfd = pidfd_open(m->pid, 0);
	return m->pidfd < 0 ? -errno : 0;
}

int pipe_spawn(struct pipe *pipe)
{
	int err = make_sockets(pipe);

	for (unsigned int i = 0; i < pipe->count && err == 0; i++)
		err = start_one(pipe, &pipe->members[i]);
	for (unsigned int i = 0; i < pipe->count; i++) {
		close_fd(&pipe->members[i].child_control);
		close_fd(&pipe->members[i].child_in);
		close_fd(&pipe->members[i].child_out);
	}
	if (err == 0)
		return 0;
	pipe_blame(pipe, NULL, false, EXIT_SETUP, "cannot start the elements: %s", strerror(-err));
	return -1;
}

static int make_pool(struct pipe *pipe)
{
	char name[DMA_BUF_NAME_LEN];
	struct stat st;
	int fd;

	for (uint64_t i = 0; i < pipe->options.buffers; i++) {
		snprintf(name, sizeof(name), "pipe %d/%d", (int)getpid(), (int)i);
		pipe->pool[i] = dma_buf_alloc(name, pipe->options.size, O_RDWR);
		if (!pipe->pool[i])
			return -1;
		fd = dma_buf_fd(pipe->pool[i], O_CLOEXEC);
		if (fd < 0)
			return -1;
		if (fstat(fd, &st) == 0)
			pipe->inodes[i] = st.st_ino;
		close(fd);
	}
	return 0;
}

bool pipe_has_pool(const struct pipe *pipe)
{
	return !pipe->options.queue.path && !pipe->members[0].element.class->max_buffers;
}

static struct queue_hello greeting(const struct pipe *pipe, const struct member *m)
{
	const struct queue_terms *terms = &pipe->options.queue;
	struct queue_hello hello = {
		.head = report_head(REPORT_HELLO),
		.stats_ms = progress_wanted(pipe) ? STATS_MS : 0,
		.policy = DMABUF_QUEUE_BLOCK,
		.stall_ms = -1,
		.buffer_size = pipe->options.size,
		.max_buffers = (uint32_t)pipe->options.buffers,
	};

	if (m->element.role == ELEMENT_SINK)
		hello.min_buffers = hello.preferred_buffers = m->element.class->holds;
	if (!terms->path) {
		/* All of them share the pool; it is the source's. */
		if (m->element.role == ELEMENT_SOURCE && pipe_has_pool(pipe))
			hello.buffers = (uint32_t)pipe->options.buffers;
		return hello;
	}
	/* Who is interrupted should have something to show. */
	hello.stats_ms = STATS_MS;
	hello.consumers = (uint32_t)terms->consumers;
	hello.stall_ms = terms->stall_ms;
	hello.policy = terms->policy;
	if (terms->min_buffers) {
		hello.min_buffers = (uint32_t)terms->min_buffers;
		hello.preferred_buffers = (uint32_t)terms->preferred_buffers;
	}
	hello.connect_ms = (uint32_t)terms->connect_ms;
	hello.reconnect_ms = (uint32_t)terms->reconnect_ms;
	snprintf(hello.path, sizeof(hello.path), "%s", terms->path);
	snprintf(hello.label, sizeof(hello.label), "%s", terms->label ? terms->label : "");
	return hello;
}

/* One member's greeting and buffers. A member that is gone is no failure here: why comes later. */
static int send_to(struct pipe *pipe, struct member *m)
{
	struct queue_hello hello = greeting(pipe, m);
	int err = 0;

	m->deadline = pipe_now() + OPEN_NS;
	if (send(m->control, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		err = -errno;
	for (uint32_t i = 0; i < hello.buffers && err == 0; i++)
		err = dma_buf_send(m->control, pipe->pool[i], SEND_MS);
	return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}

int pipe_send_pool(struct pipe *pipe)
{
	int err;

	if (pipe_has_pool(pipe) && make_pool(pipe) < 0) {
		pipe_blame(pipe, NULL, false, EXIT_SETUP, "cannot make the buffers: %s",
			   dmabuf_last_error());
		return -1;
	}
	pipe->started = pipe_now();
	for (unsigned int i = 0; i < pipe->count; i++) {
		err = send_to(pipe, &pipe->members[i]);
		if (pipe->outcome.failed)
			return -1;
		if (err == 0)
			continue;
		pipe_blame(pipe, &pipe->members[i], false, EXIT_SETUP,
			   "cannot send the buffers: %s", strerror(-err));
		return -1;
	}
	return 0;
}

void pipe_drop_pool(struct pipe *pipe)
{
	for (uint64_t i = 0; i < pipe->options.buffers; i++) {
		struct dma_buf_counters c;

		if (!pipe->pool[i])
			continue;
		if (dma_buf_get_counters(pipe->pool[i], &c) == 0) {
			pipe->counters.cpu_access += c.cpu_access;
			pipe->counters.maps += c.maps;
			pipe->counters.cached_maps += c.cached_maps;
			pipe->counters.sync_needed += c.sync_needed;
			pipe->counters.sync_done += c.sync_done;
			pipe->counters.sync_skipped += c.sync_skipped;
			pipe->counters.recovered += c.recovered;
		}
		dma_buf_put(pipe->pool[i]);
		pipe->pool[i] = NULL;
	}
}
