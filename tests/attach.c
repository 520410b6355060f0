// SPDX-License-Identifier: MIT
/*
 * Attachments and the list lock: rows A4 and A6.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#include "exporter.h"
#include "peer.h"

TEST(A4_attach_calls_the_exporter_and_detach_undoes_it)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());

	ASSERT(attach);
	ASSERT(attach->dmabuf == dmabuf);
	ASSERT(attach->dev == dma_buf_cpu_device());
	ASSERT(!attach->sgt);
	ASSERT_EQ(exporter.attached, 1);
	dma_buf_detach(dmabuf, attach);
	ASSERT_EQ(exporter.detached, 1);
	dma_buf_put(dmabuf);
}

TEST(A4_the_exporter_may_refuse_and_nothing_is_left)
{
	struct counting_exporter exporter = { .refuse_attach = -ENXIO };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), ENXIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "counting");
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 0);
	exporter.refuse_attach = 0;
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	dma_buf_put(dmabuf);
	ASSERT_EQ(exporter.detached, 1);
}

TEST(A4_attach_refuses_nothing_to_attach)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);

	ASSERT_ERRNO(dma_buf_attach(NULL, dma_buf_cpu_device()), EINVAL);
	ASSERT_ERRNO(dma_buf_attach(dmabuf, NULL), EINVAL);
	dma_buf_put(dmabuf);
}

static void count_release(void *priv)
{
	++*(int *)priv;
}

TEST(A4_an_attachment_keeps_its_device)
{
	int released = 0;
	struct dma_buf_device_info info = {
		.size = sizeof(info), .name = "d", .priv = &released, .release = count_release
	};
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_device *dev = dma_buf_device_create(&info);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);

	dma_buf_device_put(dev);
	ASSERT_EQ(released, 0);
	ASSERT_STR_EQ(dma_buf_device_name(attach->dev), "d");
	dma_buf_detach(dmabuf, attach);
	ASSERT_EQ(released, 1);
	dma_buf_put(dmabuf);
}

static int attach_scanner(struct peer *peer, struct dma_buf *dmabuf)
{
	static const struct dma_buf_device_parameters limits = { .size = sizeof(limits),
								 .max_segment_size = 512,
								 .max_segment_count = 77,
								 .dma_mask = 0xffffffff };
	struct dma_buf_device *dev = device_make("scanner", &limits);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);

	ASSERT(attach);
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_detach(dmabuf, attach);
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_device_put(dev);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(A4_every_holder_sees_the_attachments_of_all)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct dma_buf_attachment_info *seen;
	struct dma_buf_info info;
	struct peer peer;

	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	peer_start(&peer, dmabuf, attach_scanner, NULL);
	peer_wait(&peer);
	info = peer_info(dmabuf);
	ASSERT_EQ(info.attachment_count, 2);
	seen = &info.attachments[0];
	if (info.holders[seen->holder].pid != peer.pid)
		seen++;
	ASSERT_STR_EQ(seen->device, "scanner");
	ASSERT_EQ(info.holders[seen->holder].pid, peer.pid);
	ASSERT_EQ(seen->parameters.max_segment_size, 512);
	ASSERT_EQ(seen->parameters.max_segment_count, 77);
	ASSERT_EQ(seen->parameters.dma_mask, 0xffffffff);
	ASSERT_EQ(seen->mapped, 0);
	ASSERT_EQ(seen->direction, DMA_NONE);
	peer_tell(&peer);
	peer_wait(&peer);
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 1);
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_put(dmabuf);
}

TEST(A4_one_attachment_too_many_is_refused_by_name)
{
	struct dma_buf_attachment *attach[DMA_BUF_MAX_ATTACHMENTS];
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	unsigned int i;

	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		attach[i] = dma_buf_attach(dmabuf, dma_buf_cpu_device());
		ASSERT(attach[i]);
	}
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), ENOSPC);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "64 attachments");
	dma_buf_detach(dmabuf, attach[17]);
	attach[17] = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	ASSERT(attach[17]);
	for (i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++)
		dma_buf_detach(dmabuf, attach[i]);
	ASSERT_EQ(peer_info(dmabuf).attachment_count, 0);
	dma_buf_put(dmabuf);
}

TEST(A4_use_after_detach_is_an_error_and_no_crash)
{
	struct counting_exporter exporter = { 0 };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);

	dma_buf_detach(dmabuf, attach);
	ASSERT_EQ(exporter.unmapped, 1);
	dma_buf_detach(dmabuf, attach);
	ASSERT_EQ(exporter.detached, 1);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "detach");
	ASSERT_ERRNO(dma_buf_map_attachment(attach, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERRNO(dma_buf_try_map_attachment(attach, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(attach, table, DMA_TO_DEVICE), EINVAL);
	ASSERT_ERR(dma_buf_sync_sg_for_device(attach, table, DMA_TO_DEVICE), EINVAL);
	dma_buf_detach(dmabuf, NULL);
	dma_buf_detach(NULL, attach);
	dma_buf_put(dmabuf);
}

TEST(A4_detach_at_another_buffer_changes_nothing)
{
	struct dma_buf *one = dma_buf_alloc("one", 4096, O_RDWR);
	struct dma_buf *two = dma_buf_alloc("two", 4096, O_RDWR);
	struct dma_buf_attachment *attach = dma_buf_attach(one, dma_buf_cpu_device());

	dma_buf_detach(two, attach);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "another buffer");
	ASSERT_EQ(peer_info(one).attachment_count, 1);
	dma_buf_detach(one, attach);
	dma_buf_put(one);
	dma_buf_put(two);
}

struct inside {
	pthread_barrier_t in, out;
	struct dma_buf_attachment *other; /* attached already */
	struct dma_buf *dmabuf;
	atomic_int armed;
	int result;
};

static struct inside inside;

static void stop_inside(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	if (!atomic_exchange(&inside.armed, 0))
		return;
	pthread_barrier_wait(&inside.in);
	pthread_barrier_wait(&inside.out);
}

static void *attach_and_stop(void *arg)
{
	ASSERT(dma_buf_attach(inside.dmabuf, dma_buf_cpu_device()));
	return NULL;
}

/* Two threads meet; a barrier that is never reached is the harness's time limit. */
static pthread_t begin_inside(struct counting_exporter *exporter)
{
	pthread_t thread;

	exporter->in_attach = stop_inside;
	inside.dmabuf = counting_export(exporter, 4096, O_RDWR);
	inside.other = dma_buf_attach(inside.dmabuf, dma_buf_cpu_device());
	ASSERT(inside.other);
	pthread_barrier_init(&inside.in, NULL, 2);
	pthread_barrier_init(&inside.out, NULL, 2);
	inside.armed = 1;
	ASSERT_EQ(pthread_create(&thread, NULL, attach_and_stop, NULL), 0);
	pthread_barrier_wait(&inside.in);
	return thread;
}

TEST(A6_map_and_cpu_access_do_not_wait_for_the_list_lock)
{
	struct counting_exporter exporter = { 0 };
	pthread_t thread = begin_inside(&exporter);
	struct dma_buf_sg_table *table;
	struct dma_buf *dmabuf = inside.dmabuf;
	int64_t began = now_ms();

	table = dma_buf_map_attachment(inside.other, DMA_BIDIRECTIONAL);
	ASSERT(table);
	ASSERT_OK(dma_buf_sync_sg_for_cpu(inside.other, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_sync_sg_for_device(inside.other, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_unmap_attachment(inside.other, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
	ASSERT(dma_buf_kmap(dmabuf, 0));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
	ASSERT(now_ms() - began < 4000);
	pthread_barrier_wait(&inside.out);
	pthread_join(thread, NULL);
	dma_buf_put(dmabuf);
}

static void *attach_second(void *arg)
{
	struct dma_buf_attachment *attach = dma_buf_attach(inside.dmabuf, dma_buf_cpu_device());

	ASSERT(attach);
	atomic_store((atomic_int *)arg, 1);
	return NULL;
}

TEST(A6_attach_waits_for_the_attach_of_another_thread)
{
	struct counting_exporter exporter = { 0 };
	pthread_t first = begin_inside(&exporter), second;
	const struct timespec moment = { 0, 100000000 };
	atomic_int done = 0;

	ASSERT_EQ(pthread_create(&second, NULL, attach_second, &done), 0);
	nanosleep(&moment, NULL); /* gives a wrong one time to show; a right one passes anyway */
	ASSERT_EQ(done, 0);
	pthread_barrier_wait(&inside.out);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(exporter.attached, 3);
	dma_buf_put(inside.dmabuf);
}

TEST(A6_a_list_lock_held_too_long_times_out_with_words)
{
	struct counting_exporter exporter = { 0 };
	pthread_t thread = begin_inside(&exporter);
	int64_t began = now_ms();

	ASSERT_ERRNO(dma_buf_attach(inside.dmabuf, dma_buf_cpu_device()), ETIMEDOUT);
	ASSERT(now_ms() - began >= 4900);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "another thread");
	pthread_barrier_wait(&inside.out);
	pthread_join(thread, NULL);
	dma_buf_put(inside.dmabuf);
}

static void attach_again(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct counting_exporter *exporter = dmabuf->priv;

	exporter->in_attach = NULL;
	ASSERT_ERRNO(dma_buf_attach(dmabuf, dma_buf_cpu_device()), EDEADLK);
}

TEST(A6_attach_from_within_attach_is_told)
{
	struct counting_exporter exporter = { .in_attach = attach_again };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	ASSERT_EQ(exporter.attached, 1);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	dma_buf_put(dmabuf);
}

static void fail_if_two_at_once(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	static atomic_int here;
	int i;

	ASSERT_EQ(atomic_fetch_add(&here, 1), 0);
	for (i = 0; i < 100; i++)
		sched_yield();
	ASSERT_EQ(atomic_fetch_sub(&here, 1), 1);
}

static void *attach_and_detach(void *arg)
{
	struct dma_buf *dmabuf = arg;
	struct dma_buf_attachment *attach;
	int i;

	for (i = 0; i < 50; i++) {
		attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
		ASSERT(attach);
		dma_buf_detach(dmabuf, attach);
	}
	return NULL;
}

TEST(A6_the_exporters_ops_run_one_at_a_time)
{
	struct counting_exporter exporter = { .in_attach = fail_if_two_at_once };
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, attach_and_detach, dmabuf), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ASSERT_EQ(exporter.attached, 200);
	ASSERT_EQ(exporter.detached, 200);
	dma_buf_put(dmabuf);
}
