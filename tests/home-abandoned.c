// SPDX-License-Identifier: MIT
/* Storage that a home prepared for somebody who did not put it in force: not for ever. */
#include <sys/wait.h>

#include "buffer.h"
#include "deferred.h"
#include "home.h"
#include "home/homes.h"
#include "storage-deferred.h"

#define SEED 5

static uint64_t prepare_one(const struct block *block)
{
	struct home_storage s;
	int fd = prepare(block, -1, atomic_load(&block->generation), &s);

	ASSERT_OK(fd);
	close(fd);
	return s.generation;
}

static void check_there(const struct block *block, uint64_t generation)
{
	struct home_storage s;

	check_storage(home_fetch(&block->address, -1, generation, MS, &s), &s, generation);
}

static void check_let_go(const struct block *block, uint64_t generation)
{
	struct home_storage s;

	ASSERT_ERR(home_fetch(&block->address, -1, generation, MS, &s), ESTALE);
}

/* Until it is so, nobody is at work any more. */
static void abandon(struct block *block, int fds)
{
	atomic_store(&block->nobody_at_work, true);
	ASSERT(eventually(has_fds, &fds, MS));
	atomic_store(&block->nobody_at_work, false);
}

TEST(F5_what_was_prepared_and_abandoned_is_let_go)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	int before = open_fds();

	ASSERT_EQ(prepare_one(block), 1);
	ASSERT_EQ(open_fds(), before + 1);
	abandon(block, before);
	check_let_go(block, 1);
	/* Beside some that is in force, which stays. */
	atomic_store(&block->generation, prepare_one(block));
	ASSERT_EQ(prepare_one(block), 3);
	abandon(block, before + 1);
	check_let_go(block, 3);
	check_there(block, 2);
	home_close(home);
}

TEST(F5_what_was_replaced_is_let_go_without_a_word)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	int before;

	atomic_store(&block->generation, prepare_one(block));
	before = open_fds();
	/* Whoever did so dies before he says so. */
	atomic_store(&block->generation, prepare_one(block));
	abandon(block, before);
	check_let_go(block, 1);
	check_there(block, 2);
	home_close(home);
}

static bool looked(void *arg)
{
	return atomic_load(&((struct block *)arg)->looks) > 0;
}

TEST(F5_what_somebody_is_at_work_with_stays)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	int before = open_fds();

	prepare_one(block);
	ASSERT(eventually(looked, block, MS));
	check_there(block, 1);
	abandon(block, before);
	check_let_go(block, 1);
	home_close(home);
}

/* A number that the home did not give says nothing of what is in force. */
TEST(F5_a_scribbled_number_lets_nothing_go)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	uint64_t given = prepare_one(block);

	atomic_store(&block->generation, 77);
	atomic_store(&block->nobody_at_work, true);
	ASSERT(eventually(looked, block, MS));
	atomic_store(&block->generation, given);
	check_there(block, given);
	home_close(home);
}

TEST(F5_a_home_is_closed_with_something_prepared)
{
	struct block *block = new_block();

	for (int i = 0; i < 20; i++) {
		struct home *home = open_home(block);

		prepare_one(block);
		home_close(home);
	}
}

/* Buffers: who is at work is known from the control block. */

static bool is_at_work(struct dma_buf *d)
{
	struct buffer *b = to_buffer(d);

	return b->storage.deferred->home->ops->at_work(b);
}

static int migrates(struct peer *peer, struct dma_buf *d)
{
	atomic_store(&chunky->kill_asker, getpid());
	ASSERT_OK(dma_buf_migrate(d, "chunky", 20000));
	check_pattern(d, SEED);
	dma_buf_put(d);
	return 0;
}

/* The first access: storage is chosen. */
static int looks_first(struct peer *peer, struct dma_buf *d)
{
	struct dma_buf_device *strict = strict_device();
	struct dma_buf_attachment *a = attach_ok(d, strict);

	atomic_store(&chunky->kill_asker, getpid());
	write_pattern(d, SEED);
	dma_buf_detach(d, a);
	dma_buf_device_put(strict);
	dma_buf_put(d);
	return 0;
}

/* Stopped while memory is made for it, it may go on at any time; killed, it does not. */
static void stops_in(int (*fn)(struct peer *peer, struct dma_buf *d), struct dma_buf *d, int signal)
{
	int before, status;
	struct peer peer;

	atomic_store(&chunky->allocated, 0);
	atomic_store(&chunky->kill_with, SIGSTOP);
	ASSERT(!is_at_work(d));
	peer_start(&peer, d, fn, NULL);
	before = open_fds();
	ASSERT_EQ(waitpid(peer.pid, &status, WUNTRACED), peer.pid);
	ASSERT(WIFSTOPPED(status));
	ASSERT(is_at_work(d));
	kill(peer.pid, signal);
	ASSERT_EQ(reap(peer.pid), signal == SIGCONT ? 0 : 128 + SIGKILL);
	close(peer.socket);
	ASSERT(!is_at_work(d));
	before--;
	if (signal == SIGKILL)
		ASSERT(eventually(has_fds, &before, MS));
}

TEST(F6_a_mover_that_was_stopped_can_go_on)
{
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(CHUNK);
	write_pattern(d, SEED);
	stops_in(migrates, d, SIGCONT);
	check_pattern(d, SEED);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	dma_buf_put(d);
}

TEST(F6_what_a_dead_mover_had_prepared_is_let_go)
{
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(CHUNK);
	write_pattern(d, SEED);
	stops_in(migrates, d, SIGKILL);
	check_pattern(d, SEED);
	ASSERT_STR_EQ(storage_info(d).heap, "memfd");
	dma_buf_put(d);
}

TEST(F5_whoever_is_stopped_while_storage_is_chosen_can_go_on)
{
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(CHUNK);
	stops_in(looks_first, d, SIGCONT);
	check_pattern(d, SEED);
	ASSERT_STR_EQ(storage_info(d).heap, "chunky");
	dma_buf_put(d);
}
