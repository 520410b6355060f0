// SPDX-License-Identifier: MIT
/*
 * Row G2: counters are always on and cost nothing measurable. Not measured but counted: in which
 * lines of the cache they are, which system calls they need, and how many instructions an operation
 * takes with its counters.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer.h"
#include "harness.h"
#include "resv/resv.h"
#include "seccomp.h"
#include "step.h"

#define LINE 64
#define CROWD 3
#define TIMES 1000
#define OFTEN (test_is_slow() ? 2000 : 1000000)

static struct dma_buf *new_buffer(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("counted", 4096, O_RDWR);

	ASSERT(dmabuf);
	return dmabuf;
}

static struct dmabuf_sync *new_sync(struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "counting");

	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	return sync;
}

static void lock_and_unlock(struct dmabuf_sync *sync)
{
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
}

static void access_and_end(struct dma_buf *dmabuf)
{
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL));
}

static uintptr_t line_of(const volatile void *at)
{
	return (uintptr_t)at / LINE;
}

TEST(G2_a_hold_is_counted_in_the_line_that_its_entry_has)
{
	struct dma_buf *dmabuf = new_buffer();
	struct control *c = &to_buffer(dmabuf)->control;
	struct shm_resv_entry *entry = resv_entry_line(c, 0);
	struct dmabuf_sync *sync = new_sync(dmabuf);
	struct shm_counters before = c->header->counters;
	int i;

	for (i = 0; i < TIMES; i++)
		lock_and_unlock(sync);
	ASSERT_EQ(atomic_load(&entry->holds), TIMES);
	ASSERT_EQ(line_of(&entry->holds), line_of(&entry->word));
	ASSERT_EQ(line_of(entry + 1) - line_of(entry), 1);
	/* And nothing else: what all share stays as it is. */
	ASSERT_EQ(memcmp(&before, &c->header->counters, sizeof(before)), 0);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(G2_what_all_count_shares_a_line_with_nothing_else)
{
	struct dma_buf *dmabuf = new_buffer();
	struct shm_header *header = to_buffer(dmabuf)->control.header;
	const char *counters = (const char *)&header->counters;

	ASSERT_EQ((uintptr_t)counters % LINE, 0);
	ASSERT(line_of(counters - 1) != line_of(counters));
	ASSERT(line_of(&header->list_lock) > line_of(counters + sizeof(header->counters) - 1));
	dma_buf_put(dmabuf);
}

TEST(G2_counting_and_asking_make_no_system_call)
{
	struct dma_buf_counters now = { 0 };
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dmabuf_sync *sync;
	struct dma_buf *dmabuf;
	int i;

	if (TEST_SANITIZED || test_is_slow())
		SKIP("sanitizers and valgrind make system calls of their own");
	dmabuf = new_buffer();
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	sync = new_sync(dmabuf);
	ASSERT(attach);
	/* What is needed once: memory, a mapping, a table. */
	access_and_end(dmabuf);
	lock_and_unlock(sync);
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	ASSERT(table);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	forbid_system_calls();
	for (i = 1; i < TIMES; i++) {
		access_and_end(dmabuf);
		lock_and_unlock(sync);
		table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
		if (!table || dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL))
			_exit(1);
		if (dma_buf_get_counters(dmabuf, &now))
			_exit(2);
	}
	_exit(now.cpu_access == TIMES && now.maps == TIMES && now.cached_maps >= TIMES - 1 &&
			      !now.sync_needed && !now.recovered && !now.leases_lost
		      ? 0
		      : 3);
}

struct crowd {
	int fd;
	atomic_uint here;
};

/* All at the same time. */
static int access_often(void *arg)
{
	struct crowd *crowd = arg;
	struct dma_buf *dmabuf = dma_buf_get(crowd->fd);
	int i;

	ASSERT(dmabuf);
	close(crowd->fd);
	atomic_fetch_add(&crowd->here, 1);
	while (atomic_load(&crowd->here) < CROWD)
		sched_yield();
	for (i = 0; i < OFTEN; i++)
		access_and_end(dmabuf);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(G2_no_count_is_lost_between_processes)
{
	struct crowd *crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct dma_buf *dmabuf = new_buffer();
	struct dma_buf_counters counters;
	pid_t pid[CROWD];
	int i;

	ASSERT(crowd != MAP_FAILED);
	ASSERT_OK(crowd->fd = dma_buf_fd(dmabuf, O_CLOEXEC));
	for (i = 0; i < CROWD; i++)
		pid[i] = spawn(access_often, crowd);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(reap(pid[i]), 0);
	ASSERT_OK(dma_buf_get_counters(dmabuf, &counters));
	ASSERT_EQ(counters.cpu_access, CROWD * OFTEN);
	close(crowd->fd);
	munmap(crowd, sizeof(*crowd));
	dma_buf_put(dmabuf);
}

static long steps_of(void (*what)(void *arg), void *arg)
{
	step_prepare(NULL);
	step_switch();
	if (what)
		what(arg);
	step_switch();
	return step_count;
}

static void lock_pair(void *sync)
{
	(void)dmabuf_sync_lock(sync);
	(void)dmabuf_sync_unlock(sync);
}

static void bracket(void *dmabuf)
{
	(void)dma_buf_begin_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL);
	(void)dma_buf_end_cpu_access(dmabuf, 0, 4096, DMA_BIDIRECTIONAL);
}

/*
 * A compare-and-swap takes as long as some dozens of them. The bounds are a little above what a
 * compiler makes of it, so that whatever joins the fast path is noticed.
 */
TEST(G2_operations_with_their_counters_take_few_instructions)
{
	struct dma_buf *dmabuf = new_buffer();
	struct dmabuf_sync *sync = new_sync(dmabuf);
	long nothing, lock, access;

#ifndef __OPTIMIZE__
	SKIP("built without optimization");
#endif
	if (TEST_SANITIZED)
		SKIP("a sanitizer adds its own");
	lock_and_unlock(sync);
	access_and_end(dmabuf);
	nothing = steps_of(NULL, NULL);
	nothing = steps_of(NULL, NULL);
	lock = steps_of(lock_pair, sync) - nothing;
	access = steps_of(bracket, dmabuf) - nothing;
	test_note("lock and unlock: %ld instructions, begin and end: %ld", lock, access);
	ASSERT(lock > 20 && lock < 100);
	ASSERT(access > 20 && access < 800);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}
