// SPDX-License-Identifier: MIT
#include "sg-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "export.h"

#define SG_MAX_NENTS (1u << 20)

DMABUF_PUBLIC int dma_buf_sg_alloc_table(struct dma_buf_sg_table *table, unsigned int nents)
{
	struct dma_buf_scatterlist *sgl;

	if (!table || !nents || nents > SG_MAX_NENTS)
		return dmabuf_fail(EINVAL, "scatter table: %u entries, must be 1 to %u", nents,
				   SG_MAX_NENTS);
	sgl = calloc(nents, sizeof(*sgl));
	if (!sgl)
		return dmabuf_fail(ENOMEM, "no memory for a scatter table of %u entries", nents);
	table->sgl = sgl;
	table->nents = nents;
	table->orig_nents = nents;
	return 0;
}

DMABUF_PUBLIC void dma_buf_sg_free_table(struct dma_buf_sg_table *table)
{
	if (!table)
		return;
	free(table->sgl);
	memset(table, 0, sizeof(*table));
}

DMABUF_PUBLIC void dma_buf_sg_iter_init(struct dma_buf_sg_iter *iter,
					const struct dma_buf_sg_table *table, uint64_t offset)
{
	if (!iter)
		return;
	memset(iter, 0, sizeof(*iter));
	iter->table = table;
	iter->offset = offset;
	while (table && iter->entry < table->nents && offset >= table->sgl[iter->entry].dma_length)
		offset -= table->sgl[iter->entry++].dma_length;
	iter->done = offset;
}

DMABUF_PUBLIC int dma_buf_sg_iter_next(struct dma_buf_sg_iter *iter, uint64_t step)
{
	const struct dma_buf_scatterlist *sg;

	if (!iter || !iter->table || !step || iter->entry >= iter->table->nents)
		return 0;
	sg = &iter->table->sgl[iter->entry];
	iter->offset += iter->length;
	iter->length = sg->dma_length - iter->done;
	if (iter->length > step)
		iter->length = step;
	iter->dma_address = sg->dma_address + iter->done;
	iter->done += iter->length;
	if (iter->done == sg->dma_length) {
		iter->entry++;
		iter->done = 0;
	}
	return 1;
}

DMABUF_PUBLIC uint64_t dma_buf_sg_length(const struct dma_buf_sg_table *table)
{
	uint64_t length = 0;
	unsigned int i;

	for (i = 0; table && i < table->nents; i++)
		length += table->sgl[i].dma_length;
	return length;
}

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

/* Most bytes from @address that one segment may hold. */
static uint64_t segment_room(uint64_t address, uint64_t left, uint64_t unit,
			     const struct dma_buf_device_parameters *limits)
{
	uint64_t room = left, to_last;

	if (limits->max_segment_size && room > limits->max_segment_size)
		room = limits->max_segment_size;
	if (limits->segment_boundary_mask) {
		to_last = limits->segment_boundary_mask - (address & limits->segment_boundary_mask);
		if (room - 1 > to_last)
			room = to_last + 1;
	}
	return room < left ? room - room % unit : room;
}

/* Walks the segments; fills @table if it has entries already, else counts them. */
static int64_t segment_walk(struct dma_buf_sg_table *table, uint64_t address, uint64_t size,
			    const struct dma_buf_device_parameters *limits)
{
	uint64_t unit = segment_unit(limits), done = 0, room;
	unsigned int n = 0;

	while (done < size) {
		room = segment_room(address + done, size - done, unit, limits);
		if (!room)
			return dmabuf_fail(E2BIG,
					   "no segment fits at byte %" PRIu64 ": alignment %" PRIu64
					   ", granularity %" PRIu64 ", boundary mask 0x%" PRIx64
					   " contradict each other",
					   done, limits->address_alignment,
					   limits->length_granularity,
					   limits->segment_boundary_mask);
		if (table) {
			table->sgl[n].dma_address = address + done;
			table->sgl[n].dma_length = room;
		}
		done += room;
		if (++n == SG_MAX_NENTS && done < size)
			return dmabuf_fail(E2BIG, "more than %u segments", SG_MAX_NENTS);
	}
	return n;
}

static int segment_check(uint64_t address, uint64_t size, int64_t count,
			 const struct dma_buf_device_parameters *limits)
{
	if (limits->max_segment_count && (uint64_t)count > limits->max_segment_count)
		return dmabuf_fail(E2BIG,
				   "%" PRIu64 " bytes need %" PRId64
				   " segments, the device takes %" PRIu64,
				   size, count, limits->max_segment_count);
	if (limits->address_alignment > 1 && (address & (limits->address_alignment - 1)))
		return dmabuf_fail(E2BIG,
				   "the memory is at 0x%" PRIx64
				   ", the device needs multiples of %" PRIu64,
				   address, limits->address_alignment);
	if (limits->dma_mask && address + size - 1 > limits->dma_mask)
		return dmabuf_fail(E2BIG,
				   "the memory ends at 0x%" PRIx64
				   ", beyond the device's mask 0x%" PRIx64,
				   address + size - 1, limits->dma_mask);
	return 0;
}

int sg_table_build(struct dma_buf_sg_table *table, void *vaddr, uint64_t size,
		   const struct dma_buf_device_parameters *limits)
{
	uint64_t address = (uint64_t)(uintptr_t)vaddr;
	struct dma_buf_sg_table fresh;
	int64_t count;
	int err;

	count = segment_walk(NULL, address, size, limits);
	if (count < 0)
		return (int)count;
	err = segment_check(address, size, count, limits);
	if (err)
		return err;
	err = dma_buf_sg_alloc_table(&fresh, (unsigned int)count);
	if (err)
		return err;
	segment_walk(&fresh, address, size, limits);
	fresh.orig_nents = 1;
	fresh.sgl[0].vaddr = vaddr;
	fresh.sgl[0].length = size;
	*table = fresh;
	return 0;
}
