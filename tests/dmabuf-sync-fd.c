// SPDX-License-Identifier: MIT
/* The descriptor of a sync object: when it is readable, the buffers are held. */
#include "async.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void until_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ret;

	do
		ret = poll(&p, 1, 20000);
	while (ret < 0 && errno == EINTR);
	ASSERT_EQ(ret, 1);
	ASSERT_EQ(p.revents, POLLIN);
}

/* A sync object that another process keeps waiting, and its descriptor. */
struct stage {
	struct dma_buf *dmabuf;
	struct remote holder;
	struct remote next; /* that wants to write too */
	struct dmabuf_sync *sync;
	int fd;
};

/* @claim_ms: long, where it must not matter how slow the machine is. */
static void stage_set(struct stage *s, unsigned int claim_ms)
{
	s->dmabuf = buffer_new("frame");
	remote_with(&s->holder, "holder", s->dmabuf, DMA_BUF_ACCESS_W);
	remote_with(&s->next, "next", s->dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&s->holder, 0));
	s->sync = sync_of("poller", s->dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_set_claim(s->sync, claim_ms));
	s->fd = dmabuf_sync_fd(s->sync);
	ASSERT_OK(s->fd);
}

static void stage_end(struct stage *s)
{
	remote_end(&s->holder);
	remote_end(&s->next);
	dmabuf_sync_fini(s->sync);
	dma_buf_put(s->dmabuf);
}

TEST(D7_a_readable_descriptor_is_a_grant)
{
	struct stage s;

	stage_set(&s, 60000);
	ASSERT_EQ(dmabuf_sync_fd(s.sync), s.fd);
	ASSERT(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	ASSERT(!is_readable(s.fd));
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	ASSERT(!is_readable(s.fd));
	ASSERT_OK(remote_unlock(&s.holder));
	until_readable(s.fd);
	/* Nobody comes in between. */
	ASSERT_ERR(remote_lock(&s.holder, 0), EBUSY);
	ASSERT_OK(dmabuf_sync_lock_finish(s.sync));
	ASSERT(!is_readable(s.fd));
	ASSERT_OK(dmabuf_sync_unlock(s.sync));
	/* What is free is readable at once. */
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	ASSERT(is_readable(s.fd));
	ASSERT_OK(dmabuf_sync_lock_finish(s.sync));
	stage_end(&s);
}

TEST(D7_a_grant_that_nobody_claims_passes_on)
{
	struct stage s;

	stage_set(&s, 20);
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	remote_queue(&s.next, s.dmabuf, 2);
	ASSERT_OK(remote_unlock(&s.holder));
	ASSERT_OK(remote_answer(&s.next).ret);
	/* It stays readable, and says what happened. */
	until_readable(s.fd);
	ASSERT_ERR(dmabuf_sync_lock_finish(s.sync), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "not claimed within 20 ms");
	ASSERT(!is_readable(s.fd));
	ASSERT_EQ(accesses_in(s.dmabuf, DMA_BUF_ACCESS_HELD), 1);
	/* The content is whole: nobody was at it. */
	ASSERT_OK(remote_unlock(&s.next));
	ASSERT_OK(dmabuf_sync_lock(s.sync));
	stage_end(&s);
}

TEST(D7_a_grant_that_was_free_passes_on_too)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("poller", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *other = sync_of("other", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_fd(sync));
	ASSERT_OK(dmabuf_sync_set_claim(sync, 1));
	ASSERT_OK(dmabuf_sync_lock_async(sync, 1000, NULL));
	ASSERT_OK(dmabuf_sync_lock(other));
	ASSERT_OK(dmabuf_sync_unlock(other));
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), ETIMEDOUT);
	dmabuf_sync_fini(sync);
	dmabuf_sync_fini(other);
	dma_buf_put(dmabuf);
}

TEST(D7_a_descriptor_is_readable_when_the_attempt_failed)
{
	struct stage s;

	stage_set(&s, 60000);
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, slow_ms(30), NULL));
	until_readable(s.fd);
	ASSERT_ERR(dmabuf_sync_lock_finish(s.sync), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "holder (pid");
	ASSERT(!is_readable(s.fd));
	/* Not asked: the next attempt takes it back, and so does a lock, */
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, slow_ms(30), NULL));
	until_readable(s.fd);
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	ASSERT(!is_readable(s.fd));
	/* and a cancel, before and after the grant. */
	ASSERT_OK(dmabuf_sync_cancel(s.sync));
	ASSERT(!is_readable(s.fd));
	ASSERT_OK(remote_unlock(&s.holder));
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	until_readable(s.fd);
	ASSERT_OK(dmabuf_sync_cancel(s.sync));
	ASSERT(!is_readable(s.fd));
	ASSERT_OK(dmabuf_sync_lock(s.sync));
	stage_end(&s);
}

TEST(D7_epoll_level_and_edge_and_select_wait_for_a_grant)
{
	struct epoll_event event = { .events = EPOLLIN }, got;
	int level = epoll_create1(EPOLL_CLOEXEC), edge = epoll_create1(EPOLL_CLOEXEC);
	struct stage s;
	fd_set set;
	int i;

	stage_set(&s, 60000);
	ASSERT_OK(epoll_ctl(level, EPOLL_CTL_ADD, s.fd, &event));
	event.events |= EPOLLET;
	ASSERT_OK(epoll_ctl(edge, EPOLL_CTL_ADD, s.fd, &event));
	for (i = 0; i < 3; i++) {
		ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
		ASSERT_EQ(epoll_wait(level, &got, 1, 0), 0);
		ASSERT_EQ(epoll_wait(edge, &got, 1, 0), 0);
		ASSERT_OK(remote_unlock(&s.holder));
		FD_ZERO(&set);
		FD_SET(s.fd, &set);
		ASSERT_EQ(select(s.fd + 1, &set, NULL, NULL, &(struct timeval){ .tv_sec = 20 }), 1);
		/* One edge a grant; the level stays until it was taken over. */
		ASSERT_EQ(epoll_wait(edge, &got, 1, 20000), 1);
		ASSERT_EQ(epoll_wait(edge, &got, 1, 0), 0);
		ASSERT_EQ(epoll_wait(level, &got, 1, 0), 1);
		ASSERT_EQ(epoll_wait(level, &got, 1, 0), 1);
		ASSERT_OK(dmabuf_sync_lock_finish(s.sync));
		ASSERT_EQ(epoll_wait(level, &got, 1, 0), 0);
		ASSERT_OK(dmabuf_sync_unlock(s.sync));
		ASSERT_OK(remote_lock(&s.holder, 20000));
	}
	close(level);
	close(edge);
	stage_end(&s);
}

TEST(D7_a_descriptor_grants_readers_and_tells_of_torn_content)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync;
	struct remote holder;
	int fd;

	remote_with(&holder, "dies", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&holder, 0));
	sync = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_set_claim(sync, 60000));
	fd = dmabuf_sync_fd(sync);
	ASSERT_OK(dmabuf_sync_lock_async(sync, 40000, NULL));
	remote_kill(&holder);
	until_readable(fd);
	ASSERT_ERR(dmabuf_sync_lock_finish(sync), EOWNERDEAD);
	ASSERT(dmabuf_sync_is_locked(sync));
	dmabuf_sync_fini(sync);
	ASSERT(fcntl(fd, F_GETFD) < 0);
	dma_buf_put(dmabuf);
}

static void nothing(int signal)
{
}

TEST(D7_signals_disturb_neither_who_polls_nor_the_grant)
{
	struct sigaction action = { .sa_handler = nothing };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct stage s;
	int i;

	stage_set(&s, 60000);
	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &often, NULL));
	ASSERT_OK(dmabuf_sync_lock_async(s.sync, 40000, NULL));
	for (i = 0; i < 20; i++)
		ASSERT(poll(NULL, 0, 1000) < 0);
	remote_ask(&s.holder, (struct order){ .kind = ORDER_UNLOCK });
	until_readable(s.fd);
	ASSERT_OK(setitimer(ITIMER_REAL, &never, NULL));
	ASSERT_OK(remote_answer(&s.holder).ret);
	ASSERT_OK(dmabuf_sync_lock_finish(s.sync));
	stage_end(&s);
}

TEST(D7_claims_and_descriptors_are_checked)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *sync = sync_of("test", dmabuf, DMA_BUF_ACCESS_R);

	ASSERT_ERR(dmabuf_sync_fd(NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_set_claim(NULL, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_set_claim(sync, 0), EINVAL);
	ASSERT_ERR(dmabuf_sync_set_claim(sync, DMABUF_SYNC_LEASE_MAX_MS + 1), EINVAL);
	ASSERT_OK(dmabuf_sync_set_claim(sync, DMABUF_SYNC_LEASE_MAX_MS));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
