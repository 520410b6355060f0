// SPDX-License-Identifier: MIT
/* The queue as it should be used: row E6. */
#include "queue-remote.h"

#include <pthread.h>

TEST(E6_frames_arrive_whole_and_in_order)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = remote_block();
	struct answer a;

	remote_join(&r, q, queue_path());
	for (uint64_t i = 0; i < 100; i++) {
		ASSERT_OK(queue_produce(q, i, STEP_MS));
		a = remote_do(&r, 't');
		ASSERT_EQ(a.result, 1);
		ASSERT_EQ(a.content, i);
		ASSERT_EQ(a.frame.sequence, i);
		ASSERT_EQ(a.frame.used, 8);
		ASSERT_EQ(a.frame.flags, i ? 0 : DMABUF_FRAME_FIRST);
		ASSERT_EQ(remote_do(&r, 'r').result, 0);
	}
	ASSERT_OK(dmabuf_queue_finish(q, STEP_MS));
	ASSERT_EQ(remote_do(&r, 't').result, 0);
	ASSERT_EQ(remote_do(&r, 't').result, 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_all_consumers_get_the_same_memory)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r[3] = { remote_block(), remote_block(), remote_block() };
	uint64_t *bytes;
	struct dmabuf_frame frame;

	for (int i = 0; i < 3; i++)
		remote_join(&r[i], q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	bytes = dma_buf_vmap(frame.dmabuf);
	bytes[0] = 1;
	frame.used = 8;
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(remote_do(&r[i], 't').content, 1);
	ASSERT_EQ(queue_held(q), 3);
	for (int i = 0; i < 3; i++)
		remote_end(&r[i]);
	ASSERT_EQ(queue_held(q), 0);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_buffer_is_filled_again_when_the_last_has_given_it_back)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 3 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote quick = remote_block(), slow = remote_block();

	quick.options.min_buffers = quick.options.preferred_buffers = 1;
	slow.options = quick.options;
	remote_join(&quick, q, queue_path());
	remote_join(&slow, q, queue_path());
	for (uint64_t i = 0; i < 3; i++) {
		ASSERT_OK(queue_produce(q, i, 0));
		ASSERT_EQ(remote_do(&quick, 't').content, i);
		ASSERT_EQ(remote_do(&quick, 'r').result, 0);
	}
	ASSERT_EQ(remote_do(&slow, 't').content, 0);
	ASSERT_ERR(queue_produce(q, 3, 0), ETIMEDOUT);
	ASSERT_EQ(remote_do(&slow, 'r').result, 0);
	ASSERT_OK(queue_produce(q, 3, 0));
	remote_end(&quick);
	remote_end(&slow);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_frame_carries_its_format)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = remote_block();
	struct dmabuf_frame frame;
	struct answer a;

	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	frame.fourcc = 0x3231564e;
	frame.width = 64;
	frame.height = 48;
	frame.plane_count = 2;
	frame.planes[0] = (struct dmabuf_frame_plane){ 0, 80 };
	frame.planes[1] = (struct dmabuf_frame_plane){ 80 * 48, 80 };
	frame.used = 80 * 72;
	frame.sequence = 12;
	frame.timestamp = 34;
	frame.flags = DMABUF_FRAME_USER << 3 | DMABUF_FRAME_GAP;
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.frame.fourcc, 0x3231564e);
	ASSERT_EQ(a.frame.width, 64);
	ASSERT_EQ(a.frame.height, 48);
	ASSERT_EQ(a.frame.plane_count, 2);
	ASSERT_EQ(a.frame.planes[1].offset, 80 * 48);
	ASSERT_EQ(a.frame.planes[1].stride, 80);
	ASSERT_EQ(a.frame.used, 80 * 72);
	ASSERT_EQ(a.frame.sequence, 12);
	ASSERT_EQ(a.frame.timestamp, 34);
	/* The producer's own bits go through, the library's are the library's. */
	ASSERT_EQ(a.frame.flags, DMABUF_FRAME_USER << 3 | DMABUF_FRAME_FIRST);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_picture_beyond_its_buffer_is_not_put)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct dmabuf_frame frame, bad;

	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	frame.fourcc = 0x3231564e;
	frame.width = 64;
	frame.height = 64;
	frame.plane_count = 2;
	frame.planes[0] = (struct dmabuf_frame_plane){ 0, 64 };
	frame.planes[1] = (struct dmabuf_frame_plane){ 64 * 64, 64 };
	bad = frame;
	bad.planes[1].offset = QUEUE_SIZE - 64 * 32 + 1;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	bad = frame;
	bad.planes[0].stride = 63;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	bad = frame;
	bad.plane_count = 1;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	bad = frame;
	bad.plane_count = 5;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	bad = frame;
	bad.height = UINT32_MAX;
	bad.planes[0].stride = UINT32_MAX;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	bad = frame;
	bad.used = QUEUE_SIZE + 1;
	ASSERT_ERR(dmabuf_queue_put(q, &bad), EINVAL);
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	ASSERT_ERR(dmabuf_queue_put(q, &frame), EINVAL);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_blocking_consumer_misses_nothing_and_holds_the_producer_up)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 4 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = remote_block();
	uint64_t n = 0;

	remote_join(&r, q, queue_path());
	while (queue_produce(q, n, 0) == 0)
		n++;
	ASSERT_EQ(n, 4);
	ASSERT_ERR(queue_produce(q, n, 10), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "test-queue (pid");
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "holds 0, 1, 2, 3 for");
	for (uint64_t i = 0; i < 50; i++) {
		ASSERT_EQ(remote_do(&r, 't').content, i);
		ASSERT_EQ(remote_do(&r, 'r').result, 0);
		ASSERT_OK(queue_produce(q, n++, STEP_MS));
	}
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_drops_the_oldest_gets_the_newest_and_is_told_of_the_gap)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = { .options = { .policy = DMABUF_QUEUE_DROP_OLDEST,
					 .min_buffers = 2,
					 .preferred_buffers = 3 } };
	struct answer a;

	remote_join(&r, q, queue_path());
	for (uint64_t i = 0; i < 50; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	/* Two were on their way at once, the last one waits; the rest was dropped. */
	ASSERT_EQ(remote_do(&r, 't').content, 0);
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_EQ(remote_do(&r, 'T').result, -ETIMEDOUT);
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.content, 49);
	ASSERT_EQ(a.frame.flags, DMABUF_FRAME_GAP);
	ASSERT_EQ(a.frame.dropped, 47);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_drops_the_newest_gets_runs_without_gaps)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = { .options = { .policy = DMABUF_QUEUE_DROP_NEWEST,
					 .min_buffers = 3,
					 .preferred_buffers = 3 } };
	struct answer a;

	remote_join(&r, q, queue_path());
	for (uint64_t i = 0; i < 50; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	for (uint64_t i = 0; i < 3; i++) {
		ASSERT_EQ(remote_do(&r, 't').content, i);
		ASSERT_EQ(remote_do(&r, 'r').result, 0);
	}
	ASSERT_EQ(remote_do(&r, 'T').result, -ETIMEDOUT);
	ASSERT_OK(queue_produce(q, 50, 0));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.content, 50);
	ASSERT_EQ(a.frame.dropped, 47);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_slow_consumer_costs_the_others_nothing)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote slow = { 0 }, quick = remote_block();

	remote_join(&slow, q, queue_path());
	remote_join(&quick, q, queue_path());
	for (uint64_t i = 0; i < 200; i++) {
		ASSERT_OK(queue_produce(q, i, STEP_MS));
		ASSERT_EQ(remote_do(&quick, 't').content, i);
		ASSERT_EQ(remote_do(&quick, 'r').result, 0);
	}
	ASSERT_EQ(remote_do(&slow, 't').content, 0);
	remote_end(&slow);
	remote_end(&quick);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_comes_late_starts_with_the_next_frame)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = remote_block();
	struct answer a;

	for (uint64_t i = 0; i < 10; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	remote_join(&r, q, queue_path());
	for (uint64_t i = 10; i < 13; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.content, 10);
	ASSERT_EQ(a.frame.flags, DMABUF_FRAME_FIRST);
	ASSERT_EQ(a.frame.dropped, 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_the_pool_is_as_large_as_all_together_need)
{
	struct dmabuf_queue_options o = { .min_buffers = 2 };
	struct dmabuf_queue_consumer_info infos[2];
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r[2] = { remote_block(), remote_block() };
	uint64_t n = 0;

	r[0].options.preferred_buffers = 5;
	r[1].options.preferred_buffers = 4;
	remote_join(&r[0], q, queue_path());
	while (queue_produce(q, n, 0) == 0)
		n++;
	ASSERT_EQ(n, 7);
	ASSERT_EQ(buffer_mappings(), 7);
	remote_join(&r[1], q, queue_path());
	while (queue_produce(q, n, 0) == 0)
		n++;
	ASSERT_EQ(n, 11);
	ASSERT_EQ(dmabuf_queue_get_consumers(q, infos, 2), 2);
	ASSERT_EQ(infos[0].granted, 5);
	ASSERT_EQ(infos[1].granted, 4);
	/* It becomes smaller again, when buffers come back. */
	remote_end(&r[0]);
	remote_end(&r[1]);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 0);
	ASSERT_EQ(buffer_mappings(), 2);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_needs_more_than_the_pool_can_be_is_refused_by_name)
{
	struct dmabuf_queue_options o = { .min_buffers = 2, .max_buffers = 6 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote first = remote_block(), second = remote_block(), third = remote_block();
	struct answer a;

	first.options.min_buffers = first.options.preferred_buffers = 3;
	remote_join(&first, q, queue_path());
	second.options.min_buffers = 2;
	remote_start(&second, queue_path(), -1);
	remote_order(&second, 'c');
	do {
		struct pollfd p = { .fd = second.socket, .events = POLLIN };

		ASSERT_OK(dmabuf_queue_dispatch(q));
		if (poll(&p, 1, 1) == 1)
			break;
	} while (true);
	a = remote_answer(&second);
	ASSERT_EQ(a.result, -ENOSPC);
	ASSERT_STR_CONTAINS(a.words, "needs 2 buffers");
	ASSERT_STR_CONTAINS(a.words, "limit of 6");
	/* One that can do with less is let in, and gets no more than there is. */
	third.options.min_buffers = 1;
	third.options.preferred_buffers = 9;
	remote_start(&third, queue_path(), -1);
	remote_order(&third, 'c');
	ASSERT_EQ(dispatch_until_joined(q, &third), 0);
	remote_end(&first);
	remote_end(&second);
	remote_end(&third);
	dmabuf_queue_destroy(q);
}

TEST(E6_statistics_are_those_of_each_consumer)
{
	struct dmabuf_queue_consumer_info info;
	struct dmabuf_queue_stats stats;
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = { .options = { .label = "viewer" } };

	remote_join(&r, q, queue_path());
	for (uint64_t i = 0; i < 10; i++)
		ASSERT_OK(queue_produce(q, i, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 0);
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(dmabuf_queue_get_consumers(q, &info, 1), 1);
	ASSERT_STR_EQ(info.label, "viewer");
	ASSERT_EQ(info.pid, r.pid);
	ASSERT_EQ(info.uid, getuid());
	ASSERT_EQ(info.policy, DMABUF_QUEUE_DROP_OLDEST);
	ASSERT_EQ(info.granted, 3);
	/* Two were sent, then the one that waited. */
	ASSERT_EQ(info.frames, 3);
	ASSERT_EQ(info.dropped, 7);
	ASSERT_EQ(info.held, 2);
	ASSERT(info.oldest_ns > 0);
	/* The timestamp was 1 ns after boot. */
	ASSERT(info.latency_max_ns > 1000000);
	ASSERT_OK(dmabuf_queue_get_stats(q, &stats));
	ASSERT_EQ(stats.frames, 10);
	ASSERT_EQ(stats.bytes, 80);
	ASSERT_EQ(stats.dropped, 7);
	ASSERT_EQ(stats.connects, 1);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

static struct dma_buf *allocate(void *data, const char *name, uint64_t size)
{
	++*(int *)data;
	return dma_buf_alloc("mine", size, O_RDONLY);
}

TEST(E6_the_program_can_make_the_buffers_itself)
{
	int count = 0;
	struct dmabuf_queue_options o = { .allocate = allocate, .data = &count };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = remote_block();

	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 3, 0));
	ASSERT_EQ(count, 1);
	ASSERT_EQ(remote_do(&r, 't').content, 3);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_cancelled_buffer_is_empty_again)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 1 };
	struct dmabuf_queue *q = queue_make(&o);
	struct dmabuf_frame frame, other;

	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	ASSERT_ERR(dmabuf_queue_get(q, &other, 0), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "the producer has them itself");
	ASSERT_OK(dmabuf_queue_cancel(q, &frame));
	ASSERT_ERR(dmabuf_queue_cancel(q, &frame), EINVAL);
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	dmabuf_queue_destroy(q);
}

TEST(E6_senseless_calls_are_refused)
{
	struct dmabuf_queue_options o = { .size = sizeof(o), .buffer_size = 4096 };
	struct dmabuf_queue_consumer_options co = { .size = sizeof(co) };
	struct dmabuf_queue *q = dmabuf_queue_create(&o);
	struct dmabuf_frame frame = { .index = 3 };
	int sockets[2];

	ASSERT_ERRNO(dmabuf_queue_create(NULL), EINVAL);
	o.max_buffers = 65;
	ASSERT_ERRNO(dmabuf_queue_create(&o), EINVAL);
	o.max_buffers = 1;
	o.min_buffers = 2;
	ASSERT_ERRNO(dmabuf_queue_create(&o), EINVAL);
	o = (struct dmabuf_queue_options){ .size = sizeof(o) };
	ASSERT_ERRNO(dmabuf_queue_create(&o), EINVAL);
	o.buffer_size = 4096;
	o.max_consumers = 61;
	ASSERT_ERRNO(dmabuf_queue_create(&o), EINVAL);
	ASSERT_ERRNO(dmabuf_queue_create_relay(NULL, NULL), EINVAL);
	ASSERT_ERR(dmabuf_queue_listen(q, ""), EINVAL);
	ASSERT_ERR(dmabuf_queue_listen(NULL, "x"), EINVAL);
	ASSERT_ERR(dmabuf_queue_add(q, 0), EINVAL);
	socket_pair(SOCK_STREAM, sockets);
	ASSERT_ERR(dmabuf_queue_add(q, sockets[0]), EINVAL);
	ASSERT_ERRNO(dmabuf_queue_join(sockets[0], NULL, 0), EINVAL);
	close(sockets[0]);
	close(sockets[1]);
	ASSERT_ERR(dmabuf_queue_get(q, &frame, -1), EINVAL);
	ASSERT_ERR(dmabuf_queue_put(q, &frame), EINVAL);
	frame.index = 4000000000u;
	ASSERT_ERR(dmabuf_queue_put(q, &frame), EINVAL);
	ASSERT_ERR(dmabuf_queue_put(q, NULL), EINVAL);
	ASSERT_ERR(dmabuf_queue_dispatch(NULL), EINVAL);
	ASSERT_ERR(dmabuf_queue_fd(NULL), EINVAL);
	ASSERT_ERR(dmabuf_queue_wait_consumers(q, 0, 0), EINVAL);
	ASSERT_ERR(dmabuf_queue_wait_consumers(q, 1, 0), ETIMEDOUT);
	ASSERT_ERR(dmabuf_queue_take(NULL, &frame, 0), EINVAL);
	ASSERT_ERR(dmabuf_queue_release(NULL, &frame), EINVAL);
	co.policy = 7;
	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), &co, 0), EINVAL);
	co = (struct dmabuf_queue_consumer_options){ .size = sizeof(co), .min_buffers = 65 };
	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), &co, 0), EINVAL);
	co = (struct dmabuf_queue_consumer_options){ .size = sizeof(co), .flags = 1u << 31 };
	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), &co, 0), EINVAL);
	ASSERT_OK(dmabuf_queue_finish(q, 0));
	ASSERT_OK(dmabuf_queue_finish(q, 0));
	ASSERT_ERR(dmabuf_queue_get(q, &frame, 0), EINVAL);
	ASSERT_ERR(dmabuf_queue_listen(q, queue_path()), EBUSY);
	dmabuf_queue_destroy(q);
	dmabuf_queue_destroy(NULL);
	dmabuf_queue_leave(NULL);
}

static void *consume(void *arg)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .policy = DMABUF_QUEUE_BLOCK };
	struct dmabuf_queue_consumer *c = dmabuf_queue_connect(queue_path(), &o, STEP_MS);
	struct dmabuf_frame frame;
	uint64_t *next = arg;
	int got;

	ASSERT(c);
	while ((got = dmabuf_queue_take(c, &frame, STEP_MS)) == 1) {
		ASSERT_EQ(first_word(&frame), *next);
		++*next;
		ASSERT_OK(dmabuf_queue_release(c, &frame));
	}
	ASSERT_EQ(got, 0);
	dmabuf_queue_leave(c);
	return NULL;
}

TEST_TIMEOUT(E6_producer_and_consumers_can_be_threads_of_one_process, 300)
{
	struct dmabuf_queue *q = queue_make(NULL);
	uint64_t count[2] = { 0 };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, consume, &count[i]), 0);
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 2, STEP_MS));
	for (uint64_t i = 0; i < 500; i++)
		ASSERT_OK(queue_produce(q, i, STEP_MS));
	ASSERT_OK(dmabuf_queue_finish(q, STEP_MS));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
		ASSERT_EQ(count[i], 500);
	}
	dmabuf_queue_destroy(q);
}
