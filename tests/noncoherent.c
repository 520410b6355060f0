// SPDX-License-Identifier: MIT
/*
 * Coherency between processes: rows C1, C3 and D6. The buffer's memory plays the CPU's cache; what
 * non-coherent devices see is an array that both processes share. They take turns, with mappings
 * left open in between, while lines are written back and prefetched at random; one of them dies now
 * and then with its hands full. No byte is ever wrong.
 */
#include <sys/wait.h>

#include "shadow-world.h"

static enum dma_data_direction any_direction(void)
{
	return (enum dma_data_direction)random_below(3);
}

static void access_by_cpu(struct side *s, bool end)
{
	enum dma_data_direction direction = end ? any_direction() : DMA_TO_DEVICE;
	size_t start = random_below(SIZE), len = 1 + random_below((uint32_t)(SIZE - start));

	ASSERT_OK(dma_buf_begin_cpu_access(s->dmabuf, start, len, direction));
	cpu_touches(start, len, direction);
	if (end)
		ASSERT_OK(dma_buf_end_cpu_access(s->dmabuf, start, len, direction));
}

static void access_coherently(struct side *s)
{
	enum dma_data_direction direction = any_direction();
	struct dma_buf_sg_table *table =
		dma_buf_map_attachment_attrs(s->attach, direction, DMA_BUF_MAP_COHERENT);

	ASSERT(table);
	device_touches(cpu, direction);
	ASSERT_OK(dma_buf_unmap_attachment(s->attach, table, direction));
}

static void start_device(struct side *s)
{
	s->direction = any_direction();
	s->table = dma_buf_map_attachment(s->attach, s->direction);
	ASSERT(s->table);
	device_touches(world->memory, s->direction);
}

static void hand_over(struct side *s)
{
	ASSERT_OK(dma_buf_sync_sg_for_cpu(s->attach, s->table, s->direction));
	cpu_touches(0, SIZE, s->direction);
	ASSERT_OK(dma_buf_sync_sg_for_device(s->attach, s->table, s->direction));
	device_touches(world->memory, s->direction);
}

static void stop_device(struct side *s)
{
	device_touches(world->memory, s->direction);
	ASSERT_OK(dma_buf_unmap_attachment(s->attach, s->table, s->direction));
	s->table = NULL;
}

static void turn(struct side *s)
{
	switch (random_below(6)) {
	case 0:
	case 1:
		access_by_cpu(s, true);
		break;
	case 2:
		access_coherently(s);
		break;
	case 3:
		if (s->table)
			device_touches(world->memory, s->direction);
		break;
	case 4:
		if (s->table)
			hand_over(s);
		break;
	default:
		if (s->table)
			stop_device(s);
		else
			start_device(s);
	}
	prefetch_and_evict();
}

/* Takes turns until told otherwise; now and then it dies in the middle of everything. */
static int take_turns(struct peer *peer, struct dma_buf *dmabuf)
{
	bool mortal = *(bool *)peer->arg;
	char order;
	struct side s;

	side_open(&s, dmabuf);
	peer_tell(peer);
	while (recv(peer->socket, &order, 1, 0) == 1 && order == 'x') {
		turn(&s);
		if (mortal && random_below(30) == 0) {
			access_by_cpu(&s, false);
			raise(SIGKILL);
		}
		peer_tell(peer);
	}
	if (s.table)
		stop_device(&s);
	side_close(&s);
	return 0;
}

static void let_go(struct peer *peer)
{
	ASSERT_EQ(send(peer->socket, "e", 1, MSG_NOSIGNAL), 1);
	peer_end(peer);
}

/* True if the other had its turn, false if it died of it. */
static bool others_turn(struct peer *peer)
{
	char byte;

	peer_tell(peer);
	return recv(peer->socket, &byte, 1, 0) == 1;
}

/* Whoever looks first cleans up after the dead. */
static void look_around(struct side *s)
{
	struct dma_buf_attachment *attach = dma_buf_attach(s->dmabuf, dma_buf_cpu_device());

	ASSERT(attach);
	dma_buf_detach(s->dmabuf, attach);
}

static void bring_up_another(struct side *s, struct peer *peer, bool *mortal)
{
	ASSERT_EQ(reap(peer->pid), 128 + SIGKILL);
	close(peer->socket);
	world->deaths++;
	look_around(s);
	peer_start(peer, s->dmabuf, take_turns, mortal);
	peer_wait(peer);
}

static void play(bool mortal, unsigned int turns)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_counters counters;
	struct peer peer;
	struct side s;

	side_open(&s, dmabuf);
	peer_start(&peer, dmabuf, take_turns, &mortal);
	peer_wait(&peer);
	for (unsigned int i = 0; i < turns; i++) {
		turn(&s);
		if (!others_turn(&peer))
			bring_up_another(&s, &peer, &mortal);
	}
	let_go(&peer);
	if (s.table)
		stop_device(&s);
	ASSERT_OK(dma_buf_get_counters(dmabuf, &counters));
	ASSERT_EQ(counters.sync_needed, world->operations);
	ASSERT_EQ(counters.sync_done, world->operations);
	ASSERT_EQ(counters.recovered, world->deaths);
	ASSERT(counters.sync_skipped > turns / 4);
	ASSERT(!mortal || world->deaths > 10);
	test_note("%u operations, %ju skipped, %u deaths", world->operations,
		  (uintmax_t)counters.sync_skipped, world->deaths);
	side_close(&s);
	munmap(world, sizeof(*world));
}

TEST(C3_no_wrong_byte_between_two_processes)
{
	play(false, 3000);
}

TEST(C1_no_wrong_byte_when_one_of_them_dies)
{
	play(true, 1500);
}

static int write_by_cpu(struct peer *peer, struct dma_buf *dmabuf)
{
	cpu = dma_buf_vmap(dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 100, 10, DMA_TO_DEVICE));
	ASSERT_EQ(cpu[99], 5); /* the rest of the line is the device's, and stays */
	cpu[100] = 6;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 100, 10, DMA_TO_DEVICE));
	dma_buf_put(dmabuf);
	return 0;
}

/* dmabuf-sync's first version misses this one: the CPU writes what a device wrote before. */
TEST(D6_a_cpu_write_after_a_device_write_loses_neither)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_sg_table *table;
	unsigned int operations;
	struct peer peer;
	struct side s;

	side_open(&s, dmabuf);
	table = dma_buf_map_attachment(s.attach, DMA_FROM_DEVICE);
	memset(world->memory, 5, SIZE);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_FROM_DEVICE));
	operations = world->operations;
	peer_start(&peer, dmabuf, write_by_cpu, NULL);
	peer_end(&peer);
	ASSERT_EQ(world->operations, operations + 1);
	table = dma_buf_map_attachment(s.attach, DMA_TO_DEVICE);
	ASSERT_EQ(world->operations, operations + 2);
	ASSERT_EQ(world->memory[99], 5);
	ASSERT_EQ(world->memory[100], 6);
	ASSERT_EQ(world->memory[101], 5);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_TO_DEVICE));
	side_close(&s);
	munmap(world, sizeof(*world));
}

TEST(C3_a_refused_begin_changes_nothing_and_works_later)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_sg_table *table;
	struct side s;

	side_open(&s, dmabuf);
	table = dma_buf_map_attachment(s.attach, DMA_FROM_DEVICE);
	memset(world->memory, 5, SIZE);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_FROM_DEVICE));
	world->refuse = -EIO;
	ASSERT_ERR(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE), EIO);
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE), EINVAL);
	world->refuse = 0;
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_EQ(cpu[SIZE - 1], 5);
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, 0, SIZE, DMA_FROM_DEVICE));
	side_close(&s);
	munmap(world, sizeof(*world));
}

TEST(C3_a_refused_end_is_told_and_its_bytes_arrive_later)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_sg_table *table;
	struct side s;

	side_open(&s, dmabuf);
	table = dma_buf_map_attachment(s.attach, DMA_TO_DEVICE);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	cpu[7] = 9;
	world->refuse = -EIO;
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE), EIO);
	world->refuse = 0;
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_TO_DEVICE));
	table = dma_buf_map_attachment(s.attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(world->memory[7], 9);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_TO_DEVICE));
	side_close(&s);
	munmap(world, sizeof(*world));
}

static struct peer *stopping;

static void stop_here(void)
{
	peer_tell(stopping);
	raise(SIGSTOP);
}

static int stop_in_a_cache_operation(struct peer *peer, struct dma_buf *dmabuf)
{
	struct side s;

	stopping = peer;
	in_sync = stop_here;
	side_open(&s, dmabuf);
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, SIZE - LINE, LINE, DMA_FROM_DEVICE));
	in_sync = NULL;
	ASSERT_OK(dma_buf_end_cpu_access(dmabuf, SIZE - LINE, LINE, DMA_FROM_DEVICE));
	side_close(&s);
	return 0;
}

static bool is_stopped(void *arg)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid;
}

TEST(C3_bytes_of_an_end_that_could_not_wait_are_not_lost)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_sg_table *table;
	struct peer peer;
	struct side s;

	side_open(&s, dmabuf);
	table = dma_buf_map_attachment(s.attach, DMA_FROM_DEVICE);
	memset(world->memory, 5, SIZE);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_FROM_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE));
	cpu[7] = 9;
	peer_start(&peer, dmabuf, stop_in_a_cache_operation, NULL);
	peer_wait(&peer);
	ASSERT(eventually(is_stopped, &peer.pid, 60000));
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "coherency");
	ASSERT_ERR(dma_buf_end_cpu_access(dmabuf, 0, LINE, DMA_TO_DEVICE), EINVAL);
	kill(peer.pid, SIGCONT);
	peer_end(&peer);
	table = dma_buf_map_attachment(s.attach, DMA_TO_DEVICE);
	ASSERT(table);
	ASSERT_EQ(world->memory[7], 9);
	ASSERT_OK(dma_buf_unmap_attachment(s.attach, table, DMA_TO_DEVICE));
	side_close(&s);
	munmap(world, sizeof(*world));
}
