/* SPDX-License-Identifier: MIT */
/* Devices with needs, and what a buffer says of them, for the tests of attaching. */
#ifndef DMABUF_TEST_ATTACH_UTIL_H
#define DMABUF_TEST_ATTACH_UTIL_H

#include <dmabuf.h>

#include <string.h>

#include "exporter.h"
#include "peer.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

static inline struct dma_buf_device_parameters nothing(void)
{
	return (struct dma_buf_device_parameters){ .size = sizeof(
							   struct dma_buf_device_parameters) };
}

static inline struct dma_buf_device *with_size(const char *name, uint64_t max_segment_size)
{
	struct dma_buf_device_parameters p = nothing();

	p.max_segment_size = max_segment_size;
	return device_make(name, &p);
}

static inline struct dma_buf_device *with_count(const char *name, uint64_t max_segment_count)
{
	struct dma_buf_device_parameters p = nothing();

	p.max_segment_count = max_segment_count;
	return device_make(name, &p);
}

static inline struct dma_buf_device *contiguous(const char *name)
{
	struct dma_buf_device_parameters p = nothing();

	p.contiguous = true;
	return device_make(name, &p);
}

/* Not memcmp(): what is between the members is anything. */
static inline bool same(const struct dma_buf_device_parameters *a,
			const struct dma_buf_device_parameters *b)
{
	return a->max_segment_size == b->max_segment_size &&
	       a->max_segment_count == b->max_segment_count &&
	       a->segment_boundary_mask == b->segment_boundary_mask && a->dma_mask == b->dma_mask &&
	       a->address_alignment == b->address_alignment &&
	       a->length_granularity == b->length_granularity && a->noncoherent == b->noncoherent &&
	       a->trust_domain == b->trust_domain &&
	       a->preferred_segment_size == b->preferred_segment_size &&
	       a->min_buffers == b->min_buffers && a->preferred_buffers == b->preferred_buffers &&
	       a->contiguous == b->contiguous && a->page_backed == b->page_backed &&
	       a->cpu_needed == b->cpu_needed && a->cpu_forbidden == b->cpu_forbidden &&
	       a->protected_memory == b->protected_memory && a->physical == b->physical &&
	       a->line_by_line == b->line_by_line && !memcmp(a->named, b->named, sizeof(a->named));
}

static inline struct dma_buf_device_parameters merged(struct dma_buf *dmabuf)
{
	struct dma_buf_device_parameters p = nothing(), again = nothing();

	ASSERT_OK(dma_buf_get_constraints(dmabuf, &p));
	ASSERT_OK(dma_buf_recalc_constraints(dmabuf, &again));
	ASSERT(same(&p, &again));
	return p;
}

static const struct dma_buf_attach_report *explained(struct dma_buf *dmabuf,
						     struct dma_buf_device *dev, int want)
{
	static struct dma_buf_attach_report report;

	report.struct_size = sizeof(report);
	ASSERT_EQ(dma_buf_explain_attach(dmabuf, dev, DMA_BIDIRECTIONAL, &report), want);
	ASSERT_EQ(report.fits, want);
	return &report;
}

/* King's case: one takes 4 pieces of any size, the other any number of 4 KiB. */
struct kings {
	struct dma_buf *dmabuf;
	struct dma_buf_device *few, *small;
};

static inline void kings_open(struct kings *k)
{
	k->dmabuf = dma_buf_alloc("picture", MIB, O_RDWR);
	k->few = with_count("few", 4);
	k->small = with_size("small", 4 * KIB);
	ASSERT(k->dmabuf);
}

static inline void kings_close(struct kings *k)
{
	dma_buf_put(k->dmabuf);
	dma_buf_device_put(k->few);
	dma_buf_device_put(k->small);
}

#endif
