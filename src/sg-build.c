// SPDX-License-Identifier: MIT
/*
 * Memory cut into what a device takes. Segments are as long as its limits allow, which makes them
 * as few as can be.
 */
#include "sg-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/*
 * What a segment's length, but the last one's, is a multiple of: the granularity, and so that the
 * next segment starts aligned.
 */
static uint64_t segment_unit(const struct dma_buf_device_parameters *limits)
{
	uint64_t granularity = limits->length_granularity ? limits->length_granularity : 1;
	uint64_t alignment = limits->address_alignment ? limits->address_alignment : 1;
	uint64_t common = granularity & -granularity; /* its largest power of two */

	if (common > alignment)
		common = alignment;
	if (granularity / common > UINT64_MAX / alignment)
		return UINT64_MAX;
	return granularity / common * alignment;
}

void sg_builder_init(struct sg_builder *b, uint64_t size,
		     const struct dma_buf_device_parameters *limits)
{
	*b = (struct sg_builder){ .limits = limits, .unit = segment_unit(limits), .size = size };
}

/* Most bytes from the piece's start that one segment may hold. */
static uint64_t segment_room(const struct sg_builder *b)
{
	uint64_t room = b->length, to_last, boundary = b->limits->segment_boundary_mask;

	if (b->limits->max_segment_size && room > b->limits->max_segment_size)
		room = b->limits->max_segment_size;
	if (boundary) {
		to_last = boundary - (b->address & boundary);
		if (room - 1 > to_last)
			room = to_last + 1;
	}
	return room < b->length ? room - room % b->unit : room;
}

static int no_segment_fits(const struct sg_builder *b)
{
	return dmabuf_fail(E2BIG,
			   "no segment fits at byte %" PRIu64 ": alignment %" PRIu64
			   ", granularity %" PRIu64 ", boundary mask 0x%" PRIx64 " and %" PRIu64
			   " bytes in one piece contradict each other",
			   b->done, b->limits->address_alignment, b->limits->length_granularity,
			   b->limits->segment_boundary_mask, b->length);
}

static int grow(struct sg_builder *b)
{
	unsigned int room = b->room ? b->room * 2 : 1;
	struct dma_buf_scatterlist *sgl = reallocarray(b->sgl, room, sizeof(*sgl));

	if (!sgl)
		return dmabuf_fail(ENOMEM, "no memory for a scatter table of %u entries", room);
	memset(sgl + b->room, 0, (room - b->room) * sizeof(*sgl));
	b->sgl = sgl;
	b->room = room;
	return 0;
}

/* Those beyond what the device takes are counted, to be told. */
static int keep_segment(struct sg_builder *b, uint64_t length)
{
	uint64_t most = b->limits->max_segment_count;
	int err = 0;

	if (b->count == SG_MAX_NENTS)
		return dmabuf_fail(E2BIG, "more than %u segments", SG_MAX_NENTS);
	if (most && b->count >= most) {
		b->count++;
		return 0;
	}
	if (b->count == b->room)
		err = grow(b);
	if (err)
		return err;
	b->sgl[b->count].dma_address = b->address;
	b->sgl[b->count++].dma_length = length;
	return 0;
}

static int check_piece(const struct sg_builder *b)
{
	const struct dma_buf_device_parameters *limits = b->limits;

	if (limits->address_alignment > 1 && (b->address & (limits->address_alignment - 1)))
		return dmabuf_fail(E2BIG,
				   "the memory is at 0x%" PRIx64
				   ", the device needs multiples of %" PRIu64,
				   b->address, limits->address_alignment);
	if (limits->dma_mask && b->address + b->length - 1 > limits->dma_mask)
		return dmabuf_fail(E2BIG,
				   "the memory ends at 0x%" PRIx64
				   ", beyond the device's mask 0x%" PRIx64,
				   b->address + b->length - 1, limits->dma_mask);
	return 0;
}

/* The piece will not grow any more. */
static int cut_piece(struct sg_builder *b)
{
	uint64_t granularity = b->limits->length_granularity, room;
	int err = b->length ? check_piece(b) : 0;

	while (b->length && !err) {
		room = segment_room(b);
		if (!room || (room == b->length && b->done + room < b->size && granularity &&
			      room % granularity))
			return no_segment_fits(b);
		err = keep_segment(b, room);
		b->address += room;
		b->length -= room;
		b->done += room;
	}
	return err;
}

int sg_builder_add(struct sg_builder *b, uint64_t address, uint64_t length)
{
	int err;

	if (b->length && b->address + b->length == address) {
		b->length += length;
		return 0;
	}
	err = cut_piece(b);
	b->address = address;
	b->length = length;
	b->pieces++;
	return err;
}

static int check_whole(const struct sg_builder *b)
{
	uint64_t most = b->limits->max_segment_count;

	if (!b->sgl)
		return dmabuf_fail(EINVAL, "no memory to describe");
	if (most && b->count > most)
		return dmabuf_fail(E2BIG,
				   "%" PRIu64 " bytes need %" PRIu64
				   " segments, the device takes %" PRIu64,
				   b->size, b->count, most);
	if (b->limits->contiguous && b->pieces > 1)
		return dmabuf_fail(E2BIG,
				   "the memory is in %" PRIu64
				   " pieces, the device needs it in one (contiguous)",
				   b->pieces);
	return 0;
}

int sg_builder_end(struct sg_builder *b, int err, void *vaddr, struct dma_buf_sg_table *table)
{
	if (!err)
		err = cut_piece(b);
	if (!err)
		err = check_whole(b);
	if (err) {
		free(b->sgl);
		return err;
	}
	b->sgl[0].vaddr = vaddr;
	b->sgl[0].length = b->size;
	table->sgl = b->sgl;
	table->nents = (unsigned int)b->count;
	table->orig_nents = 1;
	return 0;
}

int sg_table_build(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
		   const struct dma_buf_device_parameters *limits)
{
	struct sg_builder b;
	int err;

	sg_builder_init(&b, size, limits);
	err = sg_builder_add(&b, (uint64_t)(uintptr_t)vaddr, size);
	return sg_builder_end(&b, err, vaddr, table);
}
