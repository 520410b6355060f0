/* SPDX-License-Identifier: MIT */
/**
 * DOC: fences as file descriptors
 *
 * What the kernel's sync_file is: a descriptor that is a fence. It becomes readable when the fence
 * ends, for poll(), select() and epoll; it can be duplicated, sent over a Unix socket, inherited,
 * merged with others and waited for in any process. The fence behind it always ends: when its owner
 * signals it, with -ETIMEDOUT at its deadline, with -EOWNERDEAD when the owning process dies, exits
 * or calls exec. Mission row E5.
 *
 * - The owner is the process that made the descriptor. There it is the very fence; in other
 *   processes dmabuf_sync_file_get_fence() makes a dma_fence that stands for it, whose callbacks
 *   run in a thread of the library.
 * - The deadline counts from the making, by the owner's clock, and again from the first
 *   dmabuf_sync_file_get_fence() in each other process, by its own: a stopped owner keeps nobody
 *   waiting. What only poll()s the descriptor brings a timeout of its own.
 * - A fence has taken a descriptor more in the owner's process until it ends or nobody holds it any
 *   more. All are close-on-exec.
 * - With the record of how it ended, POLLHUP is there beside POLLIN. Do not read() it: the record
 * is for all who hold the descriptor.
 * - A kernel's sync_file is taken as well: its fence is one of a timeline of its own, ends as the
 *   kernel says, with -ETIMEDOUT after DMA_FENCE_TIMEOUT_MAX at the latest, and its descriptor made
 *   anew is the same sync_file. Two of them merge into a sync_file of the kernel's, whose timeout
 * is the kernel's.
 *
 * What a hostile holder of a descriptor can do is in docs/caveats.md: end it with an error for the
 * others, and no more.
 */
#ifndef DMABUF_SYNC_FILE_H
#define DMABUF_SYNC_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-fence.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMABUF_SYNC_FILE_NAME_LEN - room for a name, with its NUL */
#define DMABUF_SYNC_FILE_NAME_LEN 32

/** DMABUF_SYNC_FILE_TIMEOUT_DEFAULT - milliseconds that a fence has if nobody says otherwise */
#define DMABUF_SYNC_FILE_TIMEOUT_DEFAULT 10000

/**
 * struct dmabuf_sync_file_options - how to make a fence's descriptor
 * @size: sizeof(struct dmabuf_sync_file_options)
 * @name: [optional] 1 to 31 bytes, shown by dmabuf_sync_file_get_info()
 * @timeout_ms: 1 to DMA_FENCE_TIMEOUT_MAX; 0: DMABUF_SYNC_FILE_TIMEOUT_DEFAULT
 */
struct dmabuf_sync_file_options {
	size_t size;
	const char *name;
	uint32_t timeout_ms;
};

/**
 * struct dmabuf_sync_fence_info - one of the fences behind a descriptor (kernel: sync_fence_info)
 * @driver: who made it
 * @timeline: what it belongs to (kernel: obj_name)
 * @status: 0: not yet; 1: signalled; negative: the error it ended with
 * @timestamp: when it ended, in ns of its owner's CLOCK_MONOTONIC; 0: not yet
 * @context: its context in this process
 * @seqno: its seqno
 *
 * Names from another process may be cut: it has 16 to 48 bytes for all of them.
 */
struct dmabuf_sync_fence_info {
	char driver[DMABUF_SYNC_FILE_NAME_LEN];
	char timeline[DMABUF_SYNC_FILE_NAME_LEN];
	int status;
	int64_t timestamp;
	uint64_t context;
	uint64_t seqno;
};

/**
 * struct dmabuf_sync_file_info - what a descriptor is (kernel: sync_file_info)
 * @size: sizeof(struct dmabuf_sync_file_info)
 * @name: its name, or one made of driver, timeline, context and seqno
 * @status: of the whole: 0, 1 or the error
 * @num_fences: in: room in @fences; out: how many fences there are
 * @fences: [optional] filled with the fences; one of another process's is one
 */
struct dmabuf_sync_file_info {
	size_t size;
	char name[DMABUF_SYNC_FILE_NAME_LEN];
	int status;
	unsigned int num_fences;
	struct dmabuf_sync_fence_info *fences;
};

#ifndef DMABUF_DISABLED
/**
 * dmabuf_sync_file_create - a descriptor for a fence (kernel: sync_file_create)
 * @fence: any fence, an array or a chain too; the descriptor has a reference of its own
 * @options: [optional] name and timeout
 *
 * Signalling is enabled. If @fence has not been signalled when its time is over, the library
 * signals it with -ETIMEDOUT, for everybody, this process included, as long as anybody holds the
 * descriptor. For a fence that came from another process it is one more of the same descriptor:
 * owner, name and deadline stay what they are.
 *
 * Return: the descriptor, close-on-exec; -EINVAL; -ENAMETOOLONG; -EMFILE, -ENFILE; -ENOMEM; -EAGAIN
 * (no thread); -ENOSPC (the user's limit of watches of epoll). Never blocks. Do not hold the
 * fence's lock. Thread-safe, not signal-safe.
 */
int dmabuf_sync_file_create(struct dma_fence *fence,
			    const struct dmabuf_sync_file_options *options);

/**
 * dmabuf_sync_file_get_fence - the fence behind a descriptor (kernel: sync_file_get_fence)
 * @fd: the descriptor, which stays the caller's
 *
 * In the process that made the descriptor, the fence that it was made for, or, once that has ended,
 * a signalled one that is like it. Elsewhere one that stands for it: the same one for the same
 * descriptor and its duplicates, of the same context for fences of the same context. It needs no
 * descriptor of the caller's to end. It must not be signalled by the caller.
 *
 * Return: a new reference; NULL with errno EBADF, EINVAL (not a fence), EMFILE, ENFILE, ENOMEM,
 * EAGAIN (no thread), ENOSPC. Never blocks. Thread-safe, not signal-safe.
 */
struct dma_fence *dmabuf_sync_file_get_fence(int fd);

/**
 * dmabuf_sync_file_check - is it a fence's descriptor
 * @fd: any number
 *
 * Return: 0: it is; -EBADF: not open; -EINVAL: something else. Never blocks. Changes nothing, also
 * not at descriptors of other kinds.
 */
int dmabuf_sync_file_check(int fd);

/**
 * dmabuf_sync_file_merge - one descriptor for two fences (kernel: SYNC_IOC_MERGE)
 * @fd1: a fence's descriptor, of any process; stays the caller's
 * @fd2: another, or the same
 * @options: [optional] name and timeout
 *
 * Ends when both have. What is signalled is left out, and of one context only the later one is
 * waited for. The process that merges is the owner of the new one, but where there is nothing left
 * to merge: then it may be another descriptor of the one that is left.
 *
 * Return: the descriptor, close-on-exec; as dmabuf_sync_file_create() and
 * dmabuf_sync_file_get_fence().
 */
int dmabuf_sync_file_merge(int fd1, int fd2, const struct dmabuf_sync_file_options *options);

/**
 * dmabuf_sync_file_get_info - what a descriptor is (kernel: SYNC_IOC_FILE_INFO)
 * @fd: the descriptor
 * @info: @size set, @num_fences and @fences set; filled in
 *
 * With no @fences, or no room, they are only counted.
 *
 * Return: 0; -EINVAL (not a fence, or too little room, or a wrong size), and as
 * dmabuf_sync_file_get_fence(). Never blocks.
 */
int dmabuf_sync_file_get_info(int fd, struct dmabuf_sync_file_info *info);

/**
 * dmabuf_sync_file_wait - sleep until a fence has ended
 * @fd: the descriptor
 * @timeout: milliseconds; 0: only look; or DMA_FENCE_WAIT_FOREVER, which ends as the fence does
 * @status: [optional] set to 1, or to the error it ended with, if the result is positive
 *
 * Return: the milliseconds that were left, 1 at least, if it has ended; 0: timed out; -EINTR: a
 * signal handler ran; -EINVAL (not a fence, or a negative timeout), and as
 * dmabuf_sync_file_get_fence(). Blocks up to @timeout.
 */
long dmabuf_sync_file_wait(int fd, long timeout, int *status);

/**
 * dmabuf_sync_file_wait_any - sleep until one of several has ended
 * @fds: the descriptors
 * @count: how many, 1 or more
 * @timeout: milliseconds, as dmabuf_sync_file_wait()
 * @index: [optional] set to the index of one that has ended if the result is positive
 *
 * Return: as dmabuf_sync_file_wait(). Blocks up to @timeout.
 */
long dmabuf_sync_file_wait_any(const int *fds, unsigned int count, long timeout,
			       unsigned int *index);

/**
 * dmabuf_sync_file_wait_all - sleep until all of several have ended
 * @fds: the descriptors
 * @count: how many, 1 or more
 * @timeout: milliseconds for all together, as dmabuf_sync_file_wait()
 *
 * Return: as dmabuf_sync_file_wait(). Blocks up to @timeout.
 */
long dmabuf_sync_file_wait_all(const int *fds, unsigned int count, long timeout);
#else
#include <dmabuf/stubs/sync-file.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
