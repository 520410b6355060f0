// SPDX-License-Identifier: MIT
/* Storage that moves when a stricter device comes, or when asked to (mission row F6). */
#include <pthread.h>
#include <stdio.h>

#include "deferred.h"
#include "sync.h"

#define SIZE ((size_t)300000)

static struct dma_buf *export_written(uint32_t seed)
{
	struct dma_buf *d = deferred_export(SIZE);

	write_pattern(d, seed);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	return d;
}

TEST(F6_a_stricter_device_moves_the_storage)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	d = export_written(1);
	a = attach_ok(d, strict);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	check_pattern(d, 1);
	ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F6_a_device_that_fits_moves_nothing)
{
	struct dma_buf_device *strict = strict_device(), *loose = loose_device();
	struct dma_buf_attachment *a, *b;
	struct dma_buf *d;
	uint64_t generation;

	chunky_register();
	d = deferred_export(SIZE);
	a = attach_ok(d, strict);
	write_pattern(d, 1);
	generation = storage_info(d).generation;
	b = attach_ok(d, loose);
	ASSERT_EQ(storage_info(d).generation, generation);
	dma_buf_detach(d, a);
	dma_buf_detach(d, b);
	dma_buf_put(d);
	dma_buf_device_put(strict);
	dma_buf_device_put(loose);
}

TEST(F6_pointers_stay)
{
	struct dma_buf *d;
	unsigned char *all, *part;

	chunky_register();
	d = export_written(2);
	all = dma_buf_vmap(d);
	part = dma_buf_mmap(d, 8192, 4096, PROT_READ | PROT_WRITE);
	ASSERT(all && part);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	all[8192 + 5] = 42;
	ASSERT_EQ(part[5], 42);
	part[6] = 43;
	ASSERT_EQ(all[8192 + 6], 43);
	ASSERT(dma_buf_kmap(d, 2) == all + 8192);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	/* And back to pages, which are fewer bytes. */
	ASSERT_OK(dma_buf_migrate(d, "memfd", 0));
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	ASSERT_EQ(part[6], 43);
	ASSERT_EQ(all[8192 + 5], 42);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	dma_buf_vunmap(d, all);
	ASSERT_OK(dma_buf_munmap(part, 4096));
	dma_buf_put(d);
}

TEST(F6_what_was_unmapped_by_hand_is_left_alone)
{
	struct dma_buf *d;
	char *part, *mine;

	chunky_register();
	d = export_written(3);
	part = dma_buf_mmap(d, 0, 8192, PROT_READ | PROT_WRITE);
	ASSERT(part);
	mine = mmap(part, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0);
	ASSERT(mine == part);
	mine[7] = 77;
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	check_pattern(d, 3);
	ASSERT_EQ(mine[7], 77);
	ASSERT_OK(munmap(mine, (size_t)2 << 20));
	dma_buf_put(d);
}

static int importer_checks(struct peer *peer, struct dma_buf *d)
{
	check_pattern(d, 3);
	write_pattern(d, 4);
	dma_buf_put(d);
	return 0;
}

TEST(F6_to_huge_pages_and_back)
{
	struct dma_buf *d;
	unsigned char *all, *part;
	struct peer peer;

	if (!huge_pages())
		SKIP("no huge page in the pool");
	d = export_written(3);
	all = dma_buf_vmap(d);
	part = dma_buf_mmap(d, 8192, 4096, PROT_READ | PROT_WRITE);
	ASSERT(all && part);
	if (dma_buf_migrate(d, "hugetlb", 0) == -ENOMEM)
		SKIP("no huge page any more: %s", dmabuf_last_error());
	ASSERT_STR_EQ(storage_info(d).heap, "hugetlb");
	check_pattern(d, 3);
	ASSERT_EQ(part[5], all[8192 + 5]);
	peer_start(&peer, d, importer_checks, NULL);
	peer_end(&peer);
	ASSERT_OK(dma_buf_migrate(d, "memfd", 0));
	check_pattern(d, 4);
	ASSERT_EQ(part[5], all[8192 + 5]);
	dma_buf_vunmap(d, all);
	ASSERT_OK(dma_buf_munmap(part, 4096));
	dma_buf_put(d);
}

/* Another process: kept mapping, kept table and mmap are renewed before its next access. */
static int keeper(struct peer *peer, struct dma_buf *d)
{
	struct dma_buf_device *loose = loose_device();
	struct dma_buf_attachment *a = attach_ok(d, loose);
	struct dma_buf_sg_table *table = map_ok(a);
	char *own = dma_buf_mmap(d, 0, 4096, PROT_READ);

	ASSERT(own);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	ASSERT(a->sgt == table);
	check_pattern(d, 3);
	peer_tell(peer);
	peer_wait(peer);
	check_pattern(d, 4);
	ASSERT_EQ(*(uint32_t *)(void *)own, 4);
	table = map_ok(a);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_munmap(own, 4096));
	dma_buf_detach(d, a);
	dma_buf_device_put(loose);
	dma_buf_put(d);
	return 0;
}

TEST(F6_what_others_keep_is_renewed)
{
	struct dma_buf *d;
	struct peer peer;

	chunky_register();
	d = export_written(3);
	peer_start(&peer, d, keeper, NULL);
	peer_wait(&peer);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	write_pattern(d, 4);
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_put(d);
}

static atomic_int tables_made;

static struct dma_buf_sg_table *counting_map_table(struct dma_buf_attachment *a,
						   enum dma_data_direction direction)
{
	tables_made++;
	return dma_buf_memory_map(a, direction);
}

TEST(F6_kept_tables_are_made_anew)
{
	struct dma_buf_ops ops = deferred_ops;
	struct dma_buf_device *loose = loose_device();
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	ops.map_dma_buf = counting_map_table;
	d = deferred_export_ops(&ops, SIZE, DMA_BUF_STORAGE_DEFERRED);
	a = attach_ok(d, loose);
	for (int i = 0; i < 3; i++)
		ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	ASSERT_EQ(tables_made, 1);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	for (int i = 0; i < 3; i++)
		ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	ASSERT_EQ(tables_made, 2);
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(loose);
}

/* Each kind of access keeps it where it is, and its end lets it go. */
static void held_then_free(struct dma_buf *d, const char *to)
{
	ASSERT_ERR(dma_buf_migrate(d, to, 0), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "pid");
}

TEST(F6_accesses_are_waited_for)
{
	struct dma_buf_device *loose = loose_device();
	struct dma_buf_sg_table *table;
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	d = export_written(1);
	a = attach_ok(d, loose);

	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 16, DMA_FROM_DEVICE));
	held_then_free(d, "chunky");
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, 16, DMA_FROM_DEVICE));

	table = map_ok(a);
	held_then_free(d, "chunky");
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));

	table = dma_buf_get_scatterlist(d);
	ASSERT(table);
	held_then_free(d, "chunky");
	dma_buf_put_scatterlist(d, table);

	ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_R, true));
	held_then_free(d, "chunky");
	ASSERT_OK(dmabuf_sync_single_unlock(d));

	ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true));
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), EBUSY);
	ASSERT_OK(dmabuf_sync_single_unlock(d));

	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(loose);
}

static int bracket_holder(struct peer *peer, struct dma_buf *d)
{
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 16, DMA_BIDIRECTIONAL));
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, 16, DMA_BIDIRECTIONAL));
	peer_tell(peer);
	peer_wait(peer);
	dma_buf_put(d);
	return 0;
}

TEST(F6_a_stricter_attach_pends_until_accesses_end)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct peer peer;
	struct dma_buf *d;

	chunky_register();
	d = export_written(1);
	peer_start(&peer, d, bracket_holder, NULL);
	peer_wait(&peer);
	a = attach_ok(d, strict);
	ASSERT(storage_info(d).wanted);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	/* Others go on, where it is. */
	check_pattern(d, 1);
	ASSERT_ERRNO(dma_buf_try_map_attachment(a, DMA_BIDIRECTIONAL), EBUSY);
	peer_tell(&peer);
	peer_wait(&peer);
	/* The next access of anybody finds none held. */
	check_pattern(d, 1);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	ASSERT(!storage_info(d).wanted);
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F6_a_device_maps_only_what_suits_it)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct peer peer;
	struct dma_buf *d;
	char pid[32];

	chunky_register();
	d = export_written(1);
	peer_start(&peer, d, bracket_holder, NULL);
	peer_wait(&peer);
	a = attach_ok(d, strict);
	ASSERT_ERRNO(dma_buf_map_attachment(a, DMA_BIDIRECTIONAL), ETIMEDOUT);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)peer.pid);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), pid);
	peer_tell(&peer);
	peer_wait(&peer);
	ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F6_a_wait_names_who_has_not_let_go)
{
	struct peer peer;
	struct dma_buf *d;
	char pid[32];

	chunky_register();
	d = export_written(1);
	peer_start(&peer, d, bracket_holder, NULL);
	peer_wait(&peer);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 100), ETIMEDOUT);
	snprintf(pid, sizeof(pid), "(pid %d) has 1", (int)peer.pid);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), pid);
	peer_tell(&peer);
	peer_wait(&peer);
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	dma_buf_put(d);
}

static void *migrate_patiently(void *arg)
{
	ASSERT_OK(dma_buf_migrate(arg, "chunky", 20000));
	return NULL;
}

static bool is_awaited(void *arg)
{
	return storage_info(arg).awaited;
}

TEST(F6_migration_waits_its_turn)
{
	struct peer peer;
	struct dma_buf *d;
	pthread_t thread;

	chunky_register();
	d = export_written(6);
	peer_start(&peer, d, bracket_holder, NULL);
	peer_wait(&peer);
	ASSERT_EQ(pthread_create(&thread, NULL, migrate_patiently, d), 0);
	ASSERT(eventually(is_awaited, d, 20000));
	peer_tell(&peer);
	peer_wait(&peer);
	pthread_join(thread, NULL);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	check_pattern(d, 6);
	peer_tell(&peer);
	peer_end(&peer);
	dma_buf_put(d);
}

/* Somebody who has an access already may begin more, and lock, while a migration waits for him. */
static int nester(struct peer *peer, struct dma_buf *d)
{
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 16, DMA_BIDIRECTIONAL));
	peer_tell(peer);
	peer_wait(peer);
	for (int i = 0; i < 1000; i++) {
		ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 8, DMA_BIDIRECTIONAL));
		ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true));
		ASSERT_OK(dmabuf_sync_single_unlock(d));
		ASSERT_OK(dma_buf_end_cpu_access(d, 0, 8, DMA_BIDIRECTIONAL));
	}
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, 16, DMA_BIDIRECTIONAL));
	dma_buf_put(d);
	return 0;
}

TEST(F6_whoever_is_waited_for_is_not_kept_waiting)
{
	struct peer peer;
	struct dma_buf *d;
	pthread_t thread;

	chunky_register();
	d = export_written(6);
	peer_start(&peer, d, nester, NULL);
	peer_wait(&peer);
	ASSERT_EQ(pthread_create(&thread, NULL, migrate_patiently, d), 0);
	ASSERT(eventually(is_awaited, d, 20000));
	peer_tell(&peer);
	peer_end(&peer);
	pthread_join(thread, NULL);
	check_pattern(d, 6);
	dma_buf_put(d);
}

TEST(F6_reasons_that_forbid_it_are_told)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf *d;
	int fd;

	chunky_register();
	d = export_written(1);
	fd = dma_buf_payload_fd(d, O_CLOEXEC);
	ASSERT_OK(fd);
	close(fd);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "dma_buf_payload_fd");
	ASSERT(!dma_buf_attach(d, strict));
	ASSERT_EQ(peer_info(d).attachment_count, 0);
	check_pattern(d, 1);
	dma_buf_put(d);

	d = deferred_export_ops(&deferred_ops, SIZE,
				DMA_BUF_STORAGE_DEFERRED | DMA_BUF_STORAGE_FIXED);
	write_pattern(d, 1);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "DMA_BUF_STORAGE_FIXED");
	dma_buf_put(d);

	d = dma_buf_alloc("compact", SIZE, O_RDWR);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "export it deferred");
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

static int say_no(struct dma_buf *dmabuf)
{
	return -EPERM;
}

TEST(F6_an_exporter_may_say_no)
{
	struct dma_buf_ops ops = deferred_ops;
	struct dma_buf_device *strict = strict_device();
	struct dma_buf *d;

	chunky_register();
	ops.migrate = say_no;
	d = deferred_export_ops(&ops, SIZE, DMA_BUF_STORAGE_DEFERRED);
	write_pattern(d, 1);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "does not let");
	ASSERT_ERRNO(dma_buf_attach(d, strict), EBUSY);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "strict");
	ASSERT(!storage_info(d).wanted);
	ASSERT_EQ(peer_info(d).attachment_count, 0);
	check_pattern(d, 1);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F6_a_heap_that_does_not_suit_is_refused)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a;
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(SIZE);
	a = attach_ok(d, strict);
	write_pattern(d, 1);
	ASSERT_ERR(dma_buf_migrate(d, "memfd", 0), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "memfd");
	ASSERT_ERR(dma_buf_migrate(d, "no such heap", 0), EINVAL);
	ASSERT_ERR(dma_buf_migrate(d, "", 0), EINVAL);
	ASSERT_ERR(dma_buf_migrate(d, NULL, -1), EINVAL);
	ASSERT_ERR(dma_buf_migrate(NULL, NULL, 0), EINVAL);
	/* Where it is, it is well. */
	ASSERT_OK(dma_buf_migrate(d, NULL, 0));
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	ASSERT_OK(dma_buf_migrate(d, "chunky2", 0));
	ASSERT_STR_EQ(storage_info(d).heap, "chunky2");
	check_pattern(d, 1);
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

TEST(F6_without_memory_it_stays_where_it_is)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf *d;

	chunky_register();
	d = export_written(8);
	atomic_store(&chunky->empty, 1);
	ASSERT_ERR(dma_buf_migrate(d, "chunky", 0), ENOMEM);
	if (!huge_pages())
		ASSERT_ERRNO(dma_buf_attach(d, strict), ENOMEM);
	ASSERT_EQ(peer_info(d).attachment_count, 0);
	check_pattern(d, 8);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	dma_buf_put(d);
	dma_buf_device_put(strict);
}

static int importer_migrates(struct peer *peer, struct dma_buf *d)
{
	ASSERT_OK(dma_buf_migrate(d, "chunky", 5000));
	check_pattern(d, 11);
	write_pattern(d, 12);
	dma_buf_put(d);
	return 0;
}

TEST(F6_anybody_can_migrate)
{
	struct peer peer;
	struct dma_buf *d;

	chunky_register();
	d = export_written(11);
	peer_start(&peer, d, importer_migrates, NULL);
	peer_end(&peer);
	check_pattern(d, 12);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	dma_buf_put(d);
}

/* Deaths: in the exporter's op (accesses are stopped), and while memory is made. */
static int *die_in_op;

static int op_dies(struct dma_buf *dmabuf)
{
	if (getpid() == *die_in_op)
		raise(SIGKILL);
	return 0;
}

static int doomed_migrates(struct peer *peer, struct dma_buf *d)
{
	if (peer->arg)
		atomic_store(&chunky->kill_asker, getpid());
	else
		*die_in_op = getpid();
	dma_buf_migrate(d, "chunky", 5000);
	return 1;
}

static void dies_migrating(bool while_allocating)
{
	static const struct dma_buf_exporter class = { .size = sizeof(class),
						       .name = "deferred-test" };
	static struct dma_buf_ops ops;
	struct dma_buf_exporter known = class;
	struct peer peer;
	struct dma_buf *d;

	ops = deferred_ops;
	ops.migrate = op_dies;
	known.ops = &ops;
	ASSERT_OK(dma_buf_register_exporter(&known));
	d = deferred_export_ops(&ops, SIZE, DMA_BUF_STORAGE_DEFERRED);
	write_pattern(d, 21);
	peer_start(&peer, d, doomed_migrates, (void *)(intptr_t)while_allocating);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	check_pattern(d, 21);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	write_pattern(d, 22);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 5000));
	check_pattern(d, 22);
	/* Nothing is torn: the content was never in danger. */
	ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true));
	ASSERT_OK(dmabuf_sync_single_unlock(d));
	dma_buf_put(d);
	ASSERT_OK(dma_buf_unregister_exporter("deferred-test"));
}

TEST(F6_whoever_dies_migrating_leaves_it_as_it_was)
{
	chunky_register();
	die_in_op = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dies_migrating(false);
	dies_migrating(true);
}

static int dies_in_bracket(struct peer *peer, struct dma_buf *d)
{
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, 16, DMA_BIDIRECTIONAL));
	raise(SIGKILL);
	return 1;
}

TEST(F6_accesses_of_the_dead_are_no_accesses)
{
	struct peer peer;
	struct dma_buf *d;

	chunky_register();
	d = export_written(1);
	peer_start(&peer, d, dies_in_bracket, NULL);
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	check_pattern(d, 1);
	dma_buf_put(d);
}

/* A device that does not see the caches: what it wrote moves, and what the CPU writes reaches it.
 */
TEST(F6_caches_are_seen_to)
{
	struct dma_buf_device_parameters p = { .size = sizeof(p), .noncoherent = true };
	struct dma_buf_device *dev = device_make("noncoherent", &p);
	struct dma_buf_counters before, after;
	struct dma_buf_attachment *a;
	struct dma_buf_sg_table *table;
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(SIZE);
	a = dma_buf_attach(d, dev);
	if (!a)
		SKIP("no cache instructions: %s", dmabuf_last_error());
	table = dma_buf_map_attachment(a, DMA_FROM_DEVICE);
	ASSERT(table);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_FROM_DEVICE));
	/* The device wrote: whoever copies must not read what the caches still have. */
	ASSERT_OK(dma_buf_get_counters(d, &before));
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	ASSERT_OK(dma_buf_get_counters(d, &after));
	ASSERT(after.sync_done > before.sync_done);
	/* The copy was made by the CPU: it must be written back before the device looks. */
	table = dma_buf_map_attachment(a, DMA_TO_DEVICE);
	if (!table) {
		dma_buf_detach(d, a);
		a = attach_ok(d, dev);
		table = dma_buf_map_attachment(a, DMA_TO_DEVICE);
	}
	ASSERT(table);
	ASSERT_OK(dma_buf_get_counters(d, &before));
	ASSERT(before.sync_done > after.sync_done);
	ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE));
	dma_buf_detach(d, a);
	dma_buf_put(d);
	dma_buf_device_put(dev);
}

TEST(F6_old_storage_is_let_go)
{
	struct dma_buf *d;
	int fds;

	chunky_register();
	d = export_written(1);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	fds = open_fds();
	for (int i = 0; i < 20; i++)
		ASSERT_OK(dma_buf_migrate(d, i % 2 ? "chunky" : "memfd", 0));
	ASSERT_EQ(open_fds(), fds);
	check_pattern(d, 1);
	dma_buf_put(d);
}
