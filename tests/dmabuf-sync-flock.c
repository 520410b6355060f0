// SPDX-License-Identifier: MIT
/* The same lock on a descriptor, in flock(2)'s terms. */
#include <pthread.h>
#include <stdlib.h>

#include "sync.h"

static int remote_flock_op(struct remote *r, int operation)
{
	return remote_do(r, (struct order){ .kind = ORDER_FLOCK, .value = operation });
}

TEST(D7_flock_shares_and_excludes_between_processes)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct remote r;

	ASSERT_OK(fd);
	remote_with(&r, "other", dmabuf, 0);
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_EQ(remote_flock_op(&r, LOCK_SH | LOCK_NB), 0);
	ASSERT_EQ(remote_flock_op(&r, LOCK_UN), 0);
	ASSERT_EQ(remote_flock_op(&r, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	ASSERT_EQ(remote_flock_op(&r, LOCK_EX | LOCK_NB), 0);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "to write by CPU");
	ASSERT_ERR(dma_buf_flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ASSERT_ERR(dma_buf_flock_timeout(fd, LOCK_EX, 30), ETIMEDOUT);
	ASSERT_ERR(dma_buf_flock_timeout(fd, LOCK_SH, 0), EBUSY);
	ASSERT_EQ(remote_flock_op(&r, LOCK_UN), 0);
	ASSERT_OK(dma_buf_flock_timeout(fd, LOCK_EX, 20000));
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	remote_end(&r);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(D7_flock_and_sync_objects_are_one_lock)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *write = sync_of("write", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *read = sync_of("read", dmabuf, DMA_BUF_ACCESS_DMA_R);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(dmabuf_sync_trylock(read));
	ASSERT_ERR(dmabuf_sync_trylock(write), EBUSY);
	ASSERT_OK(dmabuf_sync_unlock(read));
	/* It is what dmabuf_sync_single_lock() takes. */
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), EDEADLK);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_OK(dmabuf_sync_trylock(write));
	ASSERT_ERR(dma_buf_flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_OK(dmabuf_sync_unlock(write));
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
	dmabuf_sync_fini(read);
	dmabuf_sync_fini(write);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(D7_flock_refuses_what_flock_refuses)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ASSERT_ERR(dma_buf_flock(fd, 0), EINVAL);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_NB), EINVAL);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_SH | LOCK_EX), EINVAL);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_EX | LOCK_UN | LOCK_NB), EINVAL);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_MAND), EINVAL);
	ASSERT_ERR(dma_buf_flock(fd, -1), EINVAL);
	ASSERT_ERR(dma_buf_flock_timeout(fd, LOCK_SH | LOCK_NB, 10), EINVAL);
	ASSERT_ERR(dma_buf_flock_timeout(fd, LOCK_SH, -1), EINVAL);
	ASSERT_ERR(dma_buf_flock(-1, LOCK_SH), EBADF);
	ASSERT_ERR(dma_buf_flock(999, LOCK_UN), EBADF);
	ASSERT_ERR(dma_buf_flock(other, LOCK_SH), EINVAL);
	/* Not locked: unlocking is no error, with LOCK_NB neither. */
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN), 0);
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN | LOCK_NB), 0);
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	close(other);
	close(fd);
	dma_buf_put(dmabuf);
}

static bool nothing_is_mapped(void *arg)
{
	return buffer_mappings() == 0;
}

TEST(D7_any_descriptor_of_the_buffer_will_do_and_none_needs_to_stay)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), again = dma_buf_fd(dmabuf, O_CLOEXEC);

	ASSERT_OK(dma_buf_flock(fd, LOCK_EX));
	close(fd);
	dma_buf_put(dmabuf);
	/* The lock keeps the handle. */
	ASSERT(buffer_mappings() > 0);
	ASSERT_EQ(dma_buf_flock(again, LOCK_EX | LOCK_NB), 0);
	ASSERT_EQ(dma_buf_flock(again, LOCK_UN), 0);
	close(again);
	/* The exporter's release waits for the last descriptor. */
	ASSERT(eventually(nothing_is_mapped, NULL, 20000));
}

TEST(D7_the_same_kind_again_is_no_change_and_the_other_converts)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct remote r;

	remote_with(&r, "other", dmabuf, 0);
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(dma_buf_flock(fd, LOCK_EX | LOCK_NB));
	ASSERT_OK(dma_buf_flock(fd, LOCK_EX | LOCK_NB));
	ASSERT_EQ(remote_flock_op(&r, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_EQ(remote_flock_op(&r, LOCK_SH | LOCK_NB), 0);
	/* As with flock(2), a conversion that fails has lost the lock. */
	ASSERT_ERR(dma_buf_flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ASSERT_EQ(remote_flock_op(&r, LOCK_EX | LOCK_NB), 0);
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN), 0);
	ASSERT_EQ(remote_flock_op(&r, LOCK_UN), 0);
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	remote_end(&r);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(D7_asked_again_a_lock_that_was_lost_is_taken_anew)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct remote r;

	ASSERT_OK(dma_buf_set_max_lease(dmabuf, 1));
	remote_with(&r, "other", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(remote_lock(&r, 20000));
	/* The other has it now. */
	ASSERT_ERR(dma_buf_flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN), 0);
	ASSERT_OK(remote_unlock(&r));
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(remote_lock(&r, 20000));
	ASSERT_ERR(dma_buf_flock(fd, LOCK_UN), ETIMEDOUT);
	ASSERT_EQ(dma_buf_flock(fd, LOCK_UN), 0);
	remote_end(&r);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(D7_flock_tells_of_torn_content_and_holds)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct remote r;

	remote_with(&r, "writer", dmabuf, 0);
	ASSERT_EQ(remote_flock_op(&r, LOCK_EX), 0);
	remote_kill(&r);
	ASSERT_ERR(dma_buf_flock(fd, LOCK_SH), EOWNERDEAD);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 1);
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	ASSERT_ERR(dma_buf_flock(fd, LOCK_EX), EOWNERDEAD);
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	ASSERT_OK(dma_buf_flock(fd, LOCK_SH));
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(D7_a_signal_handler_ends_a_wait_by_flock)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;
	int i;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "other", dmabuf, 0);
	remote_ask(&r, (struct order){ .kind = ORDER_FLOCK, .value = LOCK_SH });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	for (i = 0; i < 20000 && !remote_is_done(&r); i++) {
		kill(r.peer.pid, SIGUSR1);
		poll(NULL, 0, 1);
	}
	ASSERT_EQ(remote_answer(&r).ret, -EINTR);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 0);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static void *lock_for_reading(void *arg)
{
	return (void *)(intptr_t)dma_buf_flock(*(int *)arg, LOCK_SH | LOCK_NB);
}

TEST(D7_a_lock_is_the_threads)
{
	struct dma_buf *dmabuf = buffer_new("x");
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	pthread_t thread;
	void *ret;

	ASSERT_OK(dma_buf_flock(fd, LOCK_EX));
	ASSERT_EQ(pthread_create(&thread, NULL, lock_for_reading, &fd), 0);
	ASSERT_EQ(pthread_join(thread, &ret), 0);
	ASSERT_EQ((int)(intptr_t)ret, -EWOULDBLOCK);
	ASSERT_OK(dma_buf_flock(fd, LOCK_UN));
	close(fd);
	dma_buf_put(dmabuf);
}
