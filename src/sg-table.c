// SPDX-License-Identifier: MIT
#include "sg-table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "export.h"

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
