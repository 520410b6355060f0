// SPDX-License-Identifier: MIT
/* The queue as it should be used: row E6. */
#include "fence.h"
#include "queue-remote.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct remote block(void)
{
	struct remote r = { .options = { .policy = DMABUF_QUEUE_BLOCK } };

	return r;
}

TEST(E6_frames_arrive_whole_and_in_order)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = block();
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
	struct remote r[3] = { block(), block(), block() };
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
	struct remote quick = block(), slow = block();

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
	struct remote r = block();
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
	struct remote r = block();
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
	struct remote slow = { 0 }, quick = block();

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
	struct remote r = block();
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
	struct remote r[2] = { block(), block() };
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

static int dispatch_until_joined(struct dmabuf_queue *q, struct remote *r)
{
	struct pollfd p[2] = { { .fd = dmabuf_queue_fd(q), .events = POLLIN },
			       { .fd = r->socket, .events = POLLIN } };

	while (!p[1].revents) {
		ASSERT(poll(p, 2, STEP_MS) > 0);
		ASSERT_OK(dmabuf_queue_dispatch(q));
	}
	return remote_answer(r).result;
}

TEST(E6_who_needs_more_than_the_pool_can_be_is_refused_by_name)
{
	struct dmabuf_queue_options o = { .min_buffers = 2, .max_buffers = 6 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote first = block(), second = block(), third = block();
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

TEST(E6_a_producer_started_again_is_found_again)
{
	struct remote r = block();
	struct dmabuf_queue *q;
	struct answer a, b;

	r.options.reconnect_ms = STEP_MS;
	remote_start(&r, queue_path(), -1);
	q = queue_make(NULL);
	remote_enter(&r, q);
	ASSERT_OK(queue_produce(q, 1, 0));
	a = remote_do(&r, 't');
	ASSERT_EQ(a.content, 1);
	remote_order(&r, 't');
	dmabuf_queue_destroy(q);
	q = queue_make(NULL);
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	ASSERT_OK(queue_produce(q, 2, 0));
	b = remote_answer(&r);
	ASSERT_EQ(b.result, 1);
	ASSERT_EQ(b.content, 2);
	ASSERT_EQ(b.frame.flags, DMABUF_FRAME_FIRST);
	ASSERT_EQ(b.connects, 2);
	ASSERT(a.frame.epoch != b.frame.epoch);
	/* Frames of both can be given back. */
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(queue_held(q), 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

/* The kernel says "reset" first where the other side had not read everything. */
TEST(E6_what_a_producer_sent_before_its_end_arrives)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = block();

	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_OK(queue_produce(q, 2, 0));
	/* The producer never looks at this. */
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	dmabuf_queue_destroy(q);
	ASSERT_EQ(remote_do(&r, 't').content, 2);
	ASSERT_EQ(remote_do(&r, 't').result, -EPIPE);
	remote_end(&r);
}

TEST(E6_an_event_loop_finds_a_producer_that_was_started_again)
{
	struct remote r = block();
	struct dmabuf_queue *q;
	struct answer a;

	r.options.reconnect_ms = STEP_MS;
	remote_start(&r, queue_path(), -1);
	q = queue_make(NULL);
	remote_enter(&r, q);
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	dmabuf_queue_destroy(q);
	/* It notices, and finds nobody. */
	ASSERT_EQ(remote_do(&r, 'T').result, -ETIMEDOUT);
	remote_order(&r, 'E');
	q = queue_make(NULL);
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	ASSERT_OK(queue_produce(q, 2, 0));
	a = remote_answer(&r);
	ASSERT_EQ(a.result, 1);
	ASSERT_EQ(a.content, 2);
	/* Connected again, it sleeps until something comes. */
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_lost_producer_is_an_error_for_who_does_not_connect_again)
{
	struct dmabuf_queue *q = queue_make(NULL);
	struct remote r = block(), s = block();
	struct answer a;

	s.options.reconnect_ms = 50;
	remote_join(&r, q, queue_path());
	remote_join(&s, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	dmabuf_queue_destroy(q);
	/* What was sent before is not lost. */
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	a = remote_do(&r, 't');
	ASSERT_EQ(a.result, -EPIPE);
	ASSERT_STR_CONTAINS(a.words, "test-queue (pid");
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(remote_do(&r, 't').result, -EPIPE);
	ASSERT_EQ(remote_do(&s, 't').content, 1);
	ASSERT_EQ(remote_do(&s, 't').result, -EPIPE);
	ASSERT_EQ(remote_do(&s, 't').result, -EPIPE);
	remote_end(&r);
	remote_end(&s);
}

TEST(E6_the_content_is_there_when_the_acquire_fence_signals)
{
	struct dmabuf_queue *q = queue_make(NULL);
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), signal = dup(fence);
	struct remote r = block();
	struct dmabuf_frame frame;
	uint64_t *bytes, one = 1;

	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	bytes = dma_buf_vmap(frame.dmabuf);
	bytes[0] = 0;
	frame.used = 8;
	frame.acquire_fence = fence;
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	/* It has the frame, and must wait for the fence. */
	remote_order(&r, 't');
	ASSERT_EQ(queue_held(q), 1);
	bytes[0] = 5;
	ASSERT_EQ(write(signal, &one, 8), 8);
	ASSERT_EQ(remote_answer(&r).content, 5);
	close(signal);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_buffer_given_back_with_a_fence_is_empty_when_that_signals)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = block();

	r.options.min_buffers = r.options.preferred_buffers = 1;
	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_OK(queue_produce(q, 2, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_EQ(remote_do(&r, 'f').result, 0);
	ASSERT_ERR(queue_produce(q, 3, 20), ETIMEDOUT);
	ASSERT_EQ(queue_held(q), 2);
	ASSERT_EQ(remote_do(&r, 't').content, 2);
	ASSERT_EQ(remote_do(&r, 'f').result, 0);
	ASSERT_ERR(queue_produce(q, 3, 20), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "until its fence signals");
	ASSERT_EQ(remote_do(&r, 's').result, 0);
	ASSERT_OK(queue_produce(q, 3, STEP_MS));
	ASSERT_OK(queue_produce(q, 4, STEP_MS));
	ASSERT_EQ(remote_do(&r, 't').content, 3);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

/* The library's own fences, as descriptors, in both directions. */
TEST(E6_fences_of_the_library_go_with_frames)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct dma_fence *fence = fence_new();
	struct remote r = block();
	struct dmabuf_frame frame;
	uint64_t *bytes;

	r.options.min_buffers = r.options.preferred_buffers = 1;
	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	frame.acquire_fence = dmabuf_sync_file_create(fence, NULL);
	ASSERT_OK(frame.acquire_fence);
	frame.used = 8;
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	remote_order(&r, 't');
	ASSERT_EQ(queue_held(q), 1);
	bytes[0] = 6;
	dma_fence_signal(fence);
	ASSERT_EQ(remote_answer(&r).content, 6);
	/* Given back with a fence that its owner signals later. */
	ASSERT_EQ(remote_do(&r, 'F').result, 0);
	ASSERT_EQ(queue_held(q), 1);
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_ERR(queue_produce(q, 2, 10), ETIMEDOUT);
	ASSERT_EQ(remote_do(&r, 'S').result, 0);
	ASSERT_OK(queue_produce(q, 2, STEP_MS));
	dma_fence_put(fence);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

static struct answer take_and_release(struct remote *r)
{
	struct answer a = remote_do(r, 't');

	ASSERT_EQ(a.result, 1);
	ASSERT_EQ(remote_do(r, 'r').result, 0);
	return a;
}

struct relay {
	int in;
	int out;
	uint64_t frames;
};

static int relay_main(void *arg)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .policy = DMABUF_QUEUE_BLOCK,
						   .flags = DMABUF_QUEUE_WRITES };
	struct relay *relay = arg;
	struct dmabuf_queue_consumer *c = dmabuf_queue_join(relay->in, &o, STEP_MS);
	struct dmabuf_queue *q = dmabuf_queue_create_relay(c, NULL);
	struct dmabuf_frame frame;
	int got;

	ASSERT(q);
	ASSERT_ERRNO(dmabuf_queue_create_relay(c, NULL), EBUSY);
	ASSERT_OK(dmabuf_queue_add(q, relay->out));
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	while ((got = dmabuf_queue_take(c, &frame, STEP_MS)) == 1) {
		uint64_t *bytes = dma_buf_vmap(frame.dmabuf);

		bytes[0] += 1000;
		dma_buf_vunmap(frame.dmabuf, bytes);
		ASSERT_OK(dmabuf_queue_put(q, &frame));
		/* It is the relay's now. */
		ASSERT_ERR(dmabuf_queue_put(q, &frame), EINVAL);
		ASSERT_ERR(dmabuf_queue_release(c, &frame), EINVAL);
	}
	ASSERT_EQ(got, 0);
	ASSERT_OK(dmabuf_queue_finish(q, STEP_MS));
	dmabuf_queue_destroy(q);
	dmabuf_queue_leave(c);
	return 0;
}

static void relay_through(uint32_t buffers)
{
	struct dmabuf_queue_options o = { .size = sizeof(o),
					  .buffer_size = QUEUE_SIZE,
					  .min_buffers = 1,
					  .max_buffers = buffers };
	struct dmabuf_queue *q = dmabuf_queue_create(&o);
	struct remote r = block();
	int in[2], out[2];
	struct relay relay;
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, in);
	socket_pair(SOCK_SEQPACKET, out);
	relay = (struct relay){ .in = in[1], .out = out[0] };
	pid = spawn(relay_main, &relay);
	remote_start(&r, NULL, out[1]);
	remote_order(&r, 'c');
	close(in[1]);
	close(out[0]);
	close(out[1]);
	ASSERT_OK(dmabuf_queue_add(q, in[0]));
	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	ASSERT_EQ(remote_answer(&r).result, 0);
	for (uint64_t i = 0; i < 50; i++) {
		ASSERT_OK(queue_produce(q, i, STEP_MS));
		ASSERT_EQ(take_and_release(&r).content, i + 1000);
	}
	ASSERT_OK(dmabuf_queue_finish(q, STEP_MS));
	ASSERT_EQ(remote_do(&r, 't').result, 0);
	ASSERT_EQ(reap(pid), 0);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_relay_hands_the_same_buffers_on)
{
	relay_through(2);
	relay_through(8);
}

static void *let_in(void *arg)
{
	struct dmabuf_queue *q = arg;

	ASSERT_OK(dmabuf_queue_wait_consumers(q, 1, STEP_MS));
	return NULL;
}

TEST(E6_a_relay_outlives_its_consumer)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .policy = DMABUF_QUEUE_BLOCK };
	struct dmabuf_queue *q = queue_make(NULL), *relay;
	struct remote r = block();
	struct dmabuf_queue_consumer *c;
	struct dmabuf_frame frame;
	pthread_t thread;
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	remote_start(&r, NULL, sockets[1]);
	close(sockets[1]);
	ASSERT_EQ(pthread_create(&thread, NULL, let_in, q), 0);
	c = dmabuf_queue_connect(queue_path(), &o, STEP_MS);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	relay = dmabuf_queue_create_relay(c, NULL);
	ASSERT_OK(dmabuf_queue_add(relay, sockets[0]));
	remote_enter(&r, relay);
	ASSERT_OK(queue_produce(q, 4, 0));
	ASSERT_OK(queue_produce(q, 5, 0));
	ASSERT_EQ(dmabuf_queue_take(c, &frame, STEP_MS), 1);
	ASSERT_OK(dmabuf_queue_put(relay, &frame));
	dmabuf_queue_leave(c);
	dmabuf_queue_destroy(q);
	ASSERT_EQ(remote_do(&r, 't').content, 4);
	ASSERT_ERR(dmabuf_queue_put(relay, &frame), EINVAL);
	ASSERT_OK(dmabuf_queue_finish(relay, STEP_MS));
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT_EQ(remote_do(&r, 't').result, 0);
	remote_end(&r);
	dmabuf_queue_destroy(relay);
}

static bool readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

TEST(E6_both_ends_fit_into_an_event_loop)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = block();
	int fd = dmabuf_queue_fd(q);

	r.options.min_buffers = r.options.preferred_buffers = 1;
	ASSERT(!readable(&fd));
	remote_start(&r, queue_path(), -1);
	remote_order(&r, 'c');
	ASSERT(eventually(readable, &fd, STEP_MS));
	ASSERT_EQ(dispatch_until_joined(q, &r), 0);
	ASSERT(!readable(&fd));
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_EQ(remote_do(&r, 'p').result, 1);
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_EQ(remote_do(&r, 'p').result, 0);
	ASSERT(!readable(&fd));
	ASSERT_EQ(remote_do(&r, 'r').result, 0);
	ASSERT(eventually(readable, &fd, STEP_MS));
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT(!readable(&fd));
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_path_is_taken_over_from_the_dead_only)
{
	char dir[] = "/tmp/dmabuf-queue.XXXXXX", path[64];
	struct dmabuf_queue_options o = { .size = sizeof(o), .buffer_size = 4096 };
	struct dmabuf_queue *q, *second = dmabuf_queue_create(&o);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	ASSERT(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/q", dir);
	memcpy(a.sun_path, path, strlen(path));
	q = dmabuf_queue_create(&o);
	/* What a killed producer leaves. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	ASSERT_OK(dmabuf_queue_listen(q, path));
	ASSERT_ERR(dmabuf_queue_listen(q, path), EBUSY);
	ASSERT_ERR(dmabuf_queue_listen(second, path), EADDRINUSE);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "listens already");
	dmabuf_queue_destroy(q);
	ASSERT_EQ(stat(path, &st), -1);
	/* What is no socket is somebody's. */
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	ASSERT_ERR(dmabuf_queue_listen(second, path), EEXIST);
	ASSERT_EQ(unlink(path), 0);
	dmabuf_queue_destroy(second);
	ASSERT_EQ(rmdir(dir), 0);
}

TEST(E6_nobody_listens_is_told_in_time)
{
	ASSERT_ERRNO(dmabuf_queue_connect("/nonexistent/queue", NULL, 30), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "No such file");
	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), NULL, 0), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "refused");
}

TEST(E6_a_producer_that_does_not_answer_is_told_in_time)
{
	struct dmabuf_queue *q = queue_make(NULL);

	ASSERT_ERRNO(dmabuf_queue_connect(queue_path(), NULL, 30), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "does not let us in");
	ASSERT_OK(dmabuf_queue_dispatch(q));
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
	struct remote r = block();

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

TEST_TIMEOUT(E6_producer_and_consumers_can_be_threads_of_one_process, 120)
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
