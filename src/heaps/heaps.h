/* SPDX-License-Identifier: MIT */
/*
 * Inside the heaps. Each built-in one has a file that says what it offers on this machine and,
 * where it is simple, allocates from it.
 */
#ifndef DMABUF_SRC_HEAPS_HEAPS_H
#define DMABUF_SRC_HEAPS_HEAPS_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/heap.h>

#define HEAP_PAGE UINT64_C(4096)
#define HEAP_HUGE_PAGE (UINT64_C(2) << 20)
#define HEAP_MAX_SIZE (UINT64_C(1) << 40)

/* Where to look: "" for this machine, or a directory with proc, sys and dev in it. */
struct heap_places {
	const char *root;
	uint64_t highest_address; /* looked up before; 0: not yet */
};

struct heap_class {
	/* Adds up to @max heaps to @list; entries arrive zeroed with size set. Returns how many. */
	unsigned int (*describe)(const struct heap_places *places, struct dma_buf_heap_info *list,
				 unsigned int max);
	/* NULL: the library cannot. @size was rounded up. A descriptor, or -errno with words. */
	int (*alloc)(const char *name, uint64_t size);
	const char *name; /* of the heap that alloc is for */
	/* Instead of alloc, of a class with several heaps. */
	int (*alloc_from)(const char *heap, const char *name, uint64_t size);
};

extern const struct heap_class heap_memfd;
extern const struct heap_class heap_thp;
extern const struct heap_class heap_locked;
extern const struct heap_class heap_hugetlb;
extern const struct heap_class heap_secret;
extern const struct heap_class heap_kernel;

/* A heap that could not be had, and why. */
struct heap_attempt {
	char heap[DMA_BUF_HEAP_NAME_LEN];
	int32_t error; /* a positive errno */
	char why[92];
};

struct heap_attempts {
	uint32_t count;
	struct heap_attempt list[DMA_BUF_MAX_HEAPS];
};

/*
 * alloc.c: memory from the first of these heaps that has some. A descriptor and what the heap
 * offers, or what the last one said as -errno with all their words; @attempts (not NULL) has those
 * that failed. @accept has the last word about a descriptor: 0, or -errno with words.
 */
int heaps_alloc_first(const char (*heaps)[DMA_BUF_HEAP_NAME_LEN], unsigned int count,
		      const char *name, uint64_t size, int (*accept)(int fd, uint64_t size),
		      struct dma_buf_heap_info *info, struct heap_attempts *attempts);

/* pages.c: lock what was mapped from memory that is to be locked. 0 or -errno with words. */
int heap_lock(const void *memory, size_t length);

/* heaps.c: built-in and registered ones. */
unsigned int heaps_describe(const struct heap_places *places, struct dma_buf_heap_info *list,
			    unsigned int max);
/* One by its name; -ENOENT with words. Registered ones give their ops, built-in ones their class.
 */
int heaps_find(const char *name, struct dma_buf_heap_info *info, struct dma_buf_heap_ops *ops,
	       const struct heap_class **class);
void heaps_hold_for_fork(bool hold);

/* look.c: all tell "not there" as false or 0, and never fail otherwise. */
bool heap_read_text(const struct heap_places *places, const char *path, char *text, size_t size);
bool heap_read_number(const struct heap_places *places, const char *path, uint64_t *number);
/* The highest physical address of memory; 0: not known. */
uint64_t heap_highest_address(const struct heap_places *places);
/* Is there a limit to what this process may lock? Then *@room is what is left of it. */
bool heap_lock_room(const struct heap_places *places, uint64_t *room);
/* Ordinary memory of the kernel, named and priced. */
void heap_fill(struct dma_buf_heap_info *info, const char *name, uint32_t cost, uint64_t chunk,
	       uint64_t highest_address);

#endif
