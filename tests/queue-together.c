// SPDX-License-Identifier: MIT
/* When a producer hears of what was given back: row E6. Both ends are in this process. */
#include "queue-remote.h"

#include <pthread.h>

static struct dmabuf_queue_consumer *join(struct dmabuf_queue *q, enum dmabuf_queue_policy policy)
{
	struct dmabuf_queue_consumer_options o = {
		.size = sizeof(o), .policy = policy, .min_buffers = 8, .preferred_buffers = 8
	};
	struct dmabuf_queue_consumer *c;
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, let_in, q), 0);
	c = dmabuf_queue_connect(queue_path(), &o, STEP_MS);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	ASSERT(c);
	return c;
}

static void take_and_release(struct dmabuf_queue_consumer *c)
{
	struct dmabuf_frame frame;

	ASSERT_EQ(dmabuf_queue_take(c, &frame, STEP_MS), 1);
	ASSERT_OK(dmabuf_queue_release(c, &frame));
}

static void produce(struct dmabuf_queue *q, unsigned int count)
{
	while (count--)
		ASSERT_OK(queue_produce(q, count, STEP_MS));
}

/* Of @count frames that were there: how many came back later than they were given back. */
static unsigned int come_later(struct dmabuf_queue *q, struct dmabuf_queue_consumer *c,
			       unsigned int count)
{
	unsigned int later = 0;

	produce(q, count);
	while (count--) {
		take_and_release(c);
		later += queue_held(q) != count;
	}
	return later;
}

/* Not of each two: on a machine where frames are slow they go one by one. */
TEST(E6_releases_go_together_while_there_are_frames)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct dmabuf_queue_consumer *c = join(q, DMABUF_QUEUE_BLOCK);
	unsigned int later = 0, tries;

	for (tries = 0; tries < 200 && !later; tries++)
		later = come_later(q, c, 4);
	ASSERT(later);
	dmabuf_queue_leave(c);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_consumer_that_finds_no_frame_has_told_of_all_it_gave_back)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct dmabuf_queue_consumer *c = join(q, DMABUF_QUEUE_BLOCK);
	struct dmabuf_frame frame;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		(void)come_later(q, c, 1 + i % 4);
		ASSERT_ERR(dmabuf_queue_take(c, &frame, 0), ETIMEDOUT);
		ASSERT_EQ(queue_held(q), 0);
	}
	dmabuf_queue_leave(c);
	dmabuf_queue_destroy(q);
}

/* It gets the next frame only when something came back. */
TEST(E6_who_drops_tells_of_each_release_at_once)
{
	static const enum dmabuf_queue_policy policies[] = { DMABUF_QUEUE_DROP_OLDEST,
							     DMABUF_QUEUE_DROP_NEWEST };
	struct dmabuf_queue_consumer *c;
	struct dmabuf_queue *q;
	unsigned int i, tries;

	for (i = 0; i < 2; i++) {
		q = queue_make(NULL);
		c = join(q, policies[i]);
		for (tries = 0; tries < 20; tries++)
			ASSERT_EQ(come_later(q, c, 4), 0);
		dmabuf_queue_leave(c);
		dmabuf_queue_destroy(q);
	}
}

/* It sleeps where the library does not see it. */
TEST(E6_an_event_loop_tells_of_each_release_at_once)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct dmabuf_queue_consumer *c = join(q, DMABUF_QUEUE_BLOCK);
	unsigned int tries;

	ASSERT_OK(dmabuf_queue_consumer_fd(c));
	for (tries = 0; tries < 20; tries++)
		ASSERT_EQ(come_later(q, c, 4), 0);
	dmabuf_queue_leave(c);
	dmabuf_queue_destroy(q);
}

/* The producer measures from the latest release how long it is held up. */
TEST(E6_slow_frames_are_given_back_one_by_one)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct dmabuf_queue_consumer *c = join(q, DMABUF_QUEUE_BLOCK);
	struct dmabuf_frame frame;
	int64_t began;
	unsigned int i;

	produce(q, 6);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(dmabuf_queue_take(c, &frame, STEP_MS), 1);
		for (began = now_ms(); now_ms() - began < 30;)
			poll(NULL, 0, 5);
		ASSERT_OK(dmabuf_queue_release(c, &frame));
		ASSERT_EQ(queue_held(q), 5 - i);
	}
	dmabuf_queue_leave(c);
	dmabuf_queue_destroy(q);
}
