// SPDX-License-Identifier: MIT
/* Threads of one process access a deferred buffer while it migrates (mission row F6). */
#include <pthread.h>
#include <stdio.h>

#include "deferred.h"

#define SIZE ((size_t)64 * 1024)
#define ROUNDS 60

static atomic_bool over;

static void *locks_and_counts(void *arg)
{
	struct dma_buf *d = arg;
	unsigned int *words;

	while (!atomic_load(&over)) {
		ASSERT_OK(dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true));
		words = dma_buf_vmap(d);
		ASSERT(words);
		/* The first and the last word count together, wherever the storage is. */
		ASSERT_EQ(words[0], words[SIZE / 4 - 1]);
		words[0]++;
		words[SIZE / 4 - 1]++;
		dma_buf_vunmap(d, words);
		ASSERT_OK(dmabuf_sync_single_unlock(d));
	}
	return NULL;
}

static void *brackets(void *arg)
{
	struct dma_buf *d = arg;

	while (!atomic_load(&over)) {
		ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
		ASSERT(dma_buf_kmap(d, 3));
		ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
	}
	return NULL;
}

static void *maps(void *arg)
{
	struct dma_buf *d = arg;
	struct dma_buf_device *loose = loose_device();
	struct dma_buf_attachment *a = attach_ok(d, loose);

	while (!atomic_load(&over))
		ASSERT_OK(dma_buf_unmap_attachment(a, map_ok(a), DMA_BIDIRECTIONAL));
	dma_buf_detach(d, a);
	dma_buf_device_put(loose);
	return NULL;
}

static void *mmaps(void *arg)
{
	struct dma_buf *d = arg;
	char *p;

	while (!atomic_load(&over)) {
		p = dma_buf_mmap(d, 4096, 8192, PROT_READ);
		ASSERT(p);
		ASSERT_OK(dma_buf_munmap(p, 8192));
	}
	return NULL;
}

static void *migrates(void *arg)
{
	static const char *const heaps[] = { "chunky", "memfd", "chunky2" };

	for (int i = 0; i < ROUNDS; i++)
		ASSERT_OK(dma_buf_migrate(arg, heaps[i % 3], 20000));
	return NULL;
}

TEST_TIMEOUT(F6_threads_go_on_while_storage_moves, 300)
{
	void *(*const bodies[])(void *) = { locks_and_counts, locks_and_counts, brackets, maps,
					    mmaps };
	pthread_t threads[5], movers[2];
	unsigned int generation;
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(SIZE);
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, bodies[i], d), 0);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&movers[i], NULL, migrates, d), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(movers[i], NULL);
	atomic_store(&over, true);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	generation = (unsigned int)storage_info(d).generation;
	test_note("generation %u", generation);
	ASSERT(generation >= ROUNDS);
	ASSERT_EQ(peer_info(d).holders[0].storage_accesses, 0);
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

TEST(F6_a_migration_waits_for_another_thread)
{
	struct dma_buf *d;
	pthread_t thread;

	chunky_register();
	d = deferred_export(SIZE);
	write_pattern(d, 1);
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	ASSERT_EQ(pthread_create(&thread, NULL, migrate_patiently, d), 0);
	ASSERT(eventually(is_awaited, d, 20000));
	/* More accesses of a process that is waited for do not stand back. */
	for (int i = 0; i < 100; i++)
		check_pattern(d, 1);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL));
	pthread_join(thread, NULL);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	check_pattern(d, 1);
	dma_buf_put(d);
}
