// SPDX-License-Identifier: MIT
/*
 * Many threads of one process on the same buffers, for ThreadSanitizer's eyes: rows A3 to A6, B1 to
 * B4, C1 and G1.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "exporter.h"
#include "peer.h"

#define THREADS 4
#define BUFFERS 3

struct crowd {
	int fds[BUFFERS];
	int rounds;
	struct dma_buf *shared;
	struct dma_buf_attachment *attach;
	struct dma_buf_pool *pool;
	struct dma_buf_device *devices[2];
	atomic_int next;
};

static void run(struct crowd *crowd, void *(*fn)(void *crowd))
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, fn, crowd), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *get_and_put(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf *dmabuf;
	int i, fd;

	for (i = 0; i < crowd->rounds; i++) {
		dmabuf = dma_buf_get(crowd->fds[i % BUFFERS]);
		ASSERT(dmabuf);
		ASSERT_EQ(dmabuf->size, 4096);
		get_dma_buf(dmabuf);
		dma_buf_put(dmabuf);
		fd = dma_buf_fd(dmabuf, O_CLOEXEC);
		ASSERT_OK(fd);
		close(fd);
		dma_buf_put(dmabuf);
	}
	return NULL;
}

/* In a process that did not make them, so that each last put ends a handle. */
static int get_from_all_sides(void *arg)
{
	run(arg, get_and_put);
	return 0;
}

TEST(A3_threads_get_and_put_the_same_buffers)
{
	struct counting_exporter exporters[BUFFERS] = { 0 };
	struct crowd crowd = { .rounds = 200 };
	struct dma_buf *made[BUFFERS];
	int i;

	for (i = 0; i < BUFFERS; i++) {
		made[i] = counting_export(&exporters[i], 4096, O_RDWR);
		crowd.fds[i] = dma_buf_fd(made[i], O_CLOEXEC);
	}
	ASSERT_EQ(reap(spawn(get_from_all_sides, &crowd)), 0);
	run(&crowd, get_and_put);
	for (i = 0; i < BUFFERS; i++) {
		ASSERT_EQ(peer_info(made[i]).holder_count, 1);
		close(crowd.fds[i]);
		dma_buf_put(made[i]);
		ASSERT_EQ(exporters[i].released, 1);
	}
}

static atomic_int released;

static void count_release(struct dma_buf *dmabuf)
{
	released++;
	free(dmabuf->priv);
}

static void *let_go_and_come_back(void *arg)
{
	static const struct dma_buf_ops ops = { .map_dma_buf = dma_buf_memory_map,
						.unmap_dma_buf = dma_buf_memory_unmap,
						.release = count_release,
						.kmap = dma_buf_memory_kmap,
						.kmap_atomic = dma_buf_memory_kmap };
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct crowd *crowd = arg;
	struct dma_buf *dmabuf;
	int i, fd;

	info.ops = &ops;
	info.size = 4096;
	info.flags = O_RDWR;
	for (i = 0; i < crowd->rounds; i++) {
		info.priv = malloc(1);
		dmabuf = dma_buf_export(&info);
		ASSERT(dmabuf);
		fd = dma_buf_fd(dmabuf, O_CLOEXEC);
		dma_buf_put(dmabuf); /* only the descriptor is left */
		dmabuf = dma_buf_get(fd);
		ASSERT(dmabuf);
		ASSERT(dmabuf->ops == &ops);
		if (i % 2) {
			dma_buf_put(dmabuf);
			close(fd); /* and the library's thread finds out */
		} else {
			close(fd);
			dma_buf_put(dmabuf);
		}
	}
	return NULL;
}

static bool all_released(void *arg)
{
	return released == *(int *)arg;
}

TEST(A3_buffers_come_back_from_their_descriptor_and_are_released_once)
{
	struct crowd crowd = { .rounds = 100 };
	int all = THREADS * crowd.rounds;

	run(&crowd, let_go_and_come_back);
	ASSERT(eventually(all_released, &all, 10000));
}

static void *attach_and_map(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_device *dev;
	int i;

	for (i = 0; i < crowd->rounds; i++) {
		dev = crowd->devices[i % 2];
		attach = dma_buf_attach(crowd->shared, dev);
		ASSERT(attach);
		table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
		ASSERT(table);
		ASSERT_OK(dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL));
		ASSERT_OK(dma_buf_sync_sg_for_device(attach, table, DMA_BIDIRECTIONAL));
		if (i % 3)
			ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
		dma_buf_detach(crowd->shared, attach);
		/* One attachment that all have in common. */
		table = i % 2 ? dma_buf_try_map_attachment(crowd->attach, DMA_TO_DEVICE)
			      : dma_buf_map_attachment(crowd->attach, DMA_TO_DEVICE);
		if (table)
			ASSERT_OK(dma_buf_unmap_attachment(crowd->attach, table, DMA_TO_DEVICE));
		else
			ASSERT_EQ(errno, EBUSY);
	}
	return NULL;
}

static void *access_by_cpu(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf *dmabuf = crowd->shared;
	int me = atomic_fetch_add(&crowd->next, 1), i;
	size_t mine = (size_t)me * 64;
	char *bytes;

	for (i = 0; i < crowd->rounds * 4; i++) {
		ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, mine, 64, DMA_BIDIRECTIONAL));
		bytes = dma_buf_kmap(dmabuf, 0);
		bytes[mine] = (char)i;
		ASSERT_EQ(bytes[mine], (char)i);
		dma_buf_kunmap(dmabuf, 0, bytes);
		bytes = dma_buf_vmap(dmabuf);
		ASSERT(bytes);
		dma_buf_vunmap(dmabuf, bytes);
		ASSERT_OK(dma_buf_end_cpu_access(dmabuf, mine, 64, DMA_BIDIRECTIONAL));
	}
	return NULL;
}

static int cache_sync(struct dma_buf *dmabuf, enum dma_buf_cache_op op, size_t start, size_t len)
{
	++*(int *)dmabuf->priv; /* not atomic: the coherency lock is what guards it */
	return 0;
}

static void *everything(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf_counters counters;

	if (atomic_load(&crowd->next) % 2)
		access_by_cpu(crowd);
	else
		atomic_fetch_add(&crowd->next, 1);
	attach_and_map(crowd);
	ASSERT_OK(dma_buf_get_counters(crowd->shared, &counters));
	ASSERT_OK(dma_buf_set_name(crowd->shared, "shared"));
	ASSERT_STR_EQ(peer_info(crowd->shared).name, "shared");
	return NULL;
}

static void share(const struct dma_buf_ops *ops, bool noncoherent)
{
	struct dma_buf_device_parameters limits = { .size = sizeof(limits),
						    .noncoherent = noncoherent };
	struct crowd crowd = { .rounds = 100 };
	struct dma_buf_counters counters;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	int operations = 0;

	info.ops = ops;
	info.size = 4096;
	info.flags = O_RDWR;
	info.priv = &operations;
	crowd.shared = dma_buf_export(&info);
	crowd.devices[0] = device_make("one", NULL);
	crowd.devices[1] = device_make("two", &limits);
	crowd.attach = dma_buf_attach(crowd.shared, crowd.devices[0]);
	ASSERT(crowd.attach);
	run(&crowd, access_by_cpu);
	atomic_store(&crowd.next, 0);
	run(&crowd, attach_and_map);
	run(&crowd, everything);
	dma_buf_detach(crowd.shared, crowd.attach);
	ASSERT_EQ(peer_info(crowd.shared).attachment_count, 0);
	ASSERT_OK(dma_buf_get_counters(crowd.shared, &counters));
	ASSERT_EQ(counters.sync_needed, operations);
	ASSERT_EQ(counters.sync_done, operations);
	ASSERT(noncoherent == (operations > 0));
	dma_buf_device_put(crowd.devices[0]);
	dma_buf_device_put(crowd.devices[1]);
	dma_buf_put(crowd.shared);
}

static void nothing(struct dma_buf *dmabuf)
{
}

TEST(A5_threads_attach_map_and_access_one_coherent_buffer)
{
	static const struct dma_buf_ops ops = { .cache_sgt_mapping = true,
						.map_dma_buf = dma_buf_memory_map,
						.try_map_dma_buf = dma_buf_memory_map,
						.unmap_dma_buf = dma_buf_memory_unmap,
						.release = nothing,
						.kmap = dma_buf_memory_kmap,
						.kmap_atomic = dma_buf_memory_kmap,
						.cache_sync = cache_sync };

	share(&ops, false);
}

TEST(C1_threads_attach_map_and_access_one_noncoherent_buffer)
{
	static const struct dma_buf_ops ops = { .map_dma_buf = dma_buf_memory_map,
						.unmap_dma_buf = dma_buf_memory_unmap,
						.release = nothing,
						.kmap = dma_buf_memory_kmap,
						.kmap_atomic = dma_buf_memory_kmap,
						.cache_sync = cache_sync };

	share(&ops, true);
}

static void *use_the_pool(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < crowd->rounds; i++) {
		dmabuf = dma_buf_pool_get(crowd->pool);
		ASSERT(dmabuf);
		*(char *)dma_buf_vmap(dmabuf) = (char)i;
		if (i % 5)
			dma_buf_vunmap(dmabuf, dma_buf_vmap(dmabuf));
		dma_buf_pool_put(crowd->pool, dmabuf);
	}
	return NULL;
}

TEST(B4_threads_share_a_pool)
{
	struct crowd crowd = { .rounds = 200, .pool = dma_buf_pool_create("frames", 4096, 2) };

	run(&crowd, use_the_pool);
	dma_buf_pool_destroy(crowd.pool);
}

static void *register_and_log(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf_exporter class = { .size = sizeof(class), .ops = &counting_ops };
	char name[16] = "class0";
	int i, me = atomic_fetch_add(&crowd->next, 1);

	name[5] = (char)('0' + me);
	class.name = name;
	for (i = 0; i < crowd->rounds; i++) {
		ASSERT_OK(dma_buf_register_exporter(&class));
		ASSERT_ERR(dma_buf_register_exporter(&class), EEXIST);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), name);
		ASSERT_OK(dmabuf_set_label(name));
		ASSERT_OK(dma_buf_unregister_exporter(name));
	}
	return NULL;
}

static atomic_int logged;

static void count_words(enum dmabuf_log_level level, const char *message, void *data)
{
	logged++;
}

TEST(A1_threads_register_name_and_log)
{
	struct crowd crowd = { .rounds = 100 };

	dmabuf_set_log(count_words, NULL);
	run(&crowd, register_and_log);
	ASSERT_EQ(logged, THREADS * 100);
	dmabuf_set_log(NULL, NULL);
}
