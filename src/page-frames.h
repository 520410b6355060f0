/* SPDX-License-Identifier: MIT */
/*
 * Physical page frames of memory that this process has mapped, and keeping them where they are.
 *
 * The kernel moves pages about (compaction, memory that goes offline), and whoever can write to a
 * memfd can punch holes into it, which frees pages. Only pinned ones stay a device's to use all the
 * same. What pins, and needs no privilege, is registering memory with an io_uring; that needs a
 * writable mapping. mlock() keeps pages in memory, but does not pin: that has to do for read-only
 * shares, which nobody can punch.
 */
#ifndef DMABUF_SRC_PAGE_FRAMES_H
#define DMABUF_SRC_PAGE_FRAMES_H

#include "buffer.h"
#include "registry.h"

struct page_hold {
	struct registry_fd ring;
	bool pinned;
};

/*
 * Keep the buffer's pages, mapped at its storage's kept mapping, in place until page_hold_end(). 0,
 * or -ENOMEM, -EPERM, -EOPNOTSUPP with words. After it pages are there, and have frames.
 */
int page_hold_begin(struct page_hold *hold, struct buffer *b);
void page_hold_end(struct page_hold *hold, struct buffer *b);

/* Pin what is mapped at @addr. 0, or -errno with no words: nothing is held then. */
int page_pin(struct page_hold *hold, void *addr, size_t length);
void page_unpin(struct page_hold *hold);

/* mlock() of the same, counted. With the buffer's access_lock held. */
int pages_lock(struct buffer *b);
void pages_unlock(struct buffer *b);

/* /proc/self/pagemap; -errno with words. */
int page_frames_open(void);

/*
 * The frames of @count pages from @addr. 0; -EAGAIN (a page is not in memory), -EPERM (the kernel
 * does not show frames to this process), -errno with words.
 */
int page_frames_read(int fd, const void *addr, uint64_t *frames, size_t count);

#endif
