// SPDX-License-Identifier: MIT
/* Relays, which hand on what they took: row E6. */
#include "queue-remote.h"

#include <pthread.h>

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
	struct remote r = remote_block();
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

TEST(E6_a_relay_outlives_its_consumer)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o),
						   .policy = DMABUF_QUEUE_BLOCK };
	struct dmabuf_queue *q = queue_make(NULL), *relay;
	struct remote r = remote_block();
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
