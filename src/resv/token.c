// SPDX-License-Identifier: MIT
#include "resv/token.h"

#include <errno.h>
#include <sched.h>

#include "clock.h"
#include "shm/sleep.h"

/* How long a contender stays on: long against a context switch, short for those who wait. */
#define SLICE_NS 200000u
/* One that did not move for so long after its slice is taken over. */
#define STALE_NS 500000u
/* Whom a yield did not help does not yield so many times. */
#define YIELD_PAUSE 64

/* Then one goes on without: whatever peers make of these words, they hold nobody up for longer. */
#define PATIENCE_NS 50000000u

/* A token's word: who has it (entry + 1; 0: nobody), it is for who wakes next, a sequence. */
#define TOKEN_OWNER 0xffu
#define TOKEN_HANDED 0x100u
#define TOKEN_STEP 0x200u
/* The line's word: how many sleep, about, and a sequence. */
#define LINE_SLEEPERS 0xffu
#define LINE_STEP 0x100u

static unsigned int this_place(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned int)cpu % SHM_RESV_TOKENS;
}

static uint32_t next_word(uint32_t word, uint32_t owner, uint32_t flags)
{
	return ((word & ~(TOKEN_STEP - 1)) + TOKEN_STEP) | owner | flags;
}

static bool is_ours(const struct resv_hold *h, uint32_t word)
{
	return (word & TOKEN_OWNER) == h->entry + 1;
}

static bool take(struct resv_hold *h, unsigned int i, uint32_t word, uint64_t now)
{
	if (!atomic_compare_exchange_strong(&h->state->token[i], &word,
					    next_word(word, h->entry + 1, 0)))
		return false;
	h->token = (uint8_t)(i + 1);
	h->token_until = now + SLICE_NS;
	return true;
}

void resv_token_pass(struct resv_hold *h)
{
	unsigned int i = h->token - 1;
	_Atomic(uint32_t) *token, *line;
	uint32_t word, next;
	bool sleepers;

	if (!h->token)
		return;
	h->token = 0;
	token = &h->state->token[i];
	line = &h->state->line[i];
	word = atomic_load(token);
	sleepers = atomic_load(line) & LINE_SLEEPERS;
	next = next_word(word, 0, sleepers ? TOKEN_HANDED : 0);
	if (!is_ours(h, word) || !atomic_compare_exchange_strong(token, &word, next) || !sleepers ||
	    shm_futex_wake_one(line))
		return;
	/* Whoever was counted there is gone. */
	atomic_store(line, atomic_load(line) & ~LINE_SLEEPERS);
	atomic_compare_exchange_strong(token, &next, next_word(next, 0, 0));
}

/* If nobody has it; @woken: also if it was handed to who wakes. */
static bool take_free(struct resv_hold *h, unsigned int i, uint64_t now, bool woken)
{
	uint32_t word = atomic_load(&h->state->token[i]);

	return (is_ours(h, word) || (!(word & TOKEN_OWNER) && (woken || !(word & TOKEN_HANDED)))) &&
	       take(h, i, word, now);
}

/* Sleep in the line. 0: woken, so that a token may be for us; -EINTR, or another error. */
static int sleep_in_line(struct resv_hold *h, unsigned int i, uint64_t now, uint64_t deadline)
{
	_Atomic(uint32_t) *line = &h->state->line[i];
	uint32_t word = atomic_load(line), mine;
	uint64_t until;
	int ret;

	do {
		if ((word & LINE_SLEEPERS) == LINE_SLEEPERS)
			return -EAGAIN;
		mine = word + LINE_STEP + 1;
	} while (!atomic_compare_exchange_weak(line, &word, mine));
	/* So long as it takes if those before us use their slices up. */
	until = now + STALE_NS + (mine & LINE_SLEEPERS) * (uint64_t)SLICE_NS;
	if (until > deadline)
		until = deadline;
	/* Others join meanwhile, which is no reason to go on. */
	while ((ret = shm_futex_wait(line, mine, until)) == -EAGAIN && clock_ns() < until)
		mine = atomic_load(line);
	word = atomic_load(line);
	while ((word & LINE_SLEEPERS) && !atomic_compare_exchange_weak(line, &word, word - 1))
		;
	return ret;
}

/* Still ours, on this CPU, and either our time is not over or nobody waits for it. */
static bool may_stay(struct resv_hold *h, unsigned int i, uint64_t now)
{
	return h->token == i + 1 && is_ours(h, atomic_load(&h->state->token[i])) &&
	       (now < h->token_until || !(atomic_load(&h->state->line[i]) & LINE_SLEEPERS));
}

/*
 * Who has the token was on this CPU, and perhaps needs no more than that to give the buffer back:
 * much less than a sleep. If so we go on in its place. Where many contend, a yield takes away from
 * those who sleep in turn, so it is tried again only where it helped, and now and then.
 */
static bool yield_first(struct resv_hold *h, unsigned int i)
{
	uint32_t word;

	if (h->no_yield) {
		h->no_yield--;
		return false;
	}
	sched_yield();
	word = atomic_load(&h->state->token[i]);
	if (resv_word_mode(resv_load(&h->state->word)) == RESV_FREE && (word & TOKEN_OWNER) &&
	    this_place() == i)
		return take(h, i, word, clock_ns());
	h->no_yield = YIELD_PAUSE;
	return false;
}

int resv_token_take(struct resv_hold *h, uint64_t deadline)
{
	unsigned int i = this_place(), slept = SHM_RESV_TOKENS;
	uint64_t now = clock_ns(), until = now + PATIENCE_NS;
	uint32_t seen;
	int ret = 0;

	if (may_stay(h, i, now))
		return 0;
	resv_token_pass(h);
	if (until > deadline)
		until = deadline;
	/* What was handed to the line that we slept in may be for us. */
	while (now < until && ret != -EINTR && !h->holding && !take_free(h, i, now, slept == i)) {
		if (yield_first(h, i))
			return 0;
		seen = atomic_load(&h->state->token[i]);
		ret = sleep_in_line(h, i, now, until);
		slept = ret ? SHM_RESV_TOKENS : i;
		now = clock_ns();
		if (ret == -ETIMEDOUT && atomic_load(&h->state->token[i]) == seen &&
		    take(h, i, seen, now))
			break;
		i = this_place();
	}
	return ret == -EINTR ? ret : 0;
}
