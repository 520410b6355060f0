// SPDX-License-Identifier: MIT
/*
 * Eight processes attach, map, detach, lock, write, check, migrate and die at any moment (mission
 * rows F5, F6). DMABUF_RACE_SECONDS says for how long; 30 without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "deferred.h"

#define PROCESSES 8
#define SIZE ((size_t)96 * 1024)
#define WORDS (SIZE / sizeof(uint32_t))
#define STEPS 24

static uint32_t state;

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

static uint32_t word(uint32_t seed, size_t i)
{
	return seed * 2246822519u + (uint32_t)i * 2654435761u;
}

/* Word 0 says what all others are; nothing was written yet: all are 0. */
static void check_words(const uint32_t *words)
{
	for (size_t i = 1; i < WORDS; i++)
		if (words[i] != (words[0] ? word(words[0], i) : 0))
			FAIL("word %zu is 0x%x under seed %u", i, words[i], words[0]);
}

static void write_words(uint32_t *words)
{
	uint32_t seed = any(1u << 30) + 1;

	for (size_t i = 1; i < WORDS; i++)
		words[i] = word(seed, i);
	words[0] = seed;
}

/* Content that a dead writer left torn is written anew. */
static void write_locked(struct dma_buf *d)
{
	int ret = dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_W, true);
	uint32_t *words;

	if (ret && ret != -EOWNERDEAD)
		FAIL("lock: %s", dmabuf_last_error());
	words = dma_buf_vmap(d);
	ASSERT(words);
	if (!ret)
		check_words(words);
	write_words(words);
	dma_buf_vunmap(d, words);
	ret = dmabuf_sync_single_unlock(d);
	if (ret)
		FAIL("unlock: %s", dmabuf_last_error());
}

static void check_locked(struct dma_buf *d)
{
	int ret = dmabuf_sync_single_lock(d, DMA_BUF_ACCESS_R, true);
	uint32_t *words;

	if (ret && ret != -EOWNERDEAD)
		FAIL("lock: %s", dmabuf_last_error());
	ASSERT_OK(dma_buf_begin_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
	words = dma_buf_kmap(d, 0);
	ASSERT(words);
	if (!ret)
		check_words(words);
	dma_buf_kunmap(d, 0, words);
	ASSERT_OK(dma_buf_end_cpu_access(d, 0, SIZE, DMA_FROM_DEVICE));
	ASSERT_OK(dmabuf_sync_single_unlock(d));
}

static bool may_fail(int err)
{
	return err == EBUSY || err == ETIMEDOUT || err == EINVAL;
}

static void attach_and_map(struct dma_buf *d)
{
	struct dma_buf_device *dev = any(2) ? strict_device() : loose_device();
	struct dma_buf_attachment *a = attach_ok(d, dev);
	struct dma_buf_sg_table *table;

	for (uint32_t n = any(3); n > 0; n--) {
		table = dma_buf_map_attachment(a, DMA_BIDIRECTIONAL);
		if (!table && !may_fail(errno))
			FAIL("map: %s", dmabuf_last_error());
		if (!table)
			continue;
		ASSERT_EQ(dma_buf_sg_length(table), SIZE);
		ASSERT_OK(dma_buf_unmap_attachment(a, table, DMA_BIDIRECTIONAL));
	}
	dma_buf_detach(d, a);
	dma_buf_device_put(dev);
}

static void migrate(struct dma_buf *d)
{
	static const char *const heaps[] = { "memfd", "chunky", "chunky2", NULL };
	int err = dma_buf_migrate(d, heaps[any(4)], any(2) ? 0 : 50);

	if (err && !may_fail(-err))
		FAIL("migrate: %s", dmabuf_last_error());
}

TEST_HELPER(racer)
{
	struct dma_buf *d;
	int fd = atoi(argv[1]);

	state = (uint32_t)strtoul(argv[2], NULL, 10);
	chunky_register();
	d = dma_buf_get(fd);
	if (!d)
		FAIL("get: %s", dmabuf_last_error());
	for (int step = 0; step < STEPS; step++) {
		switch (any(8)) {
		case 0:
		case 1:
			attach_and_map(d);
			break;
		case 2:
		case 3:
			write_locked(d);
			break;
		case 4:
			migrate(d);
			break;
		case 5:
			dma_buf_put(d);
			d = dma_buf_get(fd);
			if (!d)
				FAIL("get: %s", dmabuf_last_error());
			break;
		default:
			check_locked(d);
		}
	}
	dma_buf_put(d);
	return 0;
}

/* Some of them, at moments of no meaning. */
static void kill_some(pid_t *pids)
{
	for (uint32_t n = any(5); n > 0; n--) {
		struct timespec pause = { .tv_nsec = any(6000000) };

		nanosleep(&pause, NULL);
		kill(pids[any(PROCESSES)], SIGKILL);
	}
}

static unsigned int holders_accesses(struct dma_buf *d)
{
	struct dma_buf_info info = peer_info(d);
	unsigned int sum = 0;

	for (unsigned int i = 0; i < info.holder_count; i++)
		if (info.holders[i].alive)
			sum += info.holders[i].storage_accesses;
	return sum;
}

static unsigned int killed;

static void round_of(void)
{
	struct dma_buf *d = deferred_export(SIZE);
	int fd = dma_buf_fd(d, 0), status;
	char fd_text[16], seed_text[16];
	pid_t pids[PROCESSES];

	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	for (int i = 0; i < PROCESSES; i++) {
		snprintf(seed_text, sizeof(seed_text), "%u", any(1u << 31) + 1);
		pids[i] = spawn_helper("racer", fd_text, seed_text, NULL);
	}
	kill_some(pids);
	for (int i = 0; i < PROCESSES; i++) {
		status = reap_within(pids[i], 60000);
		if (status == 128 + SIGKILL)
			killed++;
		else if (status)
			FAIL("a process ended with status %d", status);
	}
	write_locked(d);
	check_locked(d);
	ASSERT_EQ(holders_accesses(d), 0);
	/* Whatever was going on when they died, it can be done now. */
	ASSERT_OK(dma_buf_migrate(d, "chunky", 5000));
	check_locked(d);
	close(fd);
	dma_buf_put(d);
}

/* Fewer, when the library's thread has ended meanwhile. */
static bool has_fds(void *arg)
{
	return open_fds() <= *(int *)arg;
}

TEST_TIMEOUT(F6_nothing_is_lost_whoever_dies_when, 600)
{
	const char *wish = getenv("DMABUF_RACE_SECONDS");
	int64_t until = now_ms() + (wish ? atoi(wish) : 30) * INT64_C(1000);
	unsigned int rounds = 0;
	int fds;

	state = (uint32_t)getpid() * 2654435761u | 1;
	test_note("seed %u", state);
	chunky_register();
	round_of();
	fds = open_fds();
	do {
		round_of();
		rounds++;
		/* Sockets of the dead are closed by the library's thread. */
		if (!eventually(has_fds, &fds, 20000))
			FAIL("%d descriptors, more than %d", open_fds(), fds);
		ASSERT_EQ(buffer_mappings(), 0);
	} while (now_ms() < until);
	test_note("%u rounds, %u processes killed", rounds, killed);
}
