// SPDX-License-Identifier: MIT
/*
 * Threads that look at a buffer's reservation object, watch what they find and add fences, while
 * another process comes and goes: row E2.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "fence.h"
#include "peer.h"

#define WATCHERS 2

static int rounds(void)
{
	return test_is_slow() ? 2000 : 20000;
}

static void add(struct dma_resv *obj, struct dma_fence *fence, enum dma_resv_usage usage)
{
	struct dma_resv_iter cursor;
	struct dma_fence *other;

	ASSERT_OK(dma_resv_lock(obj, NULL));
	ASSERT_OK(dma_resv_reserve_fences(obj, 1));
	dma_resv_for_each_fence(&cursor, obj, DMA_RESV_USAGE_READ, other)
		ASSERT(dma_fence_get_status(other) >= 0);
	ASSERT_OK(dma_resv_add_fence(obj, fence, usage));
	ASSERT_OK(dma_resv_unlock(obj));
}

static bool told_to_end(struct peer *peer)
{
	struct pollfd p = { .fd = peer->socket, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int come_and_go(struct peer *peer, struct dma_buf *dmabuf)
{
	unsigned int i;

	peer_tell(peer);
	for (i = 0; !told_to_end(peer); i++) {
		struct dma_fence *fence = fence_new();

		ASSERT_OK(dmabuf_sync_single_lock(
			dmabuf, i % 2 ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_R, true));
		sched_yield();
		ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
		add(dmabuf->resv, fence, i % 3);
		ASSERT_OK(dma_fence_signal(fence));
		dma_fence_put(fence);
	}
	peer_wait(peer);
	dma_buf_put(dmabuf);
	return 0;
}

static void *look(void *arg)
{
	struct dma_resv *obj = arg;
	struct dma_fence *one;
	int i;

	for (i = 0; i < rounds(); i++) {
		ASSERT(dma_resv_wait_timeout(obj, DMA_RESV_USAGE_READ, false, 20000) > 0);
		dma_resv_test_signaled(obj, DMA_RESV_USAGE_WRITE);
		ASSERT_OK(dma_resv_get_singleton(obj, DMA_RESV_USAGE_READ, &one));
		if (one)
			ASSERT(dma_fence_wait_timeout(one, false, 20000) > 0);
		dma_fence_put(one);
	}
	return NULL;
}

/* Each callback is called once, for whoever forgets the fence meanwhile. */
static void *watch(void *arg)
{
	int goal = rounds() / 10, added = 0, i;
	struct counting_cb *cbs = calloc((size_t)goal, sizeof(*cbs));
	struct dma_resv *obj = arg;

	while (added < goal) {
		struct dma_fence **fences;
		unsigned int count;

		ASSERT_OK(dma_resv_get_fences(obj, DMA_RESV_USAGE_READ, &count, &fences));
		/* Those of others come last. */
		if (count &&
		    !dma_fence_add_callback(fences[count - 1], &cbs[added].base, counting_call))
			added++;
		while (count)
			dma_fence_put(fences[--count]);
		free(fences);
	}
	for (i = 0; i < added; i++)
		while (!cbs[i].calls)
			usleep(1000);
	for (i = 0; i < added; i++)
		ASSERT_EQ(cbs[i].calls, 1);
	free(cbs);
	return NULL;
}

TEST_TIMEOUT(E2_looking_and_watching_are_safe_while_others_come_and_go, 300)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	pthread_t looker, watcher[WATCHERS];
	struct peer peer;
	int i;

	peer_start(&peer, dmabuf, come_and_go, NULL);
	peer_wait(&peer);
	looker = thread_start(look, dmabuf->resv);
	for (i = 0; i < WATCHERS; i++)
		watcher[i] = thread_start(watch, dmabuf->resv);
	for (i = 0; i < rounds(); i++) {
		struct dma_fence *fence = fence_new();

		add(dmabuf->resv, fence, (enum dma_resv_usage)(i % 4));
		ASSERT_OK(dma_fence_signal(fence));
		dma_fence_put(fence);
	}
	thread_join(looker);
	for (i = 0; i < WATCHERS; i++)
		thread_join(watcher[i]);
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT(dma_resv_test_signaled(dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP));
	dma_buf_put(dmabuf);
}
