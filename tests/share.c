// SPDX-License-Identifier: MIT
/*
 * Passing buffers between processes, and what comes instead of them: rows A2 and A3.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "peer.h"

struct message {
	uint32_t magic;
	uint32_t fds;
};

#define MAGIC 0x66626d64u

/* A message made by hand, @count times the descriptor @fd. */
static void send_raw(int socket, const void *bytes, size_t length, int fd, unsigned int count)
{
	union {
		char space[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)bytes, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int i;

	if (count) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (i = 0; i < count; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	}
	ASSERT_EQ(sendmsg(socket, &msg, MSG_NOSIGNAL), length);
}

static int change_first_byte(struct peer *peer, struct dma_buf *dmabuf)
{
	char *bytes = dma_buf_vmap(dmabuf);

	ASSERT_EQ(bytes[0], 1);
	bytes[0] = 2;
	dma_buf_vunmap(dmabuf, bytes);
	dma_buf_put(dmabuf);
	return 0;
}

static int receive_and_change(void *arg)
{
	struct dma_buf *dmabuf = dma_buf_recv(*(int *)arg, 5000);

	ASSERT(dmabuf);
	change_first_byte(NULL, dmabuf);
	close(*(int *)arg);
	return 0;
}

static void share_over(int type)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	char *bytes = dma_buf_vmap(dmabuf);
	int sockets[2];
	pid_t pid;

	bytes[0] = 1;
	socket_pair(type, sockets);
	pid = spawn(receive_and_change, &sockets[1]);
	close(sockets[1]);
	ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 5000));
	ASSERT_EQ(reap(pid), 0);
	ASSERT_EQ(bytes[0], 2);
	close(sockets[0]);
	dma_buf_put(dmabuf);
}

TEST(A3_a_buffer_goes_over_any_unix_socket)
{
	share_over(SOCK_STREAM);
	share_over(SOCK_SEQPACKET);
	share_over(SOCK_DGRAM);
}

TEST(A3_buffers_arrive_in_order)
{
	struct dma_buf *sent[8], *got;
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	int sockets[2], i, t;

	for (i = 0; i < 8; i++)
		sent[i] = dma_buf_alloc("x", 4096, O_RDWR);
	for (t = 0; t < 3; t++) {
		socket_pair(types[t], sockets);
		for (i = 0; i < 8; i++)
			ASSERT_OK(dma_buf_send(sockets[0], sent[i], 0));
		for (i = 0; i < 8; i++) {
			got = dma_buf_recv(sockets[1], 0);
			ASSERT(got == sent[i]);
			dma_buf_put(got);
		}
		close(sockets[0]);
		close(sockets[1]);
	}
	for (i = 0; i < 8; i++)
		dma_buf_put(sent[i]);
}

TEST(A3_a_descriptor_passed_by_hand_works_as_well)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *again;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), sockets[2];
	struct message m = { MAGIC, 1 };

	socket_pair(SOCK_STREAM, sockets);
	send_raw(sockets[0], &m, sizeof(m), fd, 1);
	again = dma_buf_recv(sockets[1], 1000);
	ASSERT(again == dmabuf);
	dma_buf_put(again);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
	dma_buf_put(dmabuf);
}

TEST_HELPER(inheritor)
{
	struct dma_buf *dmabuf = dma_buf_get(atoi(argv[1]));

	if (!dmabuf) {
		fprintf(stderr, "# inheritor: %s\n", dmabuf_last_error());
		return 1;
	}
	return change_first_byte(NULL, dmabuf);
}

TEST(A3_an_inherited_descriptor_works_through_exec)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	char *bytes = dma_buf_vmap(dmabuf), number[16];
	int fd = dma_buf_fd(dmabuf, 0);

	bytes[0] = 1;
	snprintf(number, sizeof(number), "%d", fd);
	ASSERT_EQ(reap(spawn_helper("inheritor", number, NULL)), 0);
	ASSERT_EQ(bytes[0], 2);
	close(fd);
	dma_buf_put(dmabuf);
}

static void expect_refused(const void *bytes, size_t length, int fd, unsigned int count, int type)
{
	int sockets[2], fds;

	socket_pair(type, sockets);
	send_raw(sockets[0], bytes, length, fd, count);
	fds = open_fds();
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 50), EPROTO);
	ASSERT_EQ(open_fds(), fds);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(A3_messages_of_others_are_refused_and_nothing_leaks)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), t;
	struct message m = { MAGIC, 1 }, garbage = { 0x12345678, 1 }, none = { MAGIC, 0 };
	struct message two = { MAGIC, 2 }, many = { MAGIC, 64 }, huge = { MAGIC, UINT32_MAX };

	for (t = 0; t < 3; t++) {
		expect_refused(&garbage, sizeof(m), fd, 1, types[t]);
		expect_refused(&garbage, sizeof(m), fd, 0, types[t]);
		expect_refused(&m, sizeof(m), fd, 0, types[t]);
		expect_refused(&m, sizeof(m), fd, 2, types[t]);
		expect_refused(&none, sizeof(m), fd, 0, types[t]);
		expect_refused(&none, sizeof(m), fd, 1, types[t]);
		expect_refused(&two, sizeof(m), fd, 1, types[t]);
		expect_refused(&two, sizeof(m), fd, 3, types[t]);
		expect_refused(&m, sizeof(m), fd, 16, types[t]);
		expect_refused(&m, sizeof(m), fd, 64, types[t]);
		expect_refused(&many, sizeof(m), fd, 64, types[t]);
		expect_refused(&huge, sizeof(m), fd, 1, types[t]);
	}
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(A3_a_message_too_short_or_too_long_is_refused_and_the_next_one_is_taken)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_DGRAM };
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *got;
	char bytes[32] = { 'd', 'm', 'b', 'f', 1 };
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), sockets[2], t, fds;
	size_t length;

	for (t = 0; t < 2; t++) {
		for (length = 1; length < sizeof(bytes); length += 3) {
			socket_pair(types[t], sockets);
			fds = open_fds();
			send_raw(sockets[0], bytes, length, fd, 1);
			ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 0));
			ASSERT_ERRNO(dma_buf_recv(sockets[1], 50), EPROTO);
			ASSERT_EQ(open_fds(), fds);
			got = dma_buf_recv(sockets[1], 50);
			ASSERT(got == dmabuf);
			dma_buf_put(got);
			close(sockets[0]);
			close(sockets[1]);
		}
	}
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(A3_an_empty_datagram_is_no_closed_peer)
{
	int sockets[2];

	socket_pair(SOCK_DGRAM, sockets);
	ASSERT_EQ(send(sockets[0], "", 0, 0), 0);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 50), EPROTO);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(A3_a_message_in_bytes_is_put_together)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *got;
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), sockets[2];
	struct message m = { MAGIC, 1 };
	unsigned int i;

	socket_pair(SOCK_STREAM, sockets);
	for (i = 0; i < sizeof(m); i++)
		send_raw(sockets[0], (char *)&m + i, 1, fd, i == 0);
	got = dma_buf_recv(sockets[1], 1000);
	ASSERT(got == dmabuf);
	dma_buf_put(got);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
	dma_buf_put(dmabuf);
}

TEST(A3_half_a_message_times_out_or_ends_and_leaks_nothing)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), sockets[2], fds;
	struct message m = { MAGIC, 1 };

	socket_pair(SOCK_STREAM, sockets);
	send_raw(sockets[0], &m, 4, fd, 1);
	fds = open_fds();
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 20), ETIMEDOUT);
	ASSERT_EQ(open_fds(), fds);
	send_raw(sockets[0], &m, 4, fd, 1);
	close(sockets[0]);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 5000), EPIPE);
	ASSERT_EQ(open_fds(), fds - 1);
	close(sockets[1]);
	close(fd);
	dma_buf_put(dmabuf);
}

TEST(A3_what_is_no_dma_buf_is_refused_and_closed)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), sockets[2], fds;
	struct message m = { MAGIC, 1 };

	socket_pair(SOCK_STREAM, sockets);
	fds = open_fds();
	send_raw(sockets[0], &m, sizeof(m), null, 1);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 1000), EINVAL);
	ASSERT_EQ(open_fds(), fds);
	close(null);
	close(sockets[0]);
	close(sockets[1]);
}

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

TEST(A3_what_the_kernel_adds_to_messages_is_neither_in_the_way_nor_leaked)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR), *got;
	int sockets[2], on = 1;

	socket_pair(SOCK_STREAM, sockets);
	ASSERT_OK(setsockopt(sockets[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	ASSERT_OK(setsockopt(sockets[1], SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)));
	if (setsockopt(sockets[1], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)) < 0)
		test_note("this kernel has no SO_PASSPIDFD");
	ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 1000));
	got = dma_buf_recv(sockets[1], 1000);
	ASSERT(got == dmabuf);
	dma_buf_put(got);
	dma_buf_put(dmabuf);
	close(sockets[0]);
	close(sockets[1]);
}

TEST(A3_receiving_has_an_end)
{
	int sockets[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int64_t began;

	socket_pair(SOCK_STREAM, sockets);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 0), ETIMEDOUT);
	began = now_ms();
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 100), ETIMEDOUT);
	ASSERT(now_ms() - began >= 99);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], -1), EINVAL);
	ASSERT_ERRNO(dma_buf_recv(-1, 10), EBADF);
	ASSERT_ERRNO(dma_buf_recv(null, 10), ENOTSOCK);
	close(sockets[0]);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 5000), EPIPE);
	close(sockets[1]);
	close(null);
}

TEST(A3_sending_to_nobody_is_an_error_and_no_signal)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int sockets[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), ret;

	socket_pair(SOCK_STREAM, sockets);
	close(sockets[1]);
	ret = dma_buf_send(sockets[0], dmabuf, 1000);
	ASSERT(ret == -EPIPE || ret == -ECONNRESET);
	close(sockets[0]);
	ASSERT_ERR(dma_buf_send(sockets[0], dmabuf, 10), EBADF);
	ASSERT_ERR(dma_buf_send(null, dmabuf, 10), ENOTSOCK);
	ASSERT_ERR(dma_buf_send(null, NULL, 10), EINVAL);
	ASSERT_ERR(dma_buf_send(null, dmabuf, -1), EINVAL);
	close(null);
	dma_buf_put(dmabuf);
}

static void send_until_full(int type)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	int sockets[2], ret = 0, sent = 0;
	int64_t began;

	socket_pair(type, sockets);
	while (!ret && sent < 10000) {
		ret = dma_buf_send(sockets[0], dmabuf, 0);
		sent += !ret;
	}
	ASSERT(sent > 0);
	if (ret != -ETOOMANYREFS) {
		ASSERT_ERR(ret, ETIMEDOUT);
		began = now_ms();
		ASSERT_ERR(dma_buf_send(sockets[0], dmabuf, 50), ETIMEDOUT);
		ASSERT(now_ms() - began >= 49);
	}
	close(sockets[0]);
	close(sockets[1]);
	dma_buf_put(dmabuf);
}

TEST(A3_a_full_socket_is_waited_for_and_not_for_ever)
{
	send_until_full(SOCK_STREAM);
	send_until_full(SOCK_SEQPACKET);
	send_until_full(SOCK_DGRAM);
}

static atomic_int released;

static bool is_gone(void *arg)
{
	return released == 1;
}

static void count_release(struct dma_buf *dmabuf)
{
	released++;
}

TEST(A3_a_buffer_in_flight_is_not_released_and_dies_with_the_socket)
{
	struct dma_buf_ops ops = { .map_dma_buf = dma_buf_memory_map,
				   .unmap_dma_buf = dma_buf_memory_unmap,
				   .release = count_release,
				   .kmap = dma_buf_memory_kmap,
				   .kmap_atomic = dma_buf_memory_kmap };
	const struct timespec moment = { 0, 200000000 };
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf, *got;
	int sockets[2];

	info.ops = &ops;
	info.size = 4096;
	info.flags = O_RDWR;
	info.priv = &ops;
	dmabuf = dma_buf_export(&info);
	socket_pair(SOCK_STREAM, sockets);
	ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 0));
	ASSERT_OK(dma_buf_send(sockets[0], dmabuf, 0));
	dma_buf_put(dmabuf);
	nanosleep(&moment, NULL); /* gives a wrong one time to show; a right one passes anyway */
	ASSERT_EQ(released, 0);
	got = dma_buf_recv(sockets[1], 0);
	ASSERT(got);
	ASSERT(got->ops == &ops);
	dma_buf_put(got);
	ASSERT_EQ(released, 0);
	close(sockets[0]);
	close(sockets[1]);
	ASSERT(eventually(is_gone, NULL, 60000));
}

static void on_signal(int number)
{
}

static void *interrupt(void *arg)
{
	const struct timespec step = { 0, 2000000 };
	int i;

	for (i = 0; i < 50; i++) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		nanosleep(&step, NULL);
	}
	return NULL;
}

TEST(A3_signals_do_not_end_a_receive_early)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;
	int64_t began = now_ms();
	int sockets[2];

	sigaction(SIGUSR1, &action, NULL);
	socket_pair(SOCK_STREAM, sockets);
	ASSERT_EQ(pthread_create(&thread, NULL, interrupt, &self), 0);
	ASSERT_ERRNO(dma_buf_recv(sockets[1], 200), ETIMEDOUT);
	ASSERT(now_ms() - began >= 199);
	pthread_join(thread, NULL);
	close(sockets[0]);
	close(sockets[1]);
}

/* Status 1 if a buffer is among the descriptors that exec left open. */
TEST_HELPER(lister)
{
	char path[64], target[128];
	ssize_t length;
	int fd;

	for (fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (strstr(target, "memfd:dmabuf")) {
			fprintf(stderr, "# %s -> %s came through exec\n", path, target);
			return 1;
		}
	}
	return 0;
}

static void *make_descriptors(void *arg)
{
	atomic_bool *stop = arg;
	struct dma_buf *dmabuf, *got;
	int sockets[2], fd, payload;

	socket_pair(SOCK_STREAM, sockets);
	while (!atomic_load(stop)) {
		dmabuf = dma_buf_alloc("x", 4096, O_RDONLY);
		fd = dma_buf_fd(dmabuf, O_CLOEXEC);
		payload = dma_buf_payload_fd(dmabuf, O_CLOEXEC);
		dma_buf_put(dma_buf_get(fd));
		if (dma_buf_send(sockets[0], dmabuf, 1000) == 0) {
			got = dma_buf_recv(sockets[1], 1000);
			dma_buf_put(got);
		}
		close(fd);
		close(payload);
		dma_buf_put(dmabuf);
	}
	close(sockets[0]);
	close(sockets[1]);
	return NULL;
}

TEST(A2_no_descriptor_slips_through_an_exec_at_any_moment)
{
	atomic_bool stop = false;
	pthread_t thread;
	int i;

	ASSERT_EQ(pthread_create(&thread, NULL, make_descriptors, &stop), 0);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(reap(spawn_helper("lister", NULL)), 0);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}
