// SPDX-License-Identifier: MIT
/* Homes whose process ends, stops, forks or runs another program, while it is asked or before. */
#include <sys/syscall.h>
#include <sys/wait.h>

#include "home.h"

static int slow_describe(struct dma_buf_heap_info *info, void *priv)
{
	info->alignment = 4096;
	info->available = info->zeroed = info->cpu_mappable = true;
	return 0;
}

static struct gate begun;

static int never_alloc(uint64_t size, void *priv)
{
	gate_signal(&begun);
	pause();
	return -EINTR;
}

static void add_slow_heap(struct exporter_process *e)
{
	static const struct dma_buf_heap_ops heap = { .size = sizeof(heap),
						      .name = "slow",
						      .describe = slow_describe,
						      .alloc = never_alloc };

	ASSERT_OK(dma_buf_register_heap(&heap));
}

static void check_gone(const struct block *block, int socket)
{
	struct home_storage s;

	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), EHOSTDOWN);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "has ended, or is in another network namespace");
	ASSERT_ERR(prepare(block, socket, 1, &s), EOWNERDEAD);
	ASSERT_ERR(home_settle(&block->address, socket, MS), EOWNERDEAD);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "its process has ended, or let the buffer go");
}

TEST(F5_an_exporters_death_is_noticed_at_once)
{
	struct exporter_process e = { .more = NULL };
	int socket = exporter_start(&e);

	exporter_kill(&e);
	check_gone(e.block, socket);
	close(socket);
	exporter_close(&e);
}

static int ask_slow(void *arg)
{
	static const char list[][DMA_BUF_HEAP_NAME_LEN] = { "slow" };
	const struct block *block = arg;
	struct home_storage s;

	ASSERT_ERR(home_prepare(&block->address, -1, 1, list, 1, MS, &s, NULL), EOWNERDEAD);
	return 0;
}

TEST(F5_an_exporters_death_ends_who_waits_for_its_answer)
{
	struct exporter_process e = { .more = add_slow_heap };
	pid_t pid;
	int socket;

	gate_init(&begun);
	socket = exporter_start(&e);
	close(socket);
	pid = spawn(ask_slow, e.block);
	gate_wait(&begun);
	exporter_kill(&e);
	ASSERT_EQ(reap(pid), 0);
	exporter_close(&e);
	gate_close(&begun);
}

static void stop(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	ASSERT(WIFSTOPPED(status));
}

/* Neither by name nor by socket does anybody wait longer than he said. */
TEST(F5_an_exporter_that_is_stopped_keeps_nobody_longer_than_he_said)
{
	struct exporter_process e = { .more = NULL };
	int socket = exporter_start(&e);
	struct home_storage s;

	stop(e.pid);
	ASSERT_ERR(home_fetch(&e.block->address, -1, 1, 50, &s), ETIMEDOUT);
	ASSERT_ERR(home_fetch(&e.block->address, -1, 1, 0, &s), ETIMEDOUT);
	ASSERT_ERR(home_fetch(&e.block->address, socket, 1, 50, &s), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "did not answer in time");
	kill(e.pid, SIGCONT);
	check_storage(home_fetch(&e.block->address, -1, 1, MS, &s), &s, 1);
	close(socket);
	exporter_end(&e);
}

/* The queue of who waits to be heard is full, and so is that of the socket. */
TEST(F5_nor_do_those_wait_longer_who_find_many_before_them)
{
	struct exporter_process e = { .more = NULL };
	int socket = exporter_start(&e), i;
	struct home_storage s;

	stop(e.pid);
	for (i = 0; i < 100; i++)
		ASSERT_ERR(home_fetch(&e.block->address, -1, 1, 0, &s), ETIMEDOUT);
	ASSERT_ERR(home_fetch(&e.block->address, -1, 1, 50, &s), ETIMEDOUT);
	for (i = 0; i < 400; i++)
		ASSERT_ERR(home_fetch(&e.block->address, socket, 1, 0, &s), ETIMEDOUT);
	ASSERT_ERR(home_fetch(&e.block->address, socket, 1, 50, &s), ETIMEDOUT);
	kill(e.pid, SIGCONT);
	check_storage(home_fetch(&e.block->address, -1, 1, MS, &s), &s, 1);
	check_storage(home_fetch(&e.block->address, socket, 1, MS, &s), &s, 1);
	close(socket);
	exporter_end(&e);
}

static struct gate child_there, child_end;
static bool bare;

/* A child that lives on keeps nothing of it open. */
static void fork_a_child(struct exporter_process *e)
{
	pid_t pid = bare ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();

	ASSERT_OK(pid);
	if (pid)
		return;
	/* The first word to the library drops what a bare clone() inherited. */
	if (bare)
		(void)home_settle(&e->block->address, -1, 0);
	gate_signal(&child_there);
	gate_wait(&child_end);
	_exit(0);
}

static void check_child_outlives(void)
{
	struct exporter_process e = { .more = fork_a_child };
	int socket;

	gate_init(&child_there);
	gate_init(&child_end);
	socket = exporter_start(&e);
	gate_wait(&child_there);
	exporter_kill(&e);
	check_gone(e.block, socket);
	gate_signal(&child_end);
	/* It is ours now. */
	ASSERT(waitpid(-1, NULL, 0) > 0);
	close(socket);
	exporter_close(&e);
	gate_close(&child_there);
	gate_close(&child_end);
}

TEST(F5_an_exporters_death_is_noticed_although_its_child_lives)
{
	check_child_outlives();
}

TEST(F5_and_although_its_bare_clone_lives)
{
	bare = true;
	check_child_outlives();
}

struct family {
	struct block *block, *childs;
	struct home *home;
};

/* It asks the parent like anybody else, and has homes of its own. */
static int live_as_a_child(void *arg)
{
	struct family *f = arg;
	struct home_storage s;
	struct home *own;

	check_storage(home_fetch(&f->block->address, -1, 1, MS, &s), &s, 1);
	ASSERT_ERR(home_connect(f->home), EPERM);
	own = open_home(f->childs);
	check_storage(prepare(f->childs, -1, 0, &s), &s, 1);
	ASSERT(memcmp(f->childs->address.name, f->block->address.name, 8) != 0);
	home_close(f->home);
	check_storage(home_fetch(&f->block->address, -1, 1, MS, &s), &s, 1);
	home_close(own);
	return 0;
}

TEST(F5_a_child_asks_like_anybody_else)
{
	struct family f = { new_block(), new_block(), NULL };
	struct home_storage s;

	f.home = open_home(f.block);
	check_storage(prepare(f.block, -1, 0, &s), &s, 1);
	atomic_store(&f.block->generation, 1);
	close(home_connect(f.home));
	ASSERT_EQ(reap(spawn(live_as_a_child, &f)), 0);
	check_storage(home_fetch(&f.block->address, -1, 1, MS, &s), &s, 1);
	home_close(f.home);
}

static int runs_another_program(void *arg)
{
	struct exporter_process *e = arg;

	(void)open_home(e->block);
	gate_signal(&e->ready);
	gate_wait(&e->end);
	execl("/bin/sleep", "sleep", "60", NULL);
	return 1;
}

static bool is_gone(void *arg)
{
	struct home_storage s;

	return home_fetch(arg, -1, 1, MS, &s) == -EHOSTDOWN;
}

TEST(F5_a_process_that_runs_another_program_has_no_homes_any_more)
{
	struct exporter_process e = { .block = new_block() };
	struct home_storage s;

	gate_init(&e.ready);
	gate_init(&e.end);
	e.pid = spawn(runs_another_program, &e);
	gate_wait(&e.ready);
	ASSERT_ERR(home_fetch(&e.block->address, -1, 1, MS, &s), ESTALE);
	gate_signal(&e.end);
	ASSERT(eventually(is_gone, &e.block->address, MS));
	exporter_kill(&e);
	gate_close(&e.ready);
	gate_close(&e.end);
}

static int lets_go(void *arg)
{
	struct exporter_process *e = arg;
	struct block *other = new_block();
	struct home *home = open_home(e->block), *stays = open_home(other);
	struct home_storage s;
	int fd = home_connect(home);

	give_socket(e->socket[1], fd);
	close(fd);
	home_close(home);
	ASSERT_ERR(home_fetch(&e->block->address, -1, 1, MS, &s), EOWNERDEAD);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "in this process");
	gate_signal(&e->ready);
	gate_wait(&e->end);
	home_close(stays);
	return 0;
}

TEST(F5_a_home_that_is_closed_says_so)
{
	struct exporter_process e = { .block = new_block() };
	struct home_storage s;
	int socket;

	gate_init(&e.ready);
	gate_init(&e.end);
	socket_pair(SOCK_SEQPACKET, e.socket);
	e.pid = spawn(lets_go, &e);
	gate_wait(&e.ready);
	socket = take_socket(e.socket[0]);
	ASSERT_ERR(home_fetch(&e.block->address, -1, 1, MS, &s), EOWNERDEAD);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "let the buffer go");
	ASSERT_ERR(home_fetch(&e.block->address, socket, 1, MS, &s), EOWNERDEAD);
	close(socket);
	exporter_end(&e);
}
