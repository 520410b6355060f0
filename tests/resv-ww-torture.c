// SPDX-License-Identifier: MIT
/*
 * Contexts, plain locks and deaths across processes: row E1. Whoever has the lock of a buffer
 * writes to it as if nobody else could.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define PROCESSES 4
#define BUFFERS 8
#define GROUP 3

static DMABUF_DEFINE_WW_CLASS(wound_wait);

struct stage {
	struct dma_buf *b[BUFFERS];
	int fd[BUFFERS];
	int rounds;
	unsigned int number;
	bool wounds;
	bool opposite;
};

/* Is anybody else in here? */
static void touch(struct dma_buf *dmabuf)
{
	atomic_uint *word = dma_buf_vmap(dmabuf);
	uint32_t mine = (uint32_t)getpid();
	int i;

	ASSERT(word);
	atomic_store(word, mine);
	for (i = 0; i < 50; i++)
		ASSERT_EQ(atomic_load(word), mine);
	dma_buf_vunmap(dmabuf, word);
}

static void unlock_all(struct stage *s, const unsigned int *set, const bool *has)
{
	unsigned int i;

	for (i = 0; i < GROUP; i++)
		if (has[i])
			ASSERT_OK(dma_resv_unlock(s->b[set[i]]->resv));
}

/* The usual loop of a driver. Returns how often it had to back off. */
static unsigned int take_set(struct stage *s, const unsigned int *set)
{
	struct dmabuf_ww_acquire_ctx ctx;
	unsigned int i, contended = GROUP, back_offs = 0;
	bool has[GROUP];
	int ret;

	dmabuf_ww_acquire_init(&ctx, s->wounds ? &wound_wait : dma_resv_ww_class());
retry:
	memset(has, 0, sizeof(has));
	if (contended < GROUP) {
		ASSERT_OK(dma_resv_lock_slow(s->b[set[contended]]->resv, &ctx));
		has[contended] = true;
	}
	for (i = 0; i < GROUP; i++) {
		ret = dma_resv_lock(s->b[set[i]]->resv, &ctx);
		if (ret == -EALREADY && i == contended)
			continue;
		if (ret == -EDEADLK) {
			unlock_all(s, set, has);
			contended = i;
			back_offs++;
			goto retry;
		}
		ASSERT_OK(ret);
		has[i] = true;
	}
	ASSERT_OK(dmabuf_ww_acquire_done(&ctx));
	for (i = 0; i < GROUP; i++)
		touch(s->b[set[i]]);
	unlock_all(s, set, has);
	ASSERT_OK(dmabuf_ww_acquire_fini(&ctx));
	return back_offs;
}

static void choose(struct stage *s, unsigned int *set, unsigned int *seed)
{
	unsigned int i, first = (unsigned int)rand_r(seed) % BUFFERS;

	for (i = 0; i < GROUP; i++)
		set[i] = (first + i * 3) % BUFFERS;
	if (s->opposite)
		for (i = 0; i < GROUP; i++)
			set[i] = s->number % 2 ? i : GROUP - 1 - i;
}

static void take_plain(struct dma_buf *dmabuf)
{
	ASSERT_OK(dma_resv_lock(dmabuf->resv, NULL));
	touch(dmabuf);
	ASSERT_OK(dma_resv_unlock(dmabuf->resv));
}

static int work(void *arg)
{
	struct stage s = *(struct stage *)arg;
	unsigned int seed = s.number + 1, set[GROUP], back_offs = 0;
	int i;

	for (i = 0; i < BUFFERS; i++)
		ASSERT((s.b[i] = dma_buf_get(s.fd[i])));
	for (i = 0; i < s.rounds; i++) {
		choose(&s, set, &seed);
		if (i % 4 == 3)
			take_plain(s.b[set[0]]);
		else
			back_offs += take_set(&s, set);
	}
	test_note("process %u backed off %u times in %d rounds", s.number, back_offs, s.rounds);
	for (i = 0; i < BUFFERS; i++) {
		dma_buf_put(s.b[i]);
		close(s.fd[i]);
	}
	return 0;
}

static void stage_set(struct stage *s)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		ASSERT((s->b[i] = dma_buf_alloc("x", 4096, O_RDWR)));
		ASSERT_OK(s->fd[i] = dma_buf_fd(s->b[i], O_CLOEXEC));
	}
}

static void stage_clear(struct stage *s)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		take_plain(s->b[i]);
		ASSERT(!dma_resv_is_locked(s->b[i]->resv));
		close(s->fd[i]);
		dma_buf_put(s->b[i]);
	}
}

static void run(struct stage *s)
{
	pid_t pid[PROCESSES];
	unsigned int i;

	stage_set(s);
	for (i = 0; i < PROCESSES; i++) {
		s->number = i;
		pid[i] = spawn(work, s);
	}
	for (i = 0; i < PROCESSES; i++)
		ASSERT_EQ(reap_within(pid[i], 100000), 0);
	stage_clear(s);
}

TEST_TIMEOUT(E1_wait_die_contexts_and_plain_locks_of_four_processes, 300)
{
	struct stage s = { .rounds = test_is_slow() ? 500 : 30000 };

	run(&s);
}

TEST_TIMEOUT(E1_wound_wait_contexts_and_plain_locks_of_four_processes, 300)
{
	struct stage s = { .rounds = test_is_slow() ? 500 : 30000, .wounds = true };

	run(&s);
}

TEST_TIMEOUT(E1_the_same_buffers_in_opposite_orders, 300)
{
	struct stage s = { .rounds = test_is_slow() ? 300 : 20000, .opposite = true };

	run(&s);
}

TEST_TIMEOUT(E1_the_same_buffers_in_opposite_orders_wounding, 300)
{
	struct stage s = { .rounds = test_is_slow() ? 300 : 20000,
			   .opposite = true,
			   .wounds = true };

	run(&s);
}

/* Killed in the middle of whatever they do, again and again: those that are left get on. */
TEST_TIMEOUT(E1_processes_die_while_they_hold_and_wait, 300)
{
	struct stage s = { .rounds = test_is_slow() ? 10000 : 1000000 };
	pid_t steady, victim;
	unsigned int seed = 1, deaths = 0;
	int status;

	stage_set(&s);
	s.number = 1;
	steady = spawn(work, &s);
	s.rounds = 100000000;
	while (waitpid(steady, &status, WNOHANG) == 0) {
		s.number = 2 + deaths++ % 8;
		victim = spawn(work, &s);
		usleep(2000 + (unsigned int)rand_r(&seed) % 20000);
		kill(victim, SIGKILL);
		ASSERT_EQ(reap(victim), 128 + SIGKILL);
	}
	ASSERT(WIFEXITED(status));
	ASSERT_EQ(WEXITSTATUS(status), 0);
	test_note("%u deaths", deaths);
	stage_clear(&s);
}
