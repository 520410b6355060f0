/* SPDX-License-Identifier: MIT */
/* For tests of homes: a control block's part of it, and an exporter in a process of its own. */
#ifndef DMABUF_TEST_HOME_H
#define DMABUF_TEST_HOME_H

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf.h>

#include "harness.h"
#include "home/home.h"

#define HOME_TEST_UNUSED __attribute__((unused))
#define SIZE 10000
#define MS 60000

static const char ordinary[][DMA_BUF_HEAP_NAME_LEN] HOME_TEST_UNUSED = { "memfd" };

/* Shared with whoever is forked. */
struct block {
	struct home_address address;
	_Atomic(uint64_t) generation;
	_Atomic(int) count; /* for the test's own use */
	_Atomic(bool) nobody_at_work;
	_Atomic(unsigned int) looks; /* whether somebody is */
};

static HOME_TEST_UNUSED struct block *new_block(void)
{
	struct block *block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT(block != MAP_FAILED);
	return block;
}

static HOME_TEST_UNUSED uint64_t in_force(void *priv)
{
	return atomic_load(&((struct block *)priv)->generation);
}

static HOME_TEST_UNUSED bool at_work(void *priv)
{
	struct block *block = priv;

	atomic_fetch_add(&block->looks, 1);
	return !atomic_load(&block->nobody_at_work);
}

static const struct home_ops ops HOME_TEST_UNUSED = { .generation = in_force, .at_work = at_work };

static HOME_TEST_UNUSED struct home *open_home(struct block *block)
{
	struct home *home;

	ASSERT_OK(home_open(&home, &block->address, "frame", SIZE, &ops, block));
	return home;
}

static HOME_TEST_UNUSED ino_t inode(int fd)
{
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	return st.st_ino;
}

static HOME_TEST_UNUSED int prepare(const struct block *block, int socket, uint64_t base,
				    struct home_storage *storage)
{
	return home_prepare(&block->address, socket, base, ordinary, 1, MS, storage, NULL);
}

/* It is good storage from ordinary memory; @fd is closed. */
static HOME_TEST_UNUSED void check_storage(int fd, const struct home_storage *storage,
					   uint64_t generation)
{
	ASSERT_OK(fd);
	ASSERT_EQ(storage->generation, generation);
	ASSERT_EQ(storage->size, 12288);
	ASSERT_EQ(storage->granule, 4096);
	ASSERT_EQ(storage->flags, HOME_CPU_MAPPABLE | HOME_PAGE_BACKED);
	ASSERT_STR_EQ(storage->heap, "memfd");
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static HOME_TEST_UNUSED void check_same(int a, int b)
{
	ASSERT_EQ(inode(a), inode(b));
	close(b);
}

static HOME_TEST_UNUSED bool has_fds(void *arg)
{
	return open_fds() == *(int *)arg;
}

/* An exporter with one home, until it is told to end, or killed. */
struct exporter_process {
	struct block *block;
	struct gate ready, end;
	void (*more)(struct exporter_process *); /* before it is ready; may be NULL */
	int socket[2];				 /* what it sends of home_connect() */
	pid_t pid;
};

static HOME_TEST_UNUSED void give_socket(int to, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };

	*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(int));
	ASSERT_EQ(sendmsg(to, &msg, 0), 1);
}

static HOME_TEST_UNUSED int take_socket(int from)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	int fd;

	ASSERT_EQ(recvmsg(from, &msg, MSG_CMSG_CLOEXEC), 1);
	ASSERT(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static HOME_TEST_UNUSED int export_until_told(void *arg)
{
	struct exporter_process *e = arg;
	struct home *home = open_home(e->block);
	struct home_storage s;
	int fd = prepare(e->block, -1, 0, &s);

	check_storage(fd, &s, 1);
	atomic_store(&e->block->generation, 1);
	fd = home_connect(home);
	ASSERT_OK(fd);
	give_socket(e->socket[1], fd);
	close(fd);
	if (e->more)
		e->more(e);
	gate_signal(&e->ready);
	gate_wait(&e->end);
	home_close(home);
	return 0;
}

/* A socket to it, -1 if @e->more takes no end. */
static HOME_TEST_UNUSED int exporter_start(struct exporter_process *e)
{
	e->block = new_block();
	gate_init(&e->ready);
	gate_init(&e->end);
	socket_pair(SOCK_SEQPACKET, e->socket);
	e->pid = spawn(export_until_told, e);
	gate_wait(&e->ready);
	return take_socket(e->socket[0]);
}

static HOME_TEST_UNUSED void exporter_close(struct exporter_process *e)
{
	gate_close(&e->ready);
	gate_close(&e->end);
	close(e->socket[0]);
	close(e->socket[1]);
	munmap(e->block, sizeof(*e->block));
}

static HOME_TEST_UNUSED void exporter_end(struct exporter_process *e)
{
	gate_signal(&e->end);
	ASSERT_EQ(reap(e->pid), 0);
	exporter_close(e);
}

static HOME_TEST_UNUSED void exporter_kill(struct exporter_process *e)
{
	kill(e->pid, SIGKILL);
	ASSERT_EQ(reap(e->pid), 128 + SIGKILL);
}

#endif
