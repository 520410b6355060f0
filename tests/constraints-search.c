// SPDX-License-Identifier: MIT
/* The solver against a search of everything, over small domains; DMABUF_TEST_CASES: how many. */
#include <stdlib.h>
#include <string.h>

#include "constraints-oracle.h"
#include "harness.h"
#include "sg-table.h"

#define MOST 5
#define HEAPS 3

struct random_case {
	struct constraints_problem p;
	struct dma_buf_device_parameters d[MOST];
	const struct dma_buf_device_parameters *participants[MOST];
	const char *names[MOST];
	struct dma_buf_heap_info h[HEAPS];
	const struct dma_buf_heap_info *heaps[HEAPS];
};

static const char *const all_names[MOST] = { "camera", "codec", "display", "gpu", "isp" };

static uint64_t seed;

static unsigned int below(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)((seed * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n);
}

static bool rarely(unsigned int n)
{
	return below(n) == 0;
}

#define PICK(...)                                                                              \
	(((const uint64_t[]){ __VA_ARGS__ })[below(sizeof((const uint64_t[]){ __VA_ARGS__ }) / \
						   sizeof(uint64_t))])

static void make_needs(struct dma_buf_device_parameters *d)
{
	struct constraints_fault fault;

	do {
		memset(d, 0, sizeof(*d));
		d->max_segment_size = rarely(3) ? PICK(1, 2, 4, 8) : 0;
		d->max_segment_count = rarely(3) ? PICK(1, 2, 3, 4, 6) : 0;
		d->segment_boundary_mask = rarely(4) ? PICK(1, 3, 7) : 0;
		d->dma_mask = rarely(5) ? PICK(7, 15, 31) : 0;
		d->address_alignment = rarely(4) ? PICK(1, 2, 4) : 0;
		d->length_granularity = rarely(5) ? PICK(1, 2, 3) : 0;
		d->contiguous = rarely(6);
		d->page_backed = rarely(6);
		d->cpu_needed = rarely(6);
		d->cpu_forbidden = rarely(10);
		d->trust_domain = rarely(4) ? PICK(1, 2) : 0;
		d->protected_memory = rarely(8);
		d->min_buffers = (uint32_t)PICK(0, 0, 1, 2);
		d->physical = rarely(2);
		if (rarely(6))
			d->named[0] = (struct dma_buf_named_parameter){ .name = "tiling",
									.rule = DMA_BUF_MERGE_EQUAL,
									.value = PICK(1, 2) };
		else if (rarely(6))
			d->named[0] =
				(struct dma_buf_named_parameter){ .name = "formats",
								  .rule = DMA_BUF_MERGE_MASK_AND,
								  .value = PICK(1, 2, 3, 6) };
	} while (!constraints_check(d, &fault));
}

static void make_heap(struct dma_buf_heap_info *h)
{
	struct constraints_fault fault;

	do {
		memset(h, 0, sizeof(*h));
		h->chunk = PICK(0, 1, 2, 4, 8);
		h->alignment = PICK(1, 2, 4, 8, 16);
		h->granule = PICK(0, 4);
		h->max_size = rarely(4) ? PICK(4, 8) : 0;
		h->capacity = rarely(3) ? PICK(8, 16, 24) : 0;
		h->highest_address = PICK(0, 7, 15, 31);
		h->trust_domain = rarely(4) ? PICK(1, 2) : 0;
		h->cost = below(3);
		h->page_backed = !rarely(3);
		h->cpu_mappable = !rarely(3);
		h->available = !rarely(6);
	} while (!constraints_check_heap(h, &fault));
}

static void make_case(struct random_case *c)
{
	memset(&c->p, 0, sizeof(c->p));
	c->p.participants = c->participants;
	c->p.names = c->names;
	c->p.heaps = c->heaps;
	c->p.count = 1 + below(MOST);
	c->p.heap_count = 1 + below(HEAPS);
	c->p.size = 1 + below(12);
	c->p.max_buffers = rarely(3) ? 1 + below(4) : 0;
	c->p.own_tables = rarely(3);
	for (unsigned int i = 0; i < c->p.count; i++) {
		make_needs(&c->d[i]);
		c->participants[i] = &c->d[i];
		c->names[i] = all_names[i];
	}
	for (unsigned int h = 0; h < c->p.heap_count; h++) {
		make_heap(&c->h[h]);
		c->heaps[h] = &c->h[h];
	}
}

static bool lists(const struct dma_buf_negotiation *a, unsigned int heap)
{
	for (unsigned int n = 0; n < a->alternative_count; n++)
		if (a->alternatives[n].heap == heap)
			return true;
	return false;
}

static void check_plan(const struct random_case *c, const struct dma_buf_negotiation *a)
{
	ASSERT_EQ(a->alternative_count + a->rejection_count, c->p.heap_count);
	for (unsigned int h = 0; h < c->p.heap_count; h++)
		ASSERT_EQ(lists(a, h), oracle_fits(&c->p, c->heaps[h]));
	for (unsigned int n = 1; n < a->alternative_count; n++)
		ASSERT(c->heaps[a->alternatives[n - 1].heap]->cost <=
		       c->heaps[a->alternatives[n].heap]->cost);
}

/* Only the members hold, and without any of them it is possible. */
static void check_conflict(const struct random_case *c, const struct dma_buf_conflict *conflict)
{
	struct constraints_problem p = c->p;
	uint32_t dropped[MOST];

	p.dropped = dropped;
	memset(dropped, 0xff, sizeof(dropped));
	for (unsigned int n = 0; n < conflict->count; n++)
		dropped[conflict->members[n].participant] &=
			~(UINT32_C(1) << conflict->members[n].parameter);
	ASSERT(!oracle_feasible(&p));
	for (unsigned int n = 0; n < conflict->count; n++) {
		const struct dma_buf_conflict_member *m = &conflict->members[n];

		ASSERT_EQ(m->value,
			  constraints_value(p.participants[m->participant], m->parameter));
		dropped[m->participant] |= UINT32_C(1) << m->parameter;
		ASSERT(oracle_feasible(&p));
		dropped[m->participant] &= ~(UINT32_C(1) << m->parameter);
	}
}

static void change_participant(struct random_case *c, uint32_t *dropped,
			       const struct dma_buf_change *change)
{
	struct dma_buf_device_parameters *d = &c->d[change->participant];
	struct constraints_fault fault;

	if (change->drop) {
		dropped[change->participant] |= UINT32_C(1) << change->parameter;
		return;
	}
	if (change->parameter == DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE)
		d->max_segment_size = change->to;
	else if (change->parameter == DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT)
		d->max_segment_count = change->to;
	else if (change->parameter == DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK)
		d->segment_boundary_mask = change->to;
	else if (change->parameter == DMA_BUF_PARAMETER_DMA_MASK)
		d->dma_mask = change->to;
	else if (change->parameter == DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT)
		d->address_alignment = change->to;
	else if (change->parameter == DMA_BUF_PARAMETER_MIN_BUFFERS)
		d->min_buffers = (uint32_t)change->to;
	else
		FAIL("parameter %u has a new value", change->parameter);
	ASSERT(constraints_check(d, &fault));
}

static void change_request(struct random_case *c, const struct dma_buf_negotiation *a,
			   const struct dma_buf_change *change)
{
	if (change->parameter == DMA_BUF_PARAMETER_SIZE) {
		ASSERT(change->to < c->p.size);
		c->p.size = change->to;
	} else if (change->parameter == DMA_BUF_PARAMETER_MAX_BUFFERS) {
		c->p.max_buffers = change->to;
	} else if (change->parameter == DMA_BUF_PARAMETER_OWN_TABLES) {
		c->p.own_tables = true;
	} else if (change->parameter == DMA_BUF_PARAMETER_CAPACITY) {
		c->h[change->from].capacity = change->to;
	} else if (change->parameter == DMA_BUF_PARAMETER_AVAILABLE) {
		c->h[change->from].available = true;
	} else {
		ASSERT_EQ(change->parameter, DMA_BUF_PARAMETER_HEAP);
		c->heaps[0] = &a->wanted_heap;
	}
}

/* Applied, it works; in case of values, the next one towards what was does not. */
static void check_relaxation(const struct random_case *original,
			     const struct dma_buf_negotiation *a,
			     const struct dma_buf_relaxation *r)
{
	uint32_t dropped[MOST] = { 0 };
	struct random_case c = *original;

	c.p.participants = c.participants;
	c.p.heaps = c.heaps;
	c.p.dropped = dropped;
	for (unsigned int i = 0; i < c.p.count; i++)
		c.participants[i] = &c.d[i];
	for (unsigned int h = 0; h < c.p.heap_count; h++)
		c.heaps[h] = &c.h[h];
	ASSERT(r->count > 0);
	for (unsigned int n = 0; n < r->count; n++) {
		if (r->changes[n].participant == DMA_BUF_NOBODY)
			change_request(&c, a, &r->changes[n]);
		else
			change_participant(&c, dropped, &r->changes[n]);
	}
	ASSERT(oracle_feasible(&c.p));
	if (r->count == 1 && r->changes[0].parameter == DMA_BUF_PARAMETER_SIZE) {
		c.p.size++;
		ASSERT(!oracle_feasible(&c.p));
	}
}

static void check_why_not(const struct random_case *c, const struct dma_buf_negotiation *a)
{
	ASSERT(a->conflict_count > 0);
	for (unsigned int n = 0; n < a->conflict_count; n++)
		check_conflict(c, &a->conflicts[n]);
	for (unsigned int n = 0; n < a->relaxation_count; n++)
		check_relaxation(c, a, &a->relaxations[n]);
}

static void check_words(const struct random_case *c, const struct dma_buf_negotiation *a)
{
	struct dma_buf_negotiation named = *a;
	char text[8192];

	for (unsigned int h = 0; h < c->p.heap_count; h++)
		strcpy(named.heap_names[h], "heap");
	ASSERT(constraints_explain(&c->p, &named, text, sizeof(text)));
	ASSERT(strlen(text) > 20);
}

static unsigned int case_count(unsigned int otherwise)
{
	const char *text = getenv("DMABUF_TEST_CASES");

	if (text)
		return (unsigned int)strtoul(text, NULL, 10);
	return test_is_slow() || TEST_SANITIZED ? otherwise / 20 : otherwise;
}

TEST_TIMEOUT(F1_F3_F4_the_solver_agrees_with_a_search_of_everything, 600)
{
	unsigned int cases = case_count(400000), impossible = 0;
	static struct dma_buf_negotiation a;
	struct random_case c;

	seed = UINT64_C(0x853c49e6748fea9b);
	for (unsigned int n = 0; n < cases; n++) {
		make_case(&c);
		constraints_solve(&c.p, &a);
		check_plan(&c, &a);
		if (!a.alternative_count) {
			impossible++;
			check_why_not(&c, &a);
		}
		if (n % 64 == 0)
			check_words(&c, &a);
	}
	test_note("%u cases, %u of them impossible", cases, impossible);
	ASSERT(impossible > cases / 10 && impossible < cases / 10 * 9);
}

/* The same answer but for indexes, which follow the participants. */
static void check_same(const struct dma_buf_negotiation *a, const struct dma_buf_negotiation *b,
		       const unsigned int *to)
{
	ASSERT_EQ(a->alternative_count, b->alternative_count);
	ASSERT(!memcmp(a->alternatives, b->alternatives,
		       a->alternative_count * sizeof(a->alternatives[0])));
	ASSERT_EQ(a->min_buffers, b->min_buffers);
	ASSERT_EQ(a->rejection_count, b->rejection_count);
	for (unsigned int n = 0; n < a->rejection_count; n++) {
		ASSERT_EQ(a->rejections[n].parameter, b->rejections[n].parameter);
		ASSERT_EQ(a->rejections[n].needs, b->rejections[n].needs);
	}
	ASSERT_EQ(a->conflict_count, b->conflict_count);
	for (unsigned int n = 0; n < a->conflict_count; n++) {
		ASSERT_EQ(a->conflicts[n].count, b->conflicts[n].count);
		for (unsigned int k = 0; k < a->conflicts[n].count; k++) {
			ASSERT_EQ(to[a->conflicts[n].members[k].participant],
				  b->conflicts[n].members[k].participant);
			ASSERT_EQ(a->conflicts[n].members[k].parameter,
				  b->conflicts[n].members[k].parameter);
		}
	}
	ASSERT_EQ(a->relaxation_count, b->relaxation_count);
	for (unsigned int n = 0; n < a->relaxation_count; n++) {
		const struct dma_buf_change *one = &a->relaxations[n].changes[0];
		const struct dma_buf_change *other = &b->relaxations[n].changes[0];

		ASSERT_EQ(one->participant == DMA_BUF_NOBODY ? DMA_BUF_NOBODY
							     : to[one->participant],
			  other->participant);
		ASSERT_EQ(one->parameter, other->parameter);
		ASSERT_EQ(one->to, other->to);
	}
}

TEST_TIMEOUT(F5_the_order_of_the_participants_does_not_matter, 300)
{
	static struct dma_buf_negotiation a, b;
	unsigned int cases = case_count(100000), to[MOST];
	struct random_case c, other;

	seed = UINT64_C(0x1234567890abcdef);
	for (unsigned int n = 0; n < cases; n++) {
		make_case(&c);
		other = c;
		other.p.participants = other.participants;
		other.p.names = other.names;
		for (unsigned int i = 0; i < c.p.count; i++)
			to[i] = i;
		for (unsigned int i = c.p.count - 1; i > 0; i--) {
			unsigned int k = below(i + 1), kept = to[i];

			to[i] = to[k];
			to[k] = kept;
		}
		for (unsigned int i = 0; i < c.p.count; i++) {
			other.participants[to[i]] = &c.d[i];
			other.names[to[i]] = c.names[i];
		}
		constraints_solve(&c.p, &a);
		constraints_solve(&other.p, &b);
		check_same(&a, &b, to);
	}
}

TEST_TIMEOUT(F6_one_more_participant_never_widens_the_plan, 300)
{
	static struct dma_buf_negotiation a, b;
	unsigned int cases = case_count(100000);
	struct random_case c;

	seed = UINT64_C(0xfeedface12345678);
	for (unsigned int n = 0; n < cases; n++) {
		make_case(&c);
		constraints_solve(&c.p, &a);
		make_needs(&c.d[c.p.count % MOST]);
		if (c.p.count == MOST)
			continue;
		c.participants[c.p.count] = &c.d[c.p.count];
		c.names[c.p.count] = all_names[c.p.count];
		c.p.count++;
		constraints_solve(&c.p, &b);
		ASSERT(b.alternative_count <= a.alternative_count);
		for (unsigned int k = 0; k < b.alternative_count; k++)
			ASSERT(lists(&a, b.alternatives[k].heap));
		ASSERT(b.min_buffers >= a.min_buffers);
	}
}

static void make_picture(struct random_case *c, struct dma_buf_plane *planes)
{
	make_case(c);
	c->p.size = 0;
	c->p.planes = planes;
	c->p.plane_count = 1 + below(2);
	for (unsigned int k = 0; k < c->p.plane_count; k++)
		planes[k] = (struct dma_buf_plane){ PICK(1, 7, 64, 100, 2048, 4096, 5000, 8192),
						    PICK(1, 2, 3, 8) };
	for (unsigned int i = 0; i < c->p.count; i++) {
		struct dma_buf_device_parameters *d = &c->d[i];

		d->line_by_line = rarely(2);
		d->dma_mask = 0;
		d->max_segment_size = d->max_segment_size ? PICK(64, 1000, 4096, 65536) : 0;
		d->max_segment_count = d->max_segment_count ? PICK(1, 2, 4, 8, 16, 32) : 0;
		d->segment_boundary_mask = d->segment_boundary_mask ? PICK(4095, 65535) : 0;
		d->address_alignment = d->address_alignment ? PICK(16, 64) : 0;
		d->named[0] = (struct dma_buf_named_parameter){ 0 };
		if (rarely(3))
			d->named[0] = (struct dma_buf_named_parameter){ .name = "stride_alignment",
									.rule = DMA_BUF_MERGE_MAX,
									.value = PICK(2, 64, 4096,
										      8192) };
	}
	for (unsigned int h = 0; h < c->p.heap_count; h++) {
		c->h[h].chunk = PICK(0, 4096, 65536);
		c->h[h].alignment = c->h[h].chunk ? c->h[h].chunk : PICK(64, 4096, 65536);
		c->h[h].max_size = c->h[h].capacity = 0;
	}
}

/* On this stands the search for conflicts. With pictures there is no oracle, so it is tried. */
TEST_TIMEOUT(F4_without_a_need_a_picture_is_never_harder_to_place, 300)
{
	unsigned int cases = case_count(60000), easier = 0;
	struct dma_buf_plane planes[2];
	uint32_t dropped[MOST];
	struct random_case c;

	seed = UINT64_C(0x0ddba11c0ffee123);
	for (unsigned int n = 0; n < cases; n++) {
		bool before;

		make_picture(&c, planes);
		c.p.dropped = dropped;
		for (unsigned int i = 0; i < MOST; i++)
			dropped[i] = below(4) ? 0 : below(1u << 16) << 3;
		before = constraints_feasible(&c.p);
		for (unsigned int i = 0; i < c.p.count; i++) {
			for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++) {
				uint32_t kept = dropped[i];
				bool after;

				dropped[i] |= UINT32_C(1) << k;
				after = constraints_feasible(&c.p);
				ASSERT(after || !before);
				easier += after && !before;
				dropped[i] = kept;
			}
		}
	}
	ASSERT(easier > cases / 100);
}

/* Segments from @at on, cut wherever they must be. */
static uint64_t walk(uint64_t at, uint64_t length, const struct constraints_limits *l,
		     uint64_t chunk)
{
	uint64_t count = 0, room;

	for (; length; length -= room, at += room, count++) {
		room = length < l->max_segment_size ? length : l->max_segment_size;
		if (chunk && room > chunk - at % chunk)
			room = chunk - at % chunk;
		if (l->segment_boundary_mask != UINT64_MAX &&
		    room > l->segment_boundary_mask + 1 - (at & l->segment_boundary_mask))
			room = l->segment_boundary_mask + 1 - (at & l->segment_boundary_mask);
		if (room < length)
			room -= room % l->address_alignment;
		ASSERT(room > 0 && at % l->address_alignment == 0);
	}
	return count;
}

/* A picture's lines at the addresses where the plan puts them. */
static void check_lines(const struct random_case *c, const struct dma_buf_negotiation *a,
			unsigned int i)
{
	const struct dma_buf_heap_info *h = c->heaps[a->alternatives[0].heap];
	uint64_t start = below(100) * h->alignment, count = 0;
	struct constraints_needs needs;
	struct constraints_limits l;

	constraints_merge(&c->p, &needs);
	l = needs.limits;
	if (c->p.own_tables)
		constraints_limits_of(&c->p, i, &l);
	if (l.length_granularity != 1)
		return;
	for (unsigned int k = 0; k < c->p.plane_count; k++)
		for (uint64_t line = 0; line < c->p.planes[k].lines; line++)
			count += walk(start + a->offsets[k] + line * a->strides[k],
				      c->p.planes[k].bytes_per_line, &l,
				      c->d[i].physical ? h->chunk : 0);
	/* Without gaps, lines are told in one. */
	for (unsigned int k = 0; k < c->p.plane_count; k++)
		if (a->strides[k] == c->p.planes[k].bytes_per_line)
			return;
	ASSERT(a->participants[i].segments >= count);
}

TEST(F7_lines_of_a_picture_never_take_more_segments_than_were_promised)
{
	static struct dma_buf_negotiation a;
	struct dma_buf_plane planes[2];
	unsigned int cases = case_count(60000), seen = 0;
	struct random_case c;

	seed = UINT64_C(0x5eed5eed5eed5eed);
	for (unsigned int n = 0; n < cases; n++) {
		make_picture(&c, planes);
		constraints_solve(&c.p, &a);
		for (unsigned int i = 0; a.alternative_count && i < c.p.count; i++) {
			if (!c.d[i].line_by_line)
				continue;
			check_lines(&c, &a, i);
			seen++;
		}
	}
	ASSERT(seen > cases / 20);
}

static void check_count(uint64_t size, const struct constraints_limits *l, uint64_t chunk,
			uint64_t alignment, bool exact)
{
	unsigned int worst = oracle_worst(size, l, chunk, alignment);
	uint64_t count, longest;
	uint32_t parameter = constraints_segments(size, l, chunk, alignment, &count, &longest);

	ASSERT_EQ(parameter != DMA_BUF_NOBODY, worst >= ORACLE_NEVER);
	if (parameter != DMA_BUF_NOBODY)
		return;
	ASSERT(count >= worst && count <= worst + 1);
	if (exact)
		ASSERT_EQ(count, worst);
	ASSERT(longest <= l->max_segment_size && longest <= size);
}

/* Never too few; and where segments are powers of two, not one too many. */
TEST_TIMEOUT(F7_segments_are_counted_for_the_worst_start, 300)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 5, 6, 8, 12, UINT64_MAX };
	static const uint64_t boundaries[] = { 0, 1, 3, 7, 15, UINT64_MAX };
	unsigned int step = TEST_SANITIZED || test_is_slow() ? 5 : 1;

	for (unsigned int n = 0; n < 9 * 6 * 3 * 6 * 5 * 5; n++) {
		struct constraints_limits l = {
			.max_segment_size = sizes[n % 9],
			.max_segment_count = UINT64_MAX,
			.segment_boundary_mask = boundaries[n / 9 % 6],
			.address_alignment = UINT64_C(1) << n / 54 % 3,
			.length_granularity = 1 + n / 162 % 6,
		};
		uint64_t chunk = (UINT64_C(1) << n / 972 % 5) >> 1;
		uint64_t alignment = UINT64_C(1) << n / 4860 % 5;

		if (alignment < chunk || n % step)
			continue;
		for (uint64_t size = 1; size <= ORACLE_SIZE; size++)
			check_count(size, &l, chunk, alignment,
				    (l.max_segment_size & (l.max_segment_size - 1)) == 0 ||
					    l.max_segment_size == UINT64_MAX);
	}
}

/* What is promised here, sg-table.c keeps at every address. */
TEST(F7_a_table_never_has_more_segments_than_were_promised)
{
	unsigned int cases = case_count(200000);

	seed = UINT64_C(0xabcdef0123456789);
	for (unsigned int n = 0; n < cases; n++) {
		struct dma_buf_device_parameters d = { .size = sizeof(d) };
		const struct dma_buf_device_parameters *list = &d;
		struct constraints_problem p = { .participants = &list, .count = 1 };
		uint64_t size = 1 + below(60000), alignment = PICK(1, 4, 64, 4096), count, longest;
		uint64_t address = (1 + below(1000)) * alignment;
		struct constraints_limits l;
		struct dma_buf_sg_table table;

		d.max_segment_size = PICK(0, 512, 1000, 4096, 65536, 3000);
		d.segment_boundary_mask = PICK(0, 4095, 65535);
		d.address_alignment = PICK(0, 4, 64, 512);
		d.length_granularity = PICK(0, 4, 512, 520);
		constraints_limits_of(&p, 0, &l);
		if (constraints_segments(size, &l, 0, alignment, &count, &longest) !=
		    DMA_BUF_NOBODY)
			continue;
		ASSERT_EQ(sg_table_build(&table, (void *)(uintptr_t)address, size, &d), 0);
		ASSERT(table.nents <= count);
		for (unsigned int k = 0; k < table.nents; k++)
			ASSERT(table.sgl[k].dma_length <= longest);
		dma_buf_sg_free_table(&table);
	}
}
