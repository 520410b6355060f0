// SPDX-License-Identifier: MIT
/*
 * Each allocation and system call of what queues work fails in turn: the call says so, nothing is
 * queued or held, and it works afterwards. Each step is a process of its own, because the library's
 * threads are made once.
 */
#include <dmabuf.h>

#include "block-util.h"
#include "faults.h"

#define SIZE 16384
#define STEPS_MAX 100
/* How a process says that its step was there, and went well. */
#define STEP_FAILED 42

struct scenario {
	const char *name;
	int (*call)(struct rig *r, struct dma_fence **fence);
	bool leaves_nothing; /* not even what is kept for the next time */
	int step;
};

static int succeed(void *data)
{
	return 0;
}

static int call_work(struct rig *r, struct dma_fence **fence)
{
	struct dmabuf_work_buffer buffer = { .dmabuf = r->dmabuf, .type = DMA_BUF_ACCESS_W };
	struct dmabuf_work work = {
		.struct_size = sizeof(work), .func = succeed, .buffers = &buffer, .num_buffers = 1
	};

	return dmabuf_queue_work(&work, fence);
}

static int call_block(struct rig *r, struct dma_fence **fence)
{
	struct dma_buf_block_job job = { .struct_size = sizeof(job),
					 .direction = DMA_FROM_DEVICE,
					 .length = SIZE };

	return dma_buf_block_queue(r->attach, r->table, &job, fence);
}

static int call_device_lock(struct rig *r, struct dma_fence **fence)
{
	int fd = dma_buf_device_lock_fd(r->dmabuf, O_CLOEXEC);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int run_step(void *arg)
{
	static const struct way any = { "any", DMA_BUF_BLOCK_AUTO, false };
	const struct scenario *sc = arg;
	struct dma_fence *fence = NULL;
	int err, file = scratch_file(O_RDWR);
	const char *failed;
	struct rig r;
	long before;

	ASSERT_OK(ftruncate(file, SIZE));
	ASSERT(rig_open(&r, file, &any, SIZE));
	before = faults_allocations();
	faults_arm(sc->step);
	err = sc->call(&r, &fence);
	failed = faults_disarm();
	if (err) {
		ASSERT(failed);
		ASSERT(err == -ENOMEM || err == -EAGAIN || err == -EMFILE);
		ASSERT(!fence && *dmabuf_last_error());
		if (sc->leaves_nothing)
			ASSERT_EQ(faults_allocations(), before);
		ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
		ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
		/* It works if it may. */
		ASSERT_OK(sc->call(&r, &fence));
	}
	if (fence) {
		ASSERT(dma_fence_wait_timeout(fence, false, WAIT_MS) > 0);
		/* In the library's threads a step may fail too; that is the fence's then. */
		if (err || !failed)
			ASSERT_EQ(dma_fence_get_status(fence), 1);
		dma_fence_put(fence);
	}
	rig_close(&r);
	_exit(failed ? STEP_FAILED : 0);
}

/* How many steps it has. */
static int run_steps(struct scenario sc)
{
	int status;

	for (sc.step = 1; sc.step < STEPS_MAX; sc.step++) {
		status = reap(spawn(run_step, &sc));
		if (!status)
			break;
		ASSERT_EQ(status, STEP_FAILED);
	}
	test_note("%s: %d steps", sc.name, sc.step - 1);
	return sc.step - 1;
}

TEST(E4_a_function_that_cannot_be_queued_leaves_nothing)
{
	ASSERT(run_steps((struct scenario){ "a function", call_work, true }) >= 4);
}

TEST(E4_a_transfer_that_cannot_be_queued_leaves_nothing)
{
	ASSERT(run_steps((struct scenario){ "a transfer", call_block }) >= 5);
}

TEST(D5_a_device_lock_that_cannot_be_had_leaves_nothing)
{
	ASSERT(run_steps((struct scenario){ "a device lock", call_device_lock, true }) >= 2);
}
