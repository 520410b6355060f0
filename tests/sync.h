/* SPDX-License-Identifier: MIT */
/*
 * Locks in other processes: a remote has a sync object and does with it what it is told, one order
 * after the other, so a test can have any of them hold, wait, be stopped or killed at a known
 * point.
 */
#ifndef DMABUF_TEST_SYNC_H
#define DMABUF_TEST_SYNC_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "peer.h"

#define REMOTE_BUFFERS 4

enum order_kind {
	ORDER_ADD,   /* receive one more buffer; get the latest with .type */
	ORDER_LEASE, /* .value */
	ORDER_LOCK,  /* .value: the timeout */
	ORDER_LOCK_INTR,
	ORDER_UNLOCK,
	ORDER_IS_LOCKED,
	ORDER_PUT_ALL,
	ORDER_GET_TORN, /* of buffer .buffer */
	ORDER_REPAIRED,
	ORDER_FLOCK, /* .value: the operation; waits up to 20 s */
	ORDER_FILL,  /* write .value into all of buffer .buffer */
	ORDER_END,
};

struct order {
	enum order_kind kind;
	unsigned int type;
	unsigned int buffer;
	unsigned int unused; /* no padding that goes through a socket uninitialized */
	long value;
	size_t start, len; /* ORDER_ADD: the range; len 0: all */
};

struct answer {
	int ret;
	struct dma_buf_access_info torn;
	char words[700];
};

struct remote {
	struct peer peer;
	char name[24];
};

/* What the remote has. */
struct remote_side {
	struct dma_buf *dmabuf[REMOTE_BUFFERS];
	unsigned int count;
	struct dmabuf_sync *sync;
};

static int remote_add_buffer(struct remote_side *side, int sock, const struct order *order)
{
	struct dma_buf *dmabuf = dma_buf_recv(sock, 20000);

	if (!dmabuf)
		FAIL("remote: %s", dmabuf_last_error());
	ASSERT(side->count < REMOTE_BUFFERS);
	side->dmabuf[side->count++] = dmabuf;
	if (!order->type)
		return 0;
	if (order->len)
		return dmabuf_sync_get_range(side->sync, dmabuf, order->type, order->start,
					     order->len);
	return dmabuf_sync_get(side->sync, dmabuf, order->type);
}

static int remote_fill(struct dma_buf *dmabuf, int byte)
{
	void *at = dma_buf_vmap(dmabuf);

	ASSERT(at);
	memset(at, byte, dmabuf->size);
	dma_buf_vunmap(dmabuf, at);
	return 0;
}

static int remote_flock(struct dma_buf *dmabuf, int operation)
{
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC), ret;

	ASSERT_OK(fd);
	ret = operation & LOCK_NB ? dma_buf_flock(fd, operation)
				  : dma_buf_flock_timeout(fd, operation, 20000);
	close(fd);
	return ret;
}

static int remote_obey(struct remote_side *side, int sock, const struct order *order,
		       struct answer *answer)
{
	switch (order->kind) {
	case ORDER_ADD:
		return remote_add_buffer(side, sock, order);
	case ORDER_LEASE:
		return dmabuf_sync_set_lease(side->sync, (unsigned int)order->value);
	case ORDER_LOCK:
		return dmabuf_sync_lock_timeout(side->sync, order->value);
	case ORDER_LOCK_INTR:
		return dmabuf_sync_lock_interruptible(side->sync, order->value);
	case ORDER_UNLOCK:
		return dmabuf_sync_unlock(side->sync);
	case ORDER_IS_LOCKED:
		return dmabuf_sync_is_locked(side->sync);
	case ORDER_PUT_ALL:
		dmabuf_sync_put_all(side->sync);
		return 0;
	case ORDER_GET_TORN:
		return dmabuf_sync_get_torn(side->sync, side->dmabuf[order->buffer], &answer->torn,
					    1);
	case ORDER_REPAIRED:
		return dmabuf_sync_repaired(side->sync, side->dmabuf[order->buffer]);
	case ORDER_FLOCK:
		return remote_flock(side->dmabuf[order->buffer], (int)order->value);
	case ORDER_FILL:
		return remote_fill(side->dmabuf[order->buffer], (int)order->value);
	default:
		return -ENOSYS;
	}
}

static void remote_nothing(int signal)
{
}

static int remote_main(struct remote *r)
{
	struct remote_side side = { .count = 0 };
	struct sigaction action = { .sa_handler = remote_nothing, .sa_flags = SA_RESTART };
	struct order order;
	struct answer answer;
	ssize_t n;

	sigaction(SIGUSR1, &action, NULL);
	side.sync = dmabuf_sync_init(NULL, r->name);
	ASSERT(side.sync);
	for (;;) {
		do
			n = recv(r->peer.socket, &order, sizeof(order), 0);
		while (n < 0 && errno == EINTR);
		/* The test is gone, or done. */
		if (n != sizeof(order) || order.kind == ORDER_END)
			break;
		memset(&answer, 0, sizeof(answer));
		answer.ret = remote_obey(&side, r->peer.socket, &order, &answer);
		if (answer.ret < 0)
			snprintf(answer.words, sizeof(answer.words), "%s", dmabuf_last_error());
		if (send(r->peer.socket, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	dmabuf_sync_fini(side.sync);
	while (side.count)
		dma_buf_put(side.dmabuf[--side.count]);
	close(r->peer.socket);
	return 0;
}

/* A program of its own: the library may have threads by then, beside which a fork is no fresh
 * start. */
TEST_HELPER(remote)
{
	struct remote r = { .peer = { .socket = atoi(argv[1]) } };

	snprintf(r.name, sizeof(r.name), "%s", argv[2]);
	ASSERT_OK(fcntl(r.peer.socket, F_SETFD, FD_CLOEXEC));
	return remote_main(&r);
}

/* Give an order; its answer is for remote_answer(). */
__attribute__((unused)) static void remote_ask(struct remote *r, struct order order)
{
	if (send(r->peer.socket, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order))
		FAIL("%s is gone", r->name);
}

__attribute__((unused)) static struct answer remote_answer(struct remote *r)
{
	struct pollfd p = { .fd = r->peer.socket, .events = POLLIN };
	struct answer answer;

	if (poll(&p, 1, 60000) != 1 ||
	    recv(r->peer.socket, &answer, sizeof(answer), 0) != sizeof(answer))
		FAIL("%s said nothing", r->name);
	return answer;
}

/* Has it answered? */
__attribute__((unused)) static bool remote_is_done(struct remote *r)
{
	struct pollfd p = { .fd = r->peer.socket, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

__attribute__((unused)) static int remote_do(struct remote *r, struct order order)
{
	remote_ask(r, order);
	return remote_answer(r).ret;
}

__attribute__((unused)) static int remote_lock(struct remote *r, long timeout_ms)
{
	return remote_do(r, (struct order){ .kind = ORDER_LOCK, .value = timeout_ms });
}

__attribute__((unused)) static int remote_unlock(struct remote *r)
{
	return remote_do(r, (struct order){ .kind = ORDER_UNLOCK });
}

__attribute__((unused)) static void remote_add(struct remote *r, struct dma_buf *dmabuf,
					       unsigned int type)
{
	remote_ask(r, (struct order){ .kind = ORDER_ADD, .type = type });
	ASSERT_OK(dma_buf_send(r->peer.socket, dmabuf, 20000));
	ASSERT_OK(remote_answer(r).ret);
}

/* A process with a sync object of this name. */
__attribute__((unused)) static void remote_start(struct remote *r, const char *name)
{
	int sockets[2];
	char number[16];

	socket_pair(SOCK_SEQPACKET, sockets);
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(number, sizeof(number), "%d", sockets[1]);
	ASSERT_OK(fcntl(sockets[1], F_SETFD, 0));
	r->peer.pid = spawn_helper("remote", number, name, NULL);
	close(sockets[1]);
	r->peer.socket = sockets[0];
}

__attribute__((unused)) static void remote_with(struct remote *r, const char *name,
						struct dma_buf *dmabuf, unsigned int type)
{
	remote_start(r, name);
	remote_add(r, dmabuf, type);
}

__attribute__((unused)) static void remote_end(struct remote *r)
{
	remote_ask(r, (struct order){ .kind = ORDER_END });
	peer_end(&r->peer);
}

__attribute__((unused)) static void remote_kill(struct remote *r)
{
	peer_kill(&r->peer);
}

/* When this returns, it runs no more. */
__attribute__((unused)) static void remote_stop(struct remote *r)
{
	siginfo_t info;

	kill(r->peer.pid, SIGSTOP);
	ASSERT_OK(waitid(P_PID, (id_t)r->peer.pid, &info, WSTOPPED | WNOWAIT));
}

__attribute__((unused)) static void remote_go_on(struct remote *r)
{
	kill(r->peer.pid, SIGCONT);
}

/* How many accesses a look from outside sees in that state. */
__attribute__((unused)) static unsigned int accesses_in(struct dma_buf *dmabuf,
							enum dma_buf_access_state state)
{
	struct dma_buf_info info = peer_info(dmabuf);
	unsigned int i, count = 0;

	for (i = 0; i < info.access_count; i++)
		count += info.accesses[i].state == state;
	return count;
}

struct accesses_want {
	struct dma_buf *dmabuf;
	enum dma_buf_access_state state;
	unsigned int count;
};

static bool accesses_are(void *arg)
{
	struct accesses_want *want = arg;

	return accesses_in(want->dmabuf, want->state) == want->count;
}

__attribute__((unused)) static void
until_accesses(struct dma_buf *dmabuf, enum dma_buf_access_state state, unsigned int count)
{
	struct accesses_want want = { dmabuf, state, count };

	if (!eventually(accesses_are, &want, 20000))
		FAIL("%u accesses in state %d, not %u", accesses_in(dmabuf, state), (int)state,
		     count);
}

/* Ask for the lock, and return when it is in the queue. @waiting: who waits then. */
__attribute__((unused)) static void remote_queue(struct remote *r, struct dma_buf *dmabuf,
						 unsigned int waiting)
{
	remote_ask(r, (struct order){ .kind = ORDER_LOCK, .value = 40000 });
	until_accesses(dmabuf, DMA_BUF_ACCESS_WAITING, waiting);
}

__attribute__((unused)) static struct dma_buf *buffer_new(const char *name)
{
	struct dma_buf *dmabuf = dma_buf_alloc(name, 4096, O_RDWR);

	if (!dmabuf)
		FAIL("a buffer: %s", dmabuf_last_error());
	return dmabuf;
}

/* For tests that fork when the library may have a thread: ThreadSanitizer ends such children. */
__attribute__((unused)) static void forks_beside_threads(void)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	SKIP("ThreadSanitizer allows no threads in children of processes with threads");
#endif
#endif
}

/* Two buffers in the order in which groups take them. */
__attribute__((unused)) static void ordered_buffers(struct dma_buf *dmabuf[2])
{
	dmabuf[0] = buffer_new("low");
	dmabuf[1] = buffer_new("high");
	if (peer_info(dmabuf[0]).inode > peer_info(dmabuf[1]).inode) {
		struct dma_buf *swap = dmabuf[0];

		dmabuf[0] = dmabuf[1];
		dmabuf[1] = swap;
	}
}

/* A sync object with one buffer; @type 0: with none. */
__attribute__((unused)) static struct dmabuf_sync *sync_of(const char *name, struct dma_buf *dmabuf,
							   unsigned int type)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, name);

	if (!sync)
		FAIL("a sync object: %s", dmabuf_last_error());
	if (type)
		ASSERT_OK(dmabuf_sync_get(sync, dmabuf, type));
	return sync;
}

/* One that dies with the buffer in hand. */
static inline void remote_dies_with(struct dma_buf *dmabuf, const char *name, unsigned int type)
{
	struct remote r;

	remote_with(&r, name, dmabuf, type);
	ASSERT_OK(remote_lock(&r, 20000));
	remote_kill(&r);
}

#endif
