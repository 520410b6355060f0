// SPDX-License-Identifier: MIT
/*
 * Through a ring of frames in shared memory. With two copies, as programs have it whose frames
 * must live in memory of their own; and in place, which is the least that any transport can cost,
 * and knows neither who holds a frame nor who died. The limit is the same without handing over:
 * both work on the same memory and nobody waits for anybody.
 */
#include "transport.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

struct ring {
	sem_t empty;
	sem_t filled;
	_Atomic(uint64_t) written __attribute__((aligned(64)));
	_Atomic(uint64_t) read __attribute__((aligned(64)));
};

#define SLOT ((FRAME_SIZE + 4095) / 4096 * 4096)

static struct ring *rings[3], *ring;
static void *frame;
static unsigned int at;

static struct ring *ring_make(void)
{
	size_t size = 4096 + FRAME_BUFFERS * SLOT;
	struct ring *r =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	bench_check(r != MAP_FAILED, "mmap");
	bench_check(!sem_init(&r->empty, 1, FRAME_BUFFERS), "sem_init");
	bench_check(!sem_init(&r->filled, 1, 0), "sem_init");
	return r;
}

static void prepare(void)
{
	rings[0] = ring_make();
}

static void prepare_in_place(void)
{
	rings[1] = ring_make();
}

static void join(int source)
{
	ring = rings[0];
	frame = transport_private_frame();
}

static void join_in_place(int source)
{
	ring = rings[1];
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		bench_check(errno == EINTR, "sem_wait");
}

static void *slot(void)
{
	return (char *)ring + 4096 + at * SLOT;
}

static void *begin(void)
{
	return frame;
}

static void *begin_in_place(void)
{
	wait_for(&ring->empty);
	return slot();
}

static void commit_in_place(void)
{
	sem_post(&ring->filled);
	at = (at + 1) % FRAME_BUFFERS;
}

static void commit(void)
{
	memcpy(begin_in_place(), frame, FRAME_SIZE);
	transport_copied += FRAME_SIZE;
	commit_in_place();
}

static const void *take_in_place(void)
{
	wait_for(&ring->filled);
	return slot();
}

static void release_in_place(void)
{
	sem_post(&ring->empty);
	at = (at + 1) % FRAME_BUFFERS;
}

static const void *take(void)
{
	memcpy(frame, take_in_place(), FRAME_SIZE);
	transport_copied += FRAME_SIZE;
	release_in_place();
	return frame;
}

static void release(void)
{
}

static void prepare_limit(void)
{
	rings[2] = ring_make();
}

static void join_limit(int source)
{
	ring = rings[2];
}

static void spin(const _Atomic(uint64_t) *counter, uint64_t until)
{
	while (atomic_load_explicit(counter, memory_order_acquire) < until)
		sched_yield();
}

static uint64_t frames;

static void *begin_limit(void)
{
	if (frames >= FRAME_BUFFERS)
		spin(&ring->read, frames - FRAME_BUFFERS + 1);
	return slot();
}

static void commit_limit(void)
{
	atomic_store_explicit(&ring->written, ++frames, memory_order_release);
	at = (at + 1) % FRAME_BUFFERS;
}

static const void *take_limit(void)
{
	spin(&ring->written, frames + 1);
	return slot();
}

static void release_limit(void)
{
	atomic_store_explicit(&ring->read, ++frames, memory_order_release);
	at = (at + 1) % FRAME_BUFFERS;
}

const struct transport transport_limit = {
	.name = "limit",
	.prepare = prepare_limit,
	.join = join_limit,
	.begin = begin_limit,
	.commit = commit_limit,
	.take = take_limit,
	.release = release_limit,
};

const struct transport transport_ring = {
	.name = "ring",
	.prepare = prepare,
	.join = join,
	.begin = begin,
	.commit = commit,
	.take = take,
	.release = release,
};

const struct transport transport_in_place = {
	.name = "in-place",
	.prepare = prepare_in_place,
	.join = join_in_place,
	.begin = begin_in_place,
	.commit = commit_in_place,
	.take = take_in_place,
	.release = release_in_place,
};
