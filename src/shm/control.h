/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SHM_CONTROL_H
#define DMABUF_SHM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "shm/layout.h"

/* This process's view of a control block. */
struct control {
	void *base; /* start of the mapping; in the compact layout of the payload too */
	size_t length;
	size_t file_size;
	uint64_t size; /* payload bytes, once control_format() or control_read() knows */
	struct shm_header *header;
	struct shm_attachment *attachments;
	struct shm_resv *resv;
	struct shm_storage *storage;
	uint32_t resv_first; /* below SHM_RESV_LINES, once control_format() or control_read() knows
			      */
};

/* A checked private copy of what never changes after creation. */
struct control_facts {
	uint64_t size;
	uint32_t flags;
	uint32_t exporter_generation;
	uint64_t payload_dev;
	uint64_t payload_ino;
	uint32_t resv_first;
	uint32_t rendezvous;
	/* Of a deferred buffer. */
	uint8_t home_name[16] __attribute__((aligned(8)));
	uint8_t home_secret[16] __attribute__((aligned(8)));
	char exp_name[DMA_BUF_NAME_LEN];
};

size_t page_size(void);
size_t page_round_up(size_t size);

/* Cache maintenance is by lines: the last may reach past the payload, but not past its page. */
uint64_t control_whole_lines(uint64_t size);

/* Bytes that the control block takes at the end of the file. */
size_t control_size(void);

/*
 * Is @fd a memfd that cannot change its size under us, of a size that makes sense? Fills @st. The
 * words say @shown, the number that the caller knows. @fd must be nobody else's to close.
 * 0, -EBADF, -EINVAL, -EOPNOTSUPP (a kernel dma-buf) with words.
 */
int control_check_fd(int fd, int shown, struct stat *st);

/* Map all of @file_size bytes, or only the control block at its end. */
int control_map(struct control *c, int fd, size_t file_size, bool whole, bool writable);
void control_unmap(struct control *c);

/*
 * mmap() for a mapping that forked children do not inherit: it keeps its description, and with it
 * the lock on a slot, so that a child's copy would make its parent look alive after the parent's
 * death. NULL with errno and words.
 */
void *map_for_us(int fd, size_t offset, size_t length, int prot);

/* Write the constant part of a fresh, zeroed block. The magic goes last. */
void control_format(struct control *c, const struct control_facts *facts);

/* Copy and check the constant part. 0, -EINVAL, -EPROTO with words. */
int control_read(struct control *c, size_t file_size, struct control_facts *facts);

/* -EIO with words if the block was punched out or overwritten since it was mapped. */
int control_intact(const struct control *c);

void control_get_name(const struct control *c, char *name);
void control_set_name(struct control *c, const char *name);

/* A private copy of words that others may be writing: each is read once. @size: a multiple of 8. */
void control_copy(void *to, const void *from, size_t size);

#define control_count(c, counter, n) \
	atomic_fetch_add_explicit(&(c)->header->counters.counter, (n), memory_order_relaxed)

#endif
