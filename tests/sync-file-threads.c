// SPDX-License-Identifier: MIT
/* Descriptors of fences made, imported, waited for and closed by many threads at a time: row E5. */
#include "sync-peer.h"

#define ROUNDS 200
#define THREADS 4

struct crowd {
	int fd;
	struct dma_fence *fence;
	atomic_int arrived;
};

static void *import_and_wait(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_fence *fence;
	int copy = fcntl(crowd->fd, F_DUPFD_CLOEXEC, 0), status = 0;

	crowd->arrived++;
	fence = dmabuf_sync_file_get_fence(copy);
	ASSERT(fence);
	ASSERT(dmabuf_sync_file_wait(copy, LONG_MS, &status) > 0);
	ASSERT_EQ(status, 1);
	ASSERT(dma_fence_wait_timeout(fence, false, LONG_MS) > 0);
	ASSERT_EQ(dma_fence_get_status(fence), 1);
	dma_fence_put(fence);
	close(copy);
	return NULL;
}

TEST_TIMEOUT(E5_fences_are_signalled_while_threads_import_them, 300)
{
	pthread_t threads[THREADS];
	int i, j;

	for (i = 0; i < ROUNDS; i++) {
		struct crowd crowd = { .fence = fence_new() };

		crowd.fd = dmabuf_sync_file_create(crowd.fence, NULL);
		ASSERT_OK(crowd.fd);
		for (j = 0; j < THREADS; j++)
			threads[j] = thread_start(import_and_wait, &crowd);
		while (crowd.arrived < i % (THREADS + 1))
			;
		ASSERT_OK(dma_fence_signal(crowd.fence));
		for (j = 0; j < THREADS; j++)
			thread_join(threads[j]);
		dma_fence_put(crowd.fence);
		close(crowd.fd);
	}
}

static int signal_what_comes(void *arg)
{
	int socket = *(int *)arg, fd;
	struct dma_fence *fence;

	while (hear(socket)) {
		fence = fence_new();
		fd = dmabuf_sync_file_create(fence, NULL);
		ASSERT_OK(fd);
		send_fds(socket, &fd, 1);
		ASSERT_OK(dma_fence_signal(fence));
		dma_fence_put(fence);
		close(fd);
	}
	return 0;
}

TEST_TIMEOUT(E5_another_processes_fences_are_imported_by_threads_while_they_end, 300)
{
	pthread_t threads[THREADS];
	int sockets[2], i, j;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sockets);
	pid = fork();
	if (!pid) {
		close(sockets[0]);
		_exit(signal_what_comes(&sockets[1]));
	}
	close(sockets[1]);
	for (i = 0; i < ROUNDS; i++) {
		struct crowd crowd = { .fd = -1 };

		tell(sockets[0], 'n');
		recv_fds(sockets[0], &crowd.fd, 1);
		for (j = 0; j < THREADS; j++)
			threads[j] = thread_start(import_and_wait, &crowd);
		for (j = 0; j < THREADS; j++)
			thread_join(threads[j]);
		close(crowd.fd);
	}
	close(sockets[0]);
	ASSERT_EQ(reap(pid), 0);
}

static void *make_and_close(void *arg)
{
	struct dma_fence *fence, *import;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fence = fence_new();
		fd = dmabuf_sync_file_create(fence, NULL);
		ASSERT_OK(fd);
		if (i % 3 == 1)
			ASSERT_OK(dma_fence_signal(fence));
		import = dmabuf_sync_file_get_fence(fd);
		ASSERT(import);
		close(fd);
		if (i % 3 == 2)
			ASSERT_OK(dma_fence_signal(fence));
		dma_fence_put(import);
		dma_fence_put(fence);
	}
	return NULL;
}

TEST_TIMEOUT(E5_descriptors_come_and_go_in_many_threads, 300)
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		threads[i] = thread_start(make_and_close, NULL);
	for (i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}
