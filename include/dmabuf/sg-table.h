/* SPDX-License-Identifier: MIT */
/**
 * DOC: scatter/gather tables
 *
 * What a device is told about where a buffer's bytes are. The shape is the kernel's: orig_nents
 * entries describe memory, nents entries describe what the device sees (they can be fewer, where
 * neighbours were coalesced, or more, where a limit split them; the table then has room for both).
 */
#ifndef DMABUF_SG_TABLE_H
#define DMABUF_SG_TABLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_buf_scatterlist - one contiguous piece (kernel: struct scatterlist)
 * @vaddr: where this process sees the piece; NULL where the CPU cannot
 * @offset: the piece's first byte, counted from the start of the buffer
 * @length: bytes of memory in this entry (of the first orig_nents entries)
 * @dma_address: the address in the device's own terms (of the first nents entries)
 * @dma_length: bytes the device transfers at @dma_address
 */
struct dma_buf_scatterlist {
	void *vaddr;
	uint64_t offset;
	uint64_t length;
	uint64_t dma_address;
	uint64_t dma_length;
};

/**
 * struct dma_buf_sg_table - a buffer's pieces (kernel: struct sg_table)
 * @sgl: the entries; room for the larger of @nents and @orig_nents
 * @nents: entries the device uses; 0 in a raw table that was not mapped for a device
 * @orig_nents: entries that describe memory
 */
struct dma_buf_sg_table {
	struct dma_buf_scatterlist *sgl;
	unsigned int nents;
	unsigned int orig_nents;
};

/** dma_buf_for_each_sg - iterate over the memory entries of @table (unsigned int @i counts) */
#define dma_buf_for_each_sg(table, sg, i) \
	for ((i) = 0, (sg) = (table)->sgl; (i) < (table)->orig_nents; (i)++, (sg)++)

/** dma_buf_for_each_dma_sg - iterate over the device entries of @table (unsigned int @i counts) */
#define dma_buf_for_each_dma_sg(table, sg, i) \
	for ((i) = 0, (sg) = (table)->sgl; (i) < (table)->nents; (i)++, (sg)++)

/**
 * struct dma_buf_sg_iter - walks a table's device side page by page, see dma_buf_sg_iter_next()
 * @table: the table
 * @entry: index of the entry that comes next
 * @done: bytes of that entry already walked
 * @dma_address: device address of the current chunk
 * @length: bytes in the current chunk, at most the step
 * @offset: the chunk's place in the buffer
 */
struct dma_buf_sg_iter {
	const struct dma_buf_sg_table *table;
	unsigned int entry;
	uint64_t done;
	uint64_t dma_address;
	uint64_t length;
	uint64_t offset;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_sg_alloc_table - a table with room for entries (kernel: sg_alloc_table())
 * @table: filled in; its entries are zero, nents and orig_nents are @nents
 * @nents: entries, 1 to 1,048,576
 *
 * Return: 0; -EINVAL for NULL or a count out of range; -ENOMEM.
 */
int dma_buf_sg_alloc_table(struct dma_buf_sg_table *table, unsigned int nents);

/**
 * dma_buf_sg_free_table - free what dma_buf_sg_alloc_table() took (kernel: sg_free_table())
 * @table: the table; empty afterwards, NULL and an empty one are fine
 */
void dma_buf_sg_free_table(struct dma_buf_sg_table *table);

/**
 * dma_buf_sg_iter_init - start walking a mapped table from a byte of the buffer
 * @iter: filled in
 * @table: a table with device entries
 * @offset: bytes to skip first
 *
 * Never fails; past the end the first dma_buf_sg_iter_next() returns 0.
 */
void dma_buf_sg_iter_init(struct dma_buf_sg_iter *iter, const struct dma_buf_sg_table *table,
			  uint64_t offset);

/**
 * dma_buf_sg_iter_next - the next chunk that is contiguous for the device
 * @iter: from dma_buf_sg_iter_init(); dma_address, length and offset describe the chunk
 * @step: most bytes wanted, 1 or more
 *
 * Return: 1 if there is a chunk, 0 at the end. Async-signal-safe.
 */
int dma_buf_sg_iter_next(struct dma_buf_sg_iter *iter, uint64_t step);

/**
 * dma_buf_sg_length - bytes that a table's device entries cover
 * @table: the table; NULL counts as empty
 *
 * Return: the sum of dma_length. Async-signal-safe.
 */
uint64_t dma_buf_sg_length(const struct dma_buf_sg_table *table);
#else
#include <dmabuf/stubs/sg-table.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
