// SPDX-License-Identifier: MIT
/*
 * Every sequence of any length, not only up to a depth: all states of a small buffer that can be
 * reached by brackets, mappings and accesses that keep to the rules in coherency.h are visited,
 * against every adversary (coherency-line.h). In each of them whoever may look must find the latest
 * bytes, and each operation on the way must have been for something.
 *
 * Built with room for two ranges, so that the sets of three lines are exact, and again with one, so
 * that they widen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coherency-line.h"
#include "coherency-visits.h"
#include "harness.h"

#define MAX_LINES 3
#define SLOTS 2
#ifndef MAX_MAPPINGS
#define MAX_MAPPINGS 1
#endif
#define UNKNOWN 0xff
#define EXACT (COHERENCY_RANGES >= (lines + 1) / 2)

/* An open bracket; all zero: a free place. Lines are bits. */
struct bracket {
	uint8_t start, end;
	uint8_t access;
	uint8_t fresh;	  /* lines no device wrote since it began */
	uint8_t unshared; /* lines that it wrote last */
	uint8_t pad[3];
};

/* Everything there is; compared and hashed as bytes. */
struct world {
	uint16_t line[MAX_LINES];
	uint8_t dirty, stale; /* the state under test, as lines */
	uint8_t device_readers, device_writers, cpu_writers;
	uint8_t readers, writers; /* the truth */
	uint8_t tracked, spoiled;
	uint8_t may_be_dirty; /* lines of ended brackets, not cleaned since */
	uint8_t may_be_stale; /* lines not dropped since a device could write */
	struct bracket slot[SLOTS];
};

enum scene {
	FROM_THE_START,
	FROM_A_LATE_FIRST_DEVICE,
	SPOILED_AT_ANY_POINT,
	/* The same two, and somebody else knows how many there are of each. */
	COUNTED_LATE_FIRST_DEVICE,
	COUNTED_AND_SPOILED_AT_ANY_POINT,
};

static char action[VISITS_ACTION_LEN];
static unsigned int lines;
static enum scene scene;
static uint64_t transitions, operations, needless;

static void wrong(const char *what, unsigned int line)
{
	visits_print_history();
	test_note("  %s", action);
	FAIL("line %u: %s", line, what);
}

/* It does not matter which bracket is in which place. */
static void sort_slots(struct world *w)
{
	struct bracket first = w->slot[0];

	if (memcmp(&w->slot[0], &w->slot[1], sizeof(first)) < 0) {
		w->slot[0] = w->slot[1];
		w->slot[1] = first;
	}
}

static void visit(struct world *w)
{
	sort_slots(w);
	transitions++;
	visits_add(w, action);
}

static void set_from_bits(struct coherency_set *set, unsigned int bits)
{
	for (unsigned int i = 0; i < lines; i++) {
		if (bits & (1u << i))
			coherency_set_add(set, i, i + 1);
	}
}

static unsigned int bits_of_set(const struct coherency_set *set)
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < lines; i++) {
		if (coherency_set_overlaps(set, i, i + 1))
			bits |= 1u << i;
	}
	return bits;
}

static unsigned int bits_between(uint64_t start, uint64_t end)
{
	return ((1u << end) - 1) & ~((1u << start) - 1);
}

static uint32_t wide(uint8_t count)
{
	return count == UNKNOWN ? COHERENCY_UNKNOWN : count;
}

static uint8_t narrow(uint32_t count)
{
	return count == COHERENCY_UNKNOWN ? UNKNOWN : (uint8_t)count;
}

static void state_of(const struct world *w, struct coherency_state *s)
{
	coherency_init(s);
	set_from_bits(&s->dirty, w->dirty);
	set_from_bits(&s->stale, w->stale);
	s->device_readers = wide(w->device_readers);
	s->device_writers = wide(w->device_writers);
	s->cpu_writers = wide(w->cpu_writers);
}

static void state_to(struct world *w, const struct coherency_state *s)
{
	w->dirty = (uint8_t)bits_of_set(&s->dirty);
	w->stale = (uint8_t)bits_of_set(&s->stale);
	w->device_readers = narrow(s->device_readers);
	w->device_writers = narrow(s->device_writers);
	w->cpu_writers = narrow(s->cpu_writers);
}

static bool writer_is_open(const struct world *w)
{
	return w->slot[0].access == COHERENCY_WRITE || w->slot[1].access == COHERENCY_WRITE;
}

static bool is_late(enum scene which)
{
	return which == FROM_A_LATE_FIRST_DEVICE || which == COUNTED_LATE_FIRST_DEVICE;
}

static void justify(const struct world *w, enum coherency_op op, unsigned int bits)
{
	unsigned int for_nothing = 0;

	if (w->spoiled || is_late(scene))
		return;
	if (op == COHERENCY_CLEAN)
		for_nothing = bits & ~w->may_be_dirty;
	else if (!w->writers)
		for_nothing = bits & ~w->may_be_stale;
	if (op == COHERENCY_FLUSH && EXACT && !writer_is_open(w) && !(bits & w->may_be_dirty))
		wrong("flushed where dropping would do", 0);
	if (!for_nothing)
		return;
	needless++;
	if (EXACT)
		wrong("needless operation", (unsigned int)__builtin_ctz(for_nothing));
}

static void run(struct world *w, const struct coherency_plan *plan)
{
	ASSERT(plan->count <= COHERENCY_RANGES);
	for (uint32_t i = 0; i < plan->count; i++) {
		const struct coherency_range *r = &plan->step[i].range;
		enum coherency_op op = plan->step[i].op;
		unsigned int bits = bits_between(r->start, r->end);

		ASSERT(op >= COHERENCY_CLEAN && op <= COHERENCY_FLUSH);
		ASSERT(r->start < r->end && r->end <= lines);
		operations++;
		justify(w, op, bits);
		for (unsigned int l = 0; l < lines; l++) {
			if (bits & (1u << l))
				w->line[l] = (uint16_t)line_maintain(w->line[l], op);
		}
		if (op != COHERENCY_INVALIDATE)
			w->may_be_dirty &= (uint8_t)~bits;
		if (op != COHERENCY_CLEAN)
			w->may_be_stale &= (uint8_t)~bits;
	}
}

static void device_moves(const struct world *from, bool begin, enum coherency_access access)
{
	struct world w = *from;
	uint8_t *count = access == COHERENCY_WRITE ? &w.writers : &w.readers;
	struct coherency_state s;
	struct coherency_plan plan;

	if (!w.tracked || (begin ? *count == MAX_MAPPINGS : *count == 0))
		return;
	snprintf(action, sizeof(action), "device %s %s", begin ? "begins" : "ends",
		 access == COHERENCY_WRITE ? "write" : "read");
	state_of(&w, &s);
	if (begin) {
		coherency_device_begin(&s, lines, access, &plan);
		run(&w, &plan);
		++*count;
	} else {
		coherency_device_end(&s, lines, access, &plan);
		if (access == COHERENCY_WRITE)
			w.may_be_stale = (uint8_t)bits_between(0, lines);
		run(&w, &plan);
		--*count;
	}
	state_to(&w, &s);
	visit(&w);
}

static void bracket_begins(const struct world *from, unsigned int start, unsigned int end,
			   enum coherency_access access)
{
	struct world w = *from;
	struct coherency_state s;
	struct coherency_plan plan;
	unsigned int i;

	for (i = 0; i < SLOTS && w.slot[i].access; i++)
		;
	if (i == SLOTS)
		return;
	snprintf(action, sizeof(action), "begin %s [%u,%u)",
		 access == COHERENCY_WRITE ? "write" : "read", start, end);
	if (w.tracked) {
		state_of(&w, &s);
		coherency_cpu_begin(&s, start, end, access, &plan);
		run(&w, &plan);
		state_to(&w, &s);
	}
	w.slot[i] = (struct bracket){ .start = (uint8_t)start,
				      .end = (uint8_t)end,
				      .access = (uint8_t)access,
				      .fresh = (uint8_t)bits_between(start, end) };
	visit(&w);
}

static void bracket_ends(const struct world *from, unsigned int i)
{
	struct world w = *from;
	struct bracket b = w.slot[i];
	struct coherency_state s;
	struct coherency_plan plan;

	if (!b.access)
		return;
	snprintf(action, sizeof(action), "end %s [%u,%u)",
		 b.access == COHERENCY_WRITE ? "write" : "read", b.start, b.end);
	memset(&w.slot[i], 0, sizeof(w.slot[i]));
	if (w.tracked) {
		if (b.access == COHERENCY_WRITE)
			w.may_be_dirty |= (uint8_t)bits_between(b.start, b.end);
		state_of(&w, &s);
		coherency_cpu_end(&s, b.start, b.end, b.access, &plan);
		run(&w, &plan);
		state_to(&w, &s);
	}
	visit(&w);
}

static void cpu_writes(const struct world *from, unsigned int i, unsigned int l)
{
	struct world w = *from;

	if (w.slot[i].access != COHERENCY_WRITE || !(w.slot[i].fresh & (1u << l)))
		return;
	snprintf(action, sizeof(action), "[%u,%u) writes line %u", w.slot[i].start, w.slot[i].end,
		 l);
	w.line[l] = (uint16_t)line_cpu_writes();
	for (unsigned int k = 0; k < SLOTS; k++)
		w.slot[k].unshared &= (uint8_t) ~(1u << l);
	w.slot[i].unshared |= (uint8_t)(1u << l);
	visit(&w);
}

static bool is_unshared(const struct world *w, unsigned int l)
{
	return (w->slot[0].unshared | w->slot[1].unshared) & (1u << l);
}

static void device_writes(const struct world *from, unsigned int l)
{
	struct world w = *from;

	if (!w.writers || is_unshared(&w, l))
		return;
	snprintf(action, sizeof(action), "device writes line %u", l);
	w.line[l] = (uint16_t)line_device_writes(w.line[l]);
	for (unsigned int i = 0; i < SLOTS; i++)
		w.slot[i].fresh &= (uint8_t) ~(1u << l);
	visit(&w);
}

/* What a caller may do that adds the counts up from elsewhere. */
static void count_anew(struct world *w)
{
	w->device_readers = w->readers;
	w->device_writers = w->writers;
	w->cpu_writers = (uint8_t)((w->slot[0].access == COHERENCY_WRITE) +
				   (w->slot[1].access == COHERENCY_WRITE));
}

static void tracking_starts(const struct world *from)
{
	struct world w = *from;
	struct coherency_state s;

	if (w.tracked)
		return;
	snprintf(action, sizeof(action), "tracking starts");
	coherency_init(&s);
	coherency_assume_dirty(&s, lines);
	state_to(&w, &s);
	if (scene == COUNTED_LATE_FIRST_DEVICE)
		count_anew(&w);
	w.tracked = 1;
	visit(&w);
}

static void somebody_spoils(const struct world *from)
{
	struct world w = *from;
	struct coherency_state s;

	if ((scene != SPOILED_AT_ANY_POINT && scene != COUNTED_AND_SPOILED_AT_ANY_POINT) ||
	    w.spoiled)
		return;
	snprintf(action, sizeof(action), "spoiled");
	coherency_init(&s);
	s.dirty.count = COHERENCY_RANGES + 1;
	ASSERT(!coherency_sanitize(&s, lines, MAX_MAPPINGS));
	state_to(&w, &s);
	if (scene == COUNTED_AND_SPOILED_AT_ANY_POINT)
		count_anew(&w);
	w.spoiled = 1;
	/* Not looked at any more. */
	w.may_be_dirty = w.may_be_stale = 0;
	visit(&w);
}

/* Whoever may look at a line must find the latest bytes there. */
static void look(const struct world *w)
{
	snprintf(action, sizeof(action), "look");
	for (unsigned int l = 0; l < lines; l++) {
		for (unsigned int i = 0; i < SLOTS; i++) {
			if (w->slot[i].fresh & (1u << l) && !line_cpu_reads_right(w->line[l]))
				wrong("the CPU reads old bytes", l);
		}
		if ((w->readers || w->writers) && !is_unshared(w, l) &&
		    !line_device_reads_right(w->line[l]))
			wrong("the device reads old bytes", l);
	}
}

static void explore(const struct world *w)
{
	look(w);
	for (unsigned int access = COHERENCY_READ; access <= COHERENCY_WRITE; access++) {
		device_moves(w, true, access);
		device_moves(w, false, access);
		for (unsigned int start = 0; start < lines; start++) {
			for (unsigned int end = start + 1; end <= lines; end++)
				bracket_begins(w, start, end, access);
		}
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		bracket_ends(w, i);
		for (unsigned int l = 0; l < lines; l++)
			cpu_writes(w, i, l);
	}
	for (unsigned int l = 0; l < lines; l++)
		device_writes(w, l);
	tracking_starts(w);
	somebody_spoils(w);
}

/* Under valgrind, or where all else is slow, a buffer of two lines has to do. */
static unsigned int choose_lines(void)
{
	return test_is_slow() ? 2 : MAX_LINES;
}

static void explore_all(enum scene which)
{
	struct world w;
	uint32_t states;

	lines = choose_lines();
	memset(&w, 0, sizeof(w));
	for (unsigned int l = 0; l < lines; l++)
		w.line[l] = LINE_FRESH;
	scene = which;
	w.tracked = !is_late(which);
	visits_start(sizeof(w), &w);
	while (visits_next(&w))
		explore(&w);
	states = visits_stop();
	test_note("%u lines: %u states, %ju transitions, %ju operations, %ju of them for nothing",
		  lines, states, (uintmax_t)transitions, (uintmax_t)operations,
		  (uintmax_t)needless);
}

TEST_TIMEOUT(C3_every_reachable_state_has_the_latest_bytes, 600)
{
	explore_all(FROM_THE_START);
	ASSERT(operations > 0);
	if (!EXACT)
		ASSERT(needless > 0);
}

TEST_TIMEOUT(C3_a_late_first_device_finds_the_latest_bytes, 600)
{
	explore_all(FROM_A_LATE_FIRST_DEVICE);
}

TEST_TIMEOUT(C3_a_spoiled_state_costs_more_but_never_wrong_bytes, 600)
{
	explore_all(SPOILED_AT_ANY_POINT);
}

TEST_TIMEOUT(C3_a_late_first_device_may_have_the_open_brackets_counted, 600)
{
	explore_all(COUNTED_LATE_FIRST_DEVICE);
}

TEST_TIMEOUT(C3_a_spoiled_state_may_be_counted_anew, 600)
{
	explore_all(COUNTED_AND_SPOILED_AT_ANY_POINT);
}
