// SPDX-License-Identifier: MIT
/*
 * A fence is a descriptor that can be polled, merged and passed to another process: row E5, within
 * the owner and across processes that behave. tests/sync-file-owner.c has those that die.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "sync-peer.h"

TEST(E5_a_descriptor_is_readable_when_the_fence_is_signalled_and_not_before)
{
	struct dma_fence *fence = fence_new();
	int fd = dmabuf_sync_file_create(fence, NULL);
	struct epoll_event event = { .events = EPOLLIN };
	struct timeval none = { 0, 0 };
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	fd_set set;

	ASSERT_OK(fd);
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
	ASSERT(!readable(fd, 0));
	ASSERT_EQ(epoll_wait(epfd, &event, 1, 0), 0);
	ASSERT_EQ(status_of(fd), 0);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT(readable(fd, 0));
	ASSERT_EQ(epoll_wait(epfd, &event, 1, 0), 1);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	ASSERT_EQ(select(fd + 1, &set, NULL, NULL, &none), 1);
	ASSERT_EQ(status_of(fd), 1);
	dma_fence_put(fence);
	close(epfd);
	close(fd);
}

TEST(E5_a_fence_that_was_signalled_before_makes_a_readable_descriptor)
{
	struct dma_fence *fence = fence_new();
	int before = open_fds(), fd;

	ASSERT_OK(dma_fence_set_error(fence, -EIO));
	ASSERT_OK(dma_fence_signal(fence));
	fd = dmabuf_sync_file_create(fence, NULL);
	ASSERT(readable(fd, 0));
	ASSERT_EQ(status_of(fd), -EIO);
	ASSERT_EQ(status_of(fd), -EIO);
	/* It needs nobody to watch it. */
	ASSERT_EQ(open_fds(), before + 1);
	dma_fence_put(fence);
	close(fd);
}

TEST(E5_the_owner_gets_the_very_fence_back)
{
	struct dma_fence *fence = fence_new(), *same, *like;
	int fd = dmabuf_sync_file_create(fence, NULL), copy = dup(fd);

	same = dmabuf_sync_file_get_fence(copy);
	ASSERT(same == fence);
	dma_fence_put(same);
	ASSERT_OK(dma_fence_signal(fence));
	like = dmabuf_sync_file_get_fence(fd);
	ASSERT(like);
	ASSERT_EQ(dma_fence_get_status(like), 1);
	ASSERT_EQ(like->context, fence->context);
	ASSERT_EQ(like->seqno, fence->seqno);
	ASSERT_EQ(dma_fence_timestamp(like), dma_fence_timestamp(fence));
	dma_fence_put(like);
	dma_fence_put(fence);
	close(copy);
	close(fd);
}

static bool released(void *arg)
{
	return *(atomic_int *)arg == 1;
}

TEST(E5_a_descriptor_that_nobody_holds_keeps_no_fence)
{
	atomic_int count = 0;
	struct job *job = job_new();
	int fd = dmabuf_sync_file_create(&job->base, NULL);

	job->released = &count;
	dma_fence_put(&job->base);
	ASSERT_EQ(count, 0);
	close(fd);
	ASSERT(eventually(released, &count, LONG_MS));
}

TEST(E5_a_fence_dropped_before_it_is_signalled_ends_at_its_deadline)
{
	struct dmabuf_sync_file_options options = { .size = sizeof(options), .timeout_ms = 20 };
	atomic_int count = 0;
	struct job *job = job_new();
	int fd = dmabuf_sync_file_create(&job->base, &options);

	job->released = &count;
	dma_fence_put(&job->base);
	ASSERT_EQ(ended_with(fd), -ETIMEDOUT);
	ASSERT(eventually(released, &count, LONG_MS));
	close(fd);
}

TEST(E5_arrays_and_chains_have_descriptors_too)
{
	struct dma_fence **parts = calloc(2, sizeof(struct dma_fence *));
	struct dma_fence *a = fence_new(), *b = fence_new(), *c = fence_new();
	struct dma_fence_chain *chain = dma_fence_chain_alloc();
	struct dma_fence_array *array;
	int of_array, of_chain;

	parts[0] = dma_fence_get(a);
	parts[1] = dma_fence_get(b);
	array = dma_fence_array_create(2, parts, dma_fence_context_alloc(1), 1, false);
	dma_fence_chain_init(chain, &array->base, dma_fence_get(c), 5);
	of_array = dmabuf_sync_file_create(&array->base, NULL);
	of_chain = dmabuf_sync_file_create(&chain->base, NULL);
	ASSERT_OK(of_array);
	ASSERT_OK(of_chain);
	dma_fence_signal(a);
	dma_fence_signal(c);
	ASSERT(!readable(of_array, 0));
	ASSERT(!readable(of_chain, 0));
	dma_fence_signal(b);
	ASSERT(readable(of_array, 0));
	ASSERT(readable(of_chain, 0));
	ASSERT_EQ(ended_with(of_chain), 1);
	close(of_array);
	close(of_chain);
	dma_fence_put(&chain->base);
	dma_fence_put(a);
	dma_fence_put(b);
	dma_fence_put(c);
}

TEST(E5_a_fence_of_another_process_can_be_waited_for)
{
	struct owner owner = { .seqno = 3 };
	struct dma_fence *fence, *again;
	int copy;

	owner_start(&owner);
	copy = dup(owner.fd);
	fence = dmabuf_sync_file_get_fence(owner.fd);
	again = dmabuf_sync_file_get_fence(copy);
	close(copy);
	ASSERT(fence);
	ASSERT(fence == again);
	ASSERT_EQ(fence->seqno, 3);
	ASSERT_STR_EQ(fence->ops->get_driver_name(fence), "camera");
	ASSERT_STR_EQ(fence->ops->get_timeline_name(fence), "frames");
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	ASSERT_EQ(dma_fence_wait_timeout(fence, true, 1), 0);
	owner_do(&owner, 's');
	ASSERT(dma_fence_wait_timeout(fence, true, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(fence), 1);
	dma_fence_put(again);
	dma_fence_put(fence);
	owner_end(&owner);
}

TEST(E5_error_and_timestamp_come_across)
{
	struct owner owner = { .seqno = 1 }, other = { .seqno = 1 };
	struct dmabuf_sync_fence_info part = { .timestamp = 0 };
	struct dmabuf_sync_file_info info = { .size = sizeof(info),
					      .num_fences = 1,
					      .fences = &part };

	owner_start(&owner);
	owner_start(&other);
	owner_do(&owner, 't');
	ASSERT_OK(dmabuf_sync_file_get_info(owner.fd, &info));
	ASSERT_EQ(info.status, 1);
	ASSERT_EQ(info.num_fences, 1);
	ASSERT_STR_EQ(info.name, "owned");
	ASSERT_STR_EQ(part.driver, "camera");
	ASSERT_STR_EQ(part.timeline, "frames");
	ASSERT_EQ(part.timestamp, 12345);
	ASSERT_EQ(part.seqno, 1);
	owner_do(&other, 'e');
	ASSERT_EQ(ended_with(other.fd), -EIO);
	owner_end(&owner);
	owner_end(&other);
}

TEST(E5_callbacks_of_another_processes_fence_run_by_themselves)
{
	struct owner owner = { .seqno = 1 };
	struct counting_cb cb = { .calls = 0 };
	struct dma_fence *fence;

	owner_start(&owner);
	fence = dmabuf_sync_file_get_fence(owner.fd);
	ASSERT_OK(dma_fence_add_callback(fence, &cb.base, counting_call));
	owner_do(&owner, 's');
	ASSERT(eventually(released, &cb.calls, LONG_MS));
	ASSERT(!dma_fence_remove_callback(fence, &cb.base));
	dma_fence_put(fence);
	owner_end(&owner);
}

TEST_HELPER(waiter)
{
	int status = 0;

	if (dmabuf_sync_file_wait(atoi(argv[1]), LONG_MS, &status) <= 0)
		return 2;
	return status == 1 ? 0 : 3;
}

TEST(E5_a_descriptor_goes_through_exec)
{
	struct dma_fence *fence = fence_new();
	int fd = dmabuf_sync_file_create(fence, NULL);
	char number[16];
	pid_t pid;

	ASSERT_OK(fcntl(fd, F_SETFD, 0));
	snprintf(number, sizeof(number), "%d", fd);
	pid = spawn_helper("waiter", number, NULL);
	ASSERT_OK(dma_fence_signal(fence));
	ASSERT_EQ(reap(pid), 0);
	dma_fence_put(fence);
	close(fd);
}

static int wait_for_signal(void *arg)
{
	int fd;

	recv_fds(*(int *)arg, &fd, 1);
	tell(*(int *)arg, 'r');
	ASSERT_EQ(ended_with(fd), 1);
	close(fd);
	return 0;
}

static void wake(int count)
{
	struct dma_fence *fence = fence_new();
	int sockets[64][2], fd, i;
	pid_t pids[64];

	for (i = 0; i < count; i++) {
		socket_pair(SOCK_SEQPACKET, sockets[i]);
		pids[i] = spawn(wait_for_signal, &sockets[i][1]);
	}
	fd = dmabuf_sync_file_create(fence, NULL);
	for (i = 0; i < count; i++) {
		send_fds(sockets[i][0], &fd, 1);
		ASSERT_EQ(hear(sockets[i][0]), 'r');
	}
	ASSERT_OK(dma_fence_signal(fence));
	for (i = 0; i < count; i++) {
		ASSERT_EQ(reap(pids[i]), 0);
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	dma_fence_put(fence);
	close(fd);
}

TEST(E5_one_signal_wakes_1_waiter_in_another_process)
{
	wake(1);
}

TEST(E5_one_signal_wakes_8_waiters_in_8_processes)
{
	wake(8);
}

TEST(E5_one_signal_wakes_64_waiters_in_64_processes)
{
	wake(64);
}

TEST(E5_fences_of_several_processes_merge)
{
	struct owner a = { .seqno = 1 }, b = { .seqno = 1 };
	struct dma_fence *own = fence_new();
	struct dmabuf_sync_fence_info parts[3];
	struct dmabuf_sync_file_info info = { .size = sizeof(info),
					      .num_fences = 3,
					      .fences = parts };
	struct dmabuf_sync_file_options options = { .size = sizeof(options), .name = "all" };
	int fd, both, all;

	owner_start(&a);
	owner_start(&b);
	fd = dmabuf_sync_file_create(own, NULL);
	both = dmabuf_sync_file_merge(a.fd, b.fd, NULL);
	all = dmabuf_sync_file_merge(both, fd, &options);
	ASSERT_OK(all);
	close(both);
	ASSERT_OK(dmabuf_sync_file_get_info(all, &info));
	ASSERT_EQ(info.num_fences, 3);
	ASSERT_EQ(info.status, 0);
	ASSERT_STR_EQ(info.name, "all");
	owner_do(&a, 's');
	dma_fence_signal(own);
	ASSERT(!readable(all, 20));
	owner_do(&b, 's');
	ASSERT_EQ(ended_with(all), 1);
	close(all);
	close(fd);
	dma_fence_put(own);
	owner_end(&a);
	owner_end(&b);
}

static int owner_of_two(void *arg)
{
	int socket = *(int *)arg, fds[3], i;
	uint64_t context = dma_fence_context_alloc(1);
	struct dma_fence *early = &job_new_at(context, 1)->base;
	struct dma_fence *late = &job_new_at(context, 2)->base;

	fds[0] = dmabuf_sync_file_create(early, NULL);
	fds[1] = dmabuf_sync_file_create(late, NULL);
	fds[2] = dmabuf_sync_file_create(late, NULL);
	send_fds(socket, fds, 3);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	ASSERT_EQ(hear(socket), 's');
	dma_fence_signal(late);
	ASSERT_EQ(hear(socket), 'q');
	dma_fence_signal(early);
	dma_fence_put(early);
	dma_fence_put(late);
	close(socket);
	return 0;
}

TEST(E5_of_one_timeline_of_another_process_merging_keeps_the_latest)
{
	int sockets[2], fds[3], merged;
	struct dma_fence *fences[3];
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	pid_t pid;
	int i;

	socket_pair(SOCK_SEQPACKET, sockets);
	pid = spawn(owner_of_two, &sockets[1]);
	recv_fds(sockets[0], fds, 3);
	for (i = 0; i < 3; i++)
		fences[i] = dmabuf_sync_file_get_fence(fds[i]);
	ASSERT_EQ(fences[0]->context, fences[1]->context);
	ASSERT_EQ(fences[1]->context, fences[2]->context);
	ASSERT_EQ(fences[1]->seqno, fences[2]->seqno);
	ASSERT(dma_fence_is_later(fences[1], fences[0]));
	merged = dmabuf_sync_file_merge(fds[0], fds[1], NULL);
	ASSERT_OK(dmabuf_sync_file_get_info(merged, &info));
	ASSERT_EQ(info.num_fences, 1);
	tell(sockets[0], 's');
	ASSERT_EQ(ended_with(merged), 1);
	ASSERT_EQ(dma_fence_get_status(fences[0]), 0);
	tell(sockets[0], 'q');
	ASSERT_EQ(reap(pid), 0);
	for (i = 0; i < 3; i++) {
		dma_fence_put(fences[i]);
		close(fds[i]);
	}
	close(merged);
	close(sockets[0]);
	close(sockets[1]);
}

/* Two processes number their contexts alike; that makes them no timeline. */
TEST(E5_equal_contexts_of_two_processes_are_two_timelines)
{
	struct owner a = { .context = 9, .seqno = 1 }, b = { .context = 9, .seqno = 2 };
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	int merged;

	owner_start(&a);
	owner_start(&b);
	merged = dmabuf_sync_file_merge(a.fd, b.fd, NULL);
	ASSERT_OK(dmabuf_sync_file_get_info(merged, &info));
	ASSERT_EQ(info.num_fences, 2);
	owner_do(&b, 's');
	ASSERT(!readable(merged, 20));
	owner_do(&a, 's');
	ASSERT_EQ(ended_with(merged), 1);
	close(merged);
	owner_end(&a);
	owner_end(&b);
}

TEST(E5_merging_leaves_out_what_has_ended)
{
	struct owner a = { .seqno = 1 };
	struct dma_fence *done = dma_fence_allocate_private_stub();
	int fd, merged, nothing;

	owner_start(&a);
	fd = dmabuf_sync_file_create(done, NULL);
	merged = dmabuf_sync_file_merge(fd, a.fd, NULL);
	nothing = dmabuf_sync_file_merge(fd, fd, NULL);
	ASSERT(!readable(merged, 0));
	ASSERT(readable(nothing, 0));
	owner_do(&a, 's');
	ASSERT_EQ(ended_with(merged), 1);
	ASSERT_EQ(status_of(nothing), 1);
	close(fd);
	close(merged);
	close(nothing);
	dma_fence_put(done);
	owner_end(&a);
}

TEST(E5_one_of_many_descriptors_or_all_can_be_waited_for)
{
	struct owner a = { .seqno = 1 }, b = { .seqno = 1 };
	struct dma_fence *own = fence_new();
	unsigned int index = 7;
	int fds[3];

	owner_start(&a);
	owner_start(&b);
	fds[0] = dmabuf_sync_file_create(own, NULL);
	fds[1] = a.fd;
	fds[2] = b.fd;
	ASSERT_EQ(dmabuf_sync_file_wait_any(fds, 3, 0, &index), 0);
	ASSERT_EQ(dmabuf_sync_file_wait_any(fds, 3, 1, &index), 0);
	ASSERT_EQ(dmabuf_sync_file_wait_all(fds, 3, 1), 0);
	ASSERT_EQ(index, 7);
	owner_do(&b, 's');
	ASSERT(dmabuf_sync_file_wait_any(fds, 3, LONG_MS, &index) > 0);
	ASSERT_EQ(index, 2);
	ASSERT_EQ(dmabuf_sync_file_wait_all(fds, 3, 0), 0);
	owner_do(&a, 's');
	dma_fence_signal(own);
	ASSERT(dmabuf_sync_file_wait_all(fds, 3, LONG_MS) > 0);
	ASSERT_EQ(dmabuf_sync_file_wait_all(fds, 3, 0), 1);
	close(fds[0]);
	dma_fence_put(own);
	owner_end(&a);
	owner_end(&b);
}

static void nothing(int sig)
{
}

static void *interrupt(void *arg)
{
	_Atomic(pthread_t) *sleeper = arg;
	int i;

	/* A handler ends the wait only while it sleeps: more than one, to hit that moment. */
	for (i = 0; i < 1000 && *sleeper; i++) {
		pthread_kill(*sleeper, SIGUSR1);
		usleep(1000);
	}
	return NULL;
}

TEST(E5_a_signal_handler_ends_a_wait)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct owner owner = { .seqno = 1 };
	static _Atomic(pthread_t) self;
	pthread_t thread;

	owner_start(&owner);
	sigaction(SIGUSR1, &action, NULL);
	self = pthread_self();
	thread = thread_start(interrupt, &self);
	ASSERT_ERR(dmabuf_sync_file_wait(owner.fd, LONG_MS, NULL), EINTR);
	self = 0;
	thread_join(thread);
	owner_end(&owner);
}

TEST(E5_options_are_checked)
{
	struct dmabuf_sync_file_options options = { .size = sizeof(options) };
	struct dmabuf_sync_file_info info = { .size = 3 };
	struct dmabuf_sync_fence_info parts[1];
	struct dma_fence *fence = fence_new(), *other = fence_new();
	int fd = dmabuf_sync_file_create(fence, &options), second, both;

	ASSERT_OK(fd);
	ASSERT_ERR(dmabuf_sync_file_create(NULL, NULL), EINVAL);
	options.timeout_ms = DMA_FENCE_TIMEOUT_MAX + 1;
	ASSERT_ERR(dmabuf_sync_file_create(fence, &options), EINVAL);
	options.timeout_ms = DMA_FENCE_TIMEOUT_MAX;
	options.name = "a name that has more bytes than there is room for";
	ASSERT_ERR(dmabuf_sync_file_create(fence, &options), ENAMETOOLONG);
	options.name = "\033[2J";
	ASSERT_ERR(dmabuf_sync_file_create(fence, &options), EINVAL);
	options.size = 1;
	ASSERT_ERR(dmabuf_sync_file_create(fence, &options), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_get_info(fd, &info), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_get_info(fd, NULL), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_wait(fd, -1, NULL), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_wait_all(&fd, 1, -1), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_wait_any(&fd, 0, 1, NULL), EINVAL);
	ASSERT_ERR(dmabuf_sync_file_wait_all(NULL, 1, 1), EINVAL);
	second = dmabuf_sync_file_create(other, NULL);
	both = dmabuf_sync_file_merge(fd, second, NULL);
	info = (struct dmabuf_sync_file_info){ .size = sizeof(info),
					       .num_fences = 1,
					       .fences = parts };
	ASSERT_ERR(dmabuf_sync_file_get_info(both, &info), EINVAL);
	ASSERT_EQ(info.num_fences, 1);
	info.fences = NULL;
	ASSERT_OK(dmabuf_sync_file_get_info(both, &info));
	ASSERT_EQ(info.num_fences, 2);
	/* A merged fence is kept until its parts are signalled. */
	dma_fence_signal(fence);
	dma_fence_signal(other);
	close(both);
	close(second);
	close(fd);
	dma_fence_put(other);
	dma_fence_put(fence);
}

TEST(E5_without_a_name_it_has_one_made_of_what_it_is)
{
	struct dma_fence *fence = &job_new_at(4, 17)->base;
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	int fd = dmabuf_sync_file_create(fence, NULL);

	ASSERT_OK(dmabuf_sync_file_get_info(fd, &info));
	ASSERT_STR_EQ(info.name, "camera-frames4-17");
	close(fd);
	dma_fence_put(fence);
}
