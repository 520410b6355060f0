// SPDX-License-Identifier: MIT
/*
 * Reservations that a peer forges, scribbles over, or takes away: calls end, with errors that make
 * sense, and nobody is taken for dead who is not.
 */
#include <linux/falloc.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "forged.h"
#include "resv/word.h"
#include "sync.h"

/* Longer than any single call here may take: its timeout, and what a busy machine adds. */
#define CALL_LIMIT_MS 30000

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* The line that the library finds at @line. */
static union shm_resv_line *line_of(const struct forged *f, uint32_t line)
{
	return &f->resv->lines[(f->header->resv_first + line) % SHM_RESV_LINES];
}

static struct shm_resv_state *state_of(const struct forged *f)
{
	return &line_of(f, 0)->state;
}

static struct shm_resv_entry *entry_of(const struct forged *f, uint32_t e)
{
	return &line_of(f, SHM_RESV_STATES + e)->entry;
}

/* A hold of slot @slot that the queue believes in. */
static void forge_hold(const struct forged *f, uint32_t e, uint64_t kind, uint32_t slot,
		       uint32_t lease_ms)
{
	atomic_store(&entry_of(f, e)->lease_ms, lease_ms);
	atomic_store(&entry_of(f, e)->word,
		     resv_with_ticket(resv_entry(RESV_GRANTED, kind, slot, 7), 100));
	atomic_store(&state_of(f)->used, SHM_RESV_ENTRIES);
	atomic_fetch_or(&state_of(f)->busy[e / 64], 1ull << (e % 64));
	atomic_store(&state_of(f)->word, resv_word(RESV_SLOW, 100, RESV_NOBODY));
}

static void expect(int ret)
{
	if (!sane_lock(ret))
		FAIL("answered %d", ret);
}

/* Every call that takes and gives, each within its time. */
static void use(struct dma_buf *dmabuf, unsigned int type)
{
	struct dmabuf_sync *sync = sync_of("honest", NULL, 0);
	struct dma_buf_access_info torn[2];
	int64_t began = now_ms();
	int fd = dma_buf_fd(dmabuf, O_CLOEXEC);

	expect(dmabuf_sync_get(sync, dmabuf, type));
	expect(dmabuf_sync_trylock(sync));
	(void)dmabuf_sync_is_locked(sync);
	expect(dmabuf_sync_unlock(sync));
	expect(dmabuf_sync_lock_timeout(sync, 2));
	expect(dmabuf_sync_get_torn(sync, dmabuf, torn, 2));
	expect(dmabuf_sync_repaired(sync, dmabuf));
	expect(dmabuf_sync_unlock(sync));
	expect(dma_buf_flock(fd, LOCK_EX | LOCK_NB));
	expect(dma_buf_flock(fd, LOCK_SH | LOCK_NB));
	expect(dma_buf_flock(fd, LOCK_UN));
	check_info(fd);
	dmabuf_sync_fini(sync);
	close(fd);
	if (now_ms() - began > CALL_LIMIT_MS)
		FAIL("took %lld ms", (long long)(now_ms() - began));
}

static uint64_t random_entry(void)
{
	uint64_t word = random_word();

	/* Mostly states and slots that mean something. */
	if (word & 1ull << 60)
		word = (word & ~7ull) | (RESV_WAITING + (word >> 3) % 3);
	if (word & 1ull << 61)
		word &= ~((uint64_t)RESV_SLOT_MASK << RESV_SLOT_SHIFT);
	return word;
}

static void scribble(const struct forged *f)
{
	struct shm_resv_state *state = state_of(f);
	uint32_t e;

	for (e = 0; e < SHM_RESV_ENTRIES; e++) {
		struct shm_resv_entry *entry = entry_of(f, e);

		if (random_word() % 4 == 0)
			continue;
		atomic_store(&entry->word, random_word() % 2 ? random_entry() : 0);
		atomic_store(&entry->start, random_word());
		atomic_store(&entry->length, random_word());
		atomic_store(&entry->stamp, random_word());
		atomic_store(&entry->waits_for, random_word());
		atomic_store(&entry->lease_ms, (uint32_t)random_word());
		atomic_store(&entry->acquiring, (uint32_t)random_word() % 2);
	}
	atomic_store(&state->word, random_word() % 3 ? random_word() : random_word() & ~7ull);
	atomic_store(&state->watchers, (uint32_t)random_word() % 4);
	atomic_store(&state->busy[0], random_word());
	atomic_store(&state->busy[1], random_word());
	atomic_store(&state->used, random_word() % 3 ? SHM_RESV_ENTRIES : (uint32_t)random_word());
	atomic_store(&f->header->lease_max_ms, (uint32_t)random_word());
	for (e = 0; e < sizeof(f->resv->labels) / 8; e++)
		((uint64_t *)(void *)f->resv->labels)[e] = random_word();
	for (e = 0; e < DMA_BUF_MAX_CLIENTS; e++)
		atomic_store(&f->header->life[e].word, (uint32_t)random_word());
}

TEST_TIMEOUT(D3_D5_a_reservation_of_random_words_is_survived, 300)
{
	struct dma_buf *dmabuf = buffer_new("scribbled");
	int rounds = test_is_slow() ? 60 : 600, i;
	struct forged f;

	forged_view(&f, dmabuf);
	for (i = 0; i < rounds; i++) {
		scribble(&f);
		use(dmabuf, random_word() % 2 ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_DMA_R);
	}
	memset(f.header->life, 0, sizeof(f.header->life));
	forged_free(&f);
	dma_buf_put(dmabuf);
}

static int scribble_for_ever(void *arg)
{
	struct forged *f = arg;
	uint64_t *words = (uint64_t *)(void *)f->resv;
	size_t count = sizeof(f->resv->lines) / 8;

	for (;;) {
		uint64_t at = random_word() % count;

		/* Words of states and entries most of all. */
		if (random_word() % 4)
			at &= ~7ull;
		words[at] = random_word() % 3 ? random_entry() : random_word();
	}
	return 0;
}

TEST_TIMEOUT(D3_D5_a_peer_that_scribbles_at_full_speed_is_survived, 300)
{
	struct dma_buf *dmabuf = buffer_new("scribbled");
	int rounds = test_is_slow() ? 40 : 400, i;
	struct forged f;
	pid_t pid;

	forged_view(&f, dmabuf);
	pid = spawn(scribble_for_ever, &f);
	for (i = 0; i < rounds; i++)
		use(dmabuf, i % 2 ? DMA_BUF_ACCESS_W : DMA_BUF_ACCESS_R);
	kill(pid, SIGKILL);
	ASSERT_EQ(reap(pid), 128 + SIGKILL);
	forged_free(&f);
	dma_buf_put(dmabuf);
}

TEST(D5_a_forged_death_notice_kills_nobody)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_R);
	struct remote r;
	struct forged f;
	uint32_t slot;

	forged_view(&f, dmabuf);
	remote_with(&r, "alive", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&r, 0));
	for (slot = 0; slot < DMA_BUF_MAX_CLIENTS; slot++)
		atomic_store(&f.header->life[slot].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EBUSY);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 100), ETIMEDOUT);
	/* Nor do other states and generations of its slot. */
	for (slot = 1; slot < DMA_BUF_MAX_CLIENTS; slot++) {
		atomic_store(&f.header->clients[slot].state, slot % 2);
		atomic_store(&f.header->clients[slot].generation, 77);
	}
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20), ETIMEDOUT);
	ASSERT_EQ(remote_do(&r, (struct order){ .kind = ORDER_IS_LOCKED }), 1);
	ASSERT_OK(remote_unlock(&r));
	ASSERT_OK(dmabuf_sync_lock(mine));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	remote_kill(&r);
	memset(f.header->life, 0, sizeof(f.header->life));
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_hold_of_nobody_is_taken_away)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct forged f;

	forged_view(&f, dmabuf);
	/* Slot 50 was never anybody's. */
	forge_hold(&f, 40, 0, 50, 600000);
	ASSERT_OK(dmabuf_sync_lock_timeout(mine, 20000));
	ASSERT_OK(dmabuf_sync_unlock(mine));
	forge_hold(&f, 41, RESV_WRITE, 63, 600000);
	ASSERT_ERR(dmabuf_sync_trylock(mine), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	ASSERT_EQ(atomic_load(&state_of(&f)->word) & 7, RESV_FREE);
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_hold_in_our_own_name_ends_with_its_lease)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct forged f;

	forged_view(&f, dmabuf);
	forge_hold(&f, 40, RESV_WRITE, 0, 600000);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 50), ETIMEDOUT);
	forge_hold(&f, 40, RESV_WRITE, 0, 0);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	/* Whatever lease it claims, the exporter's bound holds. */
	ASSERT_OK(dma_buf_set_max_lease(dmabuf, 20));
	forge_hold(&f, 42, RESV_WRITE, 0, UINT32_MAX);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

struct liar {
	_Atomic(uint32_t) *acquiring;
	atomic_bool end;
};

static void *say_so_again_and_again(void *arg)
{
	struct liar *liar = arg;

	while (!atomic_load(&liar->end)) {
		atomic_store(liar->acquiring, 1);
		poll(NULL, 0, 1);
		atomic_store(liar->acquiring, 0);
		poll(NULL, 0, 1);
	}
	return NULL;
}

TEST(D5_a_group_that_is_never_complete_ends_too)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct liar liar = { .end = false };
	pthread_t thread;
	struct forged f;

	forged_view(&f, dmabuf);
	atomic_store(&entry_of(&f, 40)->acquiring, 1);
	forge_hold(&f, 40, RESV_WRITE, 0, 5);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20000), EOWNERDEAD);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	/* Nor does it help to be complete again and again. */
	liar.acquiring = &entry_of(&f, 41)->acquiring;
	forge_hold(&f, 41, RESV_WRITE, 0, 20);
	ASSERT_EQ(pthread_create(&thread, NULL, say_so_again_and_again, &liar), 0);
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 10000), EOWNERDEAD);
	atomic_store(&liar.end, true);
	pthread_join(thread, NULL);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* Who is overlooked cannot be waited for, as with any word that a peer writes; but calls end. */
TEST(D8_a_count_of_entries_that_lies)
{
	static const uint32_t counts[] = { 0, 1, 2, SHM_RESV_ENTRIES + 1, UINT32_MAX };
	struct dma_buf *dmabuf = buffer_new("x");
	struct remote r;
	struct forged f;
	unsigned int i;

	forged_view(&f, dmabuf);
	remote_with(&r, "holder", dmabuf, DMA_BUF_ACCESS_W);
	for (i = 0; i < 5; i++) {
		(void)remote_lock(&r, 1);
		atomic_store(&state_of(&f)->used, counts[i]);
		use(dmabuf, DMA_BUF_ACCESS_W);
		use(dmabuf, DMA_BUF_ACCESS_R);
		(void)remote_unlock(&r);
	}
	remote_kill(&r);
	forged_free(&f);
	dma_buf_put(dmabuf);
}

TEST(D8_what_is_not_held_any_more_is_not_given_back)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *next;
	struct forged f;
	uint64_t theirs;

	forged_view(&f, dmabuf);
	/* Taken away by the word: what is there then stays. */
	ASSERT_OK(dmabuf_sync_lock(mine));
	theirs = resv_word(RESV_EXCLUSIVE, 9, 77);
	atomic_store(&state_of(&f)->word, theirs);
	ASSERT(!dmabuf_sync_is_locked(mine));
	ASSERT_ERR(dmabuf_sync_unlock(mine), EIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "spoilt");
	ASSERT_EQ(atomic_load(&state_of(&f)->word), theirs);
	ASSERT_ERR(dmabuf_sync_unlock(mine), EAGAIN);

	/* Readers: their bits, not ours. */
	dmabuf_sync_put_all(mine);
	atomic_store(&state_of(&f)->word, resv_word(RESV_FREE, 9, 0));
	ASSERT_OK(dmabuf_sync_get(mine, dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_OK(dmabuf_sync_lock(mine));
	theirs = resv_word(RESV_SHARED, 9, 1u << 20);
	atomic_store(&state_of(&f)->word, theirs);
	ASSERT_ERR(dmabuf_sync_unlock(mine), EIO);
	ASSERT_EQ(atomic_load(&state_of(&f)->word), theirs);

	/* Whoever comes then finds an entry. */
	atomic_store(&state_of(&f)->word, resv_word(RESV_FREE, 9, 0));
	next = sync_of("next", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(dmabuf_sync_lock(next));
	ASSERT_OK(dmabuf_sync_unlock(next));
	dmabuf_sync_fini(next);
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D8_an_entry_that_was_overwritten_is_given_up)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r;
	struct forged f;
	uint32_t e;

	forged_view(&f, dmabuf);
	/* While it waits. */
	remote_with(&r, "holder", dmabuf, DMA_BUF_ACCESS_W);
	ASSERT_OK(remote_lock(&r, 0));
	remote_ask(&r, (struct order){ .kind = ORDER_IS_LOCKED });
	ASSERT_EQ(remote_answer(&r).ret, 1);
	ASSERT_OK(dmabuf_sync_set_lease(mine, 3000));
	ASSERT_ERR(dmabuf_sync_lock_timeout(mine, 20), ETIMEDOUT);
	for (e = 0; e < SHM_RESV_ENTRIES; e++)
		if (resv_state(atomic_load(&entry_of(&f, e)->word)) == RESV_IDLE)
			break;
	ASSERT(e < SHM_RESV_ENTRIES);
	ASSERT_OK(remote_unlock(&r));
	/* While it holds, in the queue's way. */
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_queue(&r, dmabuf, 1);
	ASSERT_EQ(resv_state(atomic_load(&entry_of(&f, e)->word)), RESV_GRANTED);
	atomic_store(&entry_of(&f, e)->word, resv_entry(RESV_ARMED, RESV_WRITE, 60, 1));
	ASSERT_ERR(dmabuf_sync_unlock(mine), EIO);
	(void)remote_answer(&r);
	remote_kill(&r);
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

TEST(D5_a_control_block_that_was_punched_out_is_an_error)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct forged f;
	struct remote r;

	forged_view(&f, dmabuf);
	ASSERT_OK(dmabuf_sync_lock(mine));
	remote_with(&r, "waiter", dmabuf, DMA_BUF_ACCESS_W);
	remote_queue(&r, dmabuf, 1);
	ASSERT_OK(fallocate(f.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)f.size));
	ASSERT_EQ(remote_answer(&r).ret, -EIO);
	ASSERT(!dmabuf_sync_is_locked(mine));
	ASSERT_ERR(dmabuf_sync_unlock(mine), EIO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "spoilt");
	remote_kill(&r);
	dmabuf_sync_fini(mine);
	forged_free(&f);
	dma_buf_put(dmabuf);
}

/* Where its owner sleeps; on little-endian machines. */
static _Atomic(uint32_t) *futex_of(const struct forged *f, uint32_t e)
{
	return (_Atomic(uint32_t) *)(void *)&entry_of(f, e)->word;
}

static long futex(_Atomic(uint32_t) *word, int op, long val, long val2, _Atomic(uint32_t) *other)
{
	return syscall(SYS_futex, word, op, val, val2, other, 0);
}

TEST(D5_wake_ups_that_are_stolen_delay_and_do_no_more)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
	struct remote r[2];
	struct forged f;
	uint32_t e;
	int i;

	forged_view(&f, dmabuf);
	ASSERT_OK(dmabuf_sync_lock(mine));
	for (i = 0; i < 2; i++) {
		remote_with(&r[i], "waiter", dmabuf, DMA_BUF_ACCESS_W);
		remote_queue(&r[i], dmabuf, (unsigned int)i + 1);
	}
	/* Sleepers are moved to a word that nobody wakes; others are woken all the time. */
	for (i = 0; i < 20000; i++)
		for (e = 0; e < 6; e++)
			futex(futex_of(&f, e), i % 2 ? FUTEX_REQUEUE : FUTEX_WAKE, i % 2 ? 0 : 1,
			      10, futex_of(&f, 100));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 2);
	ASSERT_OK(dmabuf_sync_unlock(mine));
	for (i = 0; i < 2; i++) {
		ASSERT_OK(remote_answer(&r[i]).ret);
		ASSERT_OK(remote_unlock(&r[i]));
		remote_end(&r[i]);
	}
	forged_free(&f);
	dmabuf_sync_fini(mine);
	dma_buf_put(dmabuf);
}

/* Honest use with words as they are after a very long time. */
TEST(D8_generations_tickets_and_ages_wrap_unnoticed)
{
	static const uint32_t starts[] = { RESV_GENERATION_MASK - 3, RESV_TICKET_MASK - 3,
					   RESV_TICKET_MASK / 2 - 3 };
	struct remote r[4];
	struct forged f;
	unsigned int s;
	int i, round;

	for (s = 0; s < 3; s++) {
		struct dma_buf *dmabuf = buffer_new("old");
		struct dmabuf_sync *mine;
		uint32_t e;

		forged_view(&f, dmabuf);
		atomic_store(&state_of(&f)->word, resv_word(RESV_FREE, starts[s], 0));
		for (e = 0; e < 8; e++)
			atomic_store(&entry_of(&f, e)->word,
				     resv_entry(RESV_GONE, 0, 0, RESV_AGE_MASK - 2));
		mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);
		for (i = 0; i < 4; i++)
			remote_with(&r[i], "in line", dmabuf,
				    i == 1 || i == 2 ? DMA_BUF_ACCESS_R : DMA_BUF_ACCESS_W);
		for (round = 0; round < 4; round++) {
			ASSERT_OK(dmabuf_sync_lock(mine));
			for (i = 0; i < 4; i++)
				remote_queue(&r[i], dmabuf, (unsigned int)i + 1);
			ASSERT_OK(dmabuf_sync_unlock(mine));
			ASSERT_OK(remote_answer(&r[0]).ret);
			ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 3);
			ASSERT_OK(remote_unlock(&r[0]));
			ASSERT_OK(remote_answer(&r[1]).ret);
			ASSERT_OK(remote_answer(&r[2]).ret);
			ASSERT(!remote_is_done(&r[3]));
			ASSERT_OK(remote_unlock(&r[1]));
			ASSERT_OK(remote_unlock(&r[2]));
			ASSERT_OK(remote_answer(&r[3]).ret);
			ASSERT_OK(remote_unlock(&r[3]));
			ASSERT_EQ(atomic_load(&state_of(&f)->word) & 7, RESV_FREE);
		}
		for (i = 0; i < 4; i++)
			remote_end(&r[i]);
		forged_free(&f);
		dmabuf_sync_fini(mine);
		dma_buf_put(dmabuf);
	}
}
