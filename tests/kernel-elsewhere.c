// SPDX-License-Identifier: MIT
/*
 * Two that adopt one kernel dma-buf by themselves, as different users, in different namespaces,
 * with sockets forbidden, among squatters: one state where it can be found, and else words. Real
 * dma-bufs where this kernel has them for us, else pretended ones; see fake-kernel.h.
 */
#include <dmabuf.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake-kernel.h"
#include "harness/harness.h"
#include "kernel/address.h"
#include "kernel/marks.h"
#include "seccomp.h"

#define SIZE 8192
#define CANNOT 77

struct two {
	int fd;
	struct gate here, done;
	/* What makes the other one somebody else: 0, or it cannot be done here. */
	int (*leave)(void);
	int sv[2];
};

static void two_begin(struct two *t, int (*leave)(void))
{
	t->fd = kernel_dmabuf(SIZE);
	t->leave = leave;
	gate_init(&t->here);
	gate_init(&t->done);
}

static void two_end(struct two *t)
{
	gate_close(&t->here);
	gate_close(&t->done);
	close(t->fd);
}

/* Holds until it is told to let go. */
static int first(void *arg)
{
	struct two *t = arg;
	struct dma_buf *buf;

	if (t->leave && t->leave())
		return CANNOT;
	buf = dma_buf_get(t->fd);
	if (!buf)
		FAIL("%s", dmabuf_last_error());
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	gate_signal(&t->here);
	gate_wait(&t->done);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(t->fd);
	return 0;
}

/* It finds the state in which the other one has a lock. */
static int second(void *arg)
{
	struct two *t = arg;
	struct dma_buf *buf;

	if (t->leave && t->leave())
		return CANNOT;
	buf = dma_buf_get(t->fd);
	if (!buf)
		FAIL("%s", dmabuf_last_error());
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false), EBUSY);
	gate_signal(&t->here);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(t->fd);
	return 0;
}

/* Somebody who cannot become what he shall be says nothing more. */
static void expect(pid_t pid)
{
	int status = reap(pid);

	if (status == CANNOT)
		SKIP("this process may not leave its user or namespace");
	ASSERT_EQ(status, 0);
}

/* Whoever @leave makes somebody else comes second, to us. */
static void comes_second(int (*leave)(void))
{
	struct dma_buf *buf;
	struct two t;
	pid_t pid;

	two_begin(&t, leave);
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, true));
	pid = spawn(second, &t);
	/* It looked while we had it: or it is gone, which is told by how. */
	close(t.here.fd[1]);
	t.here.fd[1] = -1;
	(void)!read(t.here.fd[0], &(char){ 0 }, 1);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	expect(pid);
	dma_buf_put(buf);
	two_end(&t);
}

/* And first: we find his. */
static void comes_first(int (*leave)(void))
{
	struct dma_buf *buf;
	struct two t;
	pid_t pid;
	char byte;

	two_begin(&t, leave);
	pid = spawn(first, &t);
	close(t.here.fd[1]);
	t.here.fd[1] = -1;
	if (read(t.here.fd[0], &byte, 1) != 1)
		expect(pid);
	buf = dma_buf_get(t.fd);
	if (!buf)
		FAIL("%s", dmabuf_last_error());
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false), EBUSY);
	gate_signal(&t.done);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	expect(pid);
	dma_buf_put(buf);
	two_end(&t);
}

static int become_nobody(void)
{
	return setgid(65534) < 0 || setuid(65534) < 0;
}

TEST(A3_another_user_who_adopts_finds_the_same_state)
{
	comes_second(become_nobody);
}

TEST(A3_another_users_state_is_found)
{
	comes_first(become_nobody);
}

static int leave_users(void)
{
	return unshare(CLONE_NEWUSER) < 0;
}

TEST(A3_who_adopts_in_another_user_namespace_finds_the_same_state)
{
	comes_second(leave_users);
}

TEST(A3_a_state_in_another_user_namespace_is_found)
{
	comes_first(leave_users);
}

/* Its mounts, hosts and shared memory are others, too; all that is needed is the network's. */
static int leave_mounts(void)
{
	return unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0 &&
	       unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0;
}

TEST(A3_who_adopts_with_mounts_of_his_own_finds_the_same_state)
{
	comes_second(leave_mounts);
}

/* Where the network namespace cannot be seen, nobody is taken to be in another. */
static int has_no_proc(void *arg)
{
	struct two *t = arg;

	if (leave_mounts() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    umount2("/proc", MNT_DETACH) < 0)
		_exit(CANNOT);
	ASSERT_ERRNO(dma_buf_get(t->fd), ENOENT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "is /proc mounted?");
	/* Without it nobody can look at what is left behind either. */
	_exit(0);
}

TEST(A3_who_has_no_proc_is_told)
{
	struct dma_buf *buf;
	struct two t;

	two_begin(&t, NULL);
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	expect(spawn(has_no_proc, &t));
	dma_buf_put(buf);
	two_end(&t);
}

static int leave_network(void)
{
	return unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0;
}

/* It is told, and gets the state with the buffer. */
static int comes_from_elsewhere(void *arg)
{
	struct two *t = arg;
	struct dma_buf *buf;

	if (leave_network())
		return CANNOT;
	ASSERT_ERRNO(dma_buf_get(t->fd), EXDEV);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "another network namespace");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "dma_buf_send()");
	buf = dma_buf_recv(t->sv[1], 20000);
	ASSERT(buf);
	ASSERT_ERR(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false), EBUSY);
	dma_buf_put(buf);
	close(t->sv[0]);
	close(t->sv[1]);
	close(t->fd);
	return 0;
}

TEST(A3_who_adopts_in_another_network_namespace_is_told_and_can_be_sent_the_state)
{
	struct dma_buf *buf;
	struct two t;
	pid_t pid;

	two_begin(&t, NULL);
	socket_pair(SOCK_STREAM, t.sv);
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	pid = spawn(comes_from_elsewhere, &t);
	ASSERT_OK(dma_buf_send(t.sv[0], buf, 20000));
	expect(pid);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(t.sv[0]);
	close(t.sv[1]);
	two_end(&t);
}

/* A sandbox: it is told why, and can have a state that nobody else finds. */
static int has_no_sockets(void *arg)
{
	struct two *t = arg;
	struct dma_buf *buf;

	deny(SYS_socket, EACCES);
	ASSERT_ERRNO(dma_buf_get(t->fd), EACCES);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "no socket to share a dma-buf's state by");
	buf = dma_buf_adopt(t->fd, DMA_BUF_ADOPT_PRIVATE);
	ASSERT(buf);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_R, false));
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	dma_buf_put(buf);
	close(t->fd);
	return 0;
}

TEST(A3_who_may_have_no_sockets_is_told)
{
	struct dma_buf *buf;
	struct two t;

	two_begin(&t, NULL);
	/* Whether or not somebody is there. */
	ASSERT_EQ(reap(spawn(has_no_sockets, &t)), 0);
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	ASSERT_EQ(reap(spawn(has_no_sockets, &t)), 0);
	dma_buf_put(buf);
	two_end(&t);
}

/* Nor may it ask by those that it could have. */
static int may_not_ask(void *arg)
{
	struct two *t = arg;

	deny(SYS_sendmsg, EACCES);
	ASSERT_ERRNO(dma_buf_get(t->fd), EACCES);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "asking for a dma-buf's state failed");
	close(t->fd);
	return 0;
}

TEST(A3_who_may_not_ask_is_told)
{
	struct dma_buf *buf;
	struct two t;

	two_begin(&t, NULL);
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	ASSERT_EQ(reap(spawn(may_not_ask, &t)), 0);
	dma_buf_put(buf);
	two_end(&t);
}

/*
 * Squatters on the first places of a state that lives, each in his own way: one says nothing, one
 * has another kind of socket, one has his queue full. They delay, no more.
 */
static int squat(uint64_t inode, uint32_t number, unsigned int place, unsigned int how)
{
	int fd = kernel_address_bind(inode, number, place), other;
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	ASSERT_OK(fd);
	if (how != 1)
		return fd;
	ASSERT_OK(getsockname(fd, (struct sockaddr *)&address, &length));
	close(fd);
	other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_OK(bind(other, (struct sockaddr *)&address, length));
	ASSERT_OK(listen(other, 1));
	return other;
}

static void fill_queue(uint64_t inode, uint32_t number, unsigned int place)
{
	int fds[2] = { 0, 0 };

	for (int i = 0; i < 10000; i++)
		if (kernel_message_send_to(inode, number, place, fds) < 0)
			return;
	FAIL("a queue without an end");
}

TEST(A3_squatters_beside_one_who_has_the_state_delay_and_no_more)
{
	struct kernel_mark marks[KERNEL_MARKS_MAX];
	int squatters[KERNEL_PLACES], taken = 0;
	struct dma_buf *buf;
	struct stat st;
	struct two t;
	pid_t pid;

	two_begin(&t, NULL);
	ASSERT_OK(fstat(t.fd, &st));
	buf = dma_buf_get(t.fd);
	ASSERT(buf);
	ASSERT_EQ(kernel_marks(t.fd, marks), 1);
	for (unsigned int place = 0; place < 4; place++) {
		int fd = kernel_address_bind(st.st_ino, marks[0].number, place);

		/* That one is ours. */
		if (fd == -EADDRINUSE)
			continue;
		close(fd);
		squatters[taken++] = squat(st.st_ino, marks[0].number, place, place % 3);
		if (place % 3 == 2)
			fill_queue(st.st_ino, marks[0].number, place);
	}
	ASSERT_EQ(taken, 3);
	ASSERT_OK(dmabuf_sync_single_lock(buf, DMA_BUF_ACCESS_W, false));
	pid = spawn(second, &t);
	gate_wait(&t.here);
	ASSERT_OK(dmabuf_sync_single_unlock(buf));
	ASSERT_EQ(reap(pid), 0);
	while (taken)
		close(squatters[--taken]);
	dma_buf_put(buf);
	two_end(&t);
}
