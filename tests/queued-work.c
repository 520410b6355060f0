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

#define SIZE (64 * 1024)

static long wait_for(struct dma_fence *fence)
{
	long ret = dma_fence_wait_timeout(fence, false, WAIT_MS);

	if (ret <= 0)
		FAIL("the fence is not signalled: %ld", ret);
	return ret;
}

static int status_of(struct dma_fence *fence)
{
	wait_for(fence);
	return dma_fence_get_status(fence);
}

static struct dma_fence *queue_block(struct rig *r, enum dma_data_direction direction,
				     uint64_t length, uint64_t file_offset, struct dma_fence *after)
{
	struct dma_buf_block_job job = { .struct_size = sizeof(job),
					 .direction = direction,
					 .length = length,
					 .file_offset = file_offset,
					 .after = &after,
					 .num_after = after ? 1 : 0 };
	struct dma_fence *fence;

	if (dma_buf_block_queue(r->attach, r->table, &job, &fence))
		FAIL("queue: %s", dmabuf_last_error());
	return fence;
}

struct stage {
	struct rig *rig;
	atomic_int calls;
	int result;
	pthread_t thread;
	struct gate *began, *go_on;
};

static int run_stage(void *data)
{
	struct stage *s = data;
	size_t i;

	s->thread = pthread_self();
	for (i = 0; s->rig && i < s->rig->size; i++)
		s->rig->cpu[i] = (unsigned char)~s->rig->cpu[i];
	if (s->began)
		gate_signal(s->began);
	if (s->go_on)
		gate_wait(s->go_on);
	atomic_fetch_add(&s->calls, 1);
	return s->result;
}

static struct dma_fence *queue_stage(struct stage *s, struct dma_buf *dmabuf, unsigned int type,
				     struct dma_fence *after)
{
	struct dmabuf_work_buffer buffer = { .dmabuf = dmabuf, .type = type };
	struct dmabuf_work work = { .struct_size = sizeof(work),
				    .name = "stage",
				    .func = run_stage,
				    .data = s,
				    .buffers = &buffer,
				    .num_buffers = 1,
				    .after = &after,
				    .num_after = after ? 1 : 0 };
	struct dma_fence *fence;

	if (dmabuf_queue_work(&work, &fence))
		FAIL("queue: %s", dmabuf_last_error());
	return fence;
}

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

TEST_TIMEOUT(E4_read_stage_and_write_follow_each_other_while_the_application_sleeps, 120)
{
	struct fuse_file *f = fuse_file_open();
	unsigned int way;

	for (way = 0; way < WAYS; way++)
		pipeline(f, &ways[way]);
	fuse_file_close(f);
}

static const struct way any = { "the best there is", DMA_BUF_BLOCK_AUTO, false };

static void rig_with_file(struct rig *r, unsigned int depth)
{
	int fd = scratch_file(O_RDWR);

	ASSERT_OK(ftruncate(fd, SIZE));
	ASSERT(rig_open_depth(r, fd, &any, SIZE, depth));
	close(fd);
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

TEST(E4_an_input_that_failed_fails_the_jobs_after_it)
{
	struct fuse_file *f = fuse_file_open();
	struct stage stage = { 0 };
	struct dma_fence *read, *staged, *written;
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "next");
	struct dma_buf_access_info torn = { 0 };
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		struct rig r;

		f->fail_from = 0;
		if (!rig_open(&r, f->fd, &ways[way], SIZE))
			continue;
		read = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, NULL);
		staged = queue_stage(&stage, r.dmabuf, DMA_BUF_ACCESS_W, read);
		written = queue_block(&r, DMA_TO_DEVICE, SIZE, 0, staged);
		ASSERT_EQ(status_of(written), -EIO);
		ASSERT_EQ(dma_fence_get_status(staged), -EIO);
		ASSERT_EQ(dma_fence_get_status(read), -EIO);
		ASSERT_EQ(atomic_load(&stage.calls), 0);
		/* Half a frame may have been read: that is told. */
		ASSERT_OK(dmabuf_sync_get(sync, r.dmabuf, DMA_BUF_ACCESS_R));
		ASSERT_ERR(dmabuf_sync_lock(sync), EOWNERDEAD);
		ASSERT_EQ(dmabuf_sync_get_torn(sync, r.dmabuf, &torn, 1), 1);
		ASSERT_STR_EQ(torn.label, "disk");
		ASSERT_OK(dmabuf_sync_unlock(sync));
		dmabuf_sync_put_all(sync);
		/* What would be changed in part stays torn; what is read anew is whole. */
		f->fail_from = UINT64_MAX;
		dma_fence_put(read);
		read = queue_block(&r, DMA_FROM_DEVICE, SIZE / 2, 0, NULL);
		ASSERT_EQ(status_of(read), -EOWNERDEAD);
		dma_fence_put(read);
		read = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, NULL);
		ASSERT_EQ(status_of(read), 1);
		ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_R, false));
		ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
		dma_fence_put(read);
		dma_fence_put(staged);
		dma_fence_put(written);
		rig_close(&r);
	}
	dmabuf_sync_fini(sync);
	fuse_file_close(f);
}

TEST(E4_a_full_disk_is_an_error_of_the_fence)
{
	char dir[] = "/tmp/dmabuf-full-XXXXXX", path[64];
	struct dma_fence *written;
	struct rig r;
	int fd;

	if (!own_mounts())
		SKIP("no mounts of our own: %s", strerror(errno));
	ASSERT(mkdtemp(dir));
	if (mount("full", dir, "tmpfs", 0, "size=16k")) {
		rmdir(dir);
		SKIP("no tmpfs: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_OK(fd);
	ASSERT(rig_open(&r, fd, &any, SIZE));
	written = queue_block(&r, DMA_TO_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(status_of(written), -ENOSPC);
	/* It was read only: the buffer is as it was. */
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	dma_fence_put(written);
	rig_close(&r);
	close(fd);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

TEST(E4_a_file_that_is_too_short_is_told)
{
	struct dma_fence *read;
	struct rig r;

	rig_with_file(&r, 4);
	read = queue_block(&r, DMA_FROM_DEVICE, SIZE, SIZE / 2, NULL);
	ASSERT_EQ(status_of(read), -ENODATA);
	dma_fence_put(read);
	rig_close(&r);
}

TEST(E4_what_a_function_answers_is_the_fences_error)
{
	struct stage failing = { .result = -EPROTO };
	struct dma_fence *job;
	struct rig r;

	rig_with_file(&r, 4);
	job = queue_stage(&failing, r.dmabuf, DMA_BUF_ACCESS_W, NULL);
	ASSERT_EQ(status_of(job), -EPROTO);
	ASSERT_ERR(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	dma_fence_put(job);
	failing.result = 12;
	job = queue_stage(&failing, r.dmabuf, DMA_BUF_ACCESS_R, NULL);
	ASSERT_EQ(status_of(job), -EINVAL);
	dma_fence_put(job);
	rig_close(&r);
}

TEST(E4_a_job_that_waits_can_be_cancelled)
{
	struct stage never = { 0 };
	struct dma_fence *input, *job, *block;
	struct rig r;

	rig_with_file(&r, 4);
	input = fence_new();
	job = queue_stage(&never, r.dmabuf, DMA_BUF_ACCESS_W, input);
	block = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, input);
	ASSERT_OK(dmabuf_cancel_work(job));
	ASSERT_EQ(status_of(job), -ECANCELED);
	ASSERT_OK(dmabuf_cancel_work(block));
	ASSERT_EQ(status_of(block), -ECANCELED);
	ASSERT_ERR(dmabuf_cancel_work(job), EALREADY);
	ASSERT_ERR(dmabuf_cancel_work(input), EINVAL);
	ASSERT_ERR(dmabuf_cancel_work(NULL), EINVAL);
	/* Nothing was written, so nothing is torn. */
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, false));
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	ASSERT_EQ(atomic_load(&never.calls), 0);
	ASSERT_OK(dma_fence_signal(input));
	dma_fence_put(input);
	dma_fence_put(job);
	dma_fence_put(block);
	rig_close(&r);
}

TEST(E4_a_job_that_has_begun_cannot_be_cancelled)
{
	struct gate began, go_on;
	struct stage stage = { .began = &began, .go_on = &go_on };
	struct dma_fence *job;
	struct rig r;

	gate_init(&began);
	gate_init(&go_on);
	rig_with_file(&r, 4);
	job = queue_stage(&stage, r.dmabuf, DMA_BUF_ACCESS_W, NULL);
	gate_wait(&began);
	ASSERT_ERR(dmabuf_cancel_work(job), EALREADY);
	gate_signal(&go_on);
	ASSERT_EQ(status_of(job), 1);
	dma_fence_put(job);
	rig_close(&r);
	gate_close(&began);
	gate_close(&go_on);
}

TEST(E4_a_job_whose_input_never_comes_ends_with_its_time)
{
	struct dma_fence *input = fence_new(), *job;
	struct stage never = { 0 };
	struct dmabuf_work_buffer buffer = { .type = DMA_BUF_ACCESS_W };
	struct dmabuf_work work = { .struct_size = sizeof(work),
				    .func = run_stage,
				    .data = &never,
				    .buffers = &buffer,
				    .num_buffers = 1,
				    .after = &input,
				    .num_after = 1,
				    .timeout_ms = 20 };
	struct rig r;

	rig_with_file(&r, 4);
	buffer.dmabuf = r.dmabuf;
	ASSERT_OK(dmabuf_queue_work(&work, &job));
	ASSERT_EQ(status_of(job), -ETIMEDOUT);
	ASSERT_EQ(atomic_load(&never.calls), 0);
	ASSERT_OK(dma_fence_signal(input));
	dma_fence_put(input);
	dma_fence_put(job);
	rig_close(&r);
}

TEST(E4_a_buffer_lost_to_its_lease_is_an_error_of_the_job)
{
	struct gate began, go_on;
	struct stage slow = { .began = &began, .go_on = &go_on };
	struct dma_fence *job;
	struct rig r;

	gate_init(&began);
	gate_init(&go_on);
	rig_with_file(&r, 4);
	ASSERT_OK(dma_buf_set_max_lease(r.dmabuf, 1));
	job = queue_stage(&slow, r.dmabuf, DMA_BUF_ACCESS_W, NULL);
	gate_wait(&began);
	ASSERT_ERR(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, true), EOWNERDEAD);
	gate_signal(&go_on);
	ASSERT_EQ(status_of(job), -ETIMEDOUT);
	(void)dmabuf_sync_single_unlock(r.dmabuf);
	dma_fence_put(job);
	rig_close(&r);
	gate_close(&began);
	gate_close(&go_on);
}

/* Unmapping ends what has not begun, and waits for what has. */
TEST(E4_unmapping_cancels_what_waits)
{
	struct dma_fence *input = fence_new(), *waiting, *begun;
	struct fuse_file *f = fuse_file_open();
	struct rig r;

	ASSERT(rig_open(&r, f->fd, &any, SIZE));
	waiting = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, input);
	rig_close(&r);
	ASSERT_EQ(status_of(waiting), -ECANCELED);
	ASSERT(rig_open(&r, f->fd, &any, SIZE));
	memset(f->data, 0x5a, sizeof(f->data));
	begun = queue_block(&r, DMA_FROM_DEVICE, SIZE, 0, NULL);
	ASSERT_EQ(status_of(begun), 1);
	rig_close(&r);
	ASSERT_OK(dma_fence_signal(input));
	dma_fence_put(input);
	dma_fence_put(waiting);
	dma_fence_put(begun);
	fuse_file_close(f);
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

static int dies_with_jobs(struct peer *peer, struct dma_buf *dmabuf)
{
	struct gate began, never_comes;
	struct stage begun = { .began = &began, .go_on = &never_comes }, never = { 0 };
	struct dma_buf *other = dma_buf_recv(peer->socket, WAIT_MS);

	ASSERT(other);
	gate_init(&began);
	gate_init(&never_comes);
	queue_stage(&begun, dmabuf, DMA_BUF_ACCESS_W, NULL);
	gate_wait(&began);
	queue_stage(&never, dmabuf, DMA_BUF_ACCESS_W, NULL);
	queue_stage(&never, other, DMA_BUF_ACCESS_W, fence_new());
	peer_tell(peer);
	for (;;)
		pause();
}

TEST(E4_jobs_of_the_dead_keep_nobody_waiting)
{
	struct dma_buf *dmabuf = dma_buf_alloc("one", SIZE, O_RDWR);
	struct dma_buf *other = dma_buf_alloc("other", SIZE, O_RDWR);
	struct peer peer;

	peer_start(&peer, dmabuf, dies_with_jobs, NULL);
	ASSERT_OK(dma_buf_send(peer.socket, other, WAIT_MS));
	peer_wait(&peer);
	peer_kill(&peer);
	/* What waited for a fence had the buffer already, and may have written as far as we know.
	 */
	ASSERT_EQ(dmabuf_sync_single_lock(other, DMA_BUF_ACCESS_W, true), -EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(other));
	ASSERT_EQ(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true), -EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	dma_buf_put(other);
	dma_buf_put(dmabuf);
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

/* Jobs from several threads, cancelled at any moment: each fence ends once, no buffer stays held.
 */
struct churn {
	struct rig *r;
	unsigned int seed;
	atomic_uint ended[2];
};

static void *churn(void *data)
{
	struct churn *c = data;
	struct stage stage = { 0 };
	unsigned int i;

	for (i = 0; i < 60; i++) {
		struct dma_fence *first, *second;

		first = queue_block(c->r, i % 2 ? DMA_TO_DEVICE : DMA_FROM_DEVICE, SIZE, 0, NULL);
		second = queue_stage(&stage, c->r->dmabuf, DMA_BUF_ACCESS_W, first);
		c->seed = c->seed * 1103515245u + 12345u;
		if (c->seed >> 16 & 1)
			(void)dmabuf_cancel_work(c->seed >> 17 & 1 ? first : second);
		atomic_fetch_add(&c->ended[status_of(second) < 0], 1);
		wait_for(first);
		dma_fence_put(first);
		dma_fence_put(second);
	}
	return NULL;
}

TEST_TIMEOUT(E4_jobs_that_are_cancelled_at_any_moment_end_once, 120)
{
	struct churn c[4] = { 0 };
	pthread_t threads[4];
	struct rig r;
	int i;

	rig_with_file(&r, 3);
	for (i = 0; i < 4; i++) {
		c[i].r = &r;
		c[i].seed = (unsigned int)i + 1;
		ASSERT_EQ(pthread_create(&threads[i], NULL, churn, &c[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ASSERT_EQ(atomic_load(&c[i].ended[0]) + atomic_load(&c[i].ended[1]), 60);
		ASSERT(atomic_load(&c[i].ended[0]) > 0);
	}
	ASSERT_OK(dmabuf_sync_single_lock(r.dmabuf, DMA_BUF_ACCESS_W, true));
	ASSERT_OK(dmabuf_sync_single_unlock(r.dmabuf));
	rig_close(&r);
}

/* Jobs whose mapping goes while they wait, start, or run: each ends, and nothing is touched then.
 */
static void *map_and_unmap(void *data)
{
	enum { JOBS = 4 };
	struct rig *r = data;
	unsigned int round, i;

	for (round = 0; round < (test_is_slow() ? 10 : 60); round++) {
		struct dma_fence *jobs[JOBS];
		struct rig own = *r;
		int status;

		own.dmabuf = dma_buf_alloc("own", SIZE, O_RDWR);
		own.attach = dma_buf_attach(own.dmabuf, r->dev);
		ASSERT(own.attach);
		own.table = dma_buf_map_attachment(own.attach, DMA_FROM_DEVICE);
		ASSERT(own.table);
		for (i = 0; i < JOBS; i++)
			jobs[i] = queue_block(&own, DMA_FROM_DEVICE, SIZE, 0, NULL);
		if (round % 3)
			wait_for(jobs[round % JOBS]);
		dma_buf_detach(own.dmabuf, own.attach);
		for (i = 0; i < JOBS; i++) {
			status = status_of(jobs[i]);
			if (status != 1 && status != -ECANCELED)
				FAIL("job %u of round %u ended with %d", i, round, status);
			dma_fence_put(jobs[i]);
		}
		ASSERT_OK(dmabuf_sync_single_lock(own.dmabuf, DMA_BUF_ACCESS_R, true));
		ASSERT_OK(dmabuf_sync_single_unlock(own.dmabuf));
		dma_buf_put(own.dmabuf);
	}
	return NULL;
}

TEST_TIMEOUT(E4_jobs_whose_mapping_goes_at_any_moment_end_once, 120)
{
	pthread_t threads[3];
	struct rig r;
	int i;

	rig_with_file(&r, 3);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, map_and_unmap, &r), 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	rig_close(&r);
}
