/* SPDX-License-Identifier: MIT */
/*
 * The kernel's dma-bufs as the kernel shows them: what it says of one, and what it does with one
 * when asked. Nothing here knows of handles.
 */
#ifndef DMABUF_SRC_KERNEL_DMABUF_H
#define DMABUF_SRC_KERNEL_DMABUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>

/* Of one dma-buf. @device and @inode are its identity as long as the machine runs. */
struct kernel_facts {
	uint64_t device;
	uint64_t inode;
	uint64_t size;
	int mode; /* O_RDONLY, O_RDWR: of all its descriptors, as there is one description */
	char exp_name[DMA_BUF_NAME_LEN]; /* "kernel" where the kernel does not say */
	char name[DMA_BUF_NAME_LEN];
};

/*
 * Is @fd one? It is if its file system is the kernel's own one for them, which nothing else can
 * pretend to be. errno is kept.
 */
bool kernel_is_dmabuf(int fd);

/* 0; -EINVAL, -EACCES (cannot be read), -EFBIG with words that call it @shown. */
int kernel_describe(int fd, int shown, struct kernel_facts *facts);

/* Names in the text of its fdinfo; what is not there is left alone. */
void kernel_parse_fdinfo(const char *text, struct kernel_facts *facts);

/*
 * DMA_BUF_IOCTL_SYNC, again while a signal is in the way, until @deadline of clock_ns(). 0 or
 * -errno with words.
 */
int kernel_sync(int fd, uint64_t flags, uint64_t deadline);

/*
 * Sleep until the kernel's fences allow to read (@write: to write) or until @deadline of
 * clock_ns(); 0: only look. 0, -ETIMEDOUT, -EINTR (if @intr), others; without words.
 */
int kernel_wait(int fd, bool write, uint64_t deadline, bool intr);

/* The name that all who have it see. 0 or -errno with words. */
int kernel_set_name(int fd, const char *name);

/* The same without words, for names that are not asked for. */
int kernel_try_set_name(int fd, const char *name);

/*
 * The fences that who reads (@write: writes) waits for, as a sync_file. A descriptor or -errno
 * without words; -ENOTTY before Linux 6.0.
 */
int kernel_export_sync_file(int fd, bool write);

/* From now on whoever comes waits for @sync_file's fences, as after a read (@write: a write). */
int kernel_import_sync_file(int fd, int sync_file, bool write);

/* How many fences who reads (@write: writes) would wait for; 0 too if the kernel does not say. */
unsigned int kernel_pending(int fd, bool write);

/* Words for a wait that was too long: who is in the way, as far as the kernel says. */
int kernel_report(int fd, bool write, int err);

#endif
