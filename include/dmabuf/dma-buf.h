/* SPDX-License-Identifier: MIT */
/**
 * DOC: buffers
 *
 * Names and semantics are mainline's linux/dma-buf.h, with the differences that userspace brings:
 *
 * - A handle (struct dma_buf) and a descriptor (int) are references of their own: a handle is
 *   dropped with dma_buf_put(), a descriptor with close(). dma_buf_fd() does not consume it.
 * - Ops run in the process that calls them. A process finds them by the exporter's name, see
 *   dma_buf_register_exporter(); a name it does not know works as plain memory.
 * - dma_buf_unmap_attachment() and dma_buf_end_cpu_access() return an int, so that misuse is told.
 */
#ifndef DMABUF_DMA_BUF_H
#define DMABUF_DMA_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/device.h>
#include <dmabuf/dma-direction.h>
#include <dmabuf/sg-table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMA_BUF_NAME_LEN - room for a buffer's or an exporter's name, the closing NUL included */
#define DMA_BUF_NAME_LEN 32
/** DMA_BUF_MAX_CLIENTS - handles that can exist for one buffer at a time, one a process */
#define DMA_BUF_MAX_CLIENTS 64
/** DMA_BUF_MAX_ATTACHMENTS - attachments of one buffer, those of all processes together */
#define DMA_BUF_MAX_ATTACHMENTS 64
/** DMA_BUF_MAX_SIZE - largest buffer in bytes (1 TiB) */
#define DMA_BUF_MAX_SIZE ((uint64_t)1 << 40)
/** DMA_BUF_MAX_ATOMIC_KMAPS - atomic page mappings one thread may hold at a time (row B2) */
#define DMA_BUF_MAX_ATOMIC_KMAPS 2

struct dma_buf;
struct dma_buf_attachment;
struct dma_resv;

/**
 * enum dma_buf_cache_op - maintenance of the CPU's caches, asked of an exporter
 * @DMA_BUF_CACHE_CLEAN: write dirty lines back to memory
 * @DMA_BUF_CACHE_INVALIDATE: drop lines, dirty ones too
 * @DMA_BUF_CACHE_FLUSH: write back, then drop
 */
enum dma_buf_cache_op {
	DMA_BUF_CACHE_CLEAN = 1,
	DMA_BUF_CACHE_INVALIDATE = 2,
	DMA_BUF_CACHE_FLUSH = 3,
};

/**
 * struct dma_buf_ops - what an exporter does for its buffers (kernel: struct dma_buf_ops)
 * @cache_sgt_mapping: keep the first table in the attachment; mapping again is then free (A5)
 * @attach: [optional] may refuse with a negative errno, which dma_buf_attach() passes on. Runs
 *	under the buffer's list lock.
 * @detach: [optional] undoes @attach, under the list lock
 * @map_dma_buf: mandatory. Returns a table, or NULL with errno. May block.
 * @try_map_dma_buf: [optional] like @map_dma_buf, but NULL with errno EBUSY instead of blocking
 *	(A8)
 * @unmap_dma_buf: mandatory. Takes a table of @map_dma_buf back.
 * @release: mandatory. Runs exactly once, in the exporting process, after the last reference.
 * @begin_cpu_access: [optional] makes the range accessible; may fail (ENOMEM)
 * @end_cpu_access: [optional] ends that
 * @kmap_atomic: mandatory. One page's address; may not block, may not fail.
 * @kunmap_atomic: [optional]
 * @kmap: mandatory. One page's address; may not fail after a begin that covers the page.
 * @kunmap: [optional]
 * @mmap: [optional] an address range for @length bytes from @offset, NULL with errno; without
 *	it the buffer's own memory is mapped
 * @vmap: [optional] the whole buffer's address, NULL with errno; without it as @mmap
 * @vunmap: [optional]
 * @migrate: [optional] asked before the storage of a deferred buffer migrates, in the process that
 *	does it, with no access under way; a negative errno forbids it (mission row F6). No calls
 *	back that access this buffer.
 * @cache_sync: [optional] executes one cache operation on [start, start + len), which is not
 *	aligned to cache lines; 0 or a negative errno. Without it the CPU's instructions are used.
 *	Only called where a non-coherent device takes part; what is needed when is the library's
 *	decision (mission row C3). Runs with the buffer's coherency lock held: no calls back.
 * @own_tables: @map_dma_buf makes each device's table by that device's limits alone, so that limits
 *	are not merged when devices attach (row F2). Looked at when the buffer is exported; holds in
 *	all processes.
 * @override_constraints: [optional] the last word where a device's needs do not suit the buffer
 *	and the devices that are attached: 0: the exporter vouches for it, and its needs do not
 *	count; anything else: it is refused. dmabuf_last_error() says why it would be. Runs under
 *the list lock, before @attach (row F2).
 *
 * The dma_buf_memory_* functions below are ready-made for every mandatory member.
 */
struct dma_buf_ops {
	bool cache_sgt_mapping;
	int (*attach)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	void (*detach)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	struct dma_buf_sg_table *(*map_dma_buf)(struct dma_buf_attachment *attach,
						enum dma_data_direction direction);
	struct dma_buf_sg_table *(*try_map_dma_buf)(struct dma_buf_attachment *attach,
						    enum dma_data_direction direction);
	void (*unmap_dma_buf)(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			      enum dma_data_direction direction);
	void (*release)(struct dma_buf *dmabuf);
	int (*begin_cpu_access)(struct dma_buf *dmabuf, size_t start, size_t len,
				enum dma_data_direction direction);
	int (*end_cpu_access)(struct dma_buf *dmabuf, size_t start, size_t len,
			      enum dma_data_direction direction);
	void *(*kmap_atomic)(struct dma_buf *dmabuf, unsigned long page);
	void (*kunmap_atomic)(struct dma_buf *dmabuf, unsigned long page, void *vaddr);
	void *(*kmap)(struct dma_buf *dmabuf, unsigned long page);
	void (*kunmap)(struct dma_buf *dmabuf, unsigned long page, void *vaddr);
	void *(*mmap)(struct dma_buf *dmabuf, size_t offset, size_t length, int prot);
	void *(*vmap)(struct dma_buf *dmabuf);
	void (*vunmap)(struct dma_buf *dmabuf, void *vaddr);
	int (*cache_sync)(struct dma_buf *dmabuf, enum dma_buf_cache_op op, size_t start,
			  size_t len);
	bool own_tables;
	int (*override_constraints)(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);
	int (*migrate)(struct dma_buf *dmabuf);
};

/**
 * struct dma_buf - a process's handle on a buffer; read-only for everybody but the exporter's @priv
 * @size: bytes, as exported
 * @ops: the ops in force in this process
 * @exp_name: the exporter's name
 * @priv: the exporter's own; NULL in a process that found the ops through registration without
 *	an open hook
 * @resv: the reservation object, never NULL: the buffer's own, which all its holders share, or what
 *	the exporter gave to dma_buf_export(), which is its process's only; see <dmabuf/dma-resv.h>
 * @flags: the file mode, O_RDWR or O_RDONLY
 *
 * Only the library makes these; more members may follow in later versions.
 */
struct dma_buf {
	size_t size;
	const struct dma_buf_ops *ops;
	const char *exp_name;
	void *priv;
	struct dma_resv *resv;
	int flags;
};

/**
 * struct dma_buf_attachment - a device's place at a buffer; made by dma_buf_attach() only
 * @dmabuf: the buffer
 * @dev: the device
 * @sgt: the kept table, where the exporter asked for cache_sgt_mapping, else NULL
 * @dir: direction of @sgt
 * @priv: the exporter's own
 * @importer_priv: the importer's own
 */
struct dma_buf_attachment {
	struct dma_buf *dmabuf;
	struct dma_buf_device *dev;
	struct dma_buf_sg_table *sgt;
	enum dma_data_direction dir;
	void *priv;
	void *importer_priv;
};

/**
 * DMA_BUF_STORAGE_DEFERRED, DMA_BUF_STORAGE_FIXED - when storage is chosen, and that it stays then;
 * see <dmabuf/storage.h>. The second only together with the first.
 */
#define DMA_BUF_STORAGE_DEFERRED 1u
#define DMA_BUF_STORAGE_FIXED 2u

/**
 * struct dma_buf_export_info - what dma_buf_export() needs to know (kernel: the same name)
 * @struct_size: sizeof(struct dma_buf_export_info); lets the struct grow
 * @exp_name: 1 to 31 bytes, the exporter's name; NULL: the program's name
 * @ops: the exporter's ops; they must outlive the buffer
 * @size: bytes, 1 to DMA_BUF_MAX_SIZE; need not be a multiple of the page
 * @flags: the file mode: O_RDWR, or O_RDONLY for a read-only share: only the exporting process
 *	can write the payload, through dma_buf_vmap(), and nobody can map it writable. O_CLOEXEC is
 *	accepted and means nothing here. Note that 0 is O_RDONLY, as in the kernel.
 * @resv: [optional] the caller's own reservation object, which other processes do not see; NULL:
 *	the buffer's
 * @priv: mandatory, the exporter's own
 * @storage: 0: ordinary memory, from the beginning; or DMA_BUF_STORAGE_*, with @flags O_RDWR
 */
struct dma_buf_export_info {
	size_t struct_size;
	const char *exp_name;
	const struct dma_buf_ops *ops;
	size_t size;
	int flags;
	struct dma_resv *resv;
	void *priv;
	unsigned int storage;
};

/** DEFINE_DMA_BUF_EXPORT_INFO - declare a struct dma_buf_export_info, as the kernel's macro */
#ifdef __cplusplus
#define DEFINE_DMA_BUF_EXPORT_INFO(name)                                            \
	struct dma_buf_export_info name = {                                         \
		sizeof(struct dma_buf_export_info), NULL, NULL, 0, 0, NULL, NULL, 0 \
	}
#else
#define DEFINE_DMA_BUF_EXPORT_INFO(name) \
	struct dma_buf_export_info name = { .struct_size = sizeof(struct dma_buf_export_info) }
#endif

/**
 * struct dma_buf_exporter - a class of exporter that this process knows (design: decision 9)
 * @size: sizeof(struct dma_buf_exporter); lets the struct grow
 * @name: the exporter's name, as in dma_buf_export_info.exp_name
 * @ops: the ops to use in this process
 * @open: [optional] called when this process gets a handle on a buffer of that name that it did
 *	not export itself; may set dmabuf->priv; a negative errno fails dma_buf_get()
 * @close: [optional] undoes @open, after this process's last reference
 */
struct dma_buf_exporter {
	size_t size;
	const char *name;
	const struct dma_buf_ops *ops;
	int (*open)(struct dma_buf *dmabuf);
	void (*close)(struct dma_buf *dmabuf);
};

/** DMA_BUF_MAP_COHERENT, DMA_BUF_MAP_NONCOHERENT - attrs of dma_buf_map_attachment_attrs() */
#define DMA_BUF_MAP_COHERENT 1u
#define DMA_BUF_MAP_NONCOHERENT 2u
/**
 * DMA_BUF_MAP_ZERO_COPY - one more, with either of them or alone: the device transfers to and from
 * this memory itself. Where something would be copied on the way, mapping fails, or the transfer
 * does, and the words say which device does so and why (row F7).
 */
#define DMA_BUF_MAP_ZERO_COPY 256u

/**
 * struct dma_buf_access - one range of one buffer, for the vectored calls
 * @dmabuf: the buffer
 * @start: first byte
 * @len: bytes
 * @direction: DMA_FROM_DEVICE: the CPU reads; DMA_TO_DEVICE: it writes; DMA_BIDIRECTIONAL: both
 */
struct dma_buf_access {
	struct dma_buf *dmabuf;
	size_t start;
	size_t len;
	enum dma_data_direction direction;
};

/**
 * struct dma_buf_pfns - physical page frames of a buffer
 * @count: entries, one for each page of the system
 * @pfns: frame numbers in the order of the buffer's pages
 */
struct dma_buf_pfns {
	size_t count;
	uint64_t *pfns;
};

#ifndef DMABUF_DISABLED

/* Buffers and descriptors: rows A1 to A3 */

/**
 * dma_buf_export - make a buffer
 * @info: see struct dma_buf_export_info
 *
 * Storage is zeroed ordinary memory. O_RDWR gives one sealed memfd that holds payload and shared
 * state; O_RDONLY gives a control memfd and a payload memfd that refuses new writers. With
 * DMA_BUF_STORAGE_DEFERRED it is a control memfd, and storage comes later.
 *
 * Return: a handle with one reference; NULL with errno EINVAL (no info, priv, ops or mandatory op,
 * size 0, unknown flags), EFBIG (size over DMA_BUF_MAX_SIZE), ENAMETOOLONG, ENOMEM, EMFILE,
 * ENFILE, ENOSYS (no /proc). May block. Row A1.
 */
struct dma_buf *dma_buf_export(const struct dma_buf_export_info *info);

/**
 * dma_buf_alloc - make a buffer of ordinary memory with the library's own exporter ("memfd")
 * @name: the buffer's name, 1 to 31 bytes, shown to every holder
 * @size: bytes, 1 to DMA_BUF_MAX_SIZE
 * @flags: O_RDWR or O_RDONLY, as for dma_buf_export()
 *
 * Return: as dma_buf_export(). May block.
 */
struct dma_buf *dma_buf_alloc(const char *name, size_t size, int flags);

/**
 * dma_buf_fd - a descriptor that is the buffer
 * @dmabuf: the buffer
 * @flags: O_CLOEXEC or 0; set atomically with the descriptor's creation
 *
 * The descriptor can be passed to any process, inherited, and given to dma_buf_get() there. It is
 * a reference of its own, until close(); the handle stays the caller's.
 *
 * Return: a descriptor; -EINVAL (NULL, other flags), -EMFILE, -ECHILD. Never blocks. Row A2.
 */
int dma_buf_fd(struct dma_buf *dmabuf, int flags);

/**
 * dma_buf_payload_fd - a descriptor of the bare payload, for programs that know nothing of this
 * @dmabuf: the buffer
 * @flags: O_CLOEXEC or 0
 *
 * Payload is at offset 0. Of an O_RDWR buffer this is the same memory as dma_buf_fd()'s; of an
 * O_RDONLY one it is a descriptor that cannot be made writable. Of a deferred one it is the
 * storage, which is chosen now if it was not yet, and never migrates from then on.
 *
 * Return: as dma_buf_fd(); of a deferred buffer what dma_buf_begin_cpu_access() returns, too. Never
 * blocks, but for a deferred buffer.
 */
int dma_buf_payload_fd(struct dma_buf *dmabuf, int flags);

/**
 * dma_buf_kernel_fd - a kernel dma-buf of the same memory, for drivers that take nothing else
 * @dmabuf: the buffer
 * @flags: O_CLOEXEC or 0
 *
 * Of one that was adopted, the dma-buf itself. Of one in ordinary memory, a new dma-buf of its
 * pages, by /dev/udmabuf and without a copy; its size is rounded up to a page. That one has a state
 * of its own: who gets it with dma_buf_get() has another buffer of the same bytes, and locks of one
 * say nothing about the other. A buffer whose memory was handed out is never migrated.
 *
 * Return: a descriptor; -EINVAL (NULL, other flags, more than udmabuf's limits), -EACCES (a
 * read-only share, or /dev/udmabuf is not for this user), -ENODEV (no /dev/udmabuf), -ENODATA (no
 * storage yet), -EMFILE, -ENOMEM, -ECHILD. May block. Row H1.
 */
int dma_buf_kernel_fd(struct dma_buf *dmabuf, int flags);

/**
 * dma_buf_kernel_fences_missing - can the kernel's drivers wait for who has locked a buffer
 *
 * While a kernel dma-buf is locked, there is a fence on it that the kernel's drivers, poll() and
 * sync_files wait for. In stock kernels the driver vgem makes such fences.
 *
 * Return: "" if so, else why not and what to do, in words; static. Thread-safe. Row H1.
 */
const char *dma_buf_kernel_fences_missing(void);

/**
 * dma_buf_get - the handle for a descriptor
 * @fd: from dma_buf_fd() here or elsewhere; stays the caller's
 *
 * The same buffer got twice in one process is one handle with one more reference. A kernel dma-buf
 * is adopted: dma_buf_adopt() says what that means.
 *
 * Return: the handle; NULL with errno EBADF (not a descriptor), EINVAL (not a dma-buf, not sealed,
 * cut short, or its shared state makes no sense: the words say which), EACCES (a read-only
 * descriptor of an O_RDWR buffer), ENODATA (an O_RDONLY buffer whose payload descriptor did not
 * come along: use dma_buf_recv() or dma_buf_get_split()), EUSERS (DMA_BUF_MAX_CLIENTS reached),
 * EPROTO (made by another version of the layout), ETIMEDOUT (a dead holder's place cannot be
 * cleaned up, because a living one does not let go of a lock), EIO (a holder wiped the shared state
 * of a buffer that this process has), ENOMEM, EMFILE, and what the registered exporter's open hook
 * answers. May block. Row A3.
 */
struct dma_buf *dma_buf_get(int fd);

/** DMA_BUF_ADOPT_PRIVATE - a state that only those find to whom the buffer is passed */
#define DMA_BUF_ADOPT_PRIVATE 1u

/**
 * dma_buf_adopt - the handle for a kernel dma-buf
 * @fd: a kernel dma-buf, from a driver, a heap or dma_buf_kernel_fd(); stays the caller's
 * @flags: 0, as dma_buf_get() does it, or DMA_BUF_ADOPT_PRIVATE
 *
 * Its shared state is in a memfd of its own. dma_buf_send() passes both; whoever has only the
 * dma-buf and shares the network namespace with one who has adopted it finds the same state.
 * dma_buf_fd() gives the kernel's dma-buf. CPU access is bracketed with DMA_BUF_IOCTL_SYNC, and
 * locks wait for the kernel's fences.
 *
 * Return: as dma_buf_get(); NULL with errno EINVAL (no kernel dma-buf, other flags), EACCES (one
 * that cannot be read), EXDEV (adopted in another network namespace), ETIMEDOUT (one who has
 * adopted it does not answer), EBUSY (this process has it with another state), EIO. Blocks up to
 * 5 s. Rows A3, H1.
 */
struct dma_buf *dma_buf_adopt(int fd, unsigned int flags);

/**
 * dma_buf_get_split - the handle for a buffer that has a payload descriptor of its own
 * @fd: the buffer's descriptor; stays the caller's
 * @payload_fd: from dma_buf_payload_fd(); stays the caller's
 *
 * Return: as dma_buf_get(); EINVAL too if the two do not belong together or the payload can still
 * be written, shrunk or punched by its holders.
 */
struct dma_buf *dma_buf_get_split(int fd, int payload_fd);

/**
 * get_dma_buf - one more reference (the kernel's spelling, and so outside the library's prefixes)
 * @dmabuf: the buffer; NULL is ignored
 *
 * Never blocks, never fails. Row A3.
 */
void get_dma_buf(struct dma_buf *dmabuf);

/**
 * dma_buf_put - drop a reference
 * @dmabuf: the buffer; NULL is ignored
 *
 * With this process's last one, attachments that it left are detached, its mappings go and its
 * place among the holders is freed. The exporter's release runs once the exporting process has
 * dropped its own references and no descriptor and no other handle is left in any process: within
 * this call if that is so now, else later in a thread of the library, which notices within 100 ms.
 * May block. Row A3.
 */
void dma_buf_put(struct dma_buf *dmabuf);

/**
 * dma_buf_set_name - name a buffer (kernel: DMA_BUF_SET_NAME)
 * @dmabuf: the buffer
 * @name: up to 31 bytes of printable text; "" takes the name away
 *
 * Return: 0; -EINVAL (NULL, unprintable), -ENAMETOOLONG, -ECHILD. Never blocks.
 */
int dma_buf_set_name(struct dma_buf *dmabuf, const char *name);

/**
 * dma_buf_register_exporter - make a class of exporter known to this process
 * @exporter: copied; what it points to must stay
 *
 * Return: 0; -EINVAL (as dma_buf_export() for name and ops), -EEXIST, -ENOMEM. Never blocks.
 */
int dma_buf_register_exporter(const struct dma_buf_exporter *exporter);

/**
 * dma_buf_unregister_exporter - forget a class
 * @name: as registered
 *
 * Return: 0; -ENOENT; -EBUSY while this process has handles that use it. Never blocks.
 */
int dma_buf_unregister_exporter(const char *name);

/* Attachments and mapping: rows A4 to A6, A8 */

/**
 * dma_buf_attach - attach a device
 * @dmabuf: the buffer
 * @dev: the device; the attachment holds a reference
 *
 * Visible to every holder from now on. Takes the list lock, which serialises attach and detach in
 * all processes, the exporter's ops included. What the device needs must go together with what all
 * attached devices need and with the memory that the buffer has, or nothing changes; see
 * <dmabuf/attach.h>.
 *
 * Return: an attachment; NULL with errno EINVAL (NULL, or the needs do not go together: the words
 * say whose, which, and what would help; as data: dma_buf_explain_attach()), EOPNOTSUPP (the
 * device, or one that is attached, has a named parameter that the library does not know and must
 * not ignore), ENOSPC (DMA_BUF_MAX_ATTACHMENTS reached),
 * EOPNOTSUPP (non-coherent device, and this CPU has no cache instructions), ETIMEDOUT (the list
 * lock was held for 5 s: the words name the holder), EIO (a holder wiped the buffer's shared
 * state), EDEADLK (called from the exporter's attach or
 * detach), ENOMEM, ECHILD, or what the exporter answered. May block. Rows A4, F2, F3.
 */
struct dma_buf_attachment *dma_buf_attach(struct dma_buf *dmabuf, struct dma_buf_device *dev);

/**
 * dma_buf_detach - end an attachment
 * @dmabuf: the buffer
 * @attach: from dma_buf_attach(); gone afterwards. Mappings that are left are unmapped first, which
 *	checking mode tells: in the kernel they would be lost.
 *
 * An attachment that is not in @dmabuf's list (a second detach) is told in the log and left alone.
 * May block. Row A4.
 */
void dma_buf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach);

/**
 * dma_buf_map_attachment - make the buffer accessible to the device
 * @attach: the attachment
 * @direction: which way the device will transfer
 *
 * The device owns the buffer from now on, until dma_buf_sync_sg_for_cpu() or the unmap. What the
 * CPU's caches need for that is done here, and only that.
 *
 * A device that is physical (see struct dma_buf_device_parameters) gets physical addresses. Pages
 * are pinned as long as it has them.
 *
 * Return: the table; NULL with errno EINVAL (NULL, DMA_NONE, a direction that the device is not
 * attached for, use after detach), EPERM (a device needs physical addresses, which are shown to
 * those with CAP_SYS_ADMIN only, or pages cannot be pinned), EOPNOTSUPP (likewise), EACCES (the
 * device would write a read-only buffer), EBUSY (a kept table has another direction), E2BIG (the
 * device's limits cannot represent the buffer), ENOMEM, ECHILD, with a non-coherent device
 * ETIMEDOUT and EIO as dma_buf_begin_cpu_access(), or what the exporter or the device answered. May
 * block. Rows A5, C1.
 */
struct dma_buf_sg_table *dma_buf_map_attachment(struct dma_buf_attachment *attach,
						enum dma_data_direction direction);

/**
 * dma_buf_map_attachment_attrs - map, saying how coherent this mapping is
 * @attach: the attachment
 * @direction: which way the device will transfer
 * @attrs: 0 (the device's own), DMA_BUF_MAP_COHERENT or DMA_BUF_MAP_NONCOHERENT; and
 *	DMA_BUF_MAP_ZERO_COPY or not
 *
 * Coherency belongs to a mapping: one device can do both kinds of access (row C3).
 *
 * Return: as dma_buf_map_attachment(); EINVAL for other attrs; EOPNOTSUPP, or what the device says,
 * if nothing may be copied and would be (row F7).
 */
struct dma_buf_sg_table *dma_buf_map_attachment_attrs(struct dma_buf_attachment *attach,
						      enum dma_data_direction direction,
						      unsigned int attrs);

/**
 * dma_buf_try_map_attachment - map, if that needs no waiting
 * @attach: the attachment
 * @direction: which way the device will transfer
 *
 * Return: as dma_buf_map_attachment(); EBUSY where that would block: another thread is mapping, or
 * the exporter has no try_map_dma_buf and no kept table. Row A8.
 */
struct dma_buf_sg_table *dma_buf_try_map_attachment(struct dma_buf_attachment *attach,
						    enum dma_data_direction direction);

/**
 * dma_buf_unmap_attachment - the device is done
 * @attach: the attachment
 * @table: from the map
 * @direction: the map's direction
 *
 * A kept table is only marked unmapped. Return: 0; -EINVAL (not a mapped table of this attachment,
 * another direction), -ECHILD. May block. Row A5.
 */
int dma_buf_unmap_attachment(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			     enum dma_data_direction direction);

/**
 * dma_buf_sync_sg_for_cpu - the CPU takes the buffer over, the mapping stays
 * @attach: the attachment
 * @table: a mapped table
 * @direction: the map's direction
 *
 * Until dma_buf_sync_sg_for_device() the CPU may read, and unless the direction is
 * DMA_FROM_DEVICE, write. Return: 0; -EINVAL (not mapped, another direction, NULL), -EALREADY (the
 * CPU owns it through this table already), -ECHILD. May block. Row C1.
 */
int dma_buf_sync_sg_for_cpu(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			    enum dma_data_direction direction);

/**
 * dma_buf_sync_sg_for_device - the device takes the buffer over again
 * @attach: the attachment
 * @table: a mapped table
 * @direction: the map's direction
 *
 * Return: 0; -EINVAL (not mapped, another direction, NULL), -EALREADY (the device owns it),
 * -ECHILD. May block. Row C1.
 */
int dma_buf_sync_sg_for_device(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			       enum dma_data_direction direction);

/* Raw access: row C2 */

/**
 * dma_buf_get_scatterlist - the buffer's memory, not mapped for any device
 * @dmabuf: the buffer
 *
 * For importers that map for themselves: orig_nents entries, nents is 0.
 *
 * Return: a table for dma_buf_put_scatterlist(); NULL with errno EINVAL (NULL, or memory without
 * such a form), ENOMEM, ECHILD. May block. Row C2.
 */
struct dma_buf_sg_table *dma_buf_get_scatterlist(struct dma_buf *dmabuf);

/**
 * dma_buf_put_scatterlist - give back what dma_buf_get_scatterlist() returned
 * @dmabuf: the buffer
 * @table: the table; NULL is ignored
 */
void dma_buf_put_scatterlist(struct dma_buf *dmabuf, struct dma_buf_sg_table *table);

/**
 * dma_buf_get_pfns - the page frames behind a buffer
 * @dmabuf: the buffer
 *
 * Pages are brought in and locked while the result is held, so that they are not swapped out; the
 * kernel may still migrate them (compaction).
 *
 * Return: for dma_buf_put_pfns(); NULL with errno EPERM (this process may not read frame numbers:
 * CAP_SYS_ADMIN), EINVAL (memory without frames), ENOMEM, EAGAIN (pages would not stay), ECHILD.
 * May block. Row C2.
 */
struct dma_buf_pfns *dma_buf_get_pfns(struct dma_buf *dmabuf);

/**
 * dma_buf_put_pfns - give back what dma_buf_get_pfns() returned
 * @dmabuf: the buffer
 * @pfns: the frames; NULL is ignored
 */
void dma_buf_put_pfns(struct dma_buf *dmabuf, struct dma_buf_pfns *pfns);

/* CPU access: rows B1 to B4 */

/**
 * dma_buf_begin_cpu_access - the CPU is about to touch a range
 * @dmabuf: the buffer
 * @start: first byte
 * @len: bytes; 0 is an empty bracket
 * @direction: DMA_FROM_DEVICE: the CPU reads; DMA_TO_DEVICE: it writes; DMA_BIDIRECTIONAL: both
 *
 * Brackets nest and may overlap; each is ended by an end with the same values. On coherent memory
 * this makes no system call once the buffer is mapped.
 *
 * Return: 0; -EINVAL (NULL, DMA_NONE, a range outside the buffer), -EACCES (writing a read-only
 * buffer), -ENOMEM, -ECHILD, -ETIMEDOUT (the coherency state is locked by a peer that does not
 * move), -EIO (a holder wiped the buffer's shared state), or what the exporter answered. May block.
 * Row B1.
 */
int dma_buf_begin_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
			     enum dma_data_direction direction);

/**
 * dma_buf_end_cpu_access - the CPU is done with a range
 * @dmabuf: the buffer
 * @start: as in the begin
 * @len: as in the begin
 * @direction: as in the begin
 *
 * Ends a bracket whatever else happens. Return: 0; -EINVAL for an end that no begin of this process
 * matches (nothing is changed); -ECHILD; another negative errno if the exporter's or the
 * cache operation failed: the bracket is ended all the same. May block. Row B1.
 */
int dma_buf_end_cpu_access(struct dma_buf *dmabuf, size_t start, size_t len,
			   enum dma_data_direction direction);

/**
 * dma_buf_begin_cpu_access_many - begin on many ranges, all or none
 * @accesses: the ranges
 * @count: how many, up to 1024
 *
 * Return: 0; the first failure's negative errno, with nothing begun. Row B4.
 */
int dma_buf_begin_cpu_access_many(const struct dma_buf_access *accesses, size_t count);

/**
 * dma_buf_end_cpu_access_many - end many ranges; goes on after a failure
 * @accesses: the ranges
 * @count: how many, up to 1024
 *
 * Return: 0, or the first failure's negative errno. Row B4.
 */
int dma_buf_end_cpu_access_many(const struct dma_buf_access *accesses, size_t count);

/**
 * dma_buf_kmap - the address of one page
 * @dmabuf: the buffer
 * @page: index, in units of the system's page
 *
 * Call between begin and end that touch the page; nests. Return: the address; NULL only for misuse
 * (NULL, a page outside the buffer, a buffer that this process never began to access). Row B2.
 */
void *dma_buf_kmap(struct dma_buf *dmabuf, unsigned long page);

/**
 * dma_buf_kunmap - done with an address of dma_buf_kmap()
 * @dmabuf: the buffer
 * @page: as in the kmap
 * @vaddr: what it returned
 */
void dma_buf_kunmap(struct dma_buf *dmabuf, unsigned long page, void *vaddr);

/**
 * dma_buf_kmap_atomic - dma_buf_kmap() that never blocks
 * @dmabuf: the buffer
 * @page: index, in units of the system's page
 *
 * A thread holds at most DMA_BUF_MAX_ATOMIC_KMAPS at a time; a third is NULL with errno EBUSY.
 * Return: as dma_buf_kmap(). Row B2.
 */
void *dma_buf_kmap_atomic(struct dma_buf *dmabuf, unsigned long page);

/**
 * dma_buf_kunmap_atomic - done with an address of dma_buf_kmap_atomic()
 * @dmabuf: the buffer
 * @page: as in the kmap
 * @vaddr: what it returned
 */
void dma_buf_kunmap_atomic(struct dma_buf *dmabuf, unsigned long page, void *vaddr);

/**
 * dma_buf_vmap - the whole buffer's address
 * @dmabuf: the buffer
 *
 * Counted; the same address each time. Mapped once and kept until this process's last reference
 * goes (row B4). Read-only in other processes than the exporting one if the buffer is O_RDONLY.
 * A forked child does not inherit it.
 *
 * Return: the address; NULL with errno EINVAL, ENOMEM, ECHILD, or the exporter's. May block. Row
 * B3.
 */
void *dma_buf_vmap(struct dma_buf *dmabuf);

/**
 * dma_buf_vunmap - one vmap less
 * @dmabuf: the buffer
 * @vaddr: what dma_buf_vmap() returned
 */
void dma_buf_vunmap(struct dma_buf *dmabuf, void *vaddr);

/**
 * dma_buf_mmap - a mapping of its own
 * @dmabuf: the buffer
 * @offset: first byte, a multiple of the page
 * @length: bytes, 1 or more; offset + length at most the size rounded up to a page
 * @prot: PROT_READ, PROT_WRITE or both
 *
 * The mapping keeps the buffer from being released, as an open descriptor does.
 *
 * Return: an address for dma_buf_munmap(), valid even after the handle is gone; NULL with errno
 * EINVAL, EACCES (PROT_WRITE on an O_RDONLY buffer), ENOMEM, ECHILD. May block. Row B3.
 */
void *dma_buf_mmap(struct dma_buf *dmabuf, size_t offset, size_t length, int prot);

/**
 * dma_buf_munmap - undo dma_buf_mmap()
 * @vaddr: what it returned
 * @length: as given to it
 *
 * Return: 0; -EINVAL.
 */
int dma_buf_munmap(void *vaddr, size_t length);

/* Ready-made ops for exporters of the library's own memory */

/** dma_buf_memory_map - map_dma_buf: pieces split by the device's limits, translated by its ops */
struct dma_buf_sg_table *dma_buf_memory_map(struct dma_buf_attachment *attach,
					    enum dma_data_direction direction);
/** dma_buf_memory_unmap - unmap_dma_buf for tables of dma_buf_memory_map() */
void dma_buf_memory_unmap(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
			  enum dma_data_direction direction);
/** dma_buf_memory_kmap - kmap and kmap_atomic: the page in the kept mapping; never blocks */
void *dma_buf_memory_kmap(struct dma_buf *dmabuf, unsigned long page);

#else
#include <dmabuf/stubs/dma-buf.h>
#endif /* DMABUF_DISABLED */

#ifdef __cplusplus
}
#endif
#endif
