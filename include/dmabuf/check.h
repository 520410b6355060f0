/* SPDX-License-Identifier: MIT */
/**
 * DOC: checking mode
 *
 * A program that touches a buffer outside of an access, or in a direction that it did not ask for,
 * works on the machine where it was written: memory is coherent there, and nobody else was at it
 * just then. In checking mode (row C4) such a program is told, by name, at the instruction that did
 * it. The addresses of dma_buf_vmap(), dma_buf_kmap() and dma_buf_mmap() are then accessible only
 * while the process has an access to those pages (dma_buf_begin_cpu_access(), a lock for the CPU,
 * dma_buf_sync_sg_for_cpu()), and only to read if that is what it is for. Calls that break a rule
 *are reported, too, whatever else they answer.
 *
 * It is switched on from outside, for the whole process, by the environment:
 *
 *	DMABUF_CHECK=1			reports to standard error; a touch that breaks a rule ends
 *the process by SIGSEGV, as for any other memory that is not to be accessed DMABUF_CHECK=continue
 *reports and goes on DMABUF_CHECK=log=PATH		reports are appended to a file; also:
 *continue,log=PATH
 *
 * (0 or nothing: off; not looked at in a program with privileges of its own), or by
 * dma_buf_check_start(). What it cannot see is written down in docs/checking.md.
 */
#ifndef DMABUF_CHECK_H
#define DMABUF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum dma_buf_check_rule - which rule was broken
 * @DMA_BUF_CHECK_OUTSIDE: the CPU touched bytes outside of any access
 * @DMA_BUF_CHECK_DIRECTION: written where only reading was asked for; an end, unmap, sync or
 *	transfer in another direction than what it belongs to
 * @DMA_BUF_CHECK_OWNER: the CPU touched, or began to access, what a device or somebody's lock has;
 *	or a device was given what the CPU is at
 * @DMA_BUF_CHECK_UNBALANCED: an end without its begin, or a begin without its end
 */
enum dma_buf_check_rule {
	DMA_BUF_CHECK_OUTSIDE = 1,
	DMA_BUF_CHECK_DIRECTION = 2,
	DMA_BUF_CHECK_OWNER = 3,
	DMA_BUF_CHECK_UNBALANCED = 4,
};

/** DMA_BUF_CHECK_NAME_LEN - room for a process's or a thread's name, the closing NUL included */
#define DMA_BUF_CHECK_NAME_LEN 16

/**
 * struct dma_buf_check_report - one breach of the rules
 * @size: sizeof(struct dma_buf_check_report)
 * @rule: which one
 * @touched: an instruction touched the bytes; else a call of the library broke the rule
 * @write: the bytes were, or are to be, written
 * @name: the buffer's name
 * @inode: of the buffer's descriptor, which dmabuf ls shows
 * @process: the program's name
 * @pid: of the process
 * @thread: the name of the thread that did it
 * @tid: its number
 * @offset: first byte in the buffer
 * @length: bytes; 1 if @touched
 * @address: of what was touched; NULL otherwise
 * @caller: the instruction that touched it, or the one after the call; NULL: not known
 * @text: all of it in words, one line without a newline
 *
 * Pointers in it are valid during the call only.
 */
struct dma_buf_check_report {
	size_t size;
	enum dma_buf_check_rule rule;
	bool touched;
	bool write;
	char name[DMA_BUF_NAME_LEN];
	uint64_t inode;
	char process[DMA_BUF_CHECK_NAME_LEN];
	pid_t pid;
	char thread[DMA_BUF_CHECK_NAME_LEN];
	pid_t tid;
	uint64_t offset;
	uint64_t length;
	const void *address;
	const void *caller;
	const char *text;
};

/**
 * dma_buf_check_fn - receives reports
 * @report: what was found
 * @data: what was given to dma_buf_check_start()
 *
 * Called in the thread that broke the rule; it may call dma_buf_check_reports() and nothing else of
 * this library. If @report->touched it runs in a signal handler, in the middle of whatever touched
 * the bytes: it may call what is async-signal-safe, end the process, or leave by siglongjmp().
 */
typedef void (*dma_buf_check_fn)(const struct dma_buf_check_report *report, void *data);

/** DMA_BUF_CHECK_CONTINUE - after a report, the touch is let through */
#define DMA_BUF_CHECK_CONTINUE 1u

/**
 * struct dma_buf_check_options - how to check
 * @size: sizeof(struct dma_buf_check_options)
 * @flags: 0 or DMA_BUF_CHECK_CONTINUE
 * @report: gets the reports; NULL: they go where the environment says, or to standard error
 * @data: handed to @report as it is
 */
struct dma_buf_check_options {
	size_t size;
	unsigned int flags;
	dma_buf_check_fn report;
	void *data;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_check_start - check, from now on
 * @options: how; NULL: all zero
 *
 * For handles that this process makes afterwards: call it before the first. It stays on. Called
 * again, or where the environment has switched it on, only @options change. A handler for SIGSEGV
 * is installed, which hands on what is not about buffers to the one that was there before; one that
 * the program installs later takes its place.
 *
 * Return: 0; -EINVAL (size, unknown flags). Thread-safe. Never blocks for long. Row C4.
 */
int dma_buf_check_start(const struct dma_buf_check_options *options);

/**
 * dma_buf_check_reports - how many reports there were
 *
 * Return: those of this process since it started; 0 where nothing is checked. Async-signal-safe.
 */
uint64_t dma_buf_check_reports(void);
#else
#include <dmabuf/stubs/check.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
