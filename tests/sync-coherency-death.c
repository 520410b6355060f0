// SPDX-License-Identifier: MIT
/* Locks and caches (row D6) where holders die, and where everything happens at random. */
#include "coherency-actor.h"

/* The first access after a death sees what the dead one wrote, by whatever means. */
static void dies_with(unsigned int type, unsigned int next)
{
	struct dma_buf *dmabuf = world_make();
	struct order o = { type, true, 0, SIZE };
	struct order then = { next, false, 0, SIZE };
	struct peer peer;
	struct side s;

	settle_in(&s, dmabuf);
	peer_start(&peer, dmabuf, actor, NULL);
	peer_wait(&peer);
	make_clean(dmabuf);
	ASSERT_EQ(send(peer.socket, &o, sizeof(o), MSG_NOSIGNAL), sizeof(o));
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	prefetch_and_evict();
	ASSERT_EQ(carry_out(dmabuf, &then), type & DMA_BUF_ACCESS_W ? -EOWNERDEAD : 0);
	/* ... and so do the others. */
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_DMA_R);
	leave(&s);
	munmap(world, sizeof(*world));
	ASSERT_OK(dma_buf_unregister_exporter("shadow"));
}

TEST(D6_what_a_dead_holder_wrote_is_seen_by_the_next)
{
	unsigned int last, now;

	for (last = 0; last < ACCESSES; last++)
		for (now = 0; now < ACCESSES; now++)
			dies_with(accesses[last].type, accesses[now].type);
}

/* What is known after a death is exact again, as soon as somebody was told. */
TEST(D6_after_a_death_nothing_is_done_twice)
{
	struct order o = { DMA_BUF_ACCESS_DMA_W, true, 0, SIZE };
	struct dma_buf *dmabuf = world_make();
	unsigned int operations;
	struct peer peer;
	struct side s;

	settle_in(&s, dmabuf);
	peer_start(&peer, dmabuf, actor, NULL);
	peer_wait(&peer);
	ASSERT_EQ(send(peer.socket, &o, sizeof(o), MSG_NOSIGNAL), sizeof(o));
	ASSERT_EQ(reap(peer.pid), 128 + SIGKILL);
	close(peer.socket);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	operations = world->operations;
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	have_done_whole(dmabuf, NULL, DMA_BUF_ACCESS_R);
	ASSERT_EQ(world->operations, operations);
	leave(&s);
	munmap(world, sizeof(*world));
}

/* A number that is this process's own. */
static uint32_t pick(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % n;
}

static void random_accesses(struct dma_buf *dmabuf, uint64_t seed, unsigned int rounds, bool mortal)
{
	struct order o;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		o.type = accesses[pick(&seed, ACCESSES)].type;
		o.start = pick(&seed, SIZE);
		o.len = 1 + pick(&seed, (uint32_t)(SIZE - o.start));
		o.dies = mortal && i == rounds - 1;
		carry_out(dmabuf, &o);
	}
}

struct run {
	uint64_t seed;
	unsigned int rounds;
	bool mortal;
};

static int runner(struct peer *peer, struct dma_buf *dmabuf)
{
	struct run *run = peer->arg;
	struct side s;

	settle_in(&s, dmabuf);
	random_accesses(dmabuf, run->seed, run->rounds, run->mortal);
	leave(&s);
	return 0;
}

static void run_together(unsigned int times, unsigned int rounds, bool mortal)
{
	struct dma_buf *dmabuf = world_make();
	struct dma_buf_counters c;
	unsigned int i;
	struct side s;

	settle_in(&s, dmabuf);
	for (i = 0; i < times; i++) {
		struct run run = { i + 1, rounds, mortal };
		struct peer peer;

		peer_start(&peer, dmabuf, runner, &run);
		random_accesses(dmabuf, 1000 + i, rounds, false);
		ASSERT_EQ(reap_within(peer.pid, 60000), mortal ? 128 + SIGKILL : 0);
		close(peer.socket);
		prefetch_and_evict();
	}
	c = counters_of(dmabuf);
	ASSERT_EQ(c.sync_needed, world->operations);
	ASSERT_EQ(c.sync_done, world->operations);
	test_note("%u operations, %ju skipped", world->operations, (uintmax_t)c.sync_skipped);
	leave(&s);
	munmap(world, sizeof(*world));
}

TEST_TIMEOUT(D6_no_wrong_byte_between_processes_that_lock, 300)
{
	run_together(1, test_is_slow() ? 200 : 3000, false);
}

TEST_TIMEOUT(D6_no_wrong_byte_when_holders_die, 300)
{
	run_together(test_is_slow() ? 4 : 40, 20, true);
}
