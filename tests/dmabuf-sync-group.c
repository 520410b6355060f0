// SPDX-License-Identifier: MIT
/* Groups in any order, who waits for whom, and that nobody is passed over. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "sync.h"

TEST(D4_a_group_is_taken_whole_or_not_at_all)
{
	struct dma_buf *dmabuf[3] = { buffer_new("a"), buffer_new("b"), buffer_new("c") };
	struct dmabuf_sync *group = sync_of("group", NULL, 0);
	struct remote r;
	int i, busy;

	for (i = 0; i < 3; i++)
		ASSERT_OK(dmabuf_sync_get(group, dmabuf[i], DMA_BUF_ACCESS_W));
	for (busy = 0; busy < 3; busy++) {
		remote_with(&r, "other", dmabuf[busy], DMA_BUF_ACCESS_R);
		ASSERT_OK(remote_lock(&r, 0));
		ASSERT_ERR(dmabuf_sync_trylock(group), EBUSY);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "other");
		ASSERT_ERR(dmabuf_sync_lock_timeout(group, 30), ETIMEDOUT);
		for (i = 0; i < 3; i++) {
			ASSERT_EQ(accesses_in(dmabuf[i], DMA_BUF_ACCESS_HELD), i == busy);
			ASSERT_EQ(accesses_in(dmabuf[i], DMA_BUF_ACCESS_WAITING), 0);
		}
		ASSERT_OK(remote_unlock(&r));
		ASSERT_OK(dmabuf_sync_lock(group));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(accesses_in(dmabuf[i], DMA_BUF_ACCESS_HELD), 1);
		ASSERT_OK(dmabuf_sync_unlock(group));
		remote_end(&r);
	}
	dmabuf_sync_fini(group);
	for (i = 0; i < 3; i++)
		dma_buf_put(dmabuf[i]);
}

TEST(D4_members_are_taken_in_the_order_of_their_inodes_whatever_order_they_came_in)
{
	struct dma_buf *dmabuf[2];
	struct dmabuf_sync *high;
	struct remote r[2];
	int i;

	ordered_buffers(dmabuf);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(high));
	for (i = 0; i < 2; i++) {
		remote_with(&r[i], "group", dmabuf[i], DMA_BUF_ACCESS_R);
		remote_add(&r[i], dmabuf[!i], DMA_BUF_ACCESS_R);
		remote_queue(&r[i], dmabuf[1], (unsigned int)i + 1);
		ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), i + 1);
	}
	ASSERT_OK(dmabuf_sync_unlock(high));
	for (i = 0; i < 2; i++)
		ASSERT_OK(remote_answer(&r[i]).ret);
	for (i = 0; i < 2; i++)
		remote_end(&r[i]);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D4_a_thread_that_would_wait_for_itself_is_told)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *first = sync_of("first", dmabuf, DMA_BUF_ACCESS_R);
	struct dmabuf_sync *second = sync_of("second", dmabuf, DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_lock(first));
	ASSERT_ERR(dmabuf_sync_lock(second), EDEADLK);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "has the buffer already");
	ASSERT_ERR(dmabuf_sync_lock_timeout(second, LONG_MAX), EDEADLK);
	ASSERT_ERR(dmabuf_sync_trylock(second), EBUSY);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true), EDEADLK);
	ASSERT_EQ(peer_info(dmabuf).access_count, 1);
	/* Readers do not exclude each other. */
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_OK(dmabuf_sync_unlock(first));
	ASSERT_OK(dmabuf_sync_lock(second));
	dmabuf_sync_fini(second);
	dmabuf_sync_fini(first);
	dma_buf_put(dmabuf);
}

TEST(D4_out_of_order_is_refused_where_it_would_wait)
{
	struct dmabuf_sync *low, *high;
	struct dma_buf *dmabuf[2];
	struct remote r;

	ordered_buffers(dmabuf);
	low = sync_of("low", dmabuf[0], DMA_BUF_ACCESS_W);
	high = sync_of("high", dmabuf[1], DMA_BUF_ACCESS_W);
	remote_with(&r, "other", dmabuf[0], DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_lock(high));
	/* Free: no wait, no cycle. */
	ASSERT_OK(dmabuf_sync_lock(low));
	ASSERT_OK(dmabuf_sync_unlock(low));
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_ERR(dmabuf_sync_lock(low), EDEADLK);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "ascending order");
	ASSERT_ERR(dmabuf_sync_trylock(low), EBUSY);
	ASSERT(dmabuf_sync_is_locked(high));
	ASSERT_OK(dmabuf_sync_unlock(high));
	ASSERT_ERR(dmabuf_sync_lock_timeout(low, 20), ETIMEDOUT);
	ASSERT_OK(remote_unlock(&r));
	/* The other way round it waits. */
	ASSERT_OK(dmabuf_sync_lock(low));
	remote_end(&r);
	remote_with(&r, "other", dmabuf[1], DMA_BUF_ACCESS_R);
	ASSERT_OK(remote_lock(&r, 0));
	ASSERT_ERR(dmabuf_sync_lock_timeout(high, 20), ETIMEDOUT);
	remote_end(&r);
	dmabuf_sync_fini(low);
	dmabuf_sync_fini(high);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D4_first_come_first_served)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r[6];
	int i, j;

	ASSERT_OK(dmabuf_sync_lock(mine));
	for (i = 0; i < 6; i++) {
		remote_with(&r[i], "queues", dmabuf, DMA_BUF_ACCESS_W);
		remote_queue(&r[i], dmabuf, (unsigned int)i + 1);
	}
	ASSERT_OK(dmabuf_sync_unlock(mine));
	for (i = 0; i < 6; i++) {
		ASSERT_OK(remote_answer(&r[i]).ret);
		ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 5 - i);
		for (j = i + 1; j < 6; j++)
			ASSERT(!remote_is_done(&r[j]));
		ASSERT_OK(remote_unlock(&r[i]));
	}
	for (i = 0; i < 6; i++)
		remote_end(&r[i]);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D4_readers_that_come_later_do_not_pass_a_writer_that_waits)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct dmabuf_sync *late = sync_of("late", dmabuf, DMA_BUF_ACCESS_R);
	struct remote writer, reader;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&writer, "writer", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&writer, dmabuf, 1);
	ASSERT_ERR(dmabuf_sync_trylock(late), EBUSY);
	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	remote_queue(&reader, dmabuf, 2);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_OK(remote_answer(&writer).ret);
	ASSERT(!remote_is_done(&reader));
	ASSERT_OK(remote_unlock(&writer));
	ASSERT_OK(remote_answer(&reader).ret);
	remote_end(&writer);
	remote_end(&reader);
	dmabuf_sync_fini(late);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D3_readers_that_queue_together_are_granted_together)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r[5];
	int i;

	ASSERT_OK(dmabuf_sync_lock(mine));
	for (i = 0; i < 5; i++) {
		remote_with(&r[i], "reader", dmabuf, DMA_BUF_ACCESS_R);
		remote_queue(&r[i], dmabuf, (unsigned int)i + 1);
		/* None can look for itself. */
		remote_stop(&r[i]);
	}
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 5);
	for (i = 0; i < 5; i++) {
		remote_go_on(&r[i]);
		ASSERT_OK(remote_answer(&r[i]).ret);
		remote_end(&r[i]);
	}
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D4_one_who_gives_up_is_waited_for_by_nobody)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote writer, reader;

	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&writer, "writer", dmabuf, DMA_BUF_ACCESS_W);
	remote_ask(&writer, (struct order){ .kind = ORDER_LOCK, .value = 300 });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, 1);
	remote_with(&reader, "reader", dmabuf, DMA_BUF_ACCESS_R);
	remote_queue(&reader, dmabuf, 2);
	remote_stop(&reader);
	ASSERT_EQ(remote_answer(&writer).ret, -ETIMEDOUT);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 2);
	remote_go_on(&reader);
	ASSERT_OK(remote_answer(&reader).ret);
	remote_end(&writer);
	remote_end(&reader);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* What processes share besides their buffers. */
#define CROWD 5
#define CROWD_BUFFERS 4
struct crowd {
	atomic_long inside[CROWD_BUFFERS]; /* writers count 1000, readers 1 */
	atomic_long reads, writes;
	atomic_long wanted_reads, wanted_writes;
	int fds[CROWD_BUFFERS];
	int rounds;
};

struct crowd_job {
	struct crowd *crowd;
	int number;
};

static void crowd_access(struct crowd *c, unsigned int buffer, unsigned int type, int sign)
{
	long change = type & DMA_BUF_ACCESS_W ? 1000 : 1;
	long before = atomic_fetch_add(&c->inside[buffer], sign * change);

	if (sign > 0)
		ASSERT(type & DMA_BUF_ACCESS_W ? before == 0 : before < 1000);
}

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

static int take_random_groups(void *arg)
{
	const struct crowd_job *job = arg;
	struct crowd *c = job->crowd;
	unsigned int state = (unsigned int)job->number * 7919 + 1, type[CROWD_BUFFERS], i, first;
	struct dmabuf_sync *sync = sync_of("crowd", NULL, 0);
	struct dma_buf *dmabuf[CROWD_BUFFERS];
	int round;

	for (i = 0; i < CROWD_BUFFERS; i++)
		ASSERT((dmabuf[i] = dma_buf_get(c->fds[i])));
	for (round = 0; round < c->rounds; round++) {
		first = next_random(&state) % CROWD_BUFFERS;
		for (i = 0; i < CROWD_BUFFERS; i++) {
			unsigned int at = job->number % 2
						  ? (first + i) % CROWD_BUFFERS
						  : (first + CROWD_BUFFERS - i) % CROWD_BUFFERS;

			type[at] = next_random(&state) % 3;
			if (type[at])
				ASSERT_OK(dmabuf_sync_get(sync, dmabuf[at], type[at]));
		}
		if (dmabuf_sync_lock(sync) == 0) {
			for (i = 0; i < CROWD_BUFFERS; i++)
				if (type[i])
					crowd_access(c, i, type[i], 1);
			for (i = 0; i < CROWD_BUFFERS; i++)
				if (type[i])
					crowd_access(c, i, type[i], -1);
			ASSERT_OK(dmabuf_sync_unlock(sync));
		} else {
			/* Chance gave it no buffer. */
			ASSERT_ERR(dmabuf_sync_lock(sync), EINVAL);
		}
		dmabuf_sync_put_all(sync);
	}
	dmabuf_sync_fini(sync);
	for (i = 0; i < CROWD_BUFFERS; i++) {
		dma_buf_put(dmabuf[i]);
		close(c->fds[i]);
	}
	return 0;
}

static struct crowd *crowd_new(struct dma_buf *dmabuf[CROWD_BUFFERS])
{
	struct crowd *c =
		mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i;

	ASSERT(c != MAP_FAILED);
	for (i = 0; i < CROWD_BUFFERS; i++) {
		dmabuf[i] = buffer_new("crowd");
		c->fds[i] = dma_buf_fd(dmabuf[i], O_CLOEXEC);
	}
	return c;
}

static void crowd_free(struct crowd *c, struct dma_buf *dmabuf[CROWD_BUFFERS])
{
	int i;

	for (i = 0; i < CROWD_BUFFERS; i++) {
		ASSERT_EQ(c->inside[i], 0);
		ASSERT_EQ(peer_info(dmabuf[i]).access_count, 0);
		ASSERT_EQ(peer_info(dmabuf[i]).counters.leases_lost, 0);
		close(c->fds[i]);
		dma_buf_put(dmabuf[i]);
	}
	munmap(c, sizeof(*c));
}

TEST_TIMEOUT(D4_random_groups_of_many_processes_all_come_to_their_end, 300)
{
	struct dma_buf *dmabuf[CROWD_BUFFERS];
	struct crowd *c = crowd_new(dmabuf);
	struct crowd_job job[CROWD];
	pid_t pid[CROWD];
	int i;

	c->rounds = test_is_slow() ? 200 : 3000;
	for (i = 0; i < CROWD; i++) {
		job[i] = (struct crowd_job){ c, i };
		pid[i] = spawn(take_random_groups, &job[i]);
	}
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(reap_within(pid[i], 110000), 0);
	crowd_free(c, dmabuf);
}

/* Goes on until the others have had their share. */
static int stream(void *arg)
{
	const struct crowd_job *job = arg;
	struct crowd *c = job->crowd;
	unsigned int type = job->number < 3 ? DMA_BUF_ACCESS_R : DMA_BUF_ACCESS_W;
	struct dma_buf *dmabuf = dma_buf_get(c->fds[0]);
	struct dmabuf_sync *sync = sync_of("stream", dmabuf, type);
	int i;

	while (atomic_load(&c->reads) < c->wanted_reads ||
	       atomic_load(&c->writes) < c->wanted_writes) {
		ASSERT_OK(dmabuf_sync_lock(sync));
		crowd_access(c, 0, type, 1);
		atomic_fetch_add(type == DMA_BUF_ACCESS_R ? &c->reads : &c->writes, 1);
		crowd_access(c, 0, type, -1);
		ASSERT_OK(dmabuf_sync_unlock(sync));
	}
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	for (i = 0; i < CROWD_BUFFERS; i++)
		close(c->fds[i]);
	return 0;
}

TEST_TIMEOUT(D4_streams_of_readers_and_writers_starve_nobody, 300)
{
	struct dma_buf *dmabuf[CROWD_BUFFERS];
	struct crowd *c = crowd_new(dmabuf);
	struct crowd_job job[CROWD];
	pid_t pid[CROWD];
	int i;

	c->wanted_reads = c->wanted_writes = test_is_slow() ? 300 : 3000;
	for (i = 0; i < CROWD; i++) {
		job[i] = (struct crowd_job){ c, i };
		pid[i] = spawn(stream, &job[i]);
	}
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(reap_within(pid[i], 110000), 0);
	test_note("%ld reads, %ld writes", c->reads, c->writes);
	crowd_free(c, dmabuf);
}
