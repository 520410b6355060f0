/* SPDX-License-Identifier: MIT */
/**
 * DOC: seeing what goes on
 *
 * A look at a buffer's shared state from outside: no handle is made, no place among the holders is
 * taken, nothing is changed. What is told is what the holders wrote, bounds-checked but not vouched
 * for (mission row G1).
 */
#ifndef DMABUF_INFO_H
#define DMABUF_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/dma-resv.h>
#include <dmabuf/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_buf_counters - always on, relaxed (design: decision 13)
 * @cpu_access: brackets begun
 * @maps: attachments mapped
 * @cached_maps: of those, answered from a kept table
 * @sync_needed: cache operations that coherency asked for
 * @sync_done: of those, executed without error
 * @sync_skipped: places where an untracked implementation would have done one and none was needed
 * @recovered: dead holders cleaned up
 * @leases_lost: accesses that were taken from a living holder because its lease was over
 */
struct dma_buf_counters {
	uint64_t cpu_access;
	uint64_t maps;
	uint64_t cached_maps;
	uint64_t sync_needed;
	uint64_t sync_done;
	uint64_t sync_skipped;
	uint64_t recovered;
	uint64_t leases_lost;
};

/**
 * struct dma_buf_holder_info - a process that has a handle
 * @pid: as that process saw itself; of another PID namespace it means nothing here
 * @label: dmabuf_set_label() there, else the program's name
 * @alive: false: it died and nobody has cleaned up yet
 * @exporter: it made the buffer
 * @storage_accesses: accesses of a deferred buffer that it has begun and not ended, which keep its
 *	storage from migrating
 */
struct dma_buf_holder_info {
	pid_t pid;
	char label[DMA_BUF_NAME_LEN];
	bool alive;
	bool exporter;
	unsigned int storage_accesses;
};

/**
 * struct dma_buf_attachment_info - a device that is attached
 * @device: its name
 * @holder: index of its process in the holders' array
 * @parameters: what it needs, for the use that it is attached for
 * @mapped: tables mapped now
 * @direction: of the latest map, DMA_NONE before the first
 * @usage: which way it may transfer; DMA_NONE: its entry makes no sense
 * @known: false: its entry made no sense; @parameters are shown as zeros, and do not count
 * @vouched: the exporter vouches for it, so that @parameters do not count
 */
struct dma_buf_attachment_info {
	char device[DMA_BUF_DEVICE_NAME_LEN];
	unsigned int holder;
	struct dma_buf_device_parameters parameters;
	unsigned int mapped;
	enum dma_data_direction direction;
	enum dma_data_direction usage;
	bool known;
	bool vouched;
};

/** DMA_BUF_MAX_ACCESSES - accesses of one buffer that can be held or waited for at a time */
#define DMA_BUF_MAX_ACCESSES 126
/** DMA_BUF_ACCESS_LABEL_LEN - room for an access's label, the closing NUL included */
#define DMA_BUF_ACCESS_LABEL_LEN 24

/**
 * enum dma_buf_access_state - what has become of an access
 * @DMA_BUF_ACCESS_HELD: it has the buffer
 * @DMA_BUF_ACCESS_WAITING: it is in the queue
 * @DMA_BUF_ACCESS_DRAINING: it lost the buffer, but its device may still be at it
 * @DMA_BUF_ACCESS_LOST: it lost the buffer to its lease and has not noticed yet
 * @DMA_BUF_ACCESS_TORN: it did not finish writing, and nobody has answered for the content since
 */
enum dma_buf_access_state {
	DMA_BUF_ACCESS_HELD = 1,
	DMA_BUF_ACCESS_WAITING = 2,
	DMA_BUF_ACCESS_DRAINING = 3,
	DMA_BUF_ACCESS_LOST = 4,
	DMA_BUF_ACCESS_TORN = 5,
};

/**
 * struct dma_buf_access_info - an access that is held or waited for
 * @label: the name of its sync object; of a fence, its driver's; of the object's lock, the
 * program's
 * @pid: as its process saw itself
 * @holder: index of its process in the holders' array; DMA_BUF_MAX_CLIENTS: gone
 * @state: see enum dma_buf_access_state
 * @write: exclusive; else shared with other readers
 * @device: by DMA; else by the CPU
 * @lock: the lock of the reservation object, not an access to the memory
 * @fence: it ends with a fence that was added to the reservation object
 * @usage: of that fence: what it is for
 * @context: the lock was asked for with a wound/wait context
 * @ticket: its place in the queue: lower is earlier, modulo 2^24; 0 where nobody queues
 * @start: first byte
 * @length: bytes
 * @age_ms: since it was asked for, or, for a hold that nobody waited for, 0: nobody reads a clock
 * then
 * @waits_for: inode of the buffer that its group waits for meanwhile, or 0
 */
struct dma_buf_access_info {
	char label[DMA_BUF_ACCESS_LABEL_LEN];
	pid_t pid;
	unsigned int holder;
	enum dma_buf_access_state state;
	bool write;
	bool device;
	bool lock;
	bool fence;
	enum dma_resv_usage usage;
	bool context;
	uint32_t ticket;
	uint64_t start;
	uint64_t length;
	uint64_t age_ms;
	uint64_t waits_for;
};

/** DMA_BUF_MAX_TRIED - heaps that had no memory, of which is told */
#define DMA_BUF_MAX_TRIED 8

/**
 * struct dma_buf_storage_info - where a deferred buffer's bytes are, see <dmabuf/storage.h>
 * @deferred: it is one; else all is zero
 * @fixed: exported with DMA_BUF_STORAGE_FIXED
 * @raw: its payload was handed out by dma_buf_payload_fd()
 * @wanted: it does not suit all attached devices, and will migrate
 * @awaited: somebody waits for accesses to end, to have it migrate
 * @moving: it is migrating now
 * @generation: 0: it has no storage yet; else a number that grows whenever it gets other storage
 * @heap: where the storage is from; empty: none yet
 * @tried_count: entries used in @tried
 * @tried: heaps that came first by the plan, and why they were passed over
 */
struct dma_buf_storage_info {
	bool deferred;
	bool fixed;
	bool raw;
	bool wanted;
	bool awaited;
	bool moving;
	uint64_t generation;
	char heap[DMA_BUF_HEAP_NAME_LEN];
	unsigned int tried_count;
	struct {
		char heap[DMA_BUF_HEAP_NAME_LEN];
		int error; /* a positive errno */
	} tried[DMA_BUF_MAX_TRIED];
};

/**
 * struct dma_buf_info - a buffer as its holders describe it
 * @struct_size: sizeof(struct dma_buf_info), set by the caller; lets the struct grow
 * @size: payload bytes
 * @inode: identity: two descriptors with the same inode are the same buffer
 * @name: see dma_buf_set_name()
 * @exp_name: the exporter's name
 * @read_only: exported with O_RDONLY
 * @split: the payload has a descriptor of its own
 * @exporter_alive: the exporting process still has its handle
 * @counters: what happened so far
 * @holder_count: entries used in @holders
 * @attachment_count: entries used in @attachments
 * @holders: processes with a handle
 * @access_count: entries used in @accesses
 * @attachments: devices attached
 * @accesses: who has the buffer, who waits for it, and what was left torn
 * @constraints: what the devices together need, as dma_buf_get_constraints()
 * @storage: of a deferred buffer
 */
struct dma_buf_info {
	size_t struct_size;
	uint64_t size;
	uint64_t inode;
	char name[DMA_BUF_NAME_LEN];
	char exp_name[DMA_BUF_NAME_LEN];
	bool read_only;
	bool split;
	bool exporter_alive;
	struct dma_buf_counters counters;
	unsigned int holder_count;
	unsigned int attachment_count;
	unsigned int access_count;
	struct dma_buf_holder_info holders[DMA_BUF_MAX_CLIENTS];
	struct dma_buf_attachment_info attachments[DMA_BUF_MAX_ATTACHMENTS];
	struct dma_buf_access_info accesses[DMA_BUF_MAX_ACCESSES];
	struct dma_buf_device_parameters constraints;
	struct dma_buf_storage_info storage;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_get_info - describe a buffer by its descriptor
 * @fd: any descriptor of the buffer, a read-only one too
 * @info: struct_size set; filled in
 *
 * Return: 0; -EBADF; -EINVAL (not a dma-buf, or struct_size unknown); -EPROTO; -ENOMEM; -EMFILE.
 * Does not wait for anybody.
 */
int dma_buf_get_info(int fd, struct dma_buf_info *info);

/**
 * dma_buf_get_counters - a handle's buffer's counters
 * @dmabuf: the buffer
 * @counters: filled in
 *
 * Return: 0; -EINVAL; -ECHILD. Never blocks.
 */
int dma_buf_get_counters(struct dma_buf *dmabuf, struct dma_buf_counters *counters);

/**
 * dmabuf_set_label - how this process is shown to other holders
 * @label: 1 to 31 bytes of printable text; NULL: the program's name again
 *
 * Holds for handles made afterwards. Return: 0; -EINVAL; -ENAMETOOLONG. Never blocks.
 */
int dmabuf_set_label(const char *label);
#else
#include <dmabuf/stubs/info.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
