// SPDX-License-Identifier: MIT
/*
 * Locks and caches (row D6): at each grant and release the coherency core is asked, and does what
 * the transition needs and nothing else. Two processes, each with a CPU and a device that does not
 * see the CPU's caches, whose mapping is kept.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "coherency-actor.h"

/* What happens after @accesses[last] when @accesses[now] is granted: at most one operation. */
static const int needed[ACCESSES][ACCESSES] = {
	/* after a read nothing is anywhere but where it was */
	{ -1, -1, -1, -1 },
	{ -1, -1, DMA_BUF_CACHE_CLEAN, DMA_BUF_CACHE_CLEAN },
	{ -1, -1, -1, -1 },
	/* the second of these is what dmabuf-sync's first version missed */
	{ DMA_BUF_CACHE_INVALIDATE, DMA_BUF_CACHE_INVALIDATE, -1, -1 },
};

static void transition(struct dma_buf *dmabuf, struct peer *before, struct peer *after,
		       unsigned int last, unsigned int now)
{
	struct dma_buf_counters c, d;
	unsigned int done;
	int want = needed[last][now];

	make_clean(dmabuf);
	have_done_whole(dmabuf, before, accesses[last].type);
	c = counters_of(dmabuf);
	done = world->operations;
	have_done_whole(dmabuf, after, accesses[now].type);
	d = counters_of(dmabuf);
	done = world->operations - done;
	if (done != (want >= 0) || (want >= 0 && world->last_op != (enum dma_buf_cache_op)want))
		FAIL("%s after %s: %u operations, the last is %d, and not %d", accesses[now].name,
		     accesses[last].name, done, (int)world->last_op, want);
	ASSERT_EQ(d.sync_needed - c.sync_needed, done);
	ASSERT_EQ(d.sync_done - c.sync_done, done);
	/* The grant and the release each asked once. */
	ASSERT_EQ(d.sync_skipped - c.sync_skipped, 2 - done);
}

TEST(D6_every_transition_does_what_it_needs_and_nothing_else)
{
	struct dma_buf *dmabuf = world_make();
	unsigned int last, now, who;
	struct peer peer;
	struct side s;

	settle_in(&s, dmabuf);
	peer_start(&peer, dmabuf, actor, NULL);
	peer_wait(&peer);
	for (last = 0; last < ACCESSES; last++)
		for (now = 0; now < ACCESSES; now++)
			for (who = 0; who < 4; who++)
				transition(dmabuf, who & 1 ? &peer : NULL, who & 2 ? &peer : NULL,
					   last, now);
	end_actor(&peer);
	leave(&s);
	munmap(world, sizeof(*world));
}

/* The lock that is taken again and again is the one that leaves out most. */
TEST(D6_an_object_that_locked_before_asks_again)
{
	struct dma_buf *dmabuf = world_make();
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "again");
	struct dma_buf_counters c, d;
	unsigned int i, asked;
	struct side s;

	settle_in(&s, dmabuf);
	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	for (i = 0; i < 3; i++) {
		c = counters_of(dmabuf);
		ASSERT_OK(dmabuf_sync_lock(sync));
		ASSERT_OK(dmabuf_sync_unlock(sync));
		d = counters_of(dmabuf);
		asked = (unsigned int)(d.sync_done + d.sync_skipped - c.sync_done - c.sync_skipped);
		ASSERT_EQ(asked, 2);
	}
	dmabuf_sync_fini(sync);
	leave(&s);
	munmap(world, sizeof(*world));
}

/* King counted five operations in one plain access of the CPU to what a device wrote. */
TEST(D6_a_cpu_access_between_two_of_a_device_costs_two_operations)
{
	struct dma_buf *dmabuf = world_make();
	unsigned int operations;
	struct side s;

	settle_in(&s, dmabuf);
	make_clean(dmabuf);
	operations = world->operations;
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_W);
	ASSERT_EQ(world->operations, operations);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	ASSERT_EQ(world->operations, operations + 1);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_W);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_W);
	ASSERT_EQ(world->operations, operations + 1);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_W);
	ASSERT_EQ(world->operations, operations + 2);
	leave(&s);
	munmap(world, sizeof(*world));
}

TEST(D6_operations_keep_to_the_range_that_the_cpu_accesses)
{
	struct dma_buf *dmabuf = world_make();
	unsigned int operations;
	struct peer peer;
	struct side s;

	settle_in(&s, dmabuf);
	peer_start(&peer, dmabuf, actor, NULL);
	peer_wait(&peer);
	make_clean(dmabuf);
	operations = world->operations;
	have_done(dmabuf, &peer, DMA_BUF_ACCESS_W, 4 * LINE + 3, LINE);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	ASSERT_EQ(world->operations, operations + 1);
	ASSERT_EQ(world->last_op, DMA_BUF_CACHE_CLEAN);
	ASSERT_EQ(world->last_start, 4 * LINE);
	ASSERT_EQ(world->last_len, 2 * LINE);
	have_done_whole(dmabuf, &peer, DMA_BUF_ACCESS_DMA_W);
	have_done(dmabuf, NULL, DMA_BUF_ACCESS_R, 10 * LINE, 2 * LINE);
	ASSERT_EQ(world->operations, operations + 2);
	ASSERT_EQ(world->last_op, DMA_BUF_CACHE_INVALIDATE);
	ASSERT_EQ(world->last_start, 10 * LINE);
	ASSERT_EQ(world->last_len, 2 * LINE);
	have_done(dmabuf, &peer, DMA_BUF_ACCESS_R, 10 * LINE, 3 * LINE);
	ASSERT_EQ(world->operations, operations + 3);
	ASSERT_EQ(world->last_start, 12 * LINE);
	ASSERT_EQ(world->last_len, LINE);
	end_actor(&peer);
	leave(&s);
	munmap(world, sizeof(*world));
}

TEST(D6_a_mapping_that_is_kept_costs_nothing_until_its_device_is_locked)
{
	struct dma_buf *dmabuf = world_make();
	unsigned int operations, i;
	struct side s;

	side_open(&s, dmabuf);
	s.direction = DMA_BIDIRECTIONAL;
	s.table = dma_buf_map_attachment(s.attach, s.direction);
	/* The device owns it, so what the CPU writes must reach the memory. */
	operations = world->operations;
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_W);
	ASSERT(world->operations > operations);
	make_clean(dmabuf);
	operations = world->operations;
	for (i = 0; i < 100; i++)
		have_done_whole(dmabuf, NULL, i % 2 ? DMA_BUF_ACCESS_R : DMA_BUF_ACCESS_W);
	ASSERT_EQ(world->operations, operations);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	ASSERT_EQ(world->operations, operations + 1);
	leave(&s);
	munmap(world, sizeof(*world));
}

TEST(D6_a_parked_mapping_can_be_handed_over_by_hand)
{
	struct dma_buf *dmabuf = world_make();
	struct side s;

	settle_in(&s, dmabuf);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_W);
	ASSERT_OK(dma_buf_sync_sg_for_cpu(s.attach, s.table, s.direction));
	ASSERT_ERR(dma_buf_sync_sg_for_cpu(s.attach, s.table, s.direction), EALREADY);
	cpu_touches(0, SIZE, DMA_BIDIRECTIONAL);
	ASSERT_OK(dma_buf_sync_sg_for_device(s.attach, s.table, s.direction));
	device_touches(world->memory, DMA_BIDIRECTIONAL);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_W);
	ASSERT_OK(dma_buf_sync_sg_for_device(s.attach, s.table, s.direction));
	device_touches(world->memory, DMA_BIDIRECTIONAL);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	leave(&s);
	munmap(world, sizeof(*world));
}

static int reads_by_device(struct peer *peer, struct dma_buf *dmabuf)
{
	struct side s;

	settle_in(&s, dmabuf);
	peer_tell(peer);
	peer_wait(peer);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_W);
	leave(&s);
	return 0;
}

/* Whatever it is that accesses, it shares the CPU's caches. */
TEST(D6_dma_of_a_process_without_attachments_counts_as_coherent)
{
	struct dma_buf *dmabuf = world_make();
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "engine");
	struct peer peer;

	cpu = dma_buf_vmap(dmabuf);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_DMA_W));
	peer_start(&peer, dmabuf, reads_by_device, NULL);
	peer_wait(&peer);
	ASSERT_OK(dmabuf_sync_lock(sync));
	device_touches(cpu, DMA_BIDIRECTIONAL);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	peer_tell(&peer);
	peer_end(&peer);
	ASSERT_OK(dmabuf_sync_lock(sync));
	device_touches(cpu, DMA_BIDIRECTIONAL);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	munmap(world, sizeof(*world));
}

/* A device comes, writes elsewhere, and reads by CPU what it wrote. */
static int newcomer(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dma_buf_sg_table *table;
	struct side s;

	side_open(&s, dmabuf);
	table = dma_buf_map_attachment(s.attach, DMA_FROM_DEVICE);
	ASSERT(table);
	world->memory[20 * LINE] = 77;
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_FROM_DEVICE));
	peer_tell(peer);
	peer_wait(peer);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_EQ(cpu[20 * LINE], 77);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	peer_tell(peer);
	peer_wait(peer);
	s.table = dma_buf_map_attachment(s.attach, DMA_TO_DEVICE);
	ASSERT(s.table);
	ASSERT_EQ(world->memory[3 * LINE], 55);
	ASSERT_EQ(world->memory[5 * LINE], 56);
	s.direction = DMA_TO_DEVICE;
	leave(&s);
	return 0;
}

TEST(D6_a_hold_from_before_a_device_came_is_right_when_it_ends)
{
	struct dma_buf *dmabuf = world_make();
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "early");
	struct peer peer;

	cpu = dma_buf_vmap(dmabuf);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_lock(sync));
	peer_start(&peer, dmabuf, newcomer, NULL);
	peer_wait(&peer);
	cpu[3 * LINE] = 55;
	peer_tell(&peer);
	peer_wait(&peer);
	/* The line was not dropped under the writer, whom nobody had counted. */
	ASSERT_EQ(cpu[3 * LINE], 55);
	cpu[5 * LINE] = 56;
	ASSERT_OK(dmabuf_sync_unlock(sync));
	peer_tell(&peer);
	peer_end(&peer);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	munmap(world, sizeof(*world));
}

TEST(D6_a_lock_whose_cache_operation_fails_holds_nothing)
{
	struct dma_buf *dmabuf = world_make();
	struct dmabuf_sync *reader = dmabuf_sync_init(NULL, "reader");
	struct dmabuf_sync *device = dmabuf_sync_init(NULL, "device");
	struct side s;

	settle_in(&s, dmabuf);
	ASSERT_OK(dmabuf_sync_get(reader, dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_OK(dmabuf_sync_get(device, dmabuf, DMA_BUF_ACCESS_DMA_R));
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_W);
	world->refuse = -EIO;
	ASSERT_ERR(dmabuf_sync_lock(reader), EIO);
	ASSERT(!dmabuf_sync_is_locked(reader));
	world->refuse = 0;
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_W);
	world->refuse = -EIO;
	ASSERT_ERR(dmabuf_sync_trylock(device), EIO);
	world->refuse = 0;
	ASSERT_OK(dmabuf_sync_trylock(device));
	device_touches(world->memory, DMA_TO_DEVICE);
	ASSERT_OK(dmabuf_sync_unlock(device));
	ASSERT_OK(dmabuf_sync_trylock(reader));
	cpu_touches(0, SIZE, DMA_FROM_DEVICE);
	ASSERT_OK(dmabuf_sync_unlock(reader));
	dmabuf_sync_fini(reader);
	dmabuf_sync_fini(device);
	leave(&s);
	munmap(world, sizeof(*world));
}

/* Two locks of readers in one process: the device has the buffer until the second goes. */
TEST(D6_a_device_keeps_the_buffer_until_the_last_of_its_locks_goes)
{
	struct dma_buf *dmabuf = world_make();
	struct dmabuf_sync *one = dmabuf_sync_init(NULL, "one");
	struct dmabuf_sync *two = dmabuf_sync_init(NULL, "two");
	unsigned int operations;
	struct side s;

	settle_in(&s, dmabuf);
	make_clean(dmabuf);
	ASSERT_OK(dmabuf_sync_get(one, dmabuf, DMA_BUF_ACCESS_DMA_R));
	ASSERT_OK(dmabuf_sync_get(two, dmabuf, DMA_BUF_ACCESS_DMA_R));
	ASSERT_OK(dmabuf_sync_lock(one));
	ASSERT_OK(dmabuf_sync_trylock(two));
	ASSERT_OK(dmabuf_sync_unlock(one));
	operations = world->operations;
	/* A bracket that breaks the rules, but shows who owns the buffer. */
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	ASSERT_EQ(world->operations, operations + 1);
	ASSERT_OK(dmabuf_sync_unlock(two));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	ASSERT_EQ(world->operations, operations + 1);
	dmabuf_sync_fini(one);
	dmabuf_sync_fini(two);
	leave(&s);
	munmap(world, sizeof(*world));
}

/* From here on every system call but the last is the end. */
static void forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	ASSERT_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static int lock_in_silence(void *data)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", SIZE, O_RDWR);
	struct dmabuf_sync *sync[ACCESSES];
	int i, err = 0;

	ASSERT(dmabuf);
	ASSERT(dma_buf_attach(dmabuf, dma_buf_cpu_device()));
	for (i = 0; i < (int)ACCESSES; i++) {
		sync[i] = dmabuf_sync_init(NULL, "silent");
		ASSERT(sync[i]);
		ASSERT_OK(dmabuf_sync_get(sync[i], dmabuf, accesses[i].type));
	}
	forbid_system_calls();
	for (i = 0; i < 1000 && !err; i++) {
		err = dmabuf_sync_lock(sync[i % ACCESSES]);
		if (!err)
			err = dmabuf_sync_unlock(sync[i % ACCESSES]);
	}
	_exit(err ? 1 : 0);
}

TEST(D6_coherent_memory_is_locked_without_system_calls)
{
	if (TEST_SANITIZED || test_under_valgrind())
		SKIP("sanitizers and valgrind make system calls of their own");
	ASSERT_EQ(reap(spawn(lock_in_silence, NULL)), 0);
}

TEST(D6_coherent_memory_is_never_maintained)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", SIZE, O_RDWR);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf_counters c, d;
	struct dmabuf_sync *sync;
	unsigned int i;

	ASSERT(dmabuf);
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	ASSERT(table);
	c = counters_of(dmabuf);
	for (i = 0; i < ACCESSES * ACCESSES; i++) {
		sync = dmabuf_sync_init(NULL, "coherent");
		ASSERT_OK(dmabuf_sync_get(sync, dmabuf,
					  accesses[i % 2 ? i % ACCESSES : i / ACCESSES].type));
		ASSERT_OK(dmabuf_sync_lock(sync));
		ASSERT_OK(dmabuf_sync_unlock(sync));
		dmabuf_sync_fini(sync);
	}
	d = counters_of(dmabuf);
	ASSERT_EQ(d.sync_needed, 0);
	ASSERT_EQ(d.sync_skipped, c.sync_skipped);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL));
	dma_buf_put(dmabuf);
}

/* A lock is no bracket: what an exporter does at begin, it does at begin. */
TEST(D6_a_lock_calls_no_op_of_the_exporter)
{
	static struct counting_exporter exporter;
	struct dma_buf *dmabuf = counting_export(&exporter, 4096, O_RDWR);

	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, true));
	ASSERT_EQ(exporter.begun, 0);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE));
	ASSERT_EQ(exporter.begun, 1);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, 16, DMA_TO_DEVICE));
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_EQ(exporter.ended, 1);
	dma_buf_put(dmabuf);
}
