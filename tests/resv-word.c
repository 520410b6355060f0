// SPDX-License-Identifier: MIT
/*
 * The pure half of reservations: the words' bits and transitions exhaustively, what a queue allows
 * against its definition, and random interleavings of the protocol's steps.
 */
#include <string.h>

#include "harness.h"
#include "resv/decide.h"

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % limit;
}

static const uint32_t generations[] = { 0,
					1,
					2,
					RESV_TICKET_MASK - 1,
					RESV_TICKET_MASK,
					RESV_TICKET_MASK + 1,
					RESV_GENERATION_MASK - 1,
					RESV_GENERATION_MASK };
static const uint32_t whos[] = { 0, 1, 2, 3, 31, 32, 125, 0x55555555, 0x80000000, 0xffffffff };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Every mode, with and without `queued` and `watched`, these generations and names. */
static uint64_t word_number(unsigned int i)
{
	uint64_t word = resv_word((enum resv_mode)(i % 4), generations[i / 16 % COUNT(generations)],
				  whos[i / 16 / COUNT(generations)]);

	return word | (i & 4 ? RESV_QUEUED : 0) | (i & 8 ? RESV_WATCHED : 0);
}

#define WORDS (16 * COUNT(generations) * COUNT(whos))

TEST(D8_the_fields_of_a_state_word_do_not_overlap)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		uint64_t word = word_number(i);

		ASSERT_EQ(resv_word_mode(word), i % 4);
		ASSERT_EQ(resv_word_queued(word), (i & 4) != 0);
		ASSERT_EQ(resv_word_generation(word), generations[i / 16 % COUNT(generations)]);
		ASSERT_EQ(resv_word_who(word), whos[i / 16 / COUNT(generations)]);
	}
	ASSERT_EQ(resv_word_generation(resv_word(RESV_SLOW, RESV_GENERATION_MASK + 1, 7)), 0);
	ASSERT_EQ(resv_word_who(resv_word(RESV_SLOW, RESV_GENERATION_MASK + 1, 7)), 7);
}

static uint64_t entry_number(unsigned int i)
{
	uint64_t kind =
		(i & 8 ? RESV_WRITE : 0) | (i & 16 ? RESV_DEVICE : 0) | (i & 32 ? RESV_LOCK : 0);
	uint64_t entry = resv_entry((enum resv_state)(i % 8), kind, (i >> 8) % 64, i >> 14);

	return entry | (i & 64 ? RESV_TEARS : 0) | (i & 128 ? RESV_ASLEEP : 0);
}

TEST(D8_the_fields_of_an_entry_do_not_overlap)
{
	static const uint32_t ages[] = { 0, 1, RESV_AGE_MASK - 1, RESV_AGE_MASK };
	uint32_t slot, age, ticket;
	unsigned int i;

	for (i = 0; i < 256; i++)
		for (slot = 0; slot <= RESV_SLOT_MASK; slot++)
			for (age = 0; age < COUNT(ages); age++)
				for (ticket = 0; ticket < COUNT(generations); ticket++) {
					uint64_t plain =
						entry_number(i) | resv_entry(0, 0, slot, ages[age]);
					uint64_t entry =
						resv_with_ticket(plain, generations[ticket]);

					ASSERT_EQ(resv_state(entry), i % 8);
					ASSERT_EQ(resv_is_write(entry), (i & 8) != 0);
					ASSERT_EQ(entry & 0xff, plain & 0xff);
					ASSERT_EQ(resv_slot(entry), slot);
					ASSERT_EQ(resv_age(entry), ages[age]);
					ASSERT_EQ(resv_ticket(entry),
						  generations[ticket] & RESV_TICKET_MASK);
				}
	/* Slots and ages that are too large spoil nothing else. */
	ASSERT_EQ(resv_entry(RESV_IDLE, 0, 64, RESV_AGE_MASK + 1), RESV_IDLE);
}

TEST(D3_the_fast_path_takes_free_for_all_and_shared_for_readers)
{
	unsigned int i, entry;

	for (i = 0; i < WORDS; i++)
		for (entry = 0; entry < 126; entry++) {
			uint64_t word = word_number(i);
			bool queued = resv_word_queued(word);
			uint64_t write = resv_word_take(word, entry, true);
			uint64_t read = resv_word_take(word, entry, false);

			ASSERT_EQ(write != 0, !queued && i % 4 == RESV_FREE);
			ASSERT_EQ(read != 0, !queued && entry < RESV_FAST_READERS &&
						     (i % 4 == RESV_FREE || i % 4 == RESV_SHARED));
			if (write) {
				ASSERT_EQ(resv_word_mode(write), RESV_EXCLUSIVE);
				ASSERT_EQ(resv_word_who(write), entry);
				ASSERT_EQ(resv_word_generation(write), resv_word_generation(word));
			}
			if (read) {
				uint32_t before = i % 4 == RESV_SHARED ? resv_word_who(word) : 0;

				ASSERT_EQ(resv_word_mode(read), RESV_SHARED);
				ASSERT_EQ(resv_word_who(read), before | 1u << entry);
				ASSERT_EQ(resv_word_generation(read), resv_word_generation(word));
				ASSERT(!resv_word_queued(read));
			}
		}
}

TEST(D3_the_word_names_whom_it_lets_in_and_nobody_else)
{
	unsigned int i, entry, other;

	for (i = 0; i < WORDS; i++)
		for (entry = 0; entry < 126; entry++)
			for (other = 0; other < 2; other++) {
				uint64_t word = resv_word_take(word_number(i), entry, other);

				ASSERT(!word || resv_word_names(word, entry));
			}
	for (entry = 0; entry < 126; entry++)
		for (other = 0; other < 126; other++) {
			uint64_t writer = resv_word_take(0, entry, true);
			uint64_t reader = resv_word_take(0, entry, false);
			uint64_t joins = resv_word(RESV_SLOW, 9, entry);

			ASSERT_EQ(resv_word_names(writer, other), other == entry);
			ASSERT_EQ(resv_word_names(writer | RESV_QUEUED, other), other == entry);
			ASSERT_EQ(reader && resv_word_names(reader, other),
				  reader && other == entry);
			ASSERT(!resv_word_names(joins, other));
			ASSERT_EQ(resv_word_names(joins | RESV_QUEUED, other), other == entry);
			ASSERT(!resv_word_names(resv_word(RESV_FREE, 9, entry), other));
		}
}

TEST(D8_giving_back_undoes_taking)
{
	unsigned int i, entry;

	for (i = 0; i < WORDS; i++)
		for (entry = 0; entry < 126; entry++) {
			uint64_t word = word_number(i);
			uint64_t write = resv_word_take(word, entry, true);
			uint64_t read = resv_word_take(word, entry, false);
			uint32_t others = i % 4 == RESV_SHARED ? resv_word_who(word) : 0;
			uint64_t given;

			if (write)
				ASSERT_EQ(resv_word_put(write, entry),
					  resv_word(RESV_FREE, resv_word_generation(word), 0));
			if (!read)
				continue;
			given = resv_word_put(read, entry);
			others &= ~(1u << entry);
			ASSERT_EQ(given,
				  others ? resv_word(RESV_SHARED, resv_word_generation(word),
						     others) |
						   (word & RESV_WATCHED)
					 : resv_word(RESV_FREE, resv_word_generation(word), 0));
		}
}

TEST(D8_tickets_have_an_order_across_their_wrap)
{
	static const uint32_t half = RESV_TICKET_MASK / 2;
	uint32_t from[] = {
		0, 1, 5, half - 1, half, half + 1, RESV_TICKET_MASK - 1, RESV_TICKET_MASK
	};
	uint32_t ahead[] = { 1, 2, 125, 1000, half - 1, half };
	unsigned int i, j;

	for (i = 0; i < COUNT(from); i++) {
		ASSERT(!resv_before(from[i], from[i]));
		for (j = 0; j < COUNT(ahead); j++) {
			uint32_t later = (from[i] + ahead[j]) & RESV_TICKET_MASK;

			ASSERT(resv_before(from[i], later));
			ASSERT(!resv_before(later, from[i]));
		}
	}
}

TEST(D8_an_entry_that_ended_is_never_what_it_was)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t entry = resv_with_ticket(entry_number(i) | resv_entry(0, 0, 17, 41), 3);
		uint64_t ended = resv_entry_ended(entry, RESV_IDLE);

		ASSERT_EQ(ended, resv_entry(RESV_IDLE, entry & RESV_LOCK, 17, 42));
		ASSERT_EQ(resv_entry_ended(entry | resv_entry(0, 0, 0, RESV_AGE_MASK), RESV_IDLE),
			  resv_entry(RESV_IDLE, entry & RESV_LOCK, 17, 0));
	}
}

TEST(D5_what_is_lost_drains_if_a_device_has_it_and_tears_if_it_wrote)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t entry = resv_with_ticket(entry_number(i) | resv_entry(0, 0, 5, 6), 7);
		uint64_t lost = resv_lost(entry);

		ASSERT_EQ(resv_state(lost), entry & RESV_DEVICE ? RESV_DRAINING : RESV_BROKEN);
		ASSERT_EQ((lost & RESV_TEARS) != 0, (entry & RESV_WRITE) && !(entry & RESV_LOCK));
		ASSERT_EQ(resv_is_torn(lost), (lost & RESV_TEARS) != 0);
		ASSERT_EQ(lost & RESV_KIND, entry & RESV_KIND);
		ASSERT(!(lost & RESV_ASLEEP));
		ASSERT_EQ(lost >> 8, entry >> 8);
	}
}

TEST(D5_a_death_leaves_torn_only_what_a_writer_held_or_left_torn)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t entry = resv_with_ticket(entry_number(i) | resv_entry(0, 0, 5, 6), 7);
		uint64_t left = resv_remains(entry);
		enum resv_state state = resv_state(entry);
		bool held_to_write = state == RESV_GRANTED && (entry & RESV_WRITE);
		bool lost_to_write =
			(entry & RESV_TEARS) && (state == RESV_BROKEN || state == RESV_DRAINING);
		bool torn = !(entry & RESV_LOCK) &&
			    (held_to_write || lost_to_write || state == RESV_TORN);

		ASSERT_EQ(resv_state(left), torn ? RESV_TORN : RESV_GONE);
		ASSERT_EQ(resv_age(left), 7);
		ASSERT(!resv_in_queue(left));
	}
}

TEST(D5_answering_leaves_nothing_torn_and_touches_nothing_else)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t entry = resv_with_ticket(entry_number(i) | resv_entry(0, 0, 5, 6), 7);
		uint64_t answered = resv_answered(entry);

		ASSERT(!resv_is_torn(answered));
		if (resv_state(entry) == RESV_TORN)
			ASSERT_EQ(resv_state(answered), RESV_GONE);
		else
			ASSERT_EQ(answered, entry & ~RESV_TEARS);
	}
}

TEST(D4_settling_makes_a_hold_of_a_frozen_entry_and_a_waiter_of_a_joining_one)
{
	unsigned int i, k;

	for (i = 0; i < WORDS; i++)
		for (k = 0; k < 8; k++) {
			uint64_t word = word_number(i);
			uint64_t entry = entry_number(RESV_ARMED | k << 3) | resv_entry(0, 0, 9, 8);
			uint64_t settled = resv_settled(word, entry);

			ASSERT_EQ(resv_state(settled),
				  i % 4 == RESV_SLOW ? RESV_WAITING : RESV_GRANTED);
			ASSERT_EQ(resv_ticket(settled),
				  resv_word_generation(word) & RESV_TICKET_MASK);
			ASSERT_EQ(settled & RESV_KIND, entry & RESV_KIND);
			ASSERT_EQ(resv_slot(settled), 9);
			ASSERT_EQ(resv_age(settled), 8);
		}
}

/* The definition: @e is granted unless somebody before it in its queue excludes it. */
static bool defined_torn(const uint64_t *seen, unsigned int count, uint64_t lock)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if ((seen[i] & RESV_LOCK) == lock && resv_is_torn(seen[i]))
			return true;
	return false;
}

static bool defined_grants(const uint64_t *seen, unsigned int count, unsigned int e,
			   uint32_t generation)
{
	uint64_t lock = seen[e] & RESV_LOCK;
	bool torn = defined_torn(seen, count, lock);
	uint32_t ticket = resv_ticket(seen[e]);
	unsigned int i;

	if (resv_state(seen[e]) != RESV_WAITING)
		return false;
	if (resv_before(generation & RESV_TICKET_MASK, ticket))
		return false;
	for (i = 0; i < count; i++) {
		enum resv_state state = resv_state(seen[i]);

		if (i == e || (seen[i] & RESV_LOCK) != lock)
			continue;
		if (state != RESV_WAITING && state != RESV_GRANTED && state != RESV_DRAINING)
			continue;
		if (!resv_before(resv_ticket(seen[i]), ticket))
			continue;
		if (torn || (seen[i] & RESV_WRITE) || (seen[e] & RESV_WRITE))
			return false;
	}
	return true;
}

static void compare(const uint64_t *seen, unsigned int count, uint32_t generation)
{
	struct resv_queue q;
	unsigned int e, other;
	uint64_t lock;

	for (lock = 0; lock <= RESV_LOCK; lock += RESV_LOCK) {
		resv_queue_read(&q, seen, count, lock);
		ASSERT_EQ(q.torn, defined_torn(seen, count, lock));
		for (e = 0; e < count; e++) {
			bool alone = true;

			if ((seen[e] & RESV_LOCK) != lock)
				continue;
			ASSERT_EQ(resv_queue_grants(&q, seen[e], generation),
				  defined_grants(seen, count, e, generation));
			for (other = 0; other < count; other++)
				alone &= (seen[other] & RESV_LOCK) != lock ||
					 !resv_ahead(seen[other], seen[e]);
			/* Whom nobody is ahead of waits for nobody. */
			if (alone && resv_state(seen[e]) == RESV_WAITING)
				ASSERT_EQ(resv_queue_grants(&q, seen[e], generation),
					  !resv_before(generation & RESV_TICKET_MASK,
						       resv_ticket(seen[e])));
		}
	}
}

/* All that an entry can be, in a queue of four tickets from @base on. */
#define KINDS_OF_ENTRY (8 * 2 * 2 * 4)

static uint64_t small_entry(unsigned int i, uint32_t base)
{
	uint64_t entry = resv_entry((enum resv_state)(i % 8), i & 8 ? RESV_WRITE : 0, 1, 2) |
			 (i & 16 ? RESV_TEARS : 0);

	return resv_with_ticket(entry, base + i / 32);
}

TEST_TIMEOUT(D3_D4_a_queue_of_three_allows_what_the_definition_says, 300)
{
	unsigned int step = test_is_slow() ? 7 : 1, a, b, c;
	uint64_t seen[3];

	for (a = 0; a < KINDS_OF_ENTRY; a++)
		for (b = 0; b < KINDS_OF_ENTRY; b++)
			for (c = (a + b) % step; c < KINDS_OF_ENTRY; c += step) {
				/* Across the wrap, with the newest tickets ahead of the word. */
				uint32_t base = RESV_TICKET_MASK - 1;

				seen[0] = small_entry(a, base);
				seen[1] = small_entry(b, base);
				seen[2] = small_entry(c, base);
				compare(seen, 3, base + 2);
			}
}

TEST_TIMEOUT(D3_D4_long_queues_allow_what_the_definition_says, 300)
{
	int rounds = test_is_slow() ? 20000 : 300000, i;
	uint64_t seen[12];

	for (i = 0; i < rounds; i++) {
		uint32_t base = random_below(2) ? RESV_TICKET_MASK - 6 : random_below(1u << 28);
		unsigned int count = 1 + random_below(COUNT(seen)), e;

		for (e = 0; e < count; e++) {
			seen[e] = entry_number(random_below(256)) |
				  resv_entry(0, 0, random_below(64), random_below(4));
			/* Mostly who waits or holds. */
			if (random_below(3))
				seen[e] = resv_with_state(seen[e], RESV_WAITING + random_below(2));
			seen[e] = resv_with_ticket(seen[e], base + random_below(12));
		}
		compare(seen, count, base + random_below(14));
	}
}

/*
 * The protocol with its steps taken one at a time, by whom chance wants: each actor joins, sweeps
 * with its own slow reading of the entries, grants by what it then knows, gives back, loses, gives
 * up. Whoever is granted is checked against who holds then, whatever the sweeps had read.
 */
#define ACTORS 6

struct actor {
	enum { OUT, IN, HOLDING } where;
	/* of a sweep in progress */
	bool sweeps;
	uint64_t word;
	unsigned int read;
	uint64_t seen[ACTORS];
};

static struct {
	uint64_t word;
	uint64_t entry[ACTORS];
	struct actor actor[ACTORS];
	long grants, shared, torn;
} sim;

static void sim_check_grant(unsigned int e, uint64_t seen)
{
	unsigned int i;

	for (i = 0; i < ACTORS; i++) {
		uint64_t other = sim.entry[i];
		bool torn = defined_torn(sim.entry, ACTORS, 0);
		bool excludes = torn || (other & RESV_WRITE) || (seen & RESV_WRITE);

		if (i == e)
			continue;
		if (resv_state(other) == RESV_GRANTED) {
			ASSERT(!excludes);
			sim.shared++;
		}
		/* Nobody who came earlier and whom this excludes still waits. */
		if (resv_state(other) == RESV_WAITING &&
		    ((other & RESV_WRITE) || (seen & RESV_WRITE)))
			ASSERT(!resv_before(resv_ticket(other), resv_ticket(seen)));
	}
	sim.grants++;
}

static void sim_settle(void)
{
	unsigned int e;

	if (!resv_word_queued(sim.word))
		return;
	for (e = 0; e < ACTORS; e++)
		if (resv_word_names(sim.word, e) && resv_state(sim.entry[e]) == RESV_ARMED)
			sim.entry[e] = resv_settled(sim.word, sim.entry[e]);
	sim.word = resv_word(RESV_SLOW, resv_word_generation(sim.word), RESV_NOBODY);
}

static void sim_join(unsigned int e)
{
	uint64_t next;

	sim.entry[e] = (sim.entry[e] & ~7ull & ~RESV_KIND) | RESV_ARMED |
		       (random_below(3) ? 0 : RESV_WRITE);
	next = resv_word_take(sim.word, e, resv_is_write(sim.entry[e]));
	if (next) {
		sim_check_grant(e, sim.entry[e]);
		sim.word = next;
		sim.actor[e].where = HOLDING;
		return;
	}
	sim_settle();
	if (resv_word_mode(sim.word) != RESV_SLOW) {
		sim.word |= RESV_QUEUED;
		sim_settle();
	}
	sim.word = resv_word(RESV_SLOW, resv_word_generation(sim.word) + 1, e) | RESV_QUEUED;
	sim.actor[e].where = IN;
	if (random_below(2))
		sim_settle();
}

static void sim_start_sweep(struct actor *a)
{
	sim_settle();
	a->word = sim.word;
	a->read = 0;
	a->sweeps = resv_word_mode(sim.word) == RESV_SLOW;
}

static void sim_end_sweep(struct actor *a)
{
	struct resv_queue q;
	unsigned int e;

	a->sweeps = false;
	resv_queue_read(&q, a->seen, ACTORS, 0);
	for (e = 0; e < ACTORS; e++) {
		if (!resv_queue_grants(&q, a->seen[e], resv_word_generation(a->word)) ||
		    sim.entry[e] != a->seen[e])
			continue;
		sim_check_grant(e, a->seen[e]);
		if (defined_torn(sim.entry, ACTORS, 0)) {
			ASSERT(q.torn);
			sim.torn++;
		}
		sim.entry[e] =
			resv_with_state(a->seen[e], RESV_GRANTED) | (q.torn ? RESV_TEARS : 0);
	}
	if (!q.used && !q.torn && sim.word == a->word)
		sim.word = resv_word(RESV_FREE, resv_word_generation(a->word) + 1, 0);
}

/* The owner of @e ends what it has: 0 gives back, 1 loses it, 2 dies. */
static void sim_end(unsigned int e, unsigned int how)
{
	uint64_t entry;

	sim_settle();
	if (resv_word_names(sim.word, e)) {
		sim.word = how == 0 ? resv_word_put(sim.word, e) : sim.word | RESV_QUEUED;
		sim_settle();
		if (how == 0) {
			sim.actor[e].where = OUT;
			return;
		}
	}
	entry = sim.entry[e];
	if (resv_state(entry) != RESV_GRANTED) {
		/* It was waiting, or lost: it leaves. */
		sim.entry[e] = resv_entry_ended(entry, resv_is_torn(entry) ? RESV_TORN : RESV_IDLE);
	} else if (how == 0) {
		unsigned int i;

		if ((entry & RESV_TEARS) && resv_is_write(entry))
			for (i = 0; i < ACTORS; i++)
				if (resv_is_torn(sim.entry[i]))
					sim.entry[i] = resv_answered(sim.entry[i]);
		sim.entry[e] = resv_entry_ended(entry, RESV_IDLE);
	} else {
		sim.entry[e] = how == 1 ? resv_lost(entry) : resv_remains(entry);
	}
	if (resv_state(sim.entry[e]) != RESV_BROKEN)
		sim.actor[e].where = OUT;
}

static void sim_step(unsigned int e)
{
	struct actor *a = &sim.actor[e];

	if (a->sweeps) {
		if (a->read < ACTORS) {
			a->seen[a->read] = sim.entry[a->read];
			a->read++;
		} else {
			sim_end_sweep(a);
		}
	} else if (random_below(3) == 0) {
		sim_start_sweep(a);
	} else if (a->where == OUT) {
		/* Torn is nobody's until somebody answered. */
		if (resv_state(sim.entry[e]) != RESV_TORN && random_below(2))
			sim_join(e);
	} else if (random_below(4) == 0) {
		sim_end(e, random_below(40) ? 0 : 1 + random_below(2));
	}
}

TEST_TIMEOUT(D3_D4_D5_steps_in_any_order_exclude_keep_the_queue_and_tell, 300)
{
	long steps = test_is_slow() ? 300000 : 4000000, i;
	unsigned int e;

	memset(&sim, 0, sizeof(sim));
	/* Near the wrap of generations and tickets. */
	sim.word = resv_word(RESV_FREE, RESV_GENERATION_MASK - 1000, 0);
	for (e = 0; e < ACTORS; e++)
		sim.entry[e] = resv_entry(RESV_IDLE, 0, e, RESV_AGE_MASK - 10);
	for (i = 0; i < steps; i++)
		sim_step(random_below(ACTORS));
	test_note("%ld grants, %ld beside another reader, %ld of torn content", sim.grants,
		  sim.shared, sim.torn);
	ASSERT(sim.grants > steps / 100);
	ASSERT(sim.shared > 1000 && sim.torn > 10);
}
