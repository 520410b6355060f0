// SPDX-License-Identifier: MIT
/*
 * Work that is queued before its inputs are ready (row E4): it begins when fences and buffers are
 * there, in the library, and the application sleeps on.
 */
#include <dmabuf.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "fence.h"
#include "fuse-file.h"
#include "peer.h"
#include "queued-util.h"

static long sleeps(void)
{
	struct rusage usage;

	ASSERT_OK(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

/* The end of several jobs, told to somebody who sleeps outside of the library. */
struct ending {
	struct dma_fence_cb cb;
	atomic_int *left;
	struct gate *gate;
};

static void tell_the_end(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct ending *e = (struct ending *)cb;

	if (atomic_fetch_sub(e->left, 1) == 1)
		gate_signal(e->gate);
}

/* Reads frames that the disk does not give yet, inverts them, writes them elsewhere. */
static void pipeline(struct fuse_file *f, const struct way *way)
{
	enum { FRAMES = 4 };
	int out = scratch_file(O_RDWR);
	struct dma_fence *read[FRAMES], *inverted[FRAMES], *written[FRAMES];
	struct stage stages[FRAMES] = { 0 };
	struct rig in[FRAMES], to[FRAMES];
	struct ending endings[FRAMES];
	unsigned char got[SIZE];
	atomic_int left = FRAMES;
	struct gate gate;
	long slept;
	int i, j;

	gate_init(&gate);
	fill(f->data, sizeof(f->data), 7);
	if (!rig_open(&in[0], f->fd, way, SIZE))
		goto out;
	ASSERT(rig_open(&to[0], out, way, SIZE));
	for (i = 1; i < FRAMES; i++) {
		ASSERT(rig_open(&in[i], f->fd, way, SIZE));
		ASSERT(rig_open(&to[i], out, way, SIZE));
	}
	atomic_store(&f->hold, true);
	for (i = 0; i < FRAMES; i++) {
		/* One buffer at two devices. */
		struct dma_buf_attachment *attach = dma_buf_attach(in[i].dmabuf, to[i].dev);
		struct rig writer = to[i];

		ASSERT(attach);
		writer.attach = attach;
		writer.table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
		ASSERT(writer.table);
		stages[i].rig = &in[i];
		read[i] = queue_block(&in[i], DMA_FROM_DEVICE, SIZE, (uint64_t)i * SIZE, NULL);
		inverted[i] = queue_stage(&stages[i], in[i].dmabuf, DMA_BUF_ACCESS_W, read[i]);
		written[i] =
			queue_block(&writer, DMA_TO_DEVICE, SIZE, (uint64_t)i * SIZE, inverted[i]);
	}
	for (i = 0; i < FRAMES; i++) {
		ASSERT(!dma_fence_is_signaled(read[i]));
		endings[i] = (struct ending){ .left = &left, .gate = &gate };
		ASSERT_OK(dma_fence_add_callback(written[i], &endings[i].cb, tell_the_end));
	}
	fuse_file_release(f);
	/* The only thread of the program is in poll(), where nothing but the end wakes it. */
	slept = sleeps();
	gate_wait(&gate);
	slept = sleeps() - slept;
	for (i = 0; i < FRAMES; i++) {
		ASSERT_EQ(status_of(written[i]), 1);
		ASSERT_EQ(dma_fence_get_status(read[i]), 1);
		ASSERT_EQ(dma_fence_get_status(inverted[i]), 1);
		ASSERT_EQ(atomic_load(&stages[i].calls), 1);
		ASSERT(!pthread_equal(stages[i].thread, pthread_self()));
		ASSERT_EQ(pread(out, got, SIZE, (off_t)i * SIZE), SIZE);
		for (j = 0; j < SIZE; j++)
			ASSERT_EQ(got[j], (unsigned char)~f->data[i * SIZE + j]);
		dma_fence_put(read[i]);
		dma_fence_put(inverted[i]);
		dma_fence_put(written[i]);
		rig_close(&in[i]);
		rig_close(&to[i]);
	}
	test_note("%s: %d jobs, and the application slept %ld times", way->name, 3 * FRAMES, slept);
out:
	gate_close(&gate);
	close(out);
}

TEST_TIMEOUT(E4_read_stage_and_write_follow_each_other_while_the_application_sleeps, 300)
{
	struct fuse_file *f = fuse_file_open();
	unsigned int way;

	for (way = 0; way < WAYS; way++)
		pipeline(f, &ways[way]);
	fuse_file_close(f);
}

TEST(E4_a_job_waits_for_fences_and_queues_for_its_buffers_meanwhile)
{
	struct stage early = { 0 };
	struct dma_fence *input, *job;
	struct rig r;

	rig_with_file(&r, 4);
	input = fence_new();
	job = queue_stage(&early, r.dmabuf, DMA_BUF_ACCESS_W, input);
	/* Who comes later gets the buffer later. */
	ASSERT_ERR(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_R, false), EBUSY);
	ASSERT_EQ(dma_fence_wait_timeout(job, false, 50), 0);
	ASSERT_EQ(atomic_load(&early.calls), 0);
	ASSERT_OK(dma_fence_signal(input));
	ASSERT_EQ(status_of(job), 1);
	ASSERT_EQ(atomic_load(&early.calls), 1);
	/* A fence that is signalled says that the buffer is free. */
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	dma_fence_put(input);
	dma_fence_put(job);
	rig_close(&r);
}

TEST(E4_a_job_waits_for_who_has_its_buffer)
{
	struct dma_fence *job;
	struct rig r;

	rig_with_file(&r, 4);
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
	job = queue_block(&r, DMA_TO_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(dma_fence_wait_timeout(job, false, 50), 0);
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	ASSERT_EQ(status_of(job), 1);
	dma_fence_put(job);
	rig_close(&r);
}

/* Whoever queued it may forget about it. */
TEST(E4_a_job_goes_on_when_everything_else_was_dropped)
{
	int out = scratch_file(O_RDWR);
	struct fuse_file *f = fuse_file_open();
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		struct dma_fence *read;
		struct rig r;

		memset(f->data, 0x5a, sizeof(f->data));
		atomic_store(&f->arrived, 0);
		if (!rig_open(&r, f->fd, &ways[way], SIZE))
			continue;
		atomic_store(&f->hold, true);
		read = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, NULL);
		dma_buf_vunmap(r.dmabuf, r.cpu);
		dma_buf_put(r.dmabuf);
		dma_buf_device_put(r.dev);
		fuse_file_release(f);
		ASSERT_EQ(status_of(read), 1);
		dma_fence_put(read);
	}
	fuse_file_close(f);
	close(out);
}

/* Their own depth bounds transfers, not jobs; and what the program reaps is not the library's. */
TEST(E4_more_jobs_than_the_device_takes_wait_for_their_turn)
{
	enum { JOBS = 32 };
	struct dma_buf_block_completion c;
	struct dma_fence *jobs[JOBS];
	struct rig r, more[JOBS];
	int i, fd = scratch_file(O_RDWR);

	ASSERT_OK(ftruncate(fd, SIZE));
	ASSERT(rig_open_depth(&r, fd, &any, SIZE, 2));
	ASSERT_OK(rig_submit(&r, DMA_FROM_DEVICE, 0, 4096, 0, 1));
	ASSERT_OK(rig_submit(&r, DMA_FROM_DEVICE, 4096, 4096, 0, 2));
	for (i = 0; i < JOBS; i++) {
		more[i] = r;
		more[i].dmabuf = dma_buf_alloc("more", SIZE, O_RDWR);
		more[i].attach = dma_buf_attach(more[i].dmabuf, r.dev);
		ASSERT(more[i].attach);
		more[i].table = dma_buf_map_attachment(more[i].attach, DMA_FROM_DEVICE);
		ASSERT(more[i].table);
		jobs[i] = queue_block(&more[i], DMA_FROM_DEVICE, SIZE, 0, NULL);
	}
	/* The program has both places until it reaps. */
	ASSERT_EQ(dma_fence_wait_timeout(jobs[0], false, 50), 0);
	ASSERT_EQ(rig_reap(&r, NULL), 4096);
	ASSERT_EQ(rig_reap(&r, NULL), 4096);
	for (i = 0; i < JOBS; i++) {
		ASSERT_EQ(status_of(jobs[i]), 1);
		dma_fence_put(jobs[i]);
	}
	ASSERT_ERR(dma_buf_block_reap(r.dev, &c, 1, 0), ENOENT);
	for (i = 0; i < JOBS; i++)
		dma_buf_put(more[i].dmabuf);
	rig_close(&r);
	close(fd);
}

/* A job's fence is a fence: it goes to another process as a descriptor. */
TEST(E4_a_jobs_fence_can_be_waited_for_by_its_descriptor)
{
	struct dma_fence *input = fence_new(), *job;
	struct dmabuf_sync_file_options o = { .size = sizeof(o) };
	struct pollfd pfd = { .events = POLLIN };
	struct rig r;
	int status;

	rig_with_file(&r, 4);
	job = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, input);
	pfd.fd = dmabuf_sync_file_create(job, &o);
	ASSERT_OK(pfd.fd);
	ASSERT_EQ(poll(&pfd, 1, 0), 0);
	ASSERT_OK(dma_fence_signal(input));
	ASSERT_EQ(poll(&pfd, 1, WAIT_MS), 1);
	ASSERT_OK(dmabuf_sync_file_wait(pfd.fd, WAIT_MS, &status));
	ASSERT_EQ(status, 1);
	close(pfd.fd);
	dma_fence_put(input);
	dma_fence_put(job);
	rig_close(&r);
}

static int child_with_jobs(void *data)
{
	struct rig *r = data, own;
	struct stage stage = { 0 };
	struct dmabuf_work_buffer buffer = { .dmabuf = r->dmabuf, .type = DMA_BUF_ACCESS_R };
	struct dmabuf_work work = { .struct_size = sizeof(work),
				    .func = run_stage,
				    .data = &stage,
				    .buffers = &buffer,
				    .num_buffers = 1 };
	struct dma_buf_block_job job = { .struct_size = sizeof(job), .length = SIZE };
	struct dma_fence *fence = NULL;

	job.direction = DMA_FROM_DEVICE;
	ASSERT_ERR(dma_buf_block_queue(r->attach, r->table, &job, &fence), ECHILD);
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), ECHILD);
	ASSERT(!fence);
	dma_buf_put(r->dmabuf);
	dma_buf_device_put(r->dev);
	/* Its own threads do its own jobs. */
	rig_with_file(&own, 4);
	fence = queue_block(&own, DMA_FROM_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(status_of(fence), 1);
	dma_fence_put(fence);
	fence = queue_stage(&stage, own.dmabuf, DMA_BUF_ACCESS_W, NULL);
	ASSERT_EQ(status_of(fence), 1);
	dma_fence_put(fence);
	rig_close(&own);
	return 0;
}

TEST(E4_a_forked_child_has_jobs_of_its_own)
{
	struct stage stage = { 0 };
	struct dma_fence *fence;
	struct rig r;

	if (TEST_SANITIZED || test_under_valgrind())
		SKIP("no fork beside threads under a sanitizer or valgrind");
	rig_with_file(&r, 4);
	fence = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(status_of(fence), 1);
	dma_fence_put(fence);
	fence = queue_stage(&stage, r.dmabuf, DMA_BUF_ACCESS_W, NULL);
	ASSERT_EQ(status_of(fence), 1);
	dma_fence_put(fence);
	ASSERT_EQ(reap(spawn(child_with_jobs, &r)), 0);
	fence = queue_block(&r, DMA_TO_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(status_of(fence), 1);
	dma_fence_put(fence);
	rig_close(&r);
}

TEST(E4_senseless_jobs_are_refused_and_nothing_is_left)
{
	struct dma_fence *fence = NULL, *none[1] = { NULL };
	struct dmabuf_work_buffer buffers[2] = { { .type = DMA_BUF_ACCESS_R },
						 { .type = DMA_BUF_ACCESS_R } };
	struct stage stage = { 0 };
	const struct dmabuf_work good = { .struct_size = sizeof(good),
					  .func = run_stage,
					  .data = &stage,
					  .buffers = buffers,
					  .num_buffers = 1 };
	const struct dma_buf_block_job right = { .struct_size = sizeof(right),
						 .direction = DMA_FROM_DEVICE,
						 .length = SIZE };
	struct dma_buf_block_job job;
	struct dmabuf_work work;
	struct rig r;

	rig_with_file(&r, 4);
	buffers[0].dmabuf = r.dmabuf;
	ASSERT_ERR(dmabuf_queue_work(NULL, &fence), EINVAL);
	ASSERT_ERR(dmabuf_queue_work(&good, NULL), EINVAL);
	work = good;
	work.struct_size = 1;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work = good;
	work.func = NULL;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work = good;
	work.num_buffers = 0;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work.num_buffers = 2;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	buffers[1].dmabuf = r.dmabuf;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EEXIST);
	work.num_buffers = DMABUF_WORK_BUFFERS_MAX + 1;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work = good;
	work.timeout_ms = -1;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work = good;
	work.num_after = 1;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work.after = none;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	work = good;
	work.name = "a name that is much longer than names of sync objects may be, much longer";
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), ENAMETOOLONG);
	work = good;
	buffers[0].start = SIZE + 1;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	buffers[0].start = 0;
	buffers[0].type = 99;
	ASSERT_ERR(dmabuf_queue_work(&work, &fence), EINVAL);
	ASSERT_ERR(dma_buf_block_queue(r.attach, r.table, NULL, &fence), EINVAL);
	ASSERT_ERR(dma_buf_block_queue(r.attach, r.table, &right, NULL), EINVAL);
	ASSERT_ERR(dma_buf_block_queue(NULL, r.table, &right, &fence), EINVAL);
	ASSERT_ERR(dma_buf_block_queue(r.attach, NULL, &right, &fence), EINVAL);
	job = right;
	job.length = SIZE + 1;
	ASSERT_ERR(dma_buf_block_queue(r.attach, r.table, &job, &fence), EINVAL);
	job = right;
	job.direction = DMA_BIDIRECTIONAL;
	ASSERT_ERR(dma_buf_block_queue(r.attach, r.table, &job, &fence), EINVAL);
	job = right;
	job.num_after = DMABUF_WORK_AFTER_MAX + 1;
	job.after = none;
	ASSERT_ERR(dma_buf_block_queue(r.attach, r.table, &job, &fence), EINVAL);
	ASSERT(!fence);
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	rig_close(&r);
}
