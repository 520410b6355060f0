// SPDX-License-Identifier: MIT
/*
 * A fence always ends, also when its owner dies, stops, forks or runs out of descriptors: rows E3
 * and E5.
 */
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sync-peer.h"

TEST(E5_a_killed_owner_ends_its_fences_with_eownerdead)
{
	struct owner owner = { .seqno = 1, .timeout_ms = DMA_FENCE_TIMEOUT_MAX };
	struct counting_cb cb = { .calls = 0 };
	struct dma_fence *fence;

	owner_start(&owner);
	fence = dmabuf_sync_file_get_fence(owner.fd);
	ASSERT_OK(dma_fence_add_callback(fence, &cb.base, counting_call));
	kill(owner.pid, SIGKILL);
	ASSERT(dma_fence_wait_timeout(fence, true, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(fence), -EOWNERDEAD);
	ASSERT(!dma_fence_remove_callback(fence, &cb.base));
	ASSERT_EQ(cb.calls, 1);
	/* One that comes later finds the same. */
	ASSERT(readable(owner.fd, 0));
	ASSERT_EQ(ended_with(owner.fd), -EOWNERDEAD);
	dma_fence_put(fence);
	ASSERT_EQ(reap(owner.pid), 128 + SIGKILL);
	close(owner.socket);
	close(owner.fd);
}

TEST(E5_an_owner_that_exits_ends_its_fences_with_eownerdead)
{
	struct owner owner = { .seqno = 1, .timeout_ms = DMA_FENCE_TIMEOUT_MAX };

	owner_start(&owner);
	tell(owner.socket, 'q');
	ASSERT_EQ(ended_with(owner.fd), -EOWNERDEAD);
	owner_end(&owner);
}

static int signal_and_exit(void *arg)
{
	struct dma_fence *fence = fence_new();
	int fd = dmabuf_sync_file_create(fence, NULL);

	send_fds(*(int *)arg, &fd, 1);
	ASSERT_EQ(hear(*(int *)arg), 's');
	dma_fence_signal(fence);
	_exit(0);
}

TEST(E5_what_was_signalled_before_the_owners_death_counts)
{
	int sockets[2], fd;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sockets);
	pid = spawn(signal_and_exit, &sockets[1]);
	recv_fds(sockets[0], &fd, 1);
	tell(sockets[0], 's');
	ASSERT_EQ(reap(pid), 0);
	ASSERT_EQ(ended_with(fd), 1);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(E5_a_stopped_owner_keeps_nobody_waiting_past_the_deadline)
{
	struct owner owner = { .seqno = 1, .timeout_ms = 300 };
	struct counting_cb cb = { .calls = 0 };
	struct dma_fence *fence;

	owner_start(&owner);
	kill(owner.pid, SIGSTOP);
	fence = dmabuf_sync_file_get_fence(owner.fd);
	ASSERT_OK(dma_fence_add_callback(fence, &cb.base, counting_call));
	ASSERT(dma_fence_wait_timeout(fence, true, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(fence), -ETIMEDOUT);
	ASSERT(!dma_fence_remove_callback(fence, &cb.base));
	ASSERT_EQ(cb.calls, 1);
	ASSERT(!readable(owner.fd, 0));
	kill(owner.pid, SIGCONT);
	/* Now the owner's clock says the same. */
	ASSERT(readable(owner.fd, LONG_MS));
	ASSERT_EQ(ended_with(owner.fd), -ETIMEDOUT);
	dma_fence_put(fence);
	owner_end(&owner);
}

TEST(E5_the_owner_ends_it_at_the_deadline_for_whoever_only_polls)
{
	struct dmabuf_sync_file_options options = { .size = sizeof(options), .timeout_ms = 20 };
	struct dma_fence *fence = fence_new();
	int fd = dmabuf_sync_file_create(fence, &options);

	ASSERT(readable(fd, LONG_MS));
	ASSERT_EQ(ended_with(fd), -ETIMEDOUT);
	/* In the owner's process too, and once. */
	ASSERT_EQ(dma_fence_get_status(fence), -ETIMEDOUT);
	ASSERT_ERR(dma_fence_signal(fence), EINVAL);
	dma_fence_put(fence);
	close(fd);
}

static int outlive(void *arg)
{
	gate_wait(arg);
	return 0;
}

struct parting {
	int socket;
	struct gate gate;
};

/* Leaves a child behind that lives on. */
static int fork_and_die(void *arg)
{
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync_file_options options = { .size = sizeof(options),
						    .timeout_ms = DMA_FENCE_TIMEOUT_MAX };
	struct parting *with = arg;
	int fd = dmabuf_sync_file_create(fence, &options);

	send_fds(with->socket, &fd, 1);
	close(fd);
	if (fork() == 0)
		_exit(outlive(&with->gate));
	_exit(0);
}

TEST(E5_a_forked_child_does_not_keep_its_parents_fence_alive)
{
	struct parting with;
	int sockets[2], fd;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sockets);
	gate_init(&with.gate);
	with.socket = sockets[1];
	pid = spawn(fork_and_die, &with);
	recv_fds(sockets[0], &fd, 1);
	ASSERT_EQ(reap(pid), 0);
	ASSERT_EQ(ended_with(fd), -EOWNERDEAD);
	gate_signal(&with.gate);
	ASSERT(waitpid(-1, NULL, 0) > 0); /* the child came to us */
	gate_close(&with.gate);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

struct left {
	struct dma_fence *fence;
	struct dma_fence *import;
	int fd;
	int own;
};

/* The child of an owner: what it holds is its own import, and the parent's is left alone. */
static int child_of_an_owner(void *arg)
{
	struct left *left = arg;
	struct dma_fence *fence = dmabuf_sync_file_get_fence(left->own);
	int mine;

	ASSERT(fence);
	ASSERT(fence != left->fence);
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	/* Its copy of the parent's fence says nothing to anybody. */
	dma_fence_signal(left->fence);
	ASSERT_EQ(dma_fence_wait_timeout(fence, true, 20), 0);
	dma_fence_put(fence);
	mine = dmabuf_sync_file_create(left->import, NULL);
	ASSERT_OK(mine);
	close(mine);
	fence = fence_new();
	mine = dmabuf_sync_file_create(fence, NULL);
	ASSERT_OK(mine);
	dma_fence_signal(fence);
	ASSERT_EQ(ended_with(mine), 1);
	dma_fence_put(fence);
	close(mine);
	return 0;
}

TEST(E5_a_forked_child_starts_anew)
{
	struct owner owner = { .seqno = 1 };
	struct left left = { .fence = fence_new() };

	owner_start(&owner);
	left.own = dmabuf_sync_file_create(left.fence, NULL);
	left.fd = owner.fd;
	left.import = dmabuf_sync_file_get_fence(owner.fd);
	ASSERT_EQ(reap(spawn(child_of_an_owner, &left)), 0);
	/* The parent's go on. */
	ASSERT_EQ(status_of(left.own), 0);
	owner_do(&owner, 's');
	ASSERT(dma_fence_wait_timeout(left.import, true, LONG_MS) > 0);
	dma_fence_signal(left.fence);
	ASSERT_EQ(ended_with(left.own), 1);
	dma_fence_put(left.import);
	dma_fence_put(left.fence);
	close(left.own);
	owner_end(&owner);
}

static int exec_something(void *arg)
{
	struct dma_fence *fence = fence_new();
	struct dmabuf_sync_file_options options = { .size = sizeof(options),
						    .timeout_ms = DMA_FENCE_TIMEOUT_MAX };
	int fd = dmabuf_sync_file_create(fence, &options);

	send_fds(*(int *)arg, &fd, 1);
	ASSERT_EQ(hear(*(int *)arg), 'x');
	execlp("sleep", "sleep", "100", NULL);
	return 1;
}

TEST(E5_an_owner_that_calls_exec_ends_its_fences)
{
	int sockets[2], fd;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sockets);
	pid = spawn(exec_something, &sockets[1]);
	recv_fds(sockets[0], &fd, 1);
	tell(sockets[0], 'x');
	ASSERT_EQ(ended_with(fd), -EOWNERDEAD);
	kill(pid, SIGKILL);
	ASSERT_EQ(reap(pid), 128 + SIGKILL);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

static void close_all(const int *fds, int *count)
{
	while (*count)
		close(fds[--*count]);
}

TEST(E5_without_descriptors_there_is_an_error_and_nothing_is_left)
{
	struct dma_fence *fences[64];
	struct owner owner = { .seqno = 1 };
	int fds[64], copies[64], count = 0, copied = 0, err = 0, i;
	struct rlimit limit;

	if (test_under_valgrind())
		SKIP("valgrind has descriptors of its own, and a limit of its own");
	owner_start(&owner);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = (rlim_t)open_fds() + 20;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	while (count < 64 && !err) {
		fences[count] = fence_new();
		fds[count] = dmabuf_sync_file_create(fences[count], NULL);
		if (fds[count] < 0) {
			err = -fds[count];
			dma_fence_put(fences[count]);
		} else {
			count++;
		}
	}
	ASSERT_EQ(err, EMFILE);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "RLIMIT_NOFILE");
	while ((copies[copied] = dup(0)) >= 0)
		copied++;
	ASSERT_ERRNO(dmabuf_sync_file_get_fence(owner.fd), EMFILE);
	ASSERT_ERR(dmabuf_sync_file_wait(owner.fd, 1, NULL), EMFILE);
	/* Those that exist do as ever. */
	for (i = 0; i < count; i++) {
		dma_fence_signal(fences[i]);
		ASSERT(readable(fds[i], 0));
		dma_fence_put(fences[i]);
		close(fds[i]);
	}
	close_all(copies, &copied);
	/* Nor is anything left of those that failed: this one can be had again. */
	ASSERT_EQ(dmabuf_sync_file_wait(owner.fd, 1, NULL), 0);
	owner_end(&owner);
}

/* Each step of the library's own descriptors fails once. */
TEST(E3_a_timeout_needs_the_librarys_thread_and_says_so)
{
	struct dma_fence *fence = fence_new();
	struct rlimit limit;
	int lowest = dup(0), room;

	close(lowest);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &limit));
	for (room = 0; room < 2; room++) {
		limit.rlim_cur = (rlim_t)(lowest + room);
		ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
		ASSERT_ERR(dma_fence_set_timeout(fence, 1), EMFILE);
	}
	limit.rlim_cur = limit.rlim_max;
	ASSERT_OK(setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	ASSERT_OK(dma_fence_set_timeout(fence, 0));
	ASSERT(dma_fence_wait_timeout(fence, false, LONG_MS) > 0);
	dma_fence_put(fence);
}
