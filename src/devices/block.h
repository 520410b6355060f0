/* SPDX-License-Identifier: MIT */
/*
 * Inside a block device. A transfer (what the caller submits) is cut by block-plan.c into requests
 * (what the system is asked for), made one after the other. An engine carries requests out:
 * block-uring.c or block-threads.c. block.c stands in front of both.
 */
#ifndef DMABUF_SRC_DEVICES_BLOCK_H
#define DMABUF_SRC_DEVICES_BLOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <dmabuf/block.h>

#define BLOCK_DEFAULT_DEPTH 32
#define BLOCK_MAX_WORKERS 8
#define BLOCK_INLINE_IOVECS 4
/* Attempts of one request that makes no progress (EAGAIN, EINTR) before it is given up. */
#define BLOCK_MAX_RETRIES 1000
/* How long unmapping and releasing wait for transfers that nobody reaped. */
#define BLOCK_DRAIN_MS 30000

/* Device addresses are virtual addresses of this process. */
static inline void *block_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr): by definition */
}

/* What the disk and the file system below ask for; always filled in, see block-limits.c. */
struct block_limits {
	uint32_t memory_alignment;
	uint32_t offset_alignment;
	uint32_t write_alignment;  /* of offsets, see block_limits_find() */
	uint64_t max_segment_size; /* 0: no limit */
	uint32_t max_segments;	   /* in one request, 1 or more */
	uint64_t virt_boundary_mask;
	bool direct_refused; /* the file system says that it has no O_DIRECT for this file */
	bool submit_waits;   /* the file system makes who submits a transfer wait for its end */
	char source[128];    /* where the above comes from, in words */
};

/* A table that is mapped for this device. */
struct block_region {
	struct block_region *next;
	const struct dma_buf_scatterlist *sgl; /* also its identity */
	unsigned int nents;
	uint64_t length;
	unsigned int under_way; /* transfers */
	atomic_bool unpinnable; /* the kernel cannot hold these pages for a direct transfer */
	int slot;		/* among io_uring's registered buffers; -1: not registered */
	int guard;		/* among its registered files: the buffer's device lock; -1: none */
};

struct block_span {
	uint64_t position, end; /* bytes from the transfer's start */
	bool direct;
};

struct block_job;
struct block_queue;
struct check_access;

struct block_transfer {
	struct block_transfer *next;
	struct block_job *job; /* NULL: the program reaps it */
	struct block_region *region;
	bool write;
	bool zero_copy; /* demanded: nothing through the page cache */
	uint64_t buffer_offset, length, file_offset, cookie;
	struct check_access *check; /* of checking mode, see check/rules.h */

	struct block_span spans[3];
	unsigned int span, nspans;
	unsigned int retries;
	atomic_bool cancelled;
	bool under_way; /* submitted and not on the done list yet */
	bool finished;	/* block_next() has no more to ask for */
	int64_t result; /* bytes so far; once finished: what the caller gets */

	struct iovec *iov; /* of the request under way */
	unsigned int iov_room;
	struct iovec inline_iov[BLOCK_INLINE_IOVECS];
};

struct block_request {
	bool write;
	int fd;
	struct iovec *iov;
	unsigned int iovcnt;
	off_t offset;
};

struct block_list {
	struct block_transfer *first, **tail;
};

struct block_device;

/* All but the first three are called with the device's lock held; wait gives it up meanwhile. */
struct block_engine_ops {
	enum dma_buf_block_method method;
	int (*create)(struct block_device *b);
	/* Nothing is under way any more. */
	void (*destroy)(struct block_device *b);
	/* In a forked child: give up this process's copies of descriptors and mappings. */
	void (*abandon)(struct block_device *b);
	int (*start)(struct block_device *b, struct block_transfer *t);
	/* Look for progress, without waiting. */
	void (*collect)(struct block_device *b);
	/* Wait for progress, at most @ms and never longer than 100 ms. */
	void (*wait)(struct block_device *b, int ms);
	int (*map)(struct block_device *b, struct block_region *region);
	void (*unmap)(struct block_device *b, struct block_region *region);
	/*
	 * Keep a copy of @fd, the device lock of the region's buffer, for as long as a request may
	 * be under way there, whatever becomes of this process. 0 or -errno with words.
	 */
	int (*guard)(struct block_device *b, struct block_region *region, int fd);
};

struct block_device {
	uint64_t owner; /* process_cookie() */
	bool readable, writable;
	int buffered_fd, direct_fd;
	int done_fd; /* eventfd, readable while the done list has entries that nobody takes */
	int poll_fd; /* the engine's own, readable when it has progress to collect; -1: none */
	uint64_t file_size;
	struct block_limits limits;

	const struct block_engine_ops *engine;
	void *engine_priv;
	unsigned int workers;

	/* Why it is not better than it is: 0 or an errno */
	int uring_errno;	   /* io_uring could not be had */
	int direct_errno;	   /* O_DIRECT was refused by open() */
	int reopen_errno;	   /* the file could not be opened anew */
	atomic_bool direct;	   /* in use; a transfer may find that it is refused */
	atomic_bool direct_failed; /* ... and did */
	atomic_bool unpinnable;	   /* some of the memory was */
	atomic_int register_errno; /* a buffer could not be registered */
	bool wants_buffered;

	atomic_uint_least64_t bounced, requests;

	pthread_mutex_t lock;
	pthread_cond_t settled; /* a transfer has finished */
	bool done_signalled;
	struct block_region *regions;
	struct block_transfer *transfers; /* all of them, depth many */
	struct block_transfer *unused;
	struct block_list done;
	unsigned int depth, under_way;

	/* For queued jobs; NULL until there is the first. */
	struct block_queue *queue;
	struct block_list jobs_done;
	unsigned int jobs_under_way;
	bool jobs_starve; /* jobs are ready and there was no transfer unused */
};

extern const struct dma_buf_map_ops block_map_ops;
extern const struct block_engine_ops block_uring_engine;
extern const struct block_engine_ops block_threads_engine;

/* block-limits.c: @sysfs is "/sys", or a test's. Never fails. */
void block_limits_find(struct block_limits *limits, int fd, const char *sysfs);
/* The same for a disk that is not open; false: it has no queue. */
bool block_limits_of_disk(struct block_limits *limits, dev_t dev, const char *sysfs);
void block_limits_parameters(const struct block_limits *limits,
			     struct dma_buf_device_parameters *parameters);

/* block-plan.c: cut @t into spans; false: no memory for its iovecs. */
bool block_plan(struct block_transfer *t, const struct block_limits *limits, bool direct);
void block_plan_free(struct block_transfer *t);
/* The first part of a planned @t that the page cache would copy; NULL: none. */
const struct block_span *block_copied_span(const struct block_transfer *t);
/* The next request of @t; false: it is finished. */
bool block_next(struct block_device *b, struct block_transfer *t, struct block_request *request);
/* That request ended with bytes or a negative errno. */
void block_advance(struct block_device *b, struct block_transfer *t, int64_t result);

/* block.c, with the lock held: @t is on the done list from now on. */
void block_finish(struct block_device *b, struct block_transfer *t);
void block_signal_done(struct block_device *b);
/* A transfer may be used again. */
void block_transfer_free(struct block_device *b, struct block_transfer *t);
/*
 * Start @wanted on the region that @sgl identifies; an -EAGAIN says that none is unused. 0 or
 * -errno with words.
 */
int block_start(struct block_device *b, const struct dma_buf_scatterlist *sgl,
		const struct block_transfer *wanted, int device_fd);
/* Ends the transfers of @region (NULL: all); false: some are still under way after @ms. */
bool block_drain(struct block_device *b, const struct block_region *region, int ms);
void block_list_init(struct block_list *list);
void block_list_add(struct block_list *list, struct block_transfer *t);
struct block_transfer *block_list_take(struct block_list *list);
int64_t block_now_ms(void);

/* block.c: a transfer as asked for, checked and completed; the caller's lock is not held. 0 or
 * -errno with words.
 */
int block_check_submit(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
		       enum dma_data_direction direction, struct block_transfer *wanted);

/* block-queue.c, with the device's lock held: there is something to do for the queue's thread. */
void block_queue_kick(struct block_queue *queue);
/* Without it: what waits or is ready for the region of @sgl ends with -ECANCELED. */
void block_queue_cancel(struct block_queue *queue, const struct dma_buf_scatterlist *sgl);
/* The device goes, and nothing is under way. In a child: only its memory. */
void block_queue_destroy(struct block_device *b);
/*
 * The last reference to the device went in the queue's own thread, with a job. True: so it did, and
 * the thread will call block_free() itself.
 */
bool block_queue_leave(struct block_device *b);

/* block-describe.c: "O_DIRECT", or "page cache" and why. */
void block_direct_words(const struct block_device *b, char *text, size_t size);

/* block.c: the block device behind @dev; NULL with words if it is none. */
struct block_device *block_of(const struct dma_buf_device *dev);
/* block-open.c: everything that dma_buf_block_open() made; the last reference is gone. */
void block_release(void *priv);
void block_free(struct block_device *b);

#endif
