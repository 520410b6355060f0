/* SPDX-License-Identifier: MIT */
/*
 * An exporter for tests that counts what is asked of it and refuses on demand.
 */
#ifndef DMABUF_TEST_EXPORTER_H
#define DMABUF_TEST_EXPORTER_H

#include <dmabuf.h>

#include <errno.h>
#include <stdatomic.h>

struct counting_exporter {
	atomic_int released, attached, detached, mapped, unmapped, begun, ended;
	int refuse_attach; /* a negative errno */
	int refuse_begin;
	int refuse_map; /* a positive errno */
	void (*in_attach)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	void (*in_map)(struct dma_buf_attachment *attach);
};

static struct counting_exporter *counting_of(struct dma_buf *dmabuf)
{
	return dmabuf->priv;
}

static int counting_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct counting_exporter *e = counting_of(dmabuf);

	if (e->in_attach)
		e->in_attach(dmabuf, attach);
	if (e->refuse_attach)
		return e->refuse_attach;
	e->attached++;
	return 0;
}

static void counting_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	counting_of(dmabuf)->detached++;
}

static struct dma_buf_sg_table *counting_map(struct dma_buf_attachment *attach,
					     enum dma_data_direction direction)
{
	struct counting_exporter *e = counting_of(attach->dmabuf);

	if (e->in_map)
		e->in_map(attach);
	if (e->refuse_map) {
		errno = e->refuse_map;
		return NULL;
	}
	e->mapped++;
	return dma_buf_memory_map(attach, direction);
}

static void counting_unmap(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			   enum dma_data_direction direction)
{
	counting_of(attach->dmabuf)->unmapped++;
	dma_buf_memory_unmap(attach, table, direction);
}

static void counting_release(struct dma_buf *dmabuf)
{
	counting_of(dmabuf)->released++;
}

static int counting_begin(struct dma_buf *dmabuf, size_t start, size_t len,
			  enum dma_data_direction direction)
{
	struct counting_exporter *e = counting_of(dmabuf);

	if (e->refuse_begin)
		return e->refuse_begin;
	e->begun++;
	return 0;
}

static int counting_end(struct dma_buf *dmabuf, size_t start, size_t len,
			enum dma_data_direction direction)
{
	counting_of(dmabuf)->ended++;
	return 0;
}

static const struct dma_buf_ops counting_ops = {
	.attach = counting_attach,
	.detach = counting_detach,
	.map_dma_buf = counting_map,
	.unmap_dma_buf = counting_unmap,
	.release = counting_release,
	.begin_cpu_access = counting_begin,
	.end_cpu_access = counting_end,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
};

/* The same, with kept tables. */
__attribute__((unused)) static struct dma_buf_ops counting_caching_ops(void)
{
	struct dma_buf_ops ops = counting_ops;

	ops.cache_sgt_mapping = true;
	return ops;
}

__attribute__((unused)) static struct dma_buf *counting_export_ops(struct counting_exporter *e,
								   const struct dma_buf_ops *ops,
								   size_t size, int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.exp_name = "counting";
	info.ops = ops;
	info.size = size;
	info.flags = flags;
	info.priv = e;
	return dma_buf_export(&info);
}

__attribute__((unused)) static struct dma_buf *counting_export(struct counting_exporter *e,
							       size_t size, int flags)
{
	return counting_export_ops(e, &counting_ops, size, flags);
}

#endif
