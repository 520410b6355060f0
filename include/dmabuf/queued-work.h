/* SPDX-License-Identifier: MIT */
/**
 * DOC: queued work
 *
 * Work on buffers that others still use: it is queued now, and begins when its buffers can be had
 * and the fences that it waits for are signalled, in threads of the library. The caller sleeps on,
 * or does something else (mission row E4):
 *
 *	dma_buf_block_queue(attach, table, &read, &loaded);
 *
 *	invert.after = &loaded;
 *	invert.num_after = 1;
 *	dmabuf_queue_work(&invert, &inverted);
 *
 *	write.after = &inverted;
 *	write.num_after = 1;
 *	dma_buf_block_queue(attach, table, &write, &written);
 *
 *	dma_fence_wait_timeout(written, false, 10000);
 *
 * Each job is an access like any other, in the same queues by the same rules (dmabuf-sync.h): what
 * was queued first for a buffer gets it first, a group of buffers is taken in an order that cannot
 * deadlock, and nobody who locks a buffer afterwards sees it before. The job's fence is signalled
 * when the access has ended and the buffers are given back: with 0, or with an error, which jobs
 * that wait for the fence inherit. Errors that are the queue's own:
 *
 * - -ECANCELED: dmabuf_cancel_work(), or the mapping or process's handle went before it began
 * - -ETIMEDOUT: buffers or fences were not there in time, or a buffer was lost to its lease
 *   meanwhile (DMABUF_SYNC_LEASE_MS, from the moment it begins, if somebody waits)
 * - -EOWNERDEAD: a buffer's content is torn, and the job would not write all of it
 * - -EIO: a buffer is spoilt; or what a disk says
 *
 * A job that began to write and failed leaves the content torn, and the next holder is told. If the
 * process dies, its jobs that have not begun are gone, and those under way end as D5 says; fences
 * that other processes have of them end with the library's means for that.
 *
 * Functions and fence callbacks run in threads of the library, which block all signals. After
 * fork() the child has none of it.
 */
#ifndef DMABUF_QUEUED_WORK_H
#define DMABUF_QUEUED_WORK_H

#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/dma-fence.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMABUF_WORK_BUFFERS_MAX - most buffers of one job */
#define DMABUF_WORK_BUFFERS_MAX 64
/** DMABUF_WORK_AFTER_MAX - most fences that one job waits for; merge more into one */
#define DMABUF_WORK_AFTER_MAX 64

/**
 * struct dmabuf_work_buffer - a buffer, and how a job accesses it
 * @dmabuf: the buffer; the job has a reference until its fence is signalled
 * @type: DMA_BUF_ACCESS_R, _W and so on, see dmabuf_sync_get()
 * @start: first byte
 * @len: bytes; 0: to the end
 */
struct dmabuf_work_buffer {
	struct dma_buf *dmabuf;
	unsigned int type;
	size_t start;
	size_t len;
};

/**
 * struct dmabuf_work - a stage that a function carries out
 * @struct_size: sizeof(struct dmabuf_work); lets the struct grow
 * @name: up to 23 bytes, for others to see; NULL: the program's name
 * @func: called once, in a thread of the library, with the buffers locked, if nothing went wrong
 *	before; 0, or a negative errno, which becomes the fence's
 * @data: its argument
 * @buffers: what it accesses, each buffer once
 * @num_buffers: 1 to DMABUF_WORK_BUFFERS_MAX
 * @after: fences to wait for; the library takes references
 * @num_after: 0 to DMABUF_WORK_AFTER_MAX
 * @timeout_ms: until when it must have begun; 0: DMABUF_SYNC_TIMEOUT_MS
 */
struct dmabuf_work {
	size_t struct_size;
	const char *name;
	int (*func)(void *data);
	void *data;
	const struct dmabuf_work_buffer *buffers;
	unsigned int num_buffers;
	struct dma_fence **after;
	unsigned int num_after;
	long timeout_ms;
};

/**
 * struct dma_buf_block_job - a transfer between a file and a buffer
 * @struct_size: sizeof(struct dma_buf_block_job); lets the struct grow
 * @direction: DMA_FROM_DEVICE reads the file into the buffer, DMA_TO_DEVICE writes
 * @buffer_offset: first byte in the buffer
 * @length: bytes
 * @file_offset: first byte in the file
 * @after: as in struct dmabuf_work
 * @num_after: likewise
 * @timeout_ms: likewise
 */
struct dma_buf_block_job {
	size_t struct_size;
	enum dma_data_direction direction;
	uint64_t buffer_offset;
	uint64_t length;
	uint64_t file_offset;
	struct dma_fence **after;
	unsigned int num_after;
	long timeout_ms;
};

#ifndef DMABUF_DISABLED
/**
 * dmabuf_queue_work - have a function called when buffers and fences are there
 * @work: what to do, copied
 * @fence: set to a reference to the job's fence
 *
 * At most as many functions run at a time as there are processors, so one that sleeps delays
 * others.
 *
 * Return: 0; or, with nothing queued, -EINVAL (no function, no buffers, a NULL among them, sizes, a
 * negative timeout), -EEXIST (a buffer twice), -EACCES, -ENAMETOOLONG, -ENOSPC
 * (DMA_BUF_MAX_ACCESSES reached), -EAGAIN (no thread can be had), -ENOMEM, -ECHILD, -EIO (spoilt).
 * Never blocks. Row E4.
 */
int dmabuf_queue_work(const struct dmabuf_work *work, struct dma_fence **fence);

/**
 * dma_buf_block_queue - have a transfer made when buffer and fences are there
 * @attach: an attachment of a block device
 * @table: its table, mapped, as dma_buf_block_submit() wants it
 * @job: what to do, copied
 * @fence: set to a reference to the job's fence
 *
 * The buffer is locked for it (DMA_BUF_ACCESS_DMA_W to read into it, DMA_BUF_ACCESS_DMA_R to write
 * from it), so the caller must not wait for the fence while it has the buffer itself. The library
 * reaps what it queued: dma_buf_block_reap() does not see it. Unmapping ends with -ECANCELED what
 * has not begun, and waits for what has. A file that ends before @length bytes were read is
 * -ENODATA.
 *
 * Return: 0; or, with nothing queued, what dma_buf_block_submit() and dmabuf_queue_work() answer;
 * more jobs than the device's depth wait for their turn. Never blocks. Rows E4, H1.
 */
int dma_buf_block_queue(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			const struct dma_buf_block_job *job, struct dma_fence **fence);

/**
 * dmabuf_cancel_work - a job need not begin any more
 * @fence: of dmabuf_queue_work() or dma_buf_block_queue()
 *
 * Return: 0: it will not begin, and its fence is, or will soon be, signalled with -ECANCELED, which
 * may run callbacks here; -EALREADY: it has begun or ended; -EINVAL: another kind of fence, or
 * NULL. Waits for nobody. Row E4.
 */
int dmabuf_cancel_work(struct dma_fence *fence);
#else
#include <dmabuf/stubs/queued-work.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
