/* SPDX-License-Identifier: MIT */
/**
 * DOC: block devices
 *
 * Real DMA between a file or disk and a buffer. A transfer goes through io_uring with O_DIRECT
 * where the machine allows, through a pool of threads with plain O_DIRECT calls where io_uring is
 * denied, and through the page cache where O_DIRECT is refused, or where the kernel cannot hold a
 * buffer's memory for it (that of many drivers, and a heap's). dma_buf_block_describe() says which
 * of these it is, and where the limits came from, in so many words.
 *
 * Parameters (mission row F1) are those of the disk: max_segment_size from its queue,
 * address_alignment from dma_alignment or STATX_DIOALIGN, length_granularity from the block size
 * and virt_boundary_mask (which forbids gaps between segments); memory has to be page-backed. The
 * queue's max_segments limits one request, not a buffer: max_segment_count stays 0, and transfers
 * are cut into requests of dma_buf_block_info.max_segments. Through the page cache there are no
 * limits.
 *
 * A transfer makes progress while somebody reaps, so reap as long as any is under way.
 *
 * Reading a range of the file while it is written, or writing it twice at a time, gives one or the
 * other, as everywhere. Transfers of ranges that do not overlap never disturb each other, however
 * unaligned: a write goes direct in whole pages of the file only, the rest through the page cache.
 *
 * Unmapping a table, detaching and dropping the device's last reference wait up to 30 s for what is
 * still under way there; what has not begun is cancelled (-ECANCELED). Should a disk not answer for
 * so long, that is told in the log, and what the transfer uses is not freed.
 *
 * Calls of several threads at a time are fine. In a forked child every call is -ECHILD.
 */
#ifndef DMABUF_BLOCK_H
#define DMABUF_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMA_BUF_BLOCK_MAX_DEPTH - most transfers under way on one device */
#define DMA_BUF_BLOCK_MAX_DEPTH 256

/**
 * enum dma_buf_block_method - how transfers are made
 * @DMA_BUF_BLOCK_AUTO: the best that works, in the order below
 * @DMA_BUF_BLOCK_URING: io_uring
 * @DMA_BUF_BLOCK_THREADS: a pool of threads with preadv() and pwritev()
 */
enum dma_buf_block_method {
	DMA_BUF_BLOCK_AUTO = 0,
	DMA_BUF_BLOCK_URING = 1,
	DMA_BUF_BLOCK_THREADS = 2,
};

/**
 * struct dma_buf_block_options - how dma_buf_block_open() goes about it
 * @size: sizeof(struct dma_buf_block_options); lets the struct grow
 * @method: force one, or DMA_BUF_BLOCK_AUTO
 * @depth: transfers under way at a time, 1 to DMA_BUF_BLOCK_MAX_DEPTH; 0: 32
 * @buffered: do not even try O_DIRECT
 */
struct dma_buf_block_options {
	size_t size;
	enum dma_buf_block_method method;
	unsigned int depth;
	bool buffered;
};

/**
 * struct dma_buf_block_info - what dma_buf_block_open() found
 * @size: sizeof(struct dma_buf_block_info), set by the caller; lets the struct grow
 * @method: DMA_BUF_BLOCK_URING or DMA_BUF_BLOCK_THREADS
 * @direct: O_DIRECT is in use
 * @registered: buffers are registered with io_uring when they are mapped, and none was refused yet
 * @file_size: bytes at open time; of a block device its capacity
 * @memory_alignment: address alignment for a direct transfer; 1 if @direct is false
 * @offset_alignment: alignment of file offset and length for a direct transfer; 1 likewise
 * @max_segments: most table entries in one request
 * @bounced: bytes that went through the page cache: those that did not fit direct transfer, or all
 * @requests: system-level requests made
 */
struct dma_buf_block_info {
	size_t size;
	enum dma_buf_block_method method;
	bool direct;
	bool registered;
	uint64_t file_size;
	uint32_t memory_alignment;
	uint32_t offset_alignment;
	uint32_t max_segments;
	uint64_t bounced;
	uint64_t requests;
};

/**
 * struct dma_buf_block_completion - a transfer that ended
 * @cookie: as given to dma_buf_block_submit()
 * @result: bytes transferred (fewer than asked only at the end of a file that is read), or a
 *	negative errno, whatever part was transferred before
 */
struct dma_buf_block_completion {
	uint64_t cookie;
	int64_t result;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_block_open - a file or block device as a DMA device
 * @fd: a descriptor of a regular file or block device; stays the caller's and may be closed at once
 * @name: the device's name for others to see, 1 to 31 bytes; NULL: the file's own, cut short
 * @options: NULL: defaults
 *
 * The file is opened anew (through /proc/self/fd) for direct access with the access mode of @fd;
 * where that cannot be, a duplicate of @fd is used, through the page cache. Parameters come from
 * the disk below (queue limits in sysfs, STATX_DIOALIGN), 4096 bytes where none can be found.
 *
 * Return: a device with one reference, for dma_buf_attach() and the calls below; NULL with errno
 * EINVAL (options, name), ENAMETOOLONG, EBADF, ENOTSUP (neither regular file nor block device),
 * EPERM (a forced method is denied), ENOMEM, EMFILE, ENFILE, EAGAIN (no thread can be started), and
 * what open() says where @fd has O_APPEND or O_DIRECT and cannot be opened anew. May block. Row H1.
 */
struct dma_buf_device *dma_buf_block_open(int fd, const char *name,
					  const struct dma_buf_block_options *options);

/**
 * dma_buf_block_submit - start a transfer between file and buffer
 * @attach: an attachment of a block device
 * @table: its table, mapped; DMA_FROM_DEVICE reads the file into the buffer, DMA_TO_DEVICE writes
 * @direction: DMA_FROM_DEVICE or DMA_TO_DEVICE, allowed by the map's direction
 * @buffer_offset: first byte in the buffer
 * @length: bytes; the range must lie in the buffer; 0 completes with 0
 * @file_offset: first byte in the file
 * @cookie: returned with the completion
 *
 * Ranges need no alignment: what direct transfer cannot do goes through the page cache and is
 * counted as bounced. No byte outside of the range changes, in the buffer or in the file. The
 * attachment must stay mapped until the transfer has completed.
 *
 * Return: 0; -EINVAL (not a block attachment, not mapped, or not by dma_buf_memory_map(), wrong
 * direction, range), -EAGAIN (depth reached: reap first), -EBADF (file not open that way), -ENOMEM,
 * -ECHILD, and what io_uring says if it was forbidden after the device was opened. Does not wait
 * for the transfer. Row H1.
 */
int dma_buf_block_submit(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			 enum dma_data_direction direction, uint64_t buffer_offset, uint64_t length,
			 uint64_t file_offset, uint64_t cookie);

/**
 * dma_buf_block_reap - collect transfers that ended
 * @dev: the device
 * @completions: filled in, in the order of completion
 * @max: room in it, 1 or more
 * @timeout_ms: how long to wait for the first; 0: not at all; negative: -EINVAL
 *
 * Return: how many, at least 1; -ETIMEDOUT; -ENOENT (nothing is under way); -EINTR (a signal
 * handler ran); -EINVAL; -ECHILD. Blocks up to @timeout_ms.
 */
int dma_buf_block_reap(struct dma_buf_device *dev, struct dma_buf_block_completion *completions,
		       unsigned int max, int timeout_ms);

/**
 * dma_buf_block_sync - all completed writes are on the medium
 * @dev: the device
 *
 * Those that are still under way are not waited for. Return: 0, -EINVAL, -ECHILD or fdatasync()'s
 * negative errno (of bytes that went through the page cache, an error may show only here). Blocks.
 */
int dma_buf_block_sync(struct dma_buf_device *dev);

/**
 * dma_buf_block_get_info - how transfers are made
 * @dev: the device
 * @info: size set; filled in
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dma_buf_block_get_info(struct dma_buf_device *dev, struct dma_buf_block_info *info);

/**
 * dma_buf_block_describe - the same in words
 * @dev: the device
 * @text: filled with one line, always closed by a NUL
 * @size: room in @text, 1 or more
 *
 * For example: "io_uring, O_DIRECT, registered buffers; limits of sda from its queue", or "8
 * threads (io_uring: Operation not permitted), page cache (O_DIRECT was refused: Invalid
 * argument)". What a transfer or a map finds out later is in later descriptions. 384 bytes are
 * enough.
 *
 * Return: 0; -EINVAL; -ENOSPC (cut short). Never blocks.
 */
int dma_buf_block_describe(struct dma_buf_device *dev, char *text, size_t size);

/**
 * dma_buf_block_get_parameters - what a disk asks for, without opening it
 * @device: a block device's number, as of st_rdev
 * @parameters: size set; filled in as dma_buf_block_open() would for a direct transfer
 *
 * Return: 0; -EINVAL; -ENOENT (it has no queue in sysfs). Reads a few files of sysfs. Rows F1, H1.
 */
int dma_buf_block_get_parameters(dev_t device, struct dma_buf_device_parameters *parameters);
#else
#include <dmabuf/stubs/block.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
