// SPDX-License-Identifier: MIT
/*
 * A driver in the kernel's spelling whose jobs work on buffers that other processes' drivers use
 * too: rows E1 and E2. The reservation is the usual loop over a list of objects, the job waits for
 * what it found there and adds its own fence.
 */
#include <dmabuf.h>
#include <dmabuf/kernel.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

#define PROCESSES 3
#define OBJECTS 4
#define NONE (~0u)

struct object {
	struct dma_buf *dmabuf;
	struct dma_resv *resv;
	_Atomic(uint32_t) *mem;
	bool write;
};

struct job {
	struct dma_fence base;
	spinlock_t lock;
	struct dma_fence *deps[OBJECTS * 64];
	unsigned int num_deps;
};

static const char *job_driver(struct dma_fence *fence)
{
	return "exec";
}

static const struct dma_fence_ops job_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = job_driver,
	.get_timeline_name = job_driver,
};

static void unlock_but(struct object *objs, const bool *locked)
{
	unsigned int i;

	for (i = 0; i < OBJECTS; i++)
		if (locked[i])
			dma_resv_unlock(objs[i].resv);
}

/* All of them locked, with room for a fence each. */
static int exec_lock(struct object *objs, struct ww_acquire_ctx *ticket)
{
	unsigned int i, contended = NONE;
	bool locked[OBJECTS];
	int ret;

	ww_acquire_init(ticket, &reservation_ww_class);
retry:
	for (i = 0; i < OBJECTS; i++)
		locked[i] = false;
	if (contended != NONE) {
		ret = dma_resv_lock_slow_interruptible(objs[contended].resv, ticket);
		if (ret == -ERESTARTSYS)
			goto retry;
		if (ret)
			goto fini;
		locked[contended] = true;
	}
	for (i = 0; i < OBJECTS; i++) {
		ret = dma_resv_lock_interruptible(objs[i].resv, ticket);
		if (ret == -EALREADY && i == contended)
			ret = 0;
		else if (!ret)
			locked[i] = true;
		if (!ret)
			ret = dma_resv_reserve_fences(objs[i].resv, 1);
		if (!ret)
			continue;
		unlock_but(objs, locked);
		if (ret == -EDEADLK) {
			contended = i;
			goto retry;
		}
		goto fini;
	}
	ww_acquire_done(ticket);
	return 0;

fini:
	ww_acquire_fini(ticket);
	return ret;
}

static void exec_unlock(struct object *objs, struct ww_acquire_ctx *ticket)
{
	unsigned int i;

	for (i = 0; i < OBJECTS; i++) {
		dma_resv_assert_held(objs[i].resv);
		dma_resv_unlock(objs[i].resv);
	}
	ww_acquire_fini(ticket);
}

static void job_depend(struct job *job, struct object *obj)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;

	dma_resv_for_each_fence(&cursor, obj->resv, dma_resv_usage_rw(obj->write), fence)
		if (!dma_fence_is_signaled(fence) && job->num_deps < OBJECTS * 64)
			job->deps[job->num_deps++] = dma_fence_get(fence);
}

static struct job *submit(struct object *objs, uint64_t context, uint64_t seqno)
{
	struct job *job = calloc(1, sizeof(*job));
	struct ww_acquire_ctx ticket;
	unsigned int i;

	spin_lock_init(&job->lock);
	dma_fence_init(&job->base, &job_ops, &job->lock, context, seqno);
	ASSERT_OK(exec_lock(objs, &ticket));
	for (i = 0; i < OBJECTS; i++)
		job_depend(job, &objs[i]);
	for (i = 0; i < OBJECTS; i++)
		dma_resv_add_fence(objs[i].resv, &job->base,
				   objs[i].write ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
	exec_unlock(objs, &ticket);
	return job;
}

/* What the engine does: readers see what one writer left, writers are alone. */
static void run(struct object *objs, struct job *job, uint32_t mark)
{
	unsigned int i, round;
	uint32_t seen[OBJECTS];

	for (i = 0; i < job->num_deps; i++) {
		ASSERT_EQ(dma_fence_wait_timeout(job->deps[i], false, 20 * HZ) > 0, 1);
		dma_fence_put(job->deps[i]);
	}
	for (i = 0; i < OBJECTS; i++) {
		if (objs[i].write)
			atomic_store(objs[i].mem, mark);
		seen[i] = atomic_load(objs[i].mem);
	}
	for (round = 0; round < 20; round++)
		for (i = 0; i < OBJECTS; i++)
			ASSERT_EQ(atomic_load(objs[i].mem), seen[i]);
	ASSERT_OK(dma_fence_signal(&job->base));
	dma_fence_put(&job->base);
}

struct setup {
	int fds[OBJECTS];
	unsigned int number;
};

static void everybody_is_here(_Atomic(uint32_t) *count)
{
	atomic_fetch_add(count, 1);
	while (atomic_load(count) < PROCESSES)
		usleep(1000);
}

static int client(void *arg)
{
	struct setup *s = arg;
	unsigned int i, jobs = test_is_slow() ? 100 : 3000, seed = s->number, waited = 0;
	uint64_t context = dma_fence_context_alloc(1);
	struct object objs[OBJECTS];
	struct job *job;

	for (i = 0; i < OBJECTS; i++) {
		struct object *obj = &objs[s->number % 2 ? OBJECTS - 1 - i : i];

		obj->dmabuf = dma_buf_get(s->fds[i]);
		ASSERT(obj->dmabuf);
		obj->resv = obj->dmabuf->resv;
		ASSERT((obj->mem = dma_buf_vmap(obj->dmabuf)));
	}
	everybody_is_here(s->number % 2 ? objs[OBJECTS - 1].mem + 1 : objs[0].mem + 1);
	for (i = 1; i <= jobs; i++) {
		unsigned int o;

		for (o = 0; o < OBJECTS; o++)
			objs[o].write = rand_r(&seed) % 2;
		job = submit(objs, context, i);
		waited += job->num_deps > 0;
		run(objs, job, s->number << 16 | i);
	}
	test_note("%u of %u jobs had to wait for others", waited, jobs);
	for (i = 0; i < OBJECTS; i++) {
		dma_buf_vunmap(objs[i].dmabuf, objs[i].mem);
		dma_buf_put(objs[i].dmabuf);
		close(s->fds[i]);
	}
	return 0;
}

TEST_TIMEOUT(E2_jobs_of_drivers_in_three_processes_wait_for_each_other, 300)
{
	struct dma_buf *dmabuf[OBJECTS];
	pid_t pid[PROCESSES];
	struct setup s;
	unsigned int i;

	for (i = 0; i < OBJECTS; i++) {
		ASSERT((dmabuf[i] = dma_buf_alloc("bo", 4096, O_RDWR)));
		ASSERT_OK(s.fds[i] = dma_buf_fd(dmabuf[i], O_CLOEXEC));
	}
	for (i = 0; i < PROCESSES; i++) {
		s.number = i + 1;
		pid[i] = spawn(client, &s);
	}
	for (i = 0; i < PROCESSES; i++)
		ASSERT_EQ(reap_within(pid[i], 100000), 0);
	for (i = 0; i < OBJECTS; i++) {
		ASSERT(dma_resv_test_signaled(dmabuf[i]->resv, DMA_RESV_USAGE_BOOKKEEP));
		ASSERT(!dma_resv_is_locked(dmabuf[i]->resv));
		close(s.fds[i]);
		dma_buf_put(dmabuf[i]);
	}
}
