/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef DMABUF_DMA_DIRECTION_H
#define DMABUF_DMA_DIRECTION_H

/**
 * enum dma_data_direction - who writes and who reads, seen from the device (kernel:
 * dma-direction.h)
 * @DMA_BIDIRECTIONAL: both directions
 * @DMA_TO_DEVICE: memory to device; for CPU access: the CPU writes
 * @DMA_FROM_DEVICE: device to memory; for CPU access: the CPU reads
 * @DMA_NONE: no transfer; refused wherever a direction is needed
 *
 * The tag and the values are the kernel's; with get_dma_buf() it is the only public name outside
 * the library's prefixes.
 */
enum dma_data_direction {
	DMA_BIDIRECTIONAL = 0,
	DMA_TO_DEVICE = 1,
	DMA_FROM_DEVICE = 2,
	DMA_NONE = 3,
};

#endif
