/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: heaps
 *
 * Where memory for buffers comes from. Each heap says what it offers and what it costs; the
 * library looks at run time which ones this machine has. <dmabuf/constraints.h> chooses among them.
 */
#ifndef DMABUF_HEAP_H
#define DMABUF_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMA_BUF_HEAP_NAME_LEN - room for a heap's name, the closing NUL included */
#define DMA_BUF_HEAP_NAME_LEN 32
/** DMA_BUF_MAX_HEAPS - heaps that one negotiation can consider */
#define DMA_BUF_MAX_HEAPS 16
/** DMA_BUF_TRUST_HOLDERS - trust domain of memory that only processes with its descriptor reach */
#define DMA_BUF_TRUST_HOLDERS UINT64_C(1)

/**
 * struct dma_buf_heap_info - what a heap offers and what it costs
 * @size: sizeof(struct dma_buf_heap_info); lets the struct grow
 * @name: 1 to 31 bytes
 * @chunk: memory comes in physical pieces of this many bytes, each aligned to its size; a power of
 *	two; 0: in one piece
 * @usual_chunk: pieces as they usually come, where larger ones than @chunk are likely but not sure;
 *	a power of two; 0: @chunk
 * @alignment: a buffer starts at a multiple of this, in physical and in virtual addresses; a power
 *	of two, not below @chunk
 * @granule: sizes are rounded up to a multiple of this; a power of two; 0: 1
 * @max_size: the largest buffer; 0: no limit
 * @capacity: bytes that can be had now, all buffers together; 0: not limited or not known
 * @highest_address: no byte lies above this physical address; 0: not known
 * @trust_domain: 0: ordinary memory; else only devices of this domain reach it
 * @cost: the cheaper one is taken if two suit; ordinary pages are 10
 * @page_backed: the kernel has page structures of it
 * @cpu_mappable: the CPU can map it
 * @coherent: needs no cache maintenance for devices that are not coherent
 * @zeroed: memory arrives zeroed; the library zeroes what does not
 * @available: false: this machine does not have it now, @where says why
 * @where: how it was found, or why it is not available, in words
 *
 * Mission row F8.
 */
struct dma_buf_heap_info {
	size_t size;
	char name[DMA_BUF_HEAP_NAME_LEN];
	uint64_t chunk;
	uint64_t usual_chunk;
	uint64_t alignment;
	uint64_t granule;
	uint64_t max_size;
	uint64_t capacity;
	uint64_t highest_address;
	uint64_t trust_domain;
	uint32_t cost;
	bool page_backed;
	bool cpu_mappable;
	bool coherent;
	bool zeroed;
	bool available;
	char where[128];
};

/**
 * struct dma_buf_heap_ops - a heap of one's own
 * @size: sizeof(struct dma_buf_heap_ops); lets the struct grow
 * @name: 1 to 31 bytes; no other heap may have it
 * @describe: fills in what the heap offers now (@info arrives zeroed with size and name set); 0 or
 *	a negative errno, with which the heap counts as not available. Must not block.
 * @alloc: [optional] a descriptor of @size bytes or more, readable, writable, mappable at offset 0,
 *	close-on-exec; or a negative errno. Memory that is not zeroed says so in @describe, and is
 *	zeroed by the library, all of it. To be the storage of a buffer that others share it must
 *	be a memfd that allows sealing, secret memory or a kernel dma-buf; a file, which whoever
 *	holds it could truncate, is passed over.
 * @priv: given to both
 *
 * Called in the thread that asks, with no lock of the library held.
 */
struct dma_buf_heap_ops {
	size_t size;
	const char *name;
	int (*describe)(struct dma_buf_heap_info *info, void *priv);
	int (*alloc)(uint64_t size, void *priv);
	void *priv;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_heap_list - the heaps that there are, available or not
 * @heaps: filled in; heaps[0].size says how large the caller takes an entry to be
 * @max: room in it, 1 or more
 *
 * Looks anew each time: pools fill and empty. Built-in heaps come first, then registered ones in
 * the order of registration; those that do not fit are left out.
 *
 * Return: how many were filled in; -EINVAL (NULL, no room, a size the library does not know). Does
 * not wait for anything, but opens and reads a few files in /proc, /sys and /dev. Mission row F8.
 */
int dma_buf_heap_list(struct dma_buf_heap_info *heaps, unsigned int max);

/**
 * dma_buf_heap_alloc - memory from one heap
 * @heap: its name
 * @name: the memory's name for others to see, 1 to 31 bytes
 * @size: bytes, 1 to 2^40; rounded up to the heap's granule
 *
 * Return: a descriptor, close-on-exec, of zeroed memory, mappable at offset 0; -EINVAL (name or
 * size), -ENAMETOOLONG, -ENOENT (no such heap), -EOPNOTSUPP (it is described, but the library
 * cannot allocate from it), -ENOMEM (it has not that much), -EPERM, -ENODEV (not on this machine),
 * -EMFILE, -ENFILE, and what a registered heap says. May block. Mission row F8.
 */
int dma_buf_heap_alloc(const char *heap, const char *name, uint64_t size);

/**
 * dma_buf_register_heap - add a heap of one's own to those of this process
 * @ops: copied, but for @priv
 *
 * Return: 0; -EINVAL (NULL, size, name, no @describe), -ENAMETOOLONG, -EEXIST (the name is taken),
 * -ENOSPC (there are DMA_BUF_MAX_HEAPS already). Mission row F8.
 */
int dma_buf_register_heap(const struct dma_buf_heap_ops *ops);

/**
 * dma_buf_unregister_heap - take it away again
 * @name: as registered
 *
 * Memory that came from it stays. A call into the heap that another thread is in may still be under
 * way when this returns. Return: 0; -EINVAL, -ENAMETOOLONG, -ENOENT.
 */
int dma_buf_unregister_heap(const char *name);
#else
#include <dmabuf/stubs/heap.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
