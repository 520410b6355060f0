/* SPDX-License-Identifier: MIT */
/**
 * DOC: devices
 *
 * Whoever reads or writes a buffer is a device: the CPU, a disk, an accelerator driven from
 * userspace. A device has parameters (what memory it can reach, in which pieces) and a
 * dma_buf_map_ops that turns memory into addresses it understands.
 */
#ifndef DMABUF_DEVICE_H
#define DMABUF_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/device-parameters.h>
#include <dmabuf/dma-direction.h>
#include <dmabuf/sg-table.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_buf_device;

/** DMA_BUF_DEVICE_NAME_LEN - room for a device's name, the closing NUL included */
#define DMA_BUF_DEVICE_NAME_LEN 32

/**
 * struct dma_buf_map_ops - how memory becomes addresses for a device (kernel: struct dma_map_ops)
 * @map_sg: [optional] fills the device half of @table (room for @table->orig_nents entries is
 *	there; the entries arrive split by the device's parameters with dma_address set to the
 *	virtual address, or to the physical one if the device's parameters say @physical); returns 0
 *	or a negative errno. May block.
 * @unmap_sg: [optional] undoes map_sg; always succeeds
 * @sync_sg_for_cpu: [optional] the device has handed the memory to the CPU (a device with
 *	staging memory copies out here); always succeeds
 * @sync_sg_for_device: [optional] the CPU has handed the memory to the device
 * @zero_copy: [optional] 0 if the device transfers to and from the memory of @table without a copy
 *	anywhere, and would rather fail; or a negative errno. Without it a device with one of the
 *	two above counts as one that copies, other devices as ones that do not.
 *
 * Called in the process and thread that maps, with no lock of the library held (mission row A6).
 */
struct dma_buf_map_ops {
	int (*map_sg)(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
		      enum dma_data_direction direction);
	void (*unmap_sg)(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			 enum dma_data_direction direction);
	void (*sync_sg_for_cpu)(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
				enum dma_data_direction direction);
	void (*sync_sg_for_device)(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
				   enum dma_data_direction direction);
	int (*zero_copy)(struct dma_buf_device *dev, struct dma_buf_sg_table *table,
			 enum dma_data_direction direction);
};

/**
 * struct dma_buf_device_info - what dma_buf_device_create() needs to know
 * @size: sizeof(struct dma_buf_device_info); lets the struct grow
 * @name: 1 to 31 bytes of printable text, shown to every holder; mandatory
 * @parameters: limits; NULL: none
 * @ops: address translation; NULL: addresses are virtual addresses of this process
 * @priv: the driver's own
 * @release: [optional] called once with @priv when the last reference is dropped
 * @write_parameters: what the device needs in addition where it writes to the buffer
 *	(DMA_FROM_DEVICE, DMA_BIDIRECTIONAL); NULL: nothing
 */
struct dma_buf_device_info {
	size_t size;
	const char *name;
	const struct dma_buf_device_parameters *parameters;
	const struct dma_buf_map_ops *ops;
	void *priv;
	void (*release)(void *priv);
	const struct dma_buf_device_parameters *write_parameters;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_device_create - describe a device
 * @info: see struct dma_buf_device_info; copied
 *
 * Return: a device with one reference; NULL with errno EINVAL (NULL, a size the library does not
 * know, no name, a name too long or unprintable, parameters that contradict themselves: the words
 * name the field and the value), ENOMEM. Never blocks. Mission rows F1, H1.
 */
struct dma_buf_device *dma_buf_device_create(const struct dma_buf_device_info *info);

/**
 * dma_buf_device_get - one more reference
 * @dev: the device
 *
 * Return: @dev. Never blocks.
 */
struct dma_buf_device *dma_buf_device_get(struct dma_buf_device *dev);

/**
 * dma_buf_device_put - drop a reference; attachments hold one of their own
 * @dev: the device; NULL is ignored
 *
 * The last one runs the release callback.
 */
void dma_buf_device_put(struct dma_buf_device *dev);

/**
 * dma_buf_cpu_device - the CPU as a device: no limits, coherent, virtual addresses
 *
 * Return: a static device; references to it need not be counted. Async-signal-safe.
 */
struct dma_buf_device *dma_buf_cpu_device(void);

/**
 * dma_buf_device_name - the name given at creation
 * @dev: the device
 *
 * Return: a string that lives as long as @dev. Async-signal-safe.
 */
const char *dma_buf_device_name(const struct dma_buf_device *dev);

/**
 * dma_buf_device_get_parameters - the limits in force
 * @dev: the device
 *
 * Return: limits that live as long as @dev, zeros where there is none. Async-signal-safe.
 */
const struct dma_buf_device_parameters *
dma_buf_device_get_parameters(const struct dma_buf_device *dev);

/**
 * dma_buf_device_get_write_parameters - what is needed in addition where the device writes
 * @dev: the device
 *
 * Return: parameters that live as long as @dev, zeros where there is none. Async-signal-safe.
 */
const struct dma_buf_device_parameters *
dma_buf_device_get_write_parameters(const struct dma_buf_device *dev);

/**
 * dma_buf_device_priv - what the driver gave at creation
 * @dev: the device
 *
 * Return: info.priv. Async-signal-safe.
 */
void *dma_buf_device_priv(const struct dma_buf_device *dev);
#else
#include <dmabuf/stubs/device.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
