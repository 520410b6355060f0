/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: device parameters
 *
 * What memory a device can reach, in which pieces, and what else it needs of a buffer. Plain data:
 * <dmabuf/device.h> gives it to a device, <dmabuf/constraints.h> finds memory that suits several.
 */
#ifndef DMABUF_DEVICE_PARAMETERS_H
#define DMABUF_DEVICE_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMA_BUF_PARAMETER_NAME_LEN - room for a named parameter's name, the closing NUL included */
#define DMA_BUF_PARAMETER_NAME_LEN 24

/** DMA_BUF_NAMED_PARAMETERS - named parameters of one device, at most */
#define DMA_BUF_NAMED_PARAMETERS 4

/**
 * enum dma_buf_merge_rule - what becomes of the values that several devices give one parameter
 * @DMA_BUF_MERGE_UNUSED: this slot is empty
 * @DMA_BUF_MERGE_MAX: the largest
 * @DMA_BUF_MERGE_MIN: the smallest
 * @DMA_BUF_MERGE_MASK_AND: the bits that all have; none left is a conflict
 * @DMA_BUF_MERGE_OR: the bits that any has
 * @DMA_BUF_MERGE_EQUAL: the value, which must be the same for all who give it
 * @DMA_BUF_MERGE_SUM: all of them added up
 */
enum dma_buf_merge_rule {
	DMA_BUF_MERGE_UNUSED = 0,
	DMA_BUF_MERGE_MAX = 1,
	DMA_BUF_MERGE_MIN = 2,
	DMA_BUF_MERGE_MASK_AND = 3,
	DMA_BUF_MERGE_OR = 4,
	DMA_BUF_MERGE_EQUAL = 5,
	DMA_BUF_MERGE_SUM = 6,
};

/**
 * struct dma_buf_named_parameter - a parameter that has no field of its own
 * @name: lower-case letters, digits, "_", "-" and "."; empty: unused slot
 * @rule: an enum dma_buf_merge_rule; the same for all who give the parameter
 * @ignorable: who does not know the name may go on without it; else it is refused by name
 * @value: the value
 *
 * The library itself knows "stride_alignment" and "plane_alignment" (DMA_BUF_MERGE_MAX, powers of
 * two): bytes that the lines and the planes of a picture are aligned to.
 */
struct dma_buf_named_parameter {
	char name[DMA_BUF_PARAMETER_NAME_LEN];
	uint32_t rule;
	uint32_t ignorable;
	uint64_t value;
};

/**
 * enum dma_buf_parameters_from - where a device's parameters are from: one or more of these, or 0
 * where nothing is known of its needs
 * @DMA_BUF_FROM_KERNEL: the kernel tells, in sysfs or when asked
 * @DMA_BUF_FROM_TABLE: its driver is known (docs/v4l2.md, docs/drm.md)
 * @DMA_BUF_FROM_TRIAL: the driver was given memory, and took it or did not
 */
enum dma_buf_parameters_from {
	DMA_BUF_FROM_KERNEL = 1,
	DMA_BUF_FROM_TABLE = 2,
	DMA_BUF_FROM_TRIAL = 4,
};

/**
 * struct dma_buf_device_parameters - what a device can reach (kernel: struct device_dma_parameters)
 * @size: sizeof(struct dma_buf_device_parameters); lets the struct grow
 * @max_segment_size: most bytes in one entry; a power of two is not needed; 0: no limit
 * @max_segment_count: most entries in one table; 0: no limit
 * @segment_boundary_mask: an entry never crosses a multiple of (mask + 1); must be 2^n - 1;
 *	0: no limit
 * @dma_mask: highest address the device can form, 2^n - 1; 0: no limit
 * @address_alignment: each entry's address is a multiple of this; a power of two; 0: 1
 * @length_granularity: each entry's length, but the last one's, is a multiple; 0: 1
 * @noncoherent: the device does not see the CPU's caches (and they not its writes)
 * @trust_domain: the protected memory that the device may reach besides ordinary memory; 0: none
 * @preferred_segment_size: pieces this large are better, smaller ones work (an IOMMU with few TLB
 *	entries); a power of two; 0: no preference
 * @min_buffers: buffers that the device keeps to itself while it works; counts of all devices are
 *	added up; 0: 0
 * @preferred_buffers: buffers it works best with, @min_buffers or more; 0: @min_buffers
 * @contiguous: needs the whole buffer in one physical piece
 * @page_backed: needs memory that the kernel has page structures of (struct page)
 * @cpu_needed: the CPU must be able to map the memory
 * @cpu_forbidden: the CPU must not be able to
 * @protected_memory: the memory must be of @trust_domain, so that nobody outside of it can reach it
 * @physical: the device has no IOMMU or other translation: memory that lies in pieces stays in
 *	pieces for it, and @dma_mask is about physical addresses
 * @line_by_line: of a picture the device transfers the lines only, not what is between them
 * @named: further parameters; unused slots are zero
 *
 * Mission row F1. Zero everywhere means "anything will do".
 */
struct dma_buf_device_parameters {
	size_t size;
	uint64_t max_segment_size;
	uint64_t max_segment_count;
	uint64_t segment_boundary_mask;
	uint64_t dma_mask;
	uint64_t address_alignment;
	uint64_t length_granularity;
	bool noncoherent;
	uint64_t trust_domain;
	uint64_t preferred_segment_size;
	uint32_t min_buffers;
	uint32_t preferred_buffers;
	bool contiguous;
	bool page_backed;
	bool cpu_needed;
	bool cpu_forbidden;
	bool protected_memory;
	bool physical;
	bool line_by_line;
	struct dma_buf_named_parameter named[DMA_BUF_NAMED_PARAMETERS];
};

#ifdef __cplusplus
}
#endif
#endif
