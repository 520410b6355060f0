// SPDX-License-Identifier: MIT
/* Transfers, and the ends of what they need: buffers, attachments, devices, threads, processes. */
#include <pthread.h>
#include <stdatomic.h>

#include "block-util.h"
#include "fuse-file.h"

#define SIZE (256ul * 1024)

struct ending {
	struct rig *r;
	atomic_bool over;
};

static void *detach_thread(void *data)
{
	struct ending *e = data;

	dma_buf_detach(e->r->dmabuf, e->r->attach);
	atomic_store(&e->over, true);
	return NULL;
}

static bool is_over(void *data)
{
	return atomic_load((atomic_bool *)data);
}

/* What is mapped may change until its transfers have ended; so unmapping waits for that. */
TEST(H1_block_detaching_waits_for_what_is_in_flight)
{
	unsigned int way;

	for (way = 0; way < WAYS; way++) {
		struct dma_buf_block_completion c[3];
		struct ending e;
		struct fuse_file *f;
		struct rig r;
		pthread_t thread;
		int got = 0;

		f = fuse_file_open();
		memset(f->data, 0x5a, sizeof(f->data));
		if (!rig_open_depth(&r, f->fd, &ways[way], 4096, 1)) {
			fuse_file_close(f);
			continue;
		}
		stuck_submit(&r, f, 1);
		e = (struct ending){ .r = &r };
		ASSERT_EQ(pthread_create(&thread, NULL, detach_thread, &e), 0);
		ASSERT(!eventually(is_over, &e.over, 150));
		fuse_file_release(f);
		ASSERT(eventually(is_over, &e.over, WAIT_MS));
		pthread_join(thread, NULL);
		/* The memory is as it will stay; the result is there to be reaped. */
		ASSERT_EQ(r.cpu[0], 0x5a);
		got = dma_buf_block_reap(r.dev, c, 3, 0);
		ASSERT_EQ(got, 1);
		ASSERT_EQ(c[0].result, 4096);
		dma_buf_vunmap(r.dmabuf, r.cpu);
		dma_buf_put(r.dmabuf);
		dma_buf_device_put(r.dev);
		fuse_file_close(f);
	}
}

TEST(H1_block_what_has_not_begun_is_cancelled_when_the_buffer_goes)
{
	struct dma_buf_block_completion c[64];
	int i, got = 0, cancelled = 0, n;
	struct ending e;
	struct fuse_file *f;
	struct rig r;
	pthread_t thread;

	f = fuse_file_open();
	memset(f->data, 0x5a, sizeof(f->data));
	ASSERT(rig_open(&r, f->fd, &ways[2], 64 * 4096));
	atomic_store(&f->hold, true);
	atomic_store(&f->arrived, 0);
	for (i = 0; i < 64; i++)
		ASSERT_OK(
			rig_submit(&r, DMA_FROM_DEVICE, (uint64_t)i * 4096, 4096, 0, (uint64_t)i));
	/* One has begun, and is waited for. */
	ASSERT(eventually(fuse_has_arrived, &f->arrived, WAIT_MS));
	e = (struct ending){ .r = &r };
	ASSERT_EQ(pthread_create(&thread, NULL, detach_thread, &e), 0);
	ASSERT(!eventually(is_over, &e.over, 50));
	fuse_file_release(f);
	ASSERT(eventually(is_over, &e.over, WAIT_MS));
	pthread_join(thread, NULL);
	while ((n = dma_buf_block_reap(r.dev, c, 64, 0)) > 0)
		for (i = 0, got += n; i < n; i++)
			cancelled += c[i].result == -ECANCELED;
	ASSERT_EQ(n, -ENOENT);
	ASSERT_EQ(got, 64);
	/* At most one for each thread of the pool had begun. */
	ASSERT(cancelled >= 64 - 8);
	dma_buf_vunmap(r.dmabuf, r.cpu);
	dma_buf_put(r.dmabuf);
	dma_buf_device_put(r.dev);
	fuse_file_close(f);
}

TEST(H1_block_everything_can_be_dropped_with_64_transfers_in_flight)
{
	int fd = scratch_file(O_RDWR);
	unsigned int way, i;

	ASSERT_OK(ftruncate(fd, SIZE * 64));
	for (way = 0; way < WAYS; way++) {
		struct rig r;

		if (!rig_open(&r, fd, &ways[way], SIZE * 64))
			continue;
		for (i = 0; i < 64; i++)
			ASSERT_OK(rig_submit(&r, i % 2 ? DMA_TO_DEVICE : DMA_FROM_DEVICE, i * SIZE,
					     SIZE, i * SIZE + i, i));
		dma_buf_vunmap(r.dmabuf, r.cpu);
		dma_buf_device_put(r.dev);
		dma_buf_put(r.dmabuf);
	}
	close(fd);
}

static int child_of(void *data)
{
	struct rig *r = data;
	struct dma_buf_block_completion c;

	ASSERT_ERR(rig_submit(r, DMA_FROM_DEVICE, 0, 4096, 0, 9), ECHILD);
	ASSERT_ERR(dma_buf_block_reap(r->dev, &c, 1, 0), ECHILD);
	ASSERT_ERR(dma_buf_block_sync(r->dev), ECHILD);
	dma_buf_device_put(r->dev);
	return 0;
}

TEST(H1_block_a_forked_child_is_told_and_disturbs_nothing)
{
	unsigned int way;

	if (TEST_SANITIZED)
		SKIP("a thread may hold the sanitizer's own locks across fork()");
	for (way = 0; way < WAYS; way++) {
		struct dma_buf_device *twice;
		struct fuse_file *f;
		struct rig r;

		f = fuse_file_open();
		memset(f->data, 0x5a, sizeof(f->data));
		if (!rig_open(&r, f->fd, &ways[way], 4096)) {
			fuse_file_close(f);
			continue;
		}
		stuck_submit(&r, f, 1);
		twice = dma_buf_device_get(r.dev);
		ASSERT_EQ(reap(spawn(child_of, &r)), 0);
		fuse_file_release(f);
		ASSERT_EQ(rig_reap(&r, NULL), 4096);
		dma_buf_device_put(twice);
		rig_close(&r);
		fuse_file_close(f);
	}
}

static int last_in_child(void *data)
{
	dma_buf_device_put(data);
	return 0;
}

TEST(H1_block_a_forked_child_can_drop_its_copy)
{
	unsigned int way;
	int fd;

	if (TEST_SANITIZED)
		SKIP("a thread may hold the sanitizer's own locks across fork()");
	fd = scratch_file(O_RDWR);
	for (way = 0; way < WAYS; way++) {
		struct dma_buf_block_options o = { .size = sizeof(o), .method = ways[way].method };
		struct dma_buf_device *dev = dma_buf_block_open(fd, "disk", &o);

		if (!dev)
			continue;
		ASSERT_EQ(reap(spawn(last_in_child, dev)), 0);
		dma_buf_device_put(dev);
	}
	close(fd);
}

static void *submit_thread(void *data)
{
	struct rig *r = data;
	unsigned int i;

	for (i = 0; i < 32; i++)
		ASSERT_OK(rig_submit(r, DMA_TO_DEVICE, i * 4096 + i, 8000, i * 8192, i));
	return NULL;
}

/* io_uring's workers belong to the thread that submitted. */
TEST(H1_block_transfers_outlive_the_thread_that_submitted_them)
{
	unsigned int way, round, i;

	for (way = 0; way < WAYS; way++) {
		int fd = scratch_file(O_RDWR);
		struct rig r;

		if (rig_open(&r, fd, &ways[way], SIZE)) {
			for (round = 0; round < 20; round++) {
				pthread_t thread;

				ASSERT_EQ(pthread_create(&thread, NULL, submit_thread, &r), 0);
				pthread_join(thread, NULL);
				for (i = 0; i < 32; i++)
					ASSERT_EQ(rig_reap(&r, NULL), 8000);
			}
			rig_close(&r);
		}
		close(fd);
	}
}

struct leaving {
	struct rig *r;
	struct fuse_file *f;
	atomic_bool submitted;
};

static void *leaving_thread(void *data)
{
	struct leaving *l = data;
	unsigned int i;

	for (i = 0; i < 8; i++)
		ASSERT_OK(rig_submit(l->r, DMA_TO_DEVICE, i * 4096, 4096, i * 4096, i));
	ASSERT(eventually(fuse_has_arrived, &l->f->arrived, WAIT_MS));
	atomic_store(&l->submitted, true);
	return NULL;
}

static void leave_writes_behind(const struct way *way, unsigned int round)
{
	struct fuse_file *f = fuse_file_open();
	unsigned int i;
	struct rig r;

	if (rig_open(&r, f->fd, way, 8 * 4096)) {
		struct leaving l = { .r = &r, .f = f };
		pthread_t thread;

		fill(r.cpu, 8 * 4096, 51 + round);
		atomic_store(&f->hold, true);
		ASSERT_EQ(pthread_create(&thread, NULL, leaving_thread, &l), 0);
		ASSERT(eventually(is_over, &l.submitted, WAIT_MS));
		/* It may end now, or get as far as the disk lets it. */
		poll(NULL, 0, (int)(round % 4) * 10);
		fuse_file_release(f);
		pthread_join(thread, NULL);
		for (i = 0; i < 8; i++)
			ASSERT_EQ(rig_reap(&r, NULL), 4096);
		ASSERT(memcmp(f->data, r.cpu, 8 * 4096) == 0);
		rig_close(&r);
	}
	fuse_file_close(f);
}

/* One write is with a disk that does not answer, the others wait in the kernel behind it. */
TEST(H1_block_what_waits_behind_a_slow_disk_outlives_its_thread)
{
	unsigned int way, round;

	for (way = 0; way < WAYS; way++)
		for (round = 0; round < 12; round++)
			leave_writes_behind(&ways[way], round);
}
