// SPDX-License-Identifier: MIT
/*
 * Who holds a buffer, who of them is alive, and what the dead leave: rows A4, A6, C1 and G1.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

static unsigned int living(const struct dma_buf_info *info)
{
	unsigned int i, count = 0;

	for (i = 0; i < info->holder_count; i++)
		count += info->holders[i].alive;
	return count;
}

static int hold_all_kinds(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *attach;
	int i;

	for (i = 0; i < 5; i++) {
		attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
		ASSERT(dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL));
	}
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_TO_DEVICE));
	peer_tell(peer);
	peer_wait(peer);
	return 1;
}

TEST(A4_what_a_killed_holder_left_goes_with_the_next_change)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_attachment *attach;
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, hold_all_kinds, NULL);
	peer_wait(&peer);
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 5);
	peer_kill(&peer);
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	ASSERT(attach);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.attachment_count, 1);
	ASSERT_EQ(info.counters.recovered, 1);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

TEST(A4_a_dead_holders_attachments_make_room_for_the_living)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct peer peer;
	int i;

	peer_start(&peer, dmabuf, hold_all_kinds, NULL);
	peer_wait(&peer);
	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS - 5; i++)
		ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), ENOSPC);
	peer_kill(&peer);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	dma_buf_put(dmabuf);
}

static void *outlive_the_first_thread(void *arg)
{
	struct peer *peer = arg;

	peer_tell(peer);
	peer_wait(peer);
	_exit(0);
}

static bool is_zombie_leader(void *arg)
{
	char path[64], text[512] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", *(pid_t *)arg, *(pid_t *)arg);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return strstr(text, ") Z ") != NULL;
}

static int end_the_first_thread(struct peer *peer, struct dma_buf *dmabuf)
{
	static struct peer kept; /* this thread's stack goes with it */
	pthread_t thread;

	kept = *peer;
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	ASSERT_EQ(pthread_create(&thread, NULL, outlive_the_first_thread, &kept), 0);
	pthread_exit(NULL);
}

TEST(G1_a_process_whose_first_thread_ended_is_alive)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, end_the_first_thread, NULL);
	peer_wait(&peer);
	ASSERT(eventually(is_zombie_leader, &peer.pid, 60000));
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device())); /* would clean up */
	info = peer_info(dmabuf);
	ASSERT_EQ(living(&info), 2);
	ASSERT_EQ(info.attachment_count, 2);
	ASSERT_EQ(info.counters.recovered, 0);
	peer_tell(&peer);
	peer_end(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(living(&info), 1);
	dma_buf_put(dmabuf);
}

/* Its memory lives on in a child that shares it, until that one ends or executes something. */
static int die_while_a_vfork_child_runs(struct peer *peer, struct dma_buf *dmabuf)
{
	char byte;

	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	/* As vfork() does it, which ThreadSanitizer makes a fork() of. */
	if (syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
		send(peer->socket, "x", 1, MSG_NOSIGNAL);
		_exit(recv(peer->socket, &byte, 1, 0) == 1 ? 0 : 1);
	}
	return 1;
}

TEST(G1_a_killed_holder_is_alive_as_long_as_its_memory_is_in_use)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_info info;
	struct peer peer;

	peer_start(&peer, dmabuf, die_while_a_vfork_child_runs, NULL);
	peer_wait(&peer);
	kill(peer.pid, SIGKILL);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device())); /* would clean up */
	info = peer_info(dmabuf);
	ASSERT_EQ(living(&info), 2);
	ASSERT_EQ(info.attachment_count, 2);
	peer_tell(&peer);
	ASSERT(waitpid(-1, NULL, 0) > 0); /* the child came to us */
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.attachment_count, 2);
	ASSERT_EQ(info.counters.recovered, 1);
	close(peer.socket);
	dma_buf_put(dmabuf);
}

static struct peer *stopping_peer;

static int stop_in_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	peer_tell(stopping_peer);
	raise(SIGSTOP);
	return 0;
}

/* Holds the list lock, and stays there. */
static int attach_and_stop(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_ops ops = counting_ops;
	struct dma_buf_exporter class = { .size = sizeof(class), .name = "counting", .ops = &ops };
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	dma_buf_put(dmabuf);
	ops.attach = stop_in_attach;
	ops.detach = NULL;
	stopping_peer = peer;
	ASSERT_OK(dma_buf_register_exporter(&class));
	ASSERT_OK(dmabuf_set_label("sleeper"));
	dmabuf = dma_buf_get(fd);
	close(fd);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	dma_buf_put(dmabuf);
	return 0;
}

static bool is_stopped(void *arg)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid;
}

static struct counting_exporter exporter;

static struct dma_buf *held_by_a_stopped_peer(struct peer *peer)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	peer_start(peer, dmabuf, attach_and_stop, NULL);
	peer_wait(peer);
	ASSERT(eventually(is_stopped, &peer->pid, 60000));
	return dmabuf;
}

TEST(A6_a_stopped_holder_of_the_list_lock_is_waited_for_and_then_named)
{
	struct peer peer;
	struct dma_buf *dmabuf = held_by_a_stopped_peer(&peer);
	int64_t began = now_ms();
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", (int)peer.pid);
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), ETIMEDOUT);
	ASSERT(now_ms() - began >= 4900);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "sleeper");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), pid);
	ASSERT_EQ(peer_info(dmabuf).counters.recovered, 0);
	kill(peer.pid, SIGCONT);
	peer_end(&peer);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	dma_buf_put(dmabuf);
}

TEST(A6_the_list_lock_of_a_dead_holder_is_taken_over)
{
	struct peer peer;
	struct dma_buf *dmabuf = held_by_a_stopped_peer(&peer);
	int64_t began;

	peer_kill(&peer);
	began = now_ms();
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	ASSERT(now_ms() - began < 4000);
	ASSERT_EQ(peer_info(dmabuf).counters.recovered, 1);
	ASSERT_EQ(peer_info(dmabuf).holder_count, 1);
	dma_buf_put(dmabuf);
}

static void *attach_in_thread(void *arg)
{
	ASSERT(dma_buf_attach(arg, dma_buf_cpu_device()));
	return NULL;
}

TEST(A6_a_holder_that_dies_while_others_wait_lets_them_go_on)
{
	struct peer peer;
	struct dma_buf *dmabuf = held_by_a_stopped_peer(&peer);
	const struct timespec moment = { 0, 50000000 };
	pthread_t thread;
	int64_t began;

	ASSERT_EQ(pthread_create(&thread, NULL, attach_in_thread, dmabuf), 0);
	nanosleep(&moment, NULL); /* most likely asleep now; it must not matter */
	began = now_ms();
	peer_kill(&peer);
	pthread_join(thread, NULL);
	ASSERT(now_ms() - began < 4000);
	dma_buf_put(dmabuf);
}

static int join_and_leave(struct peer *peer, struct dma_buf *dmabuf)
{
	dma_buf_put(dmabuf);
	return 0;
}

TEST(A3_places_are_used_again)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct peer peer;
	int i;

	for (i = 0; i < DMA_BUF_MAX_CLIENTS + 6; i++) {
		peer_start(&peer, dmabuf, join_and_leave, NULL);
		peer_end(&peer);
	}
	ASSERT_EQ(peer_info(dmabuf).holder_count, 1);
	ASSERT_EQ(peer_info(dmabuf).counters.recovered, 0);
	dma_buf_put(dmabuf);
}

static int join_and_die(struct peer *peer, struct dma_buf *dmabuf)
{
	raise(SIGKILL);
	return 1;
}

TEST(A3_places_of_the_dead_are_used_again)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct peer peer;
	int i;

	for (i = 0; i < DMA_BUF_MAX_CLIENTS + 6; i++) {
		peer_start(&peer, dmabuf, join_and_die, NULL);
		ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
		close(peer.socket);
	}
	ASSERT(peer_info(dmabuf).counters.recovered >= 7);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1); /* the dead do not keep it */
}

#define CROWD 1000

enum answer { SERVED = 's', REFUSED = 'r', WRONG = 'w' };

/* One of many: says how it fared, and stays until the gate's end. */
static void join_the_crowd(int fd, int report, struct gate *gate)
{
	struct dma_buf *dmabuf;
	char answer = WRONG, byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(gate->fd[1]);
	dmabuf = dma_buf_get(fd);
	if (dmabuf && dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE) == 0)
		answer = SERVED;
	else if (!dmabuf && errno == EUSERS && strstr(dmabuf_last_error(), "64 holders"))
		answer = REFUSED;
	if (write(report, &answer, 1) != 1 || read(gate->fd[0], &byte, 1) != 0)
		_exit(1);
	if (dmabuf)
		dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE);
	dma_buf_put(dmabuf);
	_exit(0);
}

TEST_TIMEOUT(A3_of_1000_clients_64_are_served_and_the_others_refused_by_name, 300)
{
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), report[2], i, served = 0, refused = 0, status;
	int crowd = test_is_slow() ? CROWD / 8 : CROWD; /* a tool makes each dear */
	struct dma_buf_info info;
	struct gate gate;
	char answer;
	pid_t pid;

	gate_init(&gate);
	ASSERT_OK(pipe2(report, O_CLOEXEC));
	for (i = 0; i < crowd; i++) {
		pid = fork();
		if (pid == 0)
			join_the_crowd(fd, report[1], &gate);
		if (pid < 0)
			break;
	}
	if (i < crowd)
		test_note("only %d processes can be had here", i);
	ASSERT(i > DMA_BUF_MAX_CLIENTS + 10);
	close(report[1]);
	while (served + refused < i) {
		ASSERT_EQ(read(report[0], &answer, 1), 1);
		ASSERT(answer != WRONG);
		served += answer == SERVED;
		refused += answer == REFUSED;
	}
	ASSERT_EQ(served, DMA_BUF_MAX_CLIENTS - 1); /* and this process */
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, DMA_BUF_MAX_CLIENTS);
	ASSERT_EQ(living(&info), DMA_BUF_MAX_CLIENTS);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_TO_DEVICE));
	gate_close(&gate);
	for (; i > 0; i--) {
		ASSERT(wait(&status) > 0);
		ASSERT_EQ(status, 0);
	}
	ASSERT_EQ(peer_info(dmabuf).holder_count, 1);
	close(report[0]);
	close(fd);
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.released, 1);
}

TEST(A3_a_buffer_full_of_the_dead_can_be_joined)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), report[2], i;
	pid_t pids[DMA_BUF_MAX_CLIENTS - 1];
	struct dma_buf_info info;
	struct peer peer;
	struct gate gate;
	char answer;

	gate_init(&gate);
	ASSERT_OK(pipe2(report, O_CLOEXEC));
	for (i = 0; i < DMA_BUF_MAX_CLIENTS - 1; i++) {
		pids[i] = fork();
		ASSERT_OK(pids[i]);
		if (pids[i] == 0)
			join_the_crowd(fd, report[1], &gate);
		ASSERT_EQ(read(report[0], &answer, 1), 1);
		ASSERT_EQ(answer, SERVED);
	}
	for (i = 0; i < DMA_BUF_MAX_CLIENTS - 1; i++)
		kill(pids[i], SIGKILL);
	for (i = 0; i < DMA_BUF_MAX_CLIENTS - 1; i++)
		ASSERT_EQ(reap(pids[i]), 128 + SIGKILL);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, DMA_BUF_MAX_CLIENTS);
	ASSERT_EQ(living(&info), 1);
	peer_start(&peer, dmabuf, join_and_leave, NULL);
	peer_end(&peer);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.holder_count, 1);
	ASSERT_EQ(info.counters.recovered, DMA_BUF_MAX_CLIENTS - 1);
	gate_close(&gate);
	close(report[0]);
	close(report[1]);
	close(fd);
	dma_buf_put(dmabuf);
}
