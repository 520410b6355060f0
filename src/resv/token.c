// SPDX-License-Identifier: MIT
#include "resv/token.h"

#include <sched.h>

#include "clock.h"
#include "shm/futex.h"

/* How long a contender stays on: long against a context switch, short for those who wait. */
#define SLICE_NS 200000u
/* One that did not move for so long after its slice is taken over. */
#define STALE_NS 500000u

/* A token's word: who has it (entry + 1; 0: nobody), it is for who wakes next, a sequence. */
#define TOKEN_OWNER 0xffu
#define TOKEN_HANDED 0x100u
#define TOKEN_STEP 0x200u
/* The line's word: how many sleep, about, and a sequence. */
#define LINE_SLEEPERS 0xffu
#define LINE_STEP 0x100u

static unsigned int token_count(void)
{
	static _Atomic(unsigned int) known;
	unsigned int count = atomic_load_explicit(&known, memory_order_relaxed);
	cpu_set_t cpus;

	if (count)
		return count;
	count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 2 : (unsigned int)CPU_COUNT(&cpus);
	count = count < 1 ? 1 : count > SHM_RESV_TOKENS ? SHM_RESV_TOKENS : count;
	atomic_store_explicit(&known, count, memory_order_relaxed);
	return count;
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
	h->token = i + 1;
	h->token_until = now + SLICE_NS;
	return true;
}

void resv_token_pass(struct resv_hold *h)
{
	struct shm_resv_state *state = h->state;
	uint32_t word, next;
	bool sleepers;

	if (!h->token)
		return;
	word = atomic_load(&state->token[h->token - 1]);
	sleepers = atomic_load(&state->line) & LINE_SLEEPERS;
	next = next_word(word, 0, sleepers ? TOKEN_HANDED : 0);
	if (is_ours(h, word) &&
	    atomic_compare_exchange_strong(&state->token[h->token - 1], &word, next) && sleepers &&
	    !shm_futex_wake_one(&state->line)) {
		/* Whoever was counted there is gone. */
		atomic_store(&state->line, atomic_load(&state->line) & ~LINE_SLEEPERS);
		atomic_compare_exchange_strong(&state->token[h->token - 1], &next,
					       next_word(next, 0, 0));
	}
	h->token = 0;
}

/* One that nobody has; @woken: also one that was handed to who wakes. */
static bool take_free(struct resv_hold *h, uint64_t now, bool woken)
{
	unsigned int i, count = token_count();

	for (i = 0; i < count; i++) {
		uint32_t word = atomic_load(&h->state->token[i]);

		if (is_ours(h, word) ||
		    (!(word & TOKEN_OWNER) && (woken || !(word & TOKEN_HANDED))))
			if (take(h, i, word, now))
				return true;
	}
	return false;
}

/* One that has not moved since @seen. */
static bool take_stale(struct resv_hold *h, uint64_t now, const uint32_t *seen)
{
	unsigned int i, count = token_count();

	for (i = 0; i < count; i++)
		if (atomic_load(&h->state->token[i]) == seen[i] && take(h, i, seen[i], now))
			return true;
	return false;
}

/* Sleep in the line. True: woken, so that a token may be for us. */
static bool sleep_in_line(struct resv_hold *h, uint64_t now, uint64_t deadline)
{
	_Atomic(uint32_t) *line = &h->state->line;
	uint32_t word = atomic_load(line), mine;
	uint64_t until;
	int ret;

	do {
		if ((word & LINE_SLEEPERS) == LINE_SLEEPERS)
			return false;
		mine = word + LINE_STEP + 1;
	} while (!atomic_compare_exchange_weak(line, &word, mine));
	/* So long as it takes if those before us use their slices up. */
	until = now + STALE_NS + (mine & LINE_SLEEPERS) * (uint64_t)SLICE_NS;
	if (until > deadline)
		until = deadline;
	/* Others join meanwhile, which is no reason to go on. */
	while ((ret = shm_futex_wait(line, mine, until)) == -EAGAIN)
		mine = atomic_load(line);
	word = atomic_load(line);
	while ((word & LINE_SLEEPERS) && !atomic_compare_exchange_weak(line, &word, word - 1))
		;
	return ret == 0;
}

void resv_token_take(struct resv_hold *h, uint64_t deadline)
{
	uint64_t now = clock_ns();
	uint32_t seen[SHM_RESV_TOKENS];
	bool woken = false;
	unsigned int i;

	if (h->token && now < h->token_until &&
	    is_ours(h, atomic_load(&h->state->token[h->token - 1])))
		return;
	resv_token_pass(h);
	while (now < deadline && !take_free(h, now, woken)) {
		for (i = 0; i < SHM_RESV_TOKENS; i++)
			seen[i] = atomic_load(&h->state->token[i]);
		woken = sleep_in_line(h, now, deadline);
		now = clock_ns();
		if (!woken && take_stale(h, now, seen))
			return;
	}
}
