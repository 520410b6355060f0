// SPDX-License-Identifier: MIT
/* Asynchronous locks and children: what is the parent's stays the parent's. */
#include "async.h"

#include <poll.h>

struct family {
	struct dma_buf *dmabuf;
	int buffer_fd;
	struct dmabuf_sync *holder;
	struct dmabuf_sync *waits;
	struct dmabuf_sync *unlocks;
	struct dma_fence *job;
	int fd;
};

static void family_make(struct family *f)
{
	f->dmabuf = buffer_new("frame");
	f->buffer_fd = dma_buf_fd(f->dmabuf, O_CLOEXEC);
	f->holder = sync_of("holder", f->dmabuf, DMA_BUF_ACCESS_W);
	f->waits = sync_of("waits", f->dmabuf, DMA_BUF_ACCESS_W);
	f->unlocks = sync_of("unlocks", f->dmabuf, DMA_BUF_ACCESS_W);
	f->job = fence_new();
	ASSERT_OK(dmabuf_sync_lock(f->unlocks));
	ASSERT_OK(dmabuf_sync_unlock_fence(f->unlocks, f->job));
	ASSERT_OK(dmabuf_sync_set_claim(f->waits, 60000));
	f->fd = dmabuf_sync_fd(f->waits);
	ASSERT_OK(f->fd);
	ASSERT_OK(dmabuf_sync_lock_async(f->waits, 60000, NULL));
	ASSERT_OK(dmabuf_sync_lock_async(f->holder, 60000, NULL));
}

/* The parent's queue moves on: unlocks, waits, holder. */
static void family_goes_on(struct family *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };

	ASSERT_OK(dma_fence_signal(f->job));
	ASSERT_EQ(poll(&p, 1, 20000), 1);
	ASSERT_OK(dmabuf_sync_lock_finish(f->waits));
	ASSERT_ERR(dmabuf_sync_lock_finish(f->holder), EAGAIN);
	ASSERT_OK(dmabuf_sync_unlock(f->waits));
	while (dmabuf_sync_lock_finish(f->holder) == -EAGAIN)
		sched_yield();
	ASSERT_OK(dmabuf_sync_unlock(f->holder));
}

static void family_end(struct family *f)
{
	dmabuf_sync_fini(f->holder);
	dmabuf_sync_fini(f->waits);
	dmabuf_sync_fini(f->unlocks);
	dma_fence_put(f->job);
	dma_buf_put(f->dmabuf);
	close(f->buffer_fd);
}

static int child_is_told(void *arg)
{
	struct family *f = arg;

	ASSERT_ERR(dmabuf_sync_lock_finish(f->waits), ECHILD);
	ASSERT_ERR(dmabuf_sync_cancel(f->waits), ECHILD);
	ASSERT_ERR(dmabuf_sync_fd(f->waits), ECHILD);
	ASSERT_ERR(dmabuf_sync_set_claim(f->waits, 1), ECHILD);
	ASSERT_ERR(dmabuf_sync_lock_async(f->unlocks, 1, NULL), ECHILD);
	ASSERT_ERR(dmabuf_sync_unlock_fence(f->unlocks, f->job), ECHILD);
	_exit(0);
}

TEST(D7_a_child_is_told_that_the_locks_are_its_parents)
{
	struct family f;

	family_make(&f);
	ASSERT_EQ(reap(spawn(child_is_told, &f)), 0);
	family_goes_on(&f);
	family_end(&f);
}

static int child_drops_all(void *arg)
{
	struct family *f = arg;

	dmabuf_sync_fini(f->waits);
	dmabuf_sync_fini(f->holder);
	dmabuf_sync_fini(f->unlocks);
	ASSERT(fcntl(f->fd, F_GETFD) < 0);
	_exit(0);
}

TEST(D7_a_child_may_drop_its_copies)
{
	struct family f;

	family_make(&f);
	ASSERT_EQ(reap(spawn(child_drops_all, &f)), 0);
	ASSERT_EQ(accesses_in(f.dmabuf, DMA_BUF_ACCESS_WAITING), 2);
	family_goes_on(&f);
	family_end(&f);
}

static int child_has_its_own(void *arg)
{
	struct family *f = arg;
	struct dma_buf *dmabuf = dma_buf_get(f->buffer_fd);
	struct dmabuf_sync *sync = sync_of("child", dmabuf, DMA_BUF_ACCESS_R);

	ASSERT_OK(dmabuf_sync_lock_async(sync, 60000, NULL));
	while (dmabuf_sync_lock_finish(sync) == -EAGAIN)
		sched_yield();
	ASSERT(dmabuf_sync_is_locked(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	_exit(0);
}

TEST(D7_a_child_has_a_thread_of_its_own_when_it_needs_one)
{
	struct family f;
	pid_t child;

	family_make(&f);
	child = spawn(child_has_its_own, &f);
	until_accesses(f.dmabuf, DMA_BUF_ACCESS_WAITING, 3);
	family_goes_on(&f);
	ASSERT_EQ(reap(child), 0);
	family_end(&f);
}

TEST_HELPER(descriptor_is_closed)
{
	return fcntl(atoi(argv[1]), F_GETFD) < 0 ? 0 : 1;
}

TEST(D7_a_descriptor_does_not_survive_exec)
{
	struct family f;
	char fd[16];

	family_make(&f);
	snprintf(fd, sizeof(fd), "%d", f.fd);
	ASSERT_EQ(reap(spawn_helper("descriptor_is_closed", fd, NULL)), 0);
	family_goes_on(&f);
	family_end(&f);
}

static void *forks_all_the_time(void *arg)
{
	atomic_bool *stop = arg;
	pid_t pid;

	while (!atomic_load(stop)) {
		pid = fork();
		if (!pid)
			_exit(0);
		ASSERT(pid > 0);
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	}
	return NULL;
}

TEST_TIMEOUT(D7_forks_in_between_disturb_nobody, 300)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *a = sync_of("a", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *b = sync_of("b", dmabuf, DMA_BUF_ACCESS_W);
	unsigned int i, rounds = test_is_slow() ? 20 : 300;
	atomic_bool stop = false;
	pthread_t thread = thread_start(forks_all_the_time, &stop);

	for (i = 0; i < rounds; i++) {
		struct dma_fence *fa = ask(a, 60000), *fb = ask(b, 60000);

		take(a, fa);
		ASSERT_OK(dmabuf_sync_unlock(a));
		take(b, fb);
		ASSERT_OK(dmabuf_sync_unlock(b));
	}
	atomic_store(&stop, true);
	thread_join(thread);
	dmabuf_sync_fini(a);
	dmabuf_sync_fini(b);
	dma_buf_put(dmabuf);
}
