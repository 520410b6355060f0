// SPDX-License-Identifier: MIT
/* What a producer and a consumer make of peers that send what they like: row E6. */
#include <sys/stat.h>
#include <sys/un.h>

#include "queue-remote.h"
#include "queue-wire.h"

static struct queue_join good_join(void)
{
	return (struct queue_join){ .head = queue_head(QUEUE_JOIN),
				    .policy = DMABUF_QUEUE_BLOCK,
				    .min = 1,
				    .preferred = 2,
				    .label = "raw" };
}

static void send_with(int socket, const void *bytes, size_t length, const int *fds,
		      unsigned int count)
{
	struct iovec iov = { (void *)bytes, length };
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		*CMSG_FIRSTHDR(&msg) =
			(struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(count * sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, count * sizeof(int));
	}
	ASSERT_EQ(sendmsg(socket, &msg, MSG_NOSIGNAL), length);
}

/* A consumer made by hand that was let in. */
static int raw_consumer(struct dmabuf_queue *q)
{
	struct queue_join join = good_join();
	struct queue_welcome welcome;
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	ASSERT_OK(dmabuf_queue_add(q, sockets[0]));
	send_with(sockets[1], &join, sizeof(join), NULL, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_EQ(recv(sockets[1], &welcome, sizeof(welcome), MSG_DONTWAIT), sizeof(welcome));
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 1);
	return sockets[1];
}

static char told[400];
static unsigned int refused;

static void remember(void *data, enum dmabuf_queue_event event,
		     const struct dmabuf_queue_consumer_info *consumer, const char *words)
{
	refused += event == DMABUF_QUEUE_REFUSED;
	if (event == DMABUF_QUEUE_CUT_OFF || event == DMABUF_QUEUE_REFUSED)
		snprintf(told, sizeof(told), "%s", words);
}

static struct dmabuf_queue *watched_queue(void)
{
	struct dmabuf_queue_options o = { .event = remember };

	return queue_make(&o);
}

static void join_refused(const void *bytes, size_t length, const char *words)
{
	struct dmabuf_queue *q = watched_queue();
	struct queue_words answer;
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	ASSERT_OK(dmabuf_queue_add(q, sockets[0]));
	send_with(sockets[1], bytes, length, NULL, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_STR_CONTAINS(told, words);
	ASSERT_EQ(recv(sockets[1], &answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	ASSERT_EQ(answer.head.type, QUEUE_REFUSED);
	ASSERT_EQ(recv(sockets[1], &answer, sizeof(answer), MSG_DONTWAIT), 0);
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 0);
	close(sockets[1]);
	dmabuf_queue_destroy(q);
}

TEST(E6_who_does_not_say_who_he_is_is_refused)
{
	struct queue_join join = good_join();

	join_refused("junk", 4, "sent 4 bytes that are no message");
	join.head.type = QUEUE_RETURN;
	join_refused(&join, sizeof(join), "does not say who it is");
	join = good_join();
	join_refused(&join, sizeof(join) - 4, "does not say who it is");
	join.head.version = 9;
	join_refused(&join, sizeof(join), "speaks version 9");
	join = good_join();
	join.min = 0;
	join_refused(&join, sizeof(join), "make no sense");
	join.min = 65;
	join.preferred = 65;
	join_refused(&join, sizeof(join), "make no sense");
	join.min = 3;
	join.preferred = 2;
	join_refused(&join, sizeof(join), "make no sense");
	join = good_join();
	join.policy = 3;
	join_refused(&join, sizeof(join), "does not know");
	join = good_join();
	join.flags = 1u << 30;
	join_refused(&join, sizeof(join), "does not know");
	join = good_join();
	join.policy = DMABUF_QUEUE_DROP_OLDEST;
	join_refused(&join, sizeof(join), "make no sense");
}

/* The consumer has buffer 0 and sends @bytes: it is cut off with @words. */
static void cut_off(const void *bytes, size_t length, const int *fds, unsigned int count,
		    const char *words)
{
	struct dmabuf_queue *q = watched_queue();
	int raw = raw_consumer(q);

	told[0] = '\0';
	ASSERT_OK(queue_produce(q, 0, 0));
	ASSERT_EQ(queue_held(q), 1);
	send_with(raw, bytes, length, fds, count);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_STR_CONTAINS(told, "raw (pid");
	ASSERT_STR_CONTAINS(told, words);
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 0);
	ASSERT_OK(queue_produce(q, 1, 0));
	close(raw);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_consumer_that_breaks_the_rules_is_cut_off_by_name)
{
	struct queue_return ret = { .head = queue_head(QUEUE_RETURN), .buffers = 2 };
	struct queue_slot slot = { .head = queue_head(QUEUE_SLOT), .index = 64 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[16];
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < 16; i++)
		fds[i] = null;
	cut_off("junk", 4, NULL, 0, "4 bytes that are no message");
	cut_off(&ret, sizeof(ret), NULL, 0, "a buffer that it does not have");
	ret.buffers = UINT64_MAX;
	cut_off(&ret, sizeof(ret), NULL, 0, "a buffer that it does not have");
	ret.buffers = 0;
	cut_off(&ret, sizeof(ret), NULL, 0, "a buffer that it does not have");
	ret.buffers = 1;
	cut_off(&ret, sizeof(ret), fds, 1, "gave back 1 fences");
	cut_off(&ret, sizeof(ret) - 8, NULL, 0, "with 40 bytes");
	ret.flags = QUEUE_RETURN_FENCE;
	cut_off(&ret, sizeof(ret), NULL, 0, "gave back 0 fences");
	cut_off(&ret, sizeof(ret), fds, 2, "gave back 2 fences");
	cut_off(&ret, sizeof(ret), fds, 16, "more descriptors than a message has");
	cut_off(&ret, sizeof(ret), &file, 1, "cannot be polled");
	ret.flags = 1u << 20;
	cut_off(&ret, sizeof(ret), NULL, 0, "unknown flags");
	cut_off(&slot, sizeof(slot), NULL, 0, "cannot be");
	slot.index = 0;
	slot.slot = 64;
	cut_off(&slot, sizeof(slot), NULL, 0, "cannot be");
	slot.head.type = 99;
	cut_off(&slot, sizeof(slot), NULL, 0, "unknown type 99");
	close(null);
	close(file);
}

TEST(E6_a_buffer_given_back_twice_is_noticed)
{
	struct queue_return ret = { .head = queue_head(QUEUE_RETURN), .buffers = 1 };
	struct dmabuf_queue *q = watched_queue();
	int raw = raw_consumer(q);

	ASSERT_OK(queue_produce(q, 0, 0));
	send_with(raw, &ret, sizeof(ret), NULL, 0);
	send_with(raw, &ret, sizeof(ret), NULL, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_STR_CONTAINS(told, "a buffer that it does not have");
	close(raw);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_socket_closed_by_half_is_cut_off)
{
	struct dmabuf_queue *q = watched_queue();
	int raw = raw_consumer(q);

	ASSERT_EQ(shutdown(raw, SHUT_RD), 0);
	ASSERT_OK(queue_produce(q, 0, 0));
	ASSERT_STR_CONTAINS(told, "closed one half");
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 0);
	close(raw);
	dmabuf_queue_destroy(q);
}

static bool gone(void *arg)
{
	struct queue_words m;

	return recv(*(int *)arg, &m, sizeof(m), MSG_DONTWAIT) == 0;
}

TEST(E6_a_flood_of_silent_connections_keeps_nobody_out)
{
	struct dmabuf_queue *q = watched_queue();
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t length =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(queue_path()));
	int silent[200], before = open_fds();
	struct remote r = { .options = { .policy = DMABUF_QUEUE_BLOCK } };

	memcpy(a.sun_path, queue_path(), strlen(queue_path()));
	a.sun_path[0] = '\0';
	for (int i = 0; i < 200; i++) {
		silent[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ASSERT_EQ(connect(silent[i], (struct sockaddr *)&a, length), 0);
		ASSERT_OK(dmabuf_queue_dispatch(q));
	}
	ASSERT(open_fds() - before <= 200 + 16);
	/* The oldest has made room for the newest. */
	ASSERT(gone(&silent[0]));
	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 7, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 7);
	for (int i = 0; i < 200; i++)
		close(silent[i]);
	remote_end(&r);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	dmabuf_queue_destroy(q);
}

TEST(E6_who_connects_and_says_nothing_is_dropped_after_a_while)
{
	struct dmabuf_queue *q = watched_queue();
	struct pollfd p = { .fd = dmabuf_queue_fd(q), .events = POLLIN };
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	ASSERT_OK(dmabuf_queue_add(q, sockets[0]));
	/* The queue's descriptor says when. */
	while (!gone(&sockets[1])) {
		ASSERT_EQ(poll(&p, 1, STEP_MS), 1);
		ASSERT_OK(dmabuf_queue_dispatch(q));
	}
	close(sockets[1]);
	dmabuf_queue_destroy(q);
}

TEST(E6_there_are_only_so_many_consumers)
{
	struct dmabuf_queue_options o = { .max_consumers = 1, .event = remember };
	struct dmabuf_queue *q = queue_make(&o);
	struct queue_join join = good_join();
	int raw = raw_consumer(q), sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	ASSERT_OK(dmabuf_queue_add(q, sockets[0]));
	send_with(sockets[1], &join, sizeof(join), NULL, 0);
	ASSERT_OK(dmabuf_queue_dispatch(q));
	ASSERT_STR_CONTAINS(told, "there are 1 consumers already");
	ASSERT_EQ(dmabuf_queue_get_consumers(q, NULL, 0), 1);
	close(sockets[1]);
	close(raw);
	dmabuf_queue_destroy(q);
}

/* A producer made by hand: what it sends after the welcome meets with this result and words. */
struct fake {
	struct queue_frame m;
	size_t length;
	int fds[16];
	unsigned int count;
};

static struct queue_frame good_frame(void)
{
	return (struct queue_frame){ .head = queue_head(QUEUE_FRAME), .carries = 1, .used = 1 };
}

static struct dmabuf_queue_consumer *raw_producer(int *raw)
{
	struct queue_welcome welcome = {
		.head = queue_head(QUEUE_WELCOME), .granted = 3, .pool = 8, .label = "fake"
	};
	struct dmabuf_queue_consumer *c;
	int sockets[2];

	socket_pair(SOCK_SEQPACKET, sockets);
	send_with(sockets[0], &welcome, sizeof(welcome), NULL, 0);
	c = dmabuf_queue_join(sockets[1], NULL, STEP_MS);
	ASSERT(c);
	*raw = sockets[0];
	return c;
}

static void frame_refused(const struct fake *f, int err, const char *words)
{
	struct dmabuf_frame frame;
	int raw, before;
	struct dmabuf_queue_consumer *c = raw_producer(&raw);

	before = open_fds();
	send_with(raw, &f->m, f->length, f->fds, f->count);
	ASSERT_ERR(dmabuf_queue_take(c, &frame, 0), err);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), words);
	/* Nothing but the handle that a good buffer may have become. */
	ASSERT(open_fds() <= before + 2);
	dmabuf_queue_leave(c);
	close(raw);
	ASSERT_EQ(open_fds(), before - 2);
}

TEST(E6_a_producer_that_sends_nonsense_is_an_error_by_name)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct fake good = { good_frame(), sizeof(struct queue_frame), { fd }, 1 };
	struct fake f = good;

	f.m.index = 64;
	frame_refused(&f, EPROTO, "fake (pid");
	f = good;
	f.m.index = UINT32_MAX;
	frame_refused(&f, EPROTO, "buffer 4294967295, which cannot be");
	f = good;
	f.length -= 8;
	frame_refused(&f, EPROTO, "a frame of 112 bytes");
	f = good;
	f.count = 0;
	frame_refused(&f, EPROTO, "with 0 descriptors");
	f = good;
	f.m.carries = 0;
	frame_refused(&f, EPROTO, "with 1 descriptors");
	f.count = 0;
	frame_refused(&f, EPROTO, "which never came");
	f = good;
	f.m.carries = 3;
	f.count = 3;
	f.fds[1] = f.fds[2] = fd;
	frame_refused(&f, EPROTO, "with 3 descriptors");
	f = good;
	f.m.carries = 0xf1;
	frame_refused(&f, EPROTO, "not as announced");
	f = good;
	f.m.used = 4097;
	frame_refused(&f, EPROTO, "4097 of 4096 bytes used");
	f = good;
	f.m.plane_count = 1;
	f.m.width = f.m.height = 64;
	f.m.planes[0].stride = 4097;
	frame_refused(&f, EPROTO, "beyond the buffer");
	f.m.fourcc = 0x34325241;
	f.m.planes[0].stride = 256;
	f.m.planes[0].offset = UINT32_MAX;
	frame_refused(&f, EPROTO, "beyond the buffer");
	f.m.plane_count = UINT32_MAX;
	frame_refused(&f, EPROTO, "more than 4 planes");
	f = good;
	f.fds[0] = null;
	frame_refused(&f, EINVAL, "descriptor");
	f.m.head.type = 99;
	frame_refused(&f, EPROTO, "unknown type 99");
	f.m.head.type = QUEUE_END;
	frame_refused(&f, EPROTO, "unknown type 19");
	f.m.head.type = QUEUE_CUT_OFF;
	frame_refused(&f, EPROTO, "type 20");
	close(fd);
	close(null);
	dma_buf_put(dmabuf);
}

TEST(E6_a_buffer_that_comes_twice_is_noticed)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), raw;
	struct dmabuf_queue_consumer *c = raw_producer(&raw);
	struct queue_frame m = good_frame();
	struct dmabuf_frame frame, again;
	void *bytes;

	send_with(raw, &m, sizeof(m), &fd, 1);
	m.carries = 0;
	send_with(raw, &m, sizeof(m), NULL, 0);
	ASSERT_EQ(dmabuf_queue_take(c, &frame, 0), 1);
	ASSERT(frame.dmabuf == dmabuf);
	ASSERT_ERR(dmabuf_queue_take(c, &again, 0), EPROTO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "buffer 0, which is here already");
	/* What is held stays good, and then it is over. */
	ASSERT_ERR(dmabuf_queue_take(c, &again, 0), EPROTO);
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT(bytes);
	dma_buf_vunmap(frame.dmabuf, bytes);
	ASSERT_OK(dmabuf_queue_release(c, &frame));
	dmabuf_queue_leave(c);
	close(raw);
	close(fd);
	dma_buf_put(dmabuf);
}

/* Given back in between, but sent before: no timing hides it. */
TEST(E6_a_buffer_that_was_sent_before_it_was_given_back_is_noticed)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), raw;
	struct dmabuf_queue_consumer *c = raw_producer(&raw);
	struct queue_frame m = good_frame();
	struct dmabuf_frame frame;

	send_with(raw, &m, sizeof(m), &fd, 1);
	m.carries = 0;
	send_with(raw, &m, sizeof(m), NULL, 0);
	ASSERT_EQ(dmabuf_queue_take(c, &frame, 0), 1);
	ASSERT_OK(dmabuf_queue_release(c, &frame));
	ASSERT_OK(dmabuf_queue_consumer_fd(c));
	ASSERT_ERR(dmabuf_queue_take(c, &frame, 0), EPROTO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "buffer 0, which was here still");
	dmabuf_queue_leave(c);
	close(raw);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(E6_a_producer_that_takes_buffers_away_is_survived)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), raw;
	struct dmabuf_queue_consumer *c = raw_producer(&raw);
	struct queue_frame m = good_frame();
	struct dmabuf_frame frame[2];

	m.forget = UINT64_MAX;
	send_with(raw, &m, sizeof(m), &fd, 1);
	m.index = 1;
	send_with(raw, &m, sizeof(m), &fd, 1);
	ASSERT_EQ(dmabuf_queue_take(c, &frame[0], 0), 1);
	ASSERT_EQ(dmabuf_queue_take(c, &frame[1], 0), 1);
	ASSERT_OK(dmabuf_queue_release(c, &frame[0]));
	ASSERT_OK(dmabuf_queue_release(c, &frame[1]));
	dmabuf_queue_leave(c);
	close(raw);
	close(fd);
	dma_buf_put(dmabuf);
}
