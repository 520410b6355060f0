// SPDX-License-Identifier: MIT
/*
 * Negotiation with parameters and heaps of any bytes: it is refused, or there is an answer that
 * holds: plans fit, what is suggested works, words can be made of it. Bytes: the request's own
 * numbers, then devices, then heaps.
 */
#include <stdlib.h>
#include <string.h>

#include <dmabuf/constraints.h>

#include "constraints/constraints.h"

#define DEVICES 6
#define HEAPS 4

struct input {
	const uint8_t *data;
	size_t left;
};

static void take(struct input *in, void *to, size_t size)
{
	size_t n = in->left < size ? in->left : size;

	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
}

static bool take_bool(struct input *in)
{
	uint8_t byte = 0;

	take(in, &byte, 1);
	return byte & 1;
}

/* Mostly what sensible devices have: powers of two and what is beside them. */
static uint64_t take_number(struct input *in)
{
	uint8_t byte = 0;
	uint64_t number = 0;

	take(in, &byte, 1);
	if (byte < 64)
		return UINT64_C(1) << byte;
	if (byte < 128)
		return (UINT64_C(1) << (byte - 64)) - 1;
	if (byte < 192)
		return 0;
	take(in, &number, byte % 9);
	return number;
}

static void take_device(struct input *in, struct dma_buf_device_parameters *d)
{
	uint8_t byte = 0;

	*d = (struct dma_buf_device_parameters){ .size = sizeof(*d) };
	d->max_segment_size = take_number(in);
	d->max_segment_count = take_number(in);
	d->segment_boundary_mask = take_number(in);
	d->dma_mask = take_number(in);
	d->address_alignment = take_number(in);
	d->length_granularity = take_number(in);
	d->trust_domain = take_bool(in);
	d->preferred_segment_size = take_number(in);
	d->min_buffers = (uint32_t)take_number(in);
	take(in, &byte, 1);
	d->contiguous = byte & 1;
	d->page_backed = byte & 2;
	d->cpu_needed = byte & 4;
	d->cpu_forbidden = byte & 8;
	d->protected_memory = byte & 16;
	d->physical = byte & 32;
	d->line_by_line = byte & 64;
	if (byte & 128)
		take(in, &d->named[0], sizeof(d->named[0]));
}

static void take_heap(struct input *in, struct dma_buf_heap_info *h)
{
	*h = (struct dma_buf_heap_info){ .size = sizeof(*h), .name = "heap", .where = "here" };
	h->chunk = take_number(in);
	h->alignment = take_number(in);
	h->granule = take_number(in);
	h->max_size = take_number(in);
	h->capacity = take_number(in);
	h->highest_address = take_number(in);
	h->trust_domain = take_bool(in);
	h->page_backed = take_bool(in);
	h->cpu_mappable = take_bool(in);
	h->available = !take_bool(in);
}

static void check_values(const struct dma_buf_request *r, const struct dma_buf_negotiation *a)
{
	for (unsigned int n = 0; n < a->alternative_count; n++) {
		const struct dma_buf_alternative *one = &a->alternatives[n];

		if (one->size < a->size || !one->chunk || one->chunk > one->size)
			abort();
	}
	for (unsigned int i = 0; a->alternative_count && i < r->participant_count; i++)
		if (!a->participants[i].segments || !a->participants[i].max_segment_size ||
		    a->participants[i].max_segment_size > a->size)
			abort();
	if (!a->alternative_count && !a->conflict_count)
		abort();
}

/* Room for what a smaller buffer may do is the easiest to try. */
static void check_size(const struct dma_buf_request *r, const struct dma_buf_negotiation *a)
{
	static struct dma_buf_negotiation again;
	struct dma_buf_request smaller = *r;

	again.struct_size = sizeof(again);
	for (unsigned int n = 0; n < a->relaxation_count; n++) {
		const struct dma_buf_change *c = &a->relaxations[n].changes[0];

		if (a->relaxations[n].count != 1 || c->parameter != DMA_BUF_PARAMETER_SIZE)
			continue;
		smaller.size = c->to;
		if (dma_buf_negotiate(&smaller, &again) < 1)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[DEVICES] = { "a", "b", "c", "d", "e", "f" };
	static struct dma_buf_device_parameters devices[DEVICES];
	static struct dma_buf_participant participants[DEVICES];
	static struct dma_buf_heap_info heaps[HEAPS];
	static struct dma_buf_plane planes[2];
	static struct dma_buf_negotiation answer;
	static char text[16384];
	struct dma_buf_request r = { .struct_size = sizeof(r),
				     .participants = participants,
				     .heaps = heaps };
	struct input in = { data, size };

	r.participant_count = 1 + (unsigned int)(take_number(&in) % DEVICES);
	r.heap_count = 1 + (unsigned int)(take_number(&in) % HEAPS);
	r.own_tables = take_bool(&in);
	r.max_buffers = take_number(&in);
	if (take_bool(&in)) {
		r.planes = planes;
		r.plane_count = 2;
		for (unsigned int k = 0; k < 2; k++) {
			planes[k].bytes_per_line = take_number(&in);
			planes[k].lines = take_number(&in);
		}
	} else {
		r.size = take_number(&in);
	}
	for (unsigned int i = 0; i < r.participant_count; i++) {
		take_device(&in, &devices[i]);
		participants[i] =
			(struct dma_buf_participant){ .name = names[i], .parameters = &devices[i] };
	}
	for (unsigned int h = 0; h < r.heap_count; h++)
		take_heap(&in, &heaps[h]);
	answer.struct_size = sizeof(answer);
	if (dma_buf_negotiate(&r, &answer) < 0)
		return 0;
	check_values(&r, &answer);
	check_size(&r, &answer);
	if (dma_buf_explain(&r, &answer, text, sizeof(text)) < 0)
		abort();
	return 0;
}
