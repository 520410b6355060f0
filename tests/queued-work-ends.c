// SPDX-License-Identifier: MIT
/* Jobs that fail, are cancelled, come too late or lose what they need: their fences end, once. */
#include <dmabuf.h>

#include <pthread.h>
#include <stdatomic.h>

#include "fence.h"
#include "fuse-file.h"
#include "peer.h"
#include "queued-util.h"

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

TEST_TIMEOUT(E4_jobs_that_are_cancelled_at_any_moment_end_once, 300)
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

TEST_TIMEOUT(E4_jobs_whose_mapping_goes_at_any_moment_end_once, 300)
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
