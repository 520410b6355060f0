// SPDX-License-Identifier: MIT
/* Waits: how they end, and what they say when they end in vain. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "sync.h"

/* Which clocks the library asks, as it finds these before the C library's. */
static atomic_int wall_clocks;
static atomic_bool counting;

static bool is_wall(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (counting && is_wall(clock))
		wall_clocks++;
	return (int)syscall(SYS_clock_gettime, clock, ts);
}

time_t time(time_t *out)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

static struct dma_buf *busy_buffer(const char *name, struct remote *r, unsigned int type)
{
	struct dma_buf *dmabuf = buffer_new(name);

	remote_with(r, "keeper", dmabuf, type);
	ASSERT_OK(remote_lock(r, 0));
	return dmabuf;
}

TEST(D1_a_timeout_says_who_has_it_for_what_and_since_when)
{
	struct remote r;
	struct dma_buf *dmabuf = busy_buffer("frame 7", &r, DMA_BUF_ACCESS_DMA_W);
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	int64_t began = now_ms();
	char words[128], *since;

	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 120), ETIMEDOUT);
	ASSERT(now_ms() - began >= 120);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "\"frame 7\"");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "could not be had to read");
	snprintf(words, sizeof(words), "keeper (pid %d) has it to write by DMA since ",
		 (int)r.peer.pid);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), words);
	since = strstr(dmabuf_last_error(), words) + strlen(words);
	ASSERT(atoi(since) >= 100 && atoi(since) < 60000);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "keeper");
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 0);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 1);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D1_a_timeout_names_some_of_many_and_only_those_in_the_way)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *reader = sync_of("reader", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r[5];
	char name[24];
	int i;

	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "reader %d", i);
		remote_with(&r[i], name, dmabuf, DMA_BUF_ACCESS_R);
		ASSERT_OK(remote_lock(&r[i], 0));
	}
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "reader 0");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "and 2 more");
	/* What hinders a reader is the writer, not the other readers. */
	remote_end(&r[4]);
	remote_with(&r[4], "a writer", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&r[4], dmabuf, 1);
	ASSERT_ERR(dmabuf_sync_lock_timeout(reader, 20), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "a writer");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "waits for it to write");
	ASSERT(!strstr(dmabuf_last_error(), "reader 0"));
	remote_kill(&r[4]);
	for (i = 0; i < 4; i++)
		remote_end(&r[i]);
	dmabuf_sync_fini(reader);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D4_a_timeout_says_what_the_one_in_the_way_waits_for_itself)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *high, *low;
	struct remote group, stranger;
	struct answer answer;
	char words[64];

	ordered_buffers(dmabuf);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(high));
	remote_with(&group, "group", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_add(&group, dmabuf[1], DMA_BUF_ACCESS_W);
	remote_queue(&group, dmabuf[1], 1);
	/* One who has no handle on the other buffer is told its inode, who has one its name. */
	remote_with(&stranger, "stranger", dmabuf[0], DMA_BUF_ACCESS_R);
	remote_ask(&stranger, (struct order){ .kind = ORDER_LOCK, .value = 30 });
	answer = remote_answer(&stranger);
	ASSERT_EQ(answer.ret, -ETIMEDOUT);
	snprintf(words, sizeof(words), "which itself waits for buffer inode %llu",
		 (unsigned long long)peer_info(dmabuf[1]).inode);
	ASSERT_STR_CONTAINS(answer.words, words);
	low = sync_of("low", dmabuf[0], DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_unlock(high));
	ASSERT_OK(remote_answer(&group).ret);
	ASSERT_ERR(dmabuf_sync_lock_timeout(low, 20), ETIMEDOUT);
	ASSERT(!strstr(dmabuf_last_error(), "itself waits"));
	remote_end(&stranger);
	remote_end(&group);
	dmabuf_sync_fini(low);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D1_a_handler_ends_an_interruptible_wait_and_nothing_is_held)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;
	int i;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "other", dmabuf, DMA_BUF_ACCESS_W);
	remote_ask(&r, (struct order){ .kind = ORDER_LOCK_INTR, .value = 40000 });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	/* A handler that ran before the sleep is none that ends it. */
	for (i = 0; i < 20000 && !remote_is_done(&r); i++) {
		kill(r.peer.pid, SIGUSR1);
		poll(NULL, 0, 1);
	}
	ASSERT_EQ(remote_answer(&r).ret, -EINTR);
	ASSERT_EQ(peer_info(dmabuf).access_count, 1);
	ASSERT_EQ(remote_unlock(&r), -EAGAIN);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(remote_do(&r, (struct order){ .kind = ORDER_LOCK_INTR, .value = 40000 }));
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D1_a_handler_ends_no_other_wait)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;
	int i;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "other", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&r, dmabuf, 1);
	for (i = 0; i < 300; i++) {
		kill(r.peer.pid, SIGUSR1);
		poll(NULL, 0, 1);
	}
	/* Nor does a stop and a start. */
	remote_stop(&r);
	remote_go_on(&r);
	ASSERT(!remote_is_done(&r));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 1);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(remote_answer(&r).ret);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D1_an_interruptible_group_gives_back_what_it_had)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *high;
	struct remote r;
	int i;

	ordered_buffers(dmabuf);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(high));
	remote_with(&r, "group", dmabuf[0], DMA_BUF_ACCESS_W);
	remote_add(&r, dmabuf[1], DMA_BUF_ACCESS_W);
	remote_ask(&r, (struct order){ .kind = ORDER_LOCK_INTR, .value = 40000 });
	until_accesses(dmabuf[1], DMA_BUF_ACCESS_WAITING, 1);
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), 1);
	for (i = 0; i < 20000 && !remote_is_done(&r); i++) {
		kill(r.peer.pid, SIGUSR1);
		poll(NULL, 0, 1);
	}
	ASSERT_EQ(remote_answer(&r).ret, -EINTR);
	ASSERT_EQ(peer_info(dmabuf[0]).access_count, 0);
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_WAITING), 0);
	remote_end(&r);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D1_a_deadline_that_is_there_at_once_and_one_that_never_comes)
{
	struct remote r;
	struct dma_buf *dmabuf = busy_buffer("x", &r, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote other;

	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 1), ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 0), EBUSY);
	remote_with(&other, "patient", dmabuf, DMA_BUF_ACCESS_R);
	remote_ask(&other, (struct order){ .kind = ORDER_LOCK, .value = LONG_MAX });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	ASSERT_OK(remote_unlock(&r));
	ASSERT_OK(remote_answer(&other).ret);
	ASSERT_OK(remote_unlock(&other));
	ASSERT_OK(remote_lock(&other, LONG_MAX - 1));
	remote_end(&other);
	remote_end(&r);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_no_wait_and_no_lease_hangs_on_the_wall_clock)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	struct timespec ts;
	struct remote r;

	counting = true;
	clock_gettime(CLOCK_REALTIME, &ts);
	ASSERT_EQ(wall_clocks, 1); /* it would be seen */
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_with(&r, "sleeper", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_do(&r, (struct order){ .kind = ORDER_LEASE, .value = 3000 }));
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 10), ETIMEDOUT);
	ASSERT_ERR(dma_buf_flock_timeout(fd, LOCK_EX, 10), ETIMEDOUT);
	ASSERT_ERR(dmabuf_sync_lock_interruptible(mine, 60000), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_EQ(wall_clocks, 1);
	counting = false;
	remote_kill(&r);
	close(fd);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

static void *wait_with_what_another_had(void *arg)
{
	ASSERT_OK(dmabuf_sync_lock(arg));
	ASSERT_OK(dmabuf_sync_unlock(arg));
	return NULL;
}

/* It was this thread's; while another waits with it, this one may wait for the same buffer. */
static void hand_to_a_waiting_thread(struct dma_buf *dmabuf, struct dmabuf_sync *sync,
				     struct remote *r)
{
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	pthread_t thread;

	ASSERT_OK(remote_lock(r, 0));
	ASSERT_EQ(pthread_create(&thread, NULL, wait_with_what_another_had, sync), 0);
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20), ETIMEDOUT);
	ASSERT_OK(remote_unlock(r));
	pthread_join(thread, NULL);
	dmabuf_sync_fini(mine);
}

TEST(D3_what_a_thread_had_before_is_no_reason_not_to_wait)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("shared", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;

	remote_with(&r, "other", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	hand_to_a_waiting_thread(dmabuf, sync, &r);
	remote_end(&r);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
