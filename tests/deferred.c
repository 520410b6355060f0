// SPDX-License-Identifier: MIT
/* Buffers whose storage is chosen by the first access (mission row F5). */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "deferred.h"
#include "sync.h"

TEST(F5_an_export_takes_no_storage)
{
	struct dma_buf *dmabuf;
	struct dma_buf_storage_info s;
	struct stat st;
	int fd;

	chunky_register();
	dmabuf = deferred_export(4 * CHUNK);
	s = storage_info(dmabuf);
	ASSERT(s.deferred && !s.fixed && !s.raw && !s.wanted);
	ASSERT_EQ(s.generation, 0);
	ASSERT_STR_EQ(s.heap, "");
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	ASSERT_OK(fstat(fd, &st));
	ASSERT(st.st_size < (off_t)CHUNK);
	close(fd);
	dma_buf_put(dmabuf);
}

/* In either order of attaching; devices decide, not who maps. */
static void strictest_wins(bool strict_first)
{
	struct dma_buf_device *loose = loose_device(), *strict = strict_device();
	struct dma_buf *dmabuf = deferred_export(CHUNK);
	struct dma_buf_attachment *a = attach_ok(dmabuf, strict_first ? strict : loose);
	struct dma_buf_attachment *b = attach_ok(dmabuf, strict_first ? loose : strict);
	struct dma_buf_attachment *mapper = strict_first ? b : a;
	struct dma_buf_sg_table *table = map_ok(mapper);

	ASSERT_STR_EQ(storage_info(dmabuf).heap, "chunky");
	ASSERT_EQ(dma_buf_sg_length(table), CHUNK);
	ASSERT_OK(dma_buf_unmap_attachment(mapper, table, DMA_BIDIRECTIONAL));
	dma_buf_detach(dmabuf, a);
	dma_buf_detach(dmabuf, b);
	dma_buf_put(dmabuf);
	dma_buf_device_put(loose);
	dma_buf_device_put(strict);
}

TEST(F5_the_strictest_device_decides_in_any_order)
{
	chunky_register();
	strictest_wins(true);
	strictest_wins(false);
}

TEST(F5_cheap_memory_where_nobody_needs_more)
{
	struct dma_buf *dmabuf;

	chunky_register();
	dmabuf = deferred_export(10000);
	write_pattern(dmabuf, 1);
	check_pattern(dmabuf, 1);
	ASSERT_STR_EQ(storage_info(dmabuf).heap, "memfd");
	ASSERT_EQ(atomic_load(&chunky->allocated), 0);
	dma_buf_put(dmabuf);
}

/* Each kind of first access on a buffer of its own. */
TEST(F5_any_access_is_a_first_one)
{
	struct dma_buf *d;
	void *p;
	int fd;

	d = deferred_export(5000);
	p = dma_buf_vmap(d);
	ASSERT(p);
	ASSERT(storage_info(d).generation);
	((char *)p)[4999] = 1;
	dma_buf_vunmap(d, p);
	dma_buf_put(d);

	d = deferred_export(5000);
	p = dma_buf_mmap(d, 4096, 4096, PROT_READ | PROT_WRITE);
	ASSERT(p);
	((char *)p)[100] = 7;
	ASSERT_OK(dma_buf_begin_cpu_access(d, 4096, 200, DMA_FROM_DEVICE));
	ASSERT_EQ(((char *)dma_buf_kmap(d, 1))[100], 7);
	ASSERT_OK(dma_buf_end_cpu_access(d, 4096, 200, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_munmap(p, 4096));
	dma_buf_put(d);

	d = deferred_export(5000);
	fd = dma_buf_payload_fd(d, O_CLOEXEC);
	ASSERT_OK(fd);
	ASSERT(storage_info(d).raw);
	ASSERT_EQ(pwrite(fd, "x", 1, 4000), 1);
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 5000, DMA_FROM_DEVICE));
	ASSERT_EQ(((char *)dma_buf_kmap(d, 0))[4000], 'x');
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, 5000, DMA_FROM_DEVICE));
	close(fd);
	dma_buf_put(d);

	d = deferred_export(5000);
	ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true));
	ASSERT(storage_info(d).generation);
	ASSERT_EQ(peer_info(d).holders[0].storage_accesses, 1);
	ASSERT_OK(dmabuf_sync_single_unlock(d));
	ASSERT_EQ(peer_info(d).holders[0].storage_accesses, 0);
	dma_buf_put(d);
}

TEST(F5_a_mapping_outlives_its_handle)
{
	struct dma_buf *d = deferred_export(3 * 4096);
	char *p = dma_buf_mmap(d, 0, 3 * 4096, PROT_READ | PROT_WRITE);

	ASSERT(p);
	ASSERT_ERR(dma_buf_munmap(p, 4096), EINVAL);
	dma_buf_put(d);
	p[3 * 4096 - 1] = 1;
	ASSERT_OK(dma_buf_munmap(p, 3 * 4096));
}

static int reader(struct peer *peer, struct dma_buf *dmabuf)
{
	check_pattern(dmabuf, 77);
	write_pattern(dmabuf, 78);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(F5_whoever_comes_later_sees_the_same_bytes)
{
	struct dma_buf *d = deferred_export(300000);
	struct peer peer;

	write_pattern(d, 77);
	peer_start(&peer, d, reader, NULL);
	peer_end(&peer);
	check_pattern(d, 78);
	dma_buf_put(d);
}

static int chooser(struct peer *peer, struct dma_buf *dmabuf)
{
	write_pattern(dmabuf, 5);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(F5_the_first_access_may_be_anybodys)
{
	struct dma_buf *d = deferred_export(300000);
	struct peer peer;

	peer_start(&peer, d, chooser, NULL);
	peer_end(&peer);
	check_pattern(d, 5);
	dma_buf_put(d);
}

#define RACERS 8

static int racer(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a = attach_ok(dmabuf, strict);
	struct dma_buf_sg_table *table;
	int n = (int)(intptr_t)peer->arg;
	unsigned char *bytes;

	peer_tell(peer);
	peer_wait(peer);
	table = map_ok(a);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 64, DMA_BIDIRECTIONAL));
	bytes = dma_buf_kmap(dmabuf, 0);
	bytes[n] = (unsigned char)(n + 1);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 64, DMA_BIDIRECTIONAL));
	dma_buf_detach(dmabuf, a);
	dma_buf_device_put(strict);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(F5_storage_is_taken_once_however_many_race_to_it)
{
	struct peer peers[RACERS];
	struct dma_buf *d;
	unsigned char *bytes;

	chunky_register();
	d = deferred_export(CHUNK);
	for (int i = 0; i < RACERS; i++) {
		peer_start(&peers[i], d, racer, (void *)(intptr_t)i);
		peer_wait(&peers[i]);
	}
	for (int i = 0; i < RACERS; i++)
		peer_tell(&peers[i]);
	for (int i = 0; i < RACERS; i++)
		peer_end(&peers[i]);
	ASSERT_EQ(atomic_load(&chunky->allocated), 1);
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 64, DMA_FROM_DEVICE));
	bytes = dma_buf_kmap(d, 0);
	for (int i = 0; i < RACERS; i++)
		ASSERT_EQ(bytes[i], i + 1);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, 64, DMA_FROM_DEVICE));
	dma_buf_put(d);
}

static int doomed(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a = attach_ok(dmabuf, strict);

	atomic_store(&chunky->kill_asker, getpid());
	dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);
	return 1;
}

TEST(F5_whoever_dies_choosing_leaves_it_to_the_next)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct dma_buf_sg_table *table;
	struct dma_buf *d;
	struct peer peer;

	chunky_register();
	d = deferred_export(CHUNK);
	a = attach_ok(d, strict);
	peer_start(&peer, d, doomed, NULL);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	table = map_ok(a);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	ASSERT_EQ(atomic_load(&chunky->allocated), 1);
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F5_an_empty_heap_is_passed_over_and_that_is_told)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	atomic_store(&chunky->empty, 1);
	d = deferred_export(CHUNK);
	a = attach_ok(d, strict);
	if (!huge_pages()) {
		ASSERT_ERRNO(dma_buf_map_attachment(a, DMA_BIDIRECTIONAL), ENOMEM);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "chunky");
	}
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "chunky");
	ASSERT_EQ(storage_info(d).generation, 0);
	/* Nothing is lost: it works once there is memory. */
	atomic_store(&chunky->empty, 0);
	ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

static int refusing_describe(struct dma_buf_heap_info *info, void *priv)
{
	int err = chunky_describe(info, priv);

	info->cost = 15;
	return err;
}

static int refusing_alloc(uint64_t size, void *priv)
{
	return -EDQUOT;
}

TEST(F5_a_fallback_is_recorded)
{
	static uint32_t cost = 15;
	struct dma_buf_heap_ops ops = { .size = sizeof(ops),
					.name = "miser",
					.describe = refusing_describe,
					.alloc = refusing_alloc,
					.priv = &cost };
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_storage_info s;
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	ASSERT_OK(dma_buf_register_heap(&ops));
	d = deferred_export(CHUNK);
	a = attach_ok(d, strict);
	ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	s = storage_info(d);
	ASSERT_STR_EQ(s.heap, "chunky");
	ASSERT_EQ(s.tried_count, 1);
	ASSERT_STR_EQ(s.tried[0].heap, "miser");
	ASSERT_EQ(s.tried[0].error, EDQUOT);
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F5_try_map_does_not_wait_for_storage)
{
	struct dma_buf_device *loose = loose_device();
	struct dma_buf *d = deferred_export(8192);
	struct dma_buf_attachment *a = attach_ok(d, loose);
	struct dma_buf_sg_table *table;

	ASSERT_ERRNO(dma_buf_try_map_attachment(a, DMA_TO_DEVICE), EBUSY);
	write_pattern(d, 1);
	table = dma_buf_try_map_attachment(a, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(loose);
}

static int exporter_process(void *arg)
{
	int socket = *(int *)arg;
	struct dma_buf *d = deferred_export(8192);
	char byte;

	ASSERT_OK(dma_buf_send(socket, d, 20000));
	ASSERT_EQ(recv(socket, &byte, 1, 0), 1);
	_exit(0);
}

TEST(F5_without_its_exporter_a_buffer_cannot_get_storage)
{
	struct dma_buf *d;
	int sv[2];
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sv);
	pid = spawn(exporter_process, &sv[1]);
	d = dma_buf_recv(sv[0], 20000);
	ASSERT(d);
	ASSERT_EQ(send(sv[0], "x", 1, 0), 1);
	ASSERT_EQ(reap(pid), 0);
	ASSERT_ERRNO(dma_buf_vmap(d), EHOSTDOWN);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "process has ended");
	ASSERT_ERR(dma_buf_begin_cpu_access(d, 0, 1, DMA_FROM_DEVICE), EHOSTDOWN);
	dma_buf_put(d);
	close(sv[0]);
	close(sv[1]);
}

TEST(F5_what_is_mapped_outlives_the_exporter)
{
	struct dma_buf *d;
	int sv[2];
	pid_t pid;

	socket_pair(SOCK_SEQPACKET, sv);
	pid = spawn(exporter_process, &sv[1]);
	d = dma_buf_recv(sv[0], 20000);
	ASSERT(d);
	write_pattern(d, 3);
	ASSERT_EQ(send(sv[0], "x", 1, 0), 1);
	ASSERT_EQ(reap(pid), 0);
	check_pattern(d, 3);
	dma_buf_put(d);
	close(sv[0]);
	close(sv[1]);
}

TEST(F5_options_that_make_no_sense_are_refused)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &deferred_ops;
	info.size = 4096;
	info.priv = &info;
	info.flags = O_RDONLY;
	info.storage = DMA_BUF_STORAGE_DEFERRED;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.flags = O_RDWR;
	info.storage = DMA_BUF_STORAGE_FIXED;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	info.storage = 4;
	ASSERT_ERRNO(dma_buf_export(&info), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "storage 0x4");
}

TEST(F5_an_older_program_s_info_is_taken)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *d;

	info.struct_size = offsetof(struct dma_buf_export_info, storage);
	info.ops = &deferred_ops;
	info.size = 4096;
	info.priv = &info;
	info.flags = O_RDWR;
	info.storage = DMA_BUF_STORAGE_DEFERRED;
	d = dma_buf_export(&info);
	ASSERT(d);
	ASSERT(!storage_info(d).deferred);
	dma_buf_put(d);
}

static void *thread_maps(void *arg)
{
	struct dma_buf_attachment *a = arg;

	for (int i = 0; i < 50; i++) {
		struct dma_buf_sg_table *table = dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);

		ASSERT(table);
		ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	}
	return NULL;
}

TEST(F5_threads_take_storage_once)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a[4];
	pthread_t threads[4];
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(CHUNK);
	for (int i = 0; i < 4; i++)
		a[i] = attach_ok(d, strict);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, thread_maps, a[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ASSERT_EQ(atomic_load(&chunky->allocated), 1);
	ASSERT_EQ(peer_info(d).holders[0].storage_accesses, 0);
	for (int i = 0; i < 4; i++)
		dma_buf_detach(d, a[i]);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

static int child_reads(void *arg)
{
	int fd = *(int *)arg;
	struct dma_buf *d = dma_buf_get(fd);

	close(fd);
	ASSERT(d);
	check_pattern(d, 9);
	write_pattern(d, 10);
	dma_buf_put(d);
	return 0;
}

TEST(F5_a_forked_child_gets_it_by_the_descriptor)
{
	struct dma_buf *d = deferred_export(20000);
	int fd = dma_buf_fd(d, O_CLOEXEC);

	write_pattern(d, 9);
	ASSERT_EQ(reap(spawn(child_reads, &fd)), 0);
	check_pattern(d, 10);
	close(fd);
	dma_buf_put(d);
}
