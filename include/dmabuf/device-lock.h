/* SPDX-License-Identifier: MIT */
/**
 * DOC: device locks
 *
 * A killed process is gone before its devices are: a transfer that it started goes on, and writes
 * into memory that others have by then. So an access of a DMA type (DMA_BUF_ACCESS_DMA_R, _DMA_W)
 * of a dead process keeps the buffer until its *device lock* is free too (mission row D5). The
 * library's own block devices see to it. Whoever drives a device otherwise says with a descriptor
 * how long the transfers go on: it is given to whatever in the kernel lives as long as they do. As
 * long as a copy of it exists anywhere, the device counts as being at work.
 *
 * For io_uring that is the table of registered files. The kernel empties it when the ring goes, and
 * a ring goes after its last request has ended:
 *
 *	int lock = dma_buf_device_lock_fd(dmabuf, O_CLOEXEC);
 *
 *	io_uring_ring_dontfork(&ring);
 *	io_uring_register_files_sparse(&ring, 16);
 *	io_uring_register_files_update(&ring, 0, &lock, 1);
 *	close(lock);
 *	... lock with DMA_BUF_ACCESS_DMA_W, submit reads into the buffer, reap, unlock ...
 *
 * A child that inherits the ring or the descriptor counts as a copy, hence the first line,
 * O_CLOEXEC and, after a fork() without exec, close(). Transfers that a system call waits for
 * (read(), O_DIRECT or not) need nothing of this: a thread inside one keeps its process's place.
 */
#ifndef DMABUF_DEVICE_LOCK_H
#define DMABUF_DEVICE_LOCK_H

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DMABUF_DISABLED
/**
 * dma_buf_device_lock_fd - a descriptor that stands for transfers that are under way
 * @dmabuf: the buffer
 * @flags: O_CLOEXEC or 0
 *
 * While the process lives its device lock says nothing: its own unlock does. So the descriptor can
 * be kept for as long as the device is, and one serves any number of transfers. Descriptors of one
 * handle are copies of each other. The buffer's release, too, waits for copies that outlive their
 * process.
 *
 * Return: a new descriptor, the caller's to close; -EINVAL (NULL, @flags), -ECHILD, -EMFILE,
 * -ENFILE, -ENOMEM, -EAGAIN (somebody else has the lock, which only a hostile holder does). Never
 * blocks. Row D5.
 */
int dma_buf_device_lock_fd(struct dma_buf *dmabuf, int flags);
#else
#include <dmabuf/stubs/device-lock.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
