// SPDX-License-Identifier: MIT
/*
 * Requests through threads with preadv() and pwritev(), where io_uring is denied. The threads block
 * all signals, so none of the program's handlers runs in them.
 */
#include "block.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "error.h"

#define STACK_SIZE ((size_t)256 * 1024)

struct pool {
	pthread_cond_t work;
	struct block_list queue;
	bool stop;
	unsigned int started;
	pthread_t threads[BLOCK_MAX_WORKERS];
};

static void carry_out(struct block_device *b, struct block_transfer *t)
{
	struct block_request r;
	ssize_t n;

	while (block_next(b, t, &r)) {
		n = r.write ? pwritev(r.fd, r.iov, (int)r.iovcnt, r.offset)
			    : preadv(r.fd, r.iov, (int)r.iovcnt, r.offset);
		block_advance(b, t, n < 0 ? -errno : n);
	}
}

static void *worker(void *data)
{
	struct block_device *b = data;
	struct pool *pool = b->engine_priv;
	struct block_transfer *t;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		t = block_list_take(&pool->queue);
		if (!t && pool->stop)
			break;
		if (!t) {
			pthread_cond_wait(&pool->work, &b->lock);
			continue;
		}
		pthread_mutex_unlock(&b->lock);
		carry_out(b, t);
		pthread_mutex_lock(&b->lock);
		block_finish(b, t);
		block_signal_done(b);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void start_workers(struct block_device *b, struct pool *pool, unsigned int count)
{
	pthread_attr_t attr;
	sigset_t all, before;

	if (pthread_attr_init(&attr))
		return;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->started < count &&
	       !pthread_create(&pool->threads[pool->started], &attr, worker, b))
		pool->started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

static int threads_create(struct block_device *b)
{
	unsigned int count = b->depth < BLOCK_MAX_WORKERS ? b->depth : BLOCK_MAX_WORKERS;
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	block_list_init(&pool->queue);
	pthread_cond_init(&pool->work, NULL);
	b->engine_priv = pool;
	start_workers(b, pool, count);
	b->workers = pool->started;
	if (pool->started)
		return 0;
	pthread_cond_destroy(&pool->work);
	free(pool);
	return -EAGAIN;
}

static void threads_destroy(struct block_device *b)
{
	struct pool *pool = b->engine_priv;
	unsigned int i;

	pthread_mutex_lock(&b->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&b->lock);
	for (i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	free(pool);
}

/* The threads are the parent's. */
static void threads_abandon(struct block_device *b)
{
	free(b->engine_priv);
}

static int threads_start(struct block_device *b, struct block_transfer *t)
{
	struct pool *pool = b->engine_priv;

	block_list_add(&pool->queue, t);
	pthread_cond_signal(&pool->work);
	return 0;
}

static void threads_collect(struct block_device *b)
{
}

static void threads_wait(struct block_device *b, int ms)
{
	struct timespec until;

	if (ms > 100)
		ms = 100;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&b->settled, &b->lock, &until);
}

static int threads_map(struct block_device *b, struct block_region *region)
{
	return 0;
}

static void threads_unmap(struct block_device *b, struct block_region *region)
{
}

/*
 * A thread in preadv() or pwritev() keeps its process's descriptors until the call has ended, also
 * when the process was killed: the lock of the handle's slot says so already.
 */
static int threads_guard(struct block_device *b, struct block_region *region, int fd)
{
	return 0;
}

const struct block_engine_ops block_threads_engine = {
	.method = DMA_BUF_BLOCK_THREADS,
	.create = threads_create,
	.destroy = threads_destroy,
	.abandon = threads_abandon,
	.start = threads_start,
	.collect = threads_collect,
	.wait = threads_wait,
	.map = threads_map,
	.unmap = threads_unmap,
	.guard = threads_guard,
};
