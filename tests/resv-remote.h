/* SPDX-License-Identifier: MIT */
/*
 * Another process that uses reservation objects, told one thing after the other, so a test can have
 * it hold, wait, be stopped or killed at a known point.
 */
#ifndef DMABUF_TEST_RESV_REMOTE_H
#define DMABUF_TEST_RESV_REMOTE_H

#include <stdlib.h>

#include "fence.h"
#include "peer.h"

#define REMOTE_BUFFERS 8

enum order {
	ORDER_BEGIN, /* a context; value: 1: wound-wait; age: what it pretends, or 0 */
	ORDER_FINI,
	ORDER_LOCK,
	ORDER_LOCK_INTR,
	ORDER_LOCK_SLOW,
	ORDER_LOCK_PLAIN,
	ORDER_TRYLOCK,
	ORDER_UNLOCK,
	ORDER_ADD_FENCE, /* value: the usage; with the object locked meanwhile */
	ORDER_SIGNAL,	 /* value: the error, or 0 */
	ORDER_WAIT,	 /* value: the usage */
	ORDER_TEST,	 /* value: the usage */
	ORDER_SYNC_LOCK, /* value: the type */
	ORDER_SYNC_UNLOCK,
	ORDER_END,
};

struct command {
	enum order order;
	unsigned int buffer;
	long value;
	uint64_t age;
};

struct remote {
	pid_t pid;
	int socket;
	unsigned int count;
	struct dma_buf **buffers;
};

static DMABUF_DEFINE_WW_CLASS(remote_wound_wait);

struct remote_side {
	struct dma_buf *dmabuf[REMOTE_BUFFERS];
	struct dmabuf_ww_acquire_ctx ctx;
	struct dma_fence *fence;
	struct dmabuf_sync *sync;
};

static long remote_add_fence(struct remote_side *s, struct dma_resv *obj, long usage)
{
	long ret = dma_resv_lock(obj, NULL);

	if (ret)
		return ret;
	ret = dma_resv_reserve_fences(obj, 1);
	if (!ret) {
		dma_fence_put(s->fence);
		s->fence = fence_new();
		ret = dma_resv_add_fence(obj, s->fence, (enum dma_resv_usage)usage);
	}
	dma_resv_unlock(obj);
	return ret;
}

static long remote_signal(struct remote_side *s, long error)
{
	if (error)
		dma_fence_set_error(s->fence, (int)error);
	return dma_fence_signal(s->fence);
}

static long remote_sync_lock(struct remote_side *s, struct dma_buf *dmabuf, long type)
{
	long ret;

	s->sync = dmabuf_sync_init(NULL, "remote");
	ret = dmabuf_sync_get(s->sync, dmabuf, (unsigned int)type);
	return ret ? ret : dmabuf_sync_lock(s->sync);
}

static long remote_sync_unlock(struct remote_side *s)
{
	long ret = dmabuf_sync_unlock(s->sync);

	dmabuf_sync_fini(s->sync);
	s->sync = NULL;
	return ret;
}

static long remote_do(struct remote_side *s, const struct command *c)
{
	struct dma_buf *dmabuf = s->dmabuf[c->buffer];
	struct dma_resv *obj = dmabuf ? dmabuf->resv : NULL;

	switch (c->order) {
	case ORDER_BEGIN:
		dmabuf_ww_acquire_init(&s->ctx,
				       c->value ? &remote_wound_wait : dma_resv_ww_class());
		if (c->age)
			s->ctx.stamp = c->age;
		return 0;
	case ORDER_FINI:
		return dmabuf_ww_acquire_fini(&s->ctx);
	case ORDER_LOCK:
		return dma_resv_lock(obj, &s->ctx);
	case ORDER_LOCK_INTR:
		return dma_resv_lock_interruptible(obj, &s->ctx);
	case ORDER_LOCK_SLOW:
		return dma_resv_lock_slow(obj, &s->ctx);
	case ORDER_LOCK_PLAIN:
		return dma_resv_lock(obj, NULL);
	case ORDER_TRYLOCK:
		return dma_resv_trylock(obj);
	case ORDER_UNLOCK:
		return dma_resv_unlock(obj);
	case ORDER_ADD_FENCE:
		return remote_add_fence(s, obj, c->value);
	case ORDER_SIGNAL:
		return remote_signal(s, c->value);
	case ORDER_WAIT:
		return dma_resv_wait_timeout(obj, (enum dma_resv_usage)c->value, false, 20000);
	case ORDER_TEST:
		return dma_resv_test_signaled(obj, (enum dma_resv_usage)c->value);
	case ORDER_SYNC_LOCK:
		return remote_sync_lock(s, dmabuf, c->value);
	case ORDER_SYNC_UNLOCK:
		return remote_sync_unlock(s);
	default:
		return 0;
	}
}

static int remote_main(void *arg)
{
	struct remote *r = arg;
	struct remote_side s = { .sync = NULL };
	struct command c = { .order = ORDER_BEGIN };
	unsigned int i;
	long ret;

	for (i = 0; i < r->count; i++) {
		s.dmabuf[i] = dma_buf_recv(r->socket, 20000);
		ASSERT(s.dmabuf[i]);
	}
	while (c.order != ORDER_END && recv(r->socket, &c, sizeof(c), 0) == sizeof(c)) {
		ret = remote_do(&s, &c);
		if (send(r->socket, &ret, sizeof(ret), MSG_NOSIGNAL) != sizeof(ret))
			break;
	}
	dmabuf_sync_fini(s.sync);
	if (s.ctx.ww_class)
		dmabuf_ww_acquire_fini(&s.ctx);
	for (i = 0; i < r->count; i++)
		dma_buf_put(s.dmabuf[i]);
	dma_fence_put(s.fence);
	close(r->socket);
	return 0;
}

__attribute__((unused)) static void remote_start(struct remote *r, struct dma_buf **buffers,
						 unsigned int count)
{
	int sockets[2];
	unsigned int i;

	socket_pair(SOCK_SEQPACKET, sockets);
	*r = (struct remote){ .socket = sockets[1], .count = count, .buffers = buffers };
	r->pid = spawn(remote_main, r);
	close(sockets[1]);
	r->socket = sockets[0];
	for (i = 0; i < count; i++)
		ASSERT_OK(dma_buf_send(r->socket, buffers[i], 20000));
}

__attribute__((unused)) static void remote_send(struct remote *r, struct command c)
{
	ASSERT_EQ(send(r->socket, &c, sizeof(c), MSG_NOSIGNAL), sizeof(c));
}

__attribute__((unused)) static long remote_answer(struct remote *r)
{
	struct pollfd p = { .fd = r->socket, .events = POLLIN };
	long ret;

	if (poll(&p, 1, 20000) != 1 || recv(r->socket, &ret, sizeof(ret), 0) != sizeof(ret))
		FAIL("the remote did not answer");
	return ret;
}

/* Has it answered already? */
__attribute__((unused)) static bool remote_answered(struct remote *r)
{
	struct pollfd p = { .fd = r->socket, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

__attribute__((unused)) static long remote_call(struct remote *r, enum order order,
						unsigned int buffer, long value)
{
	remote_send(r, (struct command){ order, buffer, value, 0 });
	return remote_answer(r);
}

__attribute__((unused)) static void remote_end(struct remote *r)
{
	remote_call(r, ORDER_END, 0, 0);
	ASSERT_EQ(reap(r->pid), 0);
	close(r->socket);
}

__attribute__((unused)) static void remote_kill(struct remote *r)
{
	kill(r->pid, SIGKILL);
	ASSERT_EQ(reap(r->pid), 128 + SIGKILL);
	close(r->socket);
}

/* How many accesses of that kind there are, of @pid or (0) of anybody. */
__attribute__((unused)) static unsigned int accesses_at(int fd, pid_t pid, bool lock,
							enum dma_buf_access_state state)
{
	struct dma_buf_info *info = malloc(sizeof(*info));
	unsigned int i, found = 0;

	info->struct_size = sizeof(*info);
	ASSERT_OK(dma_buf_get_info(fd, info));
	for (i = 0; i < info->access_count; i++)
		found += info->accesses[i].lock == lock && info->accesses[i].state == state &&
			 (!pid || info->accesses[i].pid == pid);
	free(info);
	return found;
}

__attribute__((unused)) static unsigned int accesses(struct dma_buf *dmabuf, pid_t pid, bool lock,
						     enum dma_buf_access_state state)
{
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	unsigned int found = accesses_at(fd, pid, lock, state);

	close(fd);
	return found;
}

struct waiting {
	struct dma_buf *dmabuf;
	pid_t pid;
	bool lock;
};

static bool is_waiting(void *arg)
{
	struct waiting *w = arg;

	return accesses(w->dmabuf, w->pid, w->lock, DMA_BUF_ACCESS_WAITING) > 0;
}

/* Until the remote's entry is in the queue of @dmabuf. */
__attribute__((unused)) static void remote_waits(struct remote *r, struct dma_buf *dmabuf,
						 bool lock)
{
	struct waiting w = { dmabuf, r->pid, lock };

	ASSERT(eventually(is_waiting, &w, 20000));
}

#endif
