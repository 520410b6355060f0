/* SPDX-License-Identifier: MIT */
/**
 * DOC: attaching with needs
 *
 * dma_buf_attach() looks whether the buffer suits the device together with all devices that are
 * attached, in whatever process. If it does not, the attach is refused and nothing has changed;
 * here is what the others need, and why it was refused.
 *
 * By default one description of the buffer must do for all devices, as in the kernel, so that their
 * limits are merged. An exporter whose tables differ from attachment to attachment says so
 * (dma_buf_ops.own_tables); one that knows better in a single case vouches for it
 * (dma_buf_ops.override_constraints).
 *
 * What all attached devices need is never stored but worked out whenever it matters, from what each
 * of them declared. So a detach, and the death of a process, change it at once.
 */
#ifndef DMABUF_ATTACH_H
#define DMABUF_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/constraints.h>
#include <dmabuf/device.h>
#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_buf_attach_participant - a device that takes part
 * @name: the device's
 * @usage: which way it may transfer
 * @parameters: what it needs for that
 */
struct dma_buf_attach_participant {
	char name[DMA_BUF_DEVICE_NAME_LEN];
	enum dma_data_direction usage;
	struct dma_buf_device_parameters parameters;
};

/**
 * struct dma_buf_attach_report - do these devices and this buffer suit each other, and if not, why
 * @struct_size: sizeof(struct dma_buf_attach_report), set by the caller; lets the struct grow
 * @size: the buffer's bytes
 * @fits: they do
 * @own_tables: each device's table obeys its own limits only, see dma_buf_ops.own_tables
 * @participant_count: entries used in @participants
 * @participants: those that are attached and count, then the newcomer, if there is one
 * @answer: as of dma_buf_negotiate(), with indexes into @participants; the only heap is the memory
 *	that the buffer has
 * @other_heap: if that does not suit: a heap of this machine that would, had the buffer been
 *	exported deferred; empty: none, or not looked for
 * @text: all of that in words, cut short if there is too much to say
 */
struct dma_buf_attach_report {
	size_t struct_size;
	uint64_t size;
	bool fits;
	bool own_tables;
	uint32_t participant_count;
	struct dma_buf_attach_participant participants[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_negotiation answer;
	char other_heap[DMA_BUF_HEAP_NAME_LEN];
	char text[4096];
};

/**
 * struct dma_buf_test_mapping - a table that could be had
 * @size: sizeof(struct dma_buf_test_mapping), set by the caller; lets the struct grow
 * @nents: entries that the device would use
 * @longest: bytes in the longest of them
 * @lowest_address: of all, in the device's own terms
 * @highest_address: the last byte's
 */
struct dma_buf_test_mapping {
	size_t size;
	unsigned int nents;
	uint64_t longest;
	uint64_t lowest_address;
	uint64_t highest_address;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_attach_for - attach a device that transfers one way only
 * @dmabuf: the buffer
 * @dev: the device; the attachment holds a reference
 * @usage: DMA_TO_DEVICE (it reads), DMA_FROM_DEVICE (it writes), DMA_BIDIRECTIONAL (both, which is
 *	what dma_buf_attach() attaches for)
 *
 * What a device needs for writing only does not count for one that only reads. Mapping in a
 * direction that @usage does not cover is then refused.
 *
 * Return: as dma_buf_attach(). May block. Rows F1, F2.
 */
struct dma_buf_attachment *dma_buf_attach_for(struct dma_buf *dmabuf, struct dma_buf_device *dev,
					      enum dma_data_direction usage);

/**
 * dma_buf_explain_attach - would this device suit, and if not, why
 * @dmabuf: the buffer
 * @dev: the device; NULL: about those that are attached
 * @usage: as for dma_buf_attach_for()
 * @report: struct_size set; filled in
 *
 * Nothing is attached. Asked after an attach was refused it says why in data, unless others came
 * or went meanwhile. The exporter's override is not asked.
 *
 * Return: 1: it would be attached; 0: it would be refused; -EINVAL, -EOPNOTSUPP (somebody has a
 * named parameter that the library does not know and must not ignore), -ETIMEDOUT, -EIO, -ENOMEM,
 * -ECHILD as dma_buf_attach(). May block. Row F4.
 */
int dma_buf_explain_attach(struct dma_buf *dmabuf, struct dma_buf_device *dev,
			   enum dma_data_direction usage, struct dma_buf_attach_report *report);

/**
 * dma_buf_get_constraints - what all attached devices together need
 * @dmabuf: the buffer
 * @constraints: size set; filled in, zeros where there is no limit
 *
 * Those that the exporter vouched for do not count. Can be called from the exporter's attach and
 * detach, too; the device that comes is not attached then, the one that goes still is.
 *
 * Return: 0; -EINVAL (NULL, size), -EOPNOTSUPP, -ETIMEDOUT, -EIO, -ENOMEM, -ECHILD as
 * dma_buf_explain_attach(). May block. Row F2.
 */
int dma_buf_get_constraints(struct dma_buf *dmabuf, struct dma_buf_device_parameters *constraints);

/**
 * dma_buf_recalc_constraints - the same, for those who believe nothing
 * @dmabuf: the buffer
 * @constraints: size set; filled in, untouched on failure
 *
 * First cleans up after processes that died, then looks whether what is attached can hold together
 * at all. That it cannot is nothing that attaching allows, but a holder may have written anything.
 *
 * Return: as dma_buf_get_constraints(); -EINVAL too if it does not hold together, with words that
 * say why. May block. Row F2.
 */
int dma_buf_recalc_constraints(struct dma_buf *dmabuf,
			       struct dma_buf_device_parameters *constraints);

/**
 * dma_buf_test_map_attachment - could it be mapped like that
 * @attach: the attachment
 * @direction: which way the device would transfer
 * @attrs: as for dma_buf_map_attachment_attrs()
 * @info: size set; filled in; may be NULL
 *
 * The exporter makes a table and takes it back; a table that is kept is looked at. The buffer
 * changes no hands and nothing is counted.
 *
 * Return: 0; as dma_buf_map_attachment_attrs() what would be its errno, with the words. May block.
 * Row F7.
 */
int dma_buf_test_map_attachment(struct dma_buf_attachment *attach,
				enum dma_data_direction direction, unsigned int attrs,
				struct dma_buf_test_mapping *info);
#else
#include <dmabuf/stubs/attach.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
