// SPDX-License-Identifier: MIT
/*
 * Locks in shared memory that a peer holds, forges, or dies with.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "forged.h"
#include "harness.h"
#include "shm/client.h"
#include "shm/lock.h"

/* Longer than any single call may take; sanitizers are slow. */
#define CALL_LIMIT_MS (2 * LOCK_TIMEOUT_MS)

struct peer {
	int fd;
	struct gate *joined, *done;
};

static int hold(void *arg)
{
	struct peer *p = arg;
	struct dma_buf *dmabuf = dma_buf_get(p->fd);

	ASSERT(dmabuf);
	gate_signal(p->joined);
	gate_wait(p->done);
	dma_buf_put(dmabuf);
	close(p->fd);
	return 0;
}

static void try_attach(struct dma_buf *dmabuf, int err, int64_t at_least_ms, int64_t at_most_ms)
{
	struct dma_buf_attachment *attach;
	int64_t began = now_ms(), took;

	errno = 0;
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	took = now_ms() - began;
	ASSERT_EQ(attach ? 0 : errno, err);
	ASSERT(took >= at_least_ms && took <= at_most_ms);
	if (attach)
		dma_buf_detach(dmabuf, attach);
}

TEST(A4_a_lock_word_in_a_living_peers_name_times_out_and_names_it)
{
	struct dma_buf *dmabuf = dma_buf_alloc("forged lock", 4096, O_RDWR);
	struct dma_buf_attachment *attach[16];
	struct gate joined, done;
	struct forged f;
	struct peer p;
	int64_t began;
	pid_t pid;
	int i;

	ASSERT(dmabuf);
	forged_view(&f, dmabuf);
	gate_init(&joined);
	gate_init(&done);
	p = (struct peer){ f.fd, &joined, &done };
	pid = spawn(hold, &p);
	gate_wait(&joined);
	for (i = 0; i < 16; i++) {
		attach[i] = dma_buf_attach(dmabuf, dma_buf_cpu_device());
		ASSERT(attach[i]);
	}

	/* Nobody's, ours, and the living peer's. */
	atomic_store(&f.header->list_lock.word, 200);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	atomic_store(&f.header->list_lock.word, 1 | 0x12300);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	atomic_store(&f.header->list_lock.word, 40);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	atomic_store(&f.header->list_lock.word, 2);
	try_attach(dmabuf, ETIMEDOUT, LOCK_TIMEOUT_MS, CALL_LIMIT_MS);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "test-hostile");

	/* Its patience is spent: what follows does not wait as long again, each time. */
	began = now_ms();
	for (i = 0; i < 16; i++)
		dma_buf_detach(dmabuf, attach[i]);
	ASSERT(now_ms() - began < CALL_LIMIT_MS);
	atomic_store(&f.header->list_lock.word, 0);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	gate_signal(&done);
	ASSERT_EQ(reap(pid), 0);
	gate_close(&joined);
	gate_close(&done);
	forged_free(&f);
	dma_buf_put(dmabuf);
}

struct held {
	struct dma_buf *dmabuf;
	struct forged f;
	struct gate joined, done;
	struct peer peer;
	pid_t pid;
};

/* A buffer with a living second holder, which has slot 1. */
static void held_new(struct held *h, struct dma_buf *dmabuf)
{
	h->dmabuf = dmabuf;
	forged_view(&h->f, dmabuf);
	gate_init(&h->joined);
	gate_init(&h->done);
	h->peer = (struct peer){ h->f.fd, &h->joined, &h->done };
	h->pid = spawn(hold, &h->peer);
	gate_wait(&h->joined);
}

static void held_free(struct held *h)
{
	gate_signal(&h->done);
	ASSERT_EQ(reap(h->pid), 0);
	gate_close(&h->joined);
	gate_close(&h->done);
	forged_free(&h->f);
	dma_buf_put(h->dmabuf);
}

TEST(C3_coherency_locked_in_a_living_peers_name_times_out_and_ends_what_it_ends)
{
	struct dma_buf_device *shy = hostile_device(true);
	struct dma_buf *dmabuf = dma_buf_alloc("forged lock", 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, shy);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	struct held h;
	int64_t began;

	ASSERT(table);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL));
	held_new(&h, dmabuf);
	atomic_store(&h.f.header->coherency_lock.word, 2);

	began = now_ms();
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "test-hostile");
	ASSERT(now_ms() - began >= LOCK_TIMEOUT_MS);
	ASSERT(now_ms() - began < CALL_LIMIT_MS);

	began = now_ms();
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL), ETIMEDOUT);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, 100, DMA_BIDIRECTIONAL), EINVAL);
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), ETIMEDOUT);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL), ETIMEDOUT);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL), ETIMEDOUT);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL), EINVAL);
	dma_buf_detach(dmabuf, attach);
	ASSERT(now_ms() - began < CALL_LIMIT_MS);

	/* Once it can be had again it is waited for as ever. */
	atomic_store(&h.f.header->coherency_lock.word, 0);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 1, DMA_FROM_DEVICE));
	held_free(&h);
	dma_buf_device_put(shy);
}

/* A holder that is stopped in the middle, and goes on before the time is up, is waited for. */
static int release_later(void *arg)
{
	struct peer *p = arg;
	struct dma_buf *dmabuf = dma_buf_get(p->fd);
	struct forged f;

	ASSERT(dmabuf);
	forged_view(&f, dmabuf);
	atomic_store(&f.header->list_lock.word, 2 | 1 << 8);
	gate_signal(p->joined);
	/* A waiter says so in the word. */
	while (!(atomic_load(&f.header->list_lock.word) & 0x80000000u))
		sched_yield();
	atomic_store(&f.header->list_lock.word, 0);
	forged_free(&f);
	dma_buf_put(dmabuf);
	close(p->fd);
	return 0;
}

TEST(A4_a_holder_that_lets_go_late_is_waited_for)
{
	struct dma_buf *dmabuf = dma_buf_alloc("late", 4096, O_RDWR);
	struct gate joined;
	struct peer p = { dma_buf_fd(dmabuf, O_CLOEXEC), &joined, NULL };
	pid_t pid;

	gate_init(&joined);
	pid = spawn(release_later, &p);
	gate_wait(&joined);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	ASSERT_EQ(reap(pid), 0);
	gate_close(&joined);
	close(p.fd);
	dma_buf_put(dmabuf);
}

static int die_with_locks(void *arg)
{
	struct peer *p = arg;
	struct dma_buf *dmabuf = dma_buf_get(p->fd);
	struct forged f;

	ASSERT(dmabuf);
	forged_view(&f, dmabuf);
	/* Between begin and end of a change: nothing in there is to be believed. */
	atomic_store(&f.header->coherency_lock.word, 2 | 1 << 8);
	atomic_store(&f.header->list_lock.word, 2 | 1 << 8);
	memset(&f.header->coherency, 0, sizeof(f.header->coherency));
	_exit(0);
}

TEST(C3_what_a_dead_holder_of_the_coherency_lock_left_is_not_believed)
{
	struct dma_buf_device *shy = hostile_device(true);
	struct dma_buf *dmabuf = dma_buf_alloc("dead", 8192, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, shy);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	struct peer p = { dma_buf_fd(dmabuf, O_CLOEXEC), NULL, NULL };
	struct dma_buf_counters before, after;
	int64_t began = now_ms();

	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	/* Nothing is dirty and nothing stale, so reading costs no operation. */
	ASSERT_OK(dma_buf_get_counters(dmabuf, &before));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8192, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8192, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_get_counters(dmabuf, &after));
	ASSERT_EQ(after.sync_needed, before.sync_needed);

	ASSERT_EQ(reap(spawn(die_with_locks, &p)), 0);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 8192, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 8192, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_get_counters(dmabuf, &before));
	ASSERT(before.sync_needed > after.sync_needed);
	try_attach(dmabuf, 0, 0, LOCK_TIMEOUT_MS);
	ASSERT(now_ms() - began < LOCK_TIMEOUT_MS);
	dma_buf_detach(dmabuf, attach);
	close(p.fd);
	dma_buf_put(dmabuf);
	dma_buf_device_put(shy);
}
