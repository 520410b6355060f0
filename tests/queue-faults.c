// SPDX-License-Identifier: MIT
/* Each allocation and system call of the queue fails once: an error, no crash, nothing left. */
#include <dmabuf.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "harness.h"
#include "queue-wire.h"
#include "reaper.h"
#include "registry.h"

#define SIZE 4096
#define MAX_STEPS 2000

/* A call's result is success or an error with words. */
static bool fine(int result)
{
	if (result >= 0)
		return true;
	ASSERT(dmabuf_last_error()[0]);
	return false;
}

static void send_with_fd(int socket, const void *bytes, size_t length, int fd)
{
	struct iovec iov = { (void *)bytes, length };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	ASSERT_EQ(sendmsg(socket, &msg, 0), length);
}

/* The end of a socket on which a consumer has asked to be let in. */
static int asking(int *other)
{
	struct queue_join join = { .head = queue_head(QUEUE_JOIN),
				   .policy = DMABUF_QUEUE_BLOCK,
				   .min = 1,
				   .preferred = 1,
				   .label = "raw" };
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	send_with_fd(sockets[1], &join, sizeof(join), -1);
	*other = sockets[1];
	return sockets[0];
}

static void produce(struct dmabuf_queue *q)
{
	struct dmabuf_frame frame;

	if (!fine(dmabuf_queue_get(q, &frame, 0)))
		return;
	frame.used = 1;
	(void)fine(dmabuf_queue_put(q, &frame));
}

static void be_producer(int step)
{
	struct dmabuf_queue_options o = { .size = sizeof(o), .buffer_size = SIZE };
	struct dmabuf_queue *q;
	int other, socket = asking(&other);
	char path[64];

	snprintf(path, sizeof(path), "@dmabuf-faults-%d", (int)getpid());
	faults_arm(step);
	q = dmabuf_queue_create(&o);
	if (q) {
		(void)fine(dmabuf_queue_listen(q, path));
		(void)fine(dmabuf_queue_fd(q));
		if (fine(dmabuf_queue_add(q, socket)))
			socket = -1;
		(void)fine(dmabuf_queue_dispatch(q));
		produce(q);
		produce(q);
		(void)fine(dmabuf_queue_dispatch(q));
		(void)fine(dmabuf_queue_finish(q, 0));
	}
	dmabuf_queue_destroy(q);
	if (socket >= 0)
		close(socket);
	close(other);
}

/* A consumer that has been let in, with a frame on its way: what it gets on the socket. */
static int welcomed(int *other)
{
	struct queue_welcome welcome = { .head = queue_head(QUEUE_WELCOME), .pool = 8 };
	struct queue_frame m = { .head = queue_head(QUEUE_FRAME), .carries = 1, .used = 1 };
	struct dma_buf *dmabuf = dma_buf_alloc("sent", SIZE, O_RDWR);
	int sockets[2], fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(fd);
	socket_pair(SOCK_SEQPACKET, sockets);
	send_with_fd(sockets[0], &welcome, sizeof(welcome), -1);
	send_with_fd(sockets[0], &m, sizeof(m), fd);
	close(fd);
	dma_buf_put(dmabuf);
	*other = sockets[0];
	return sockets[1];
}

static void relay(struct dmabuf_queue_consumer *c, const struct dmabuf_frame *frame, int *socket)
{
	struct dmabuf_queue *q = dmabuf_queue_create_relay(c, NULL);

	if (q && fine(dmabuf_queue_add(q, *socket)))
		*socket = -1;
	if (q && fine(dmabuf_queue_dispatch(q)))
		(void)fine(dmabuf_queue_put(q, frame));
	dmabuf_queue_destroy(q);
}

static void be_consumer(int step, bool relays)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .flags = DMABUF_QUEUE_WRITES };
	struct dmabuf_queue_consumer *c;
	struct dmabuf_frame frame;
	int other, socket = welcomed(&other), behind, after = asking(&behind);

	faults_arm(step);
	c = dmabuf_queue_join(socket, &o, 0);
	if (c) {
		socket = -1;
		if (fine(dmabuf_queue_take(c, &frame, 0))) {
			if (relays)
				relay(c, &frame, &after);
			else
				(void)fine(dmabuf_queue_release(c, &frame));
		}
		(void)fine(dmabuf_queue_consumer_fd(c));
	}
	dmabuf_queue_leave(c);
	if (socket >= 0)
		close(socket);
	if (after >= 0)
		close(after);
	close(other);
	close(behind);
}

static void be_plain_consumer(int step)
{
	be_consumer(step, false);
}

static void be_relay(int step)
{
	be_consumer(step, true);
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	ASSERT(tasks);
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

/* The library's threads are done. @others: how many threads there were before. */
static bool all_done(int others)
{
	/* If it got no thread for a late release, it tries again at the next buffer: now. */
	registry_lock();
	reaper_retry();
	registry_unlock();
	return threads() == others;
}

static bool all_released(void *arg)
{
	const int *others = arg;

	return all_done(*others) && !buffer_mappings();
}

struct left {
	int threads;
	long fds, allocations;
};

static bool nothing_left(void *arg)
{
	struct left *before = arg;

	return all_done(before->threads) && open_fds() == before->fds &&
	       faults_allocations() == before->allocations;
}

static void each_call_fails(void (*be)(int step))
{
	struct left before = { .threads = threads() };
	const char *failed;
	int step = 0;

	/* What is made once in a process, and the first buffers that are released late. */
	be(MAX_STEPS);
	ASSERT(!faults_disarm());
	ASSERT(eventually(all_released, &before.threads, 20000));
	before.fds = open_fds();
	before.allocations = faults_allocations();
	do {
		be(++step);
		failed = faults_disarm();
		ASSERT(step < MAX_STEPS);
		/* A buffer on its way in a socket is released a little later. */
		if (!eventually(nothing_left, &before, 20000))
			FAIL("step %d (%s): %d descriptors, not %ld; %ld allocations, not %ld",
			     step, failed ? failed : "none", open_fds(), before.fds,
			     faults_allocations(), before.allocations);
	} while (failed);
	/* Enough of them that something was tried. */
	ASSERT(step > 10);
}

TEST_TIMEOUT(E6_a_producers_calls_may_fail_and_nothing_is_left, 300)
{
	each_call_fails(be_producer);
}

TEST_TIMEOUT(E6_a_consumers_calls_may_fail_and_nothing_is_left, 300)
{
	each_call_fails(be_plain_consumer);
}

TEST_TIMEOUT(E6_a_relays_calls_may_fail_and_nothing_is_left, 300)
{
	each_call_fails(be_relay);
}
