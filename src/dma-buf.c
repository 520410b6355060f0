// SPDX-License-Identifier: MIT
/* A buffer's descriptors, references and name; its making is dma-buf-export.c, dma-buf-get.c. */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "attachment.h"
#include "error.h"
#include "export.h"
#include "kernel/dmabuf.h"
#include "kernel/storage.h"
#include "process.h"
#include "reaper.h"
#include "registry.h"
#include "storage-deferred.h"
#include "storage-pin.h"
#include "text.h"

static int duplicate(int fd, int flags)
{
	int copy;

	if (flags & ~O_CLOEXEC)
		return dmabuf_fail(EINVAL, "descriptor flags 0x%x: only O_CLOEXEC is known",
				   (unsigned int)flags);
	copy = fcntl(fd, (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (copy < 0)
		return dmabuf_fail(errno, "no descriptor to be had: %s", strerror(errno));
	return copy;
}

DMABUF_PUBLIC int dma_buf_fd(struct dma_buf *dmabuf, int flags)
{
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	atomic_store(&to_buffer(dmabuf)->escaped, true);
	/* What drivers take, and from which every process finds the state. */
	if (storage_is_kernel(&to_buffer(dmabuf)->storage))
		return duplicate(to_buffer(dmabuf)->storage.fd, flags);
	return duplicate(to_buffer(dmabuf)->fd, flags);
}

/* Where it is now, and stays. */
static int storage_hand_out(struct buffer *b, int flags)
{
	int fd = storage_access_begin(b, STORAGE_WAIT);

	if (fd)
		return fd;
	fd = duplicate(b->storage.fd, flags);
	/* Nobody moves it before the end of this access, nor, having seen this, after. */
	if (fd >= 0)
		atomic_fetch_or(&shared_storage(b)->out, SHM_STORAGE_RAW);
	storage_access_end(b);
	return fd;
}

DMABUF_PUBLIC int dma_buf_payload_fd(struct dma_buf *dmabuf, int flags)
{
	struct buffer *b = to_buffer(dmabuf);
	int err = buffer_check(dmabuf);

	if (err)
		return err;
	atomic_store(&b->escaped, true);
	if (b->storage.deferred)
		return storage_hand_out(b, flags);
	return duplicate(b->storage.own_fd ? b->storage.fd : b->fd, flags);
}

DMABUF_PUBLIC void get_dma_buf(struct dma_buf *dmabuf)
{
	if (!dmabuf)
		return;
	registry_lock();
	to_buffer(dmabuf)->refs++;
	registry_unlock();
}

/* With the registry's lock held: may the handle go now, or must it wait for others? */
static bool last_of_all(struct buffer *b)
{
	if (!b->exporter && !atomic_load(&b->pending))
		return true;
	buffer_close_fd(&b->fd);
	return buffer_unused(b);
}

DMABUF_PUBLIC void dma_buf_put(struct dma_buf *dmabuf)
{
	struct buffer *b = to_buffer(dmabuf);
	bool finish = false;

	if (!b)
		return;
	if (b->cookie != process_cookie()) {
		/* A parent's handle, seen by its child: only the child's copy of the memory goes.
		 */
		if (--b->refs == 0) {
			attachments_forget(b);
			buffer_destroy(b);
		}
		return;
	}
	registry_lock();
	if (--b->refs == 0) {
		finish = last_of_all(b);
		if (finish)
			registry_remove(b);
		else
			b->zombie = true;
	}
	if (b->zombie && !finish)
		reaper_wake();
	else
		reaper_retry();
	registry_unlock();
	if (finish)
		reaper_finish(b);
}

DMABUF_PUBLIC int dma_buf_set_name(struct dma_buf *dmabuf, const char *name)
{
	int err = buffer_check(dmabuf);

	if (!err)
		err = text_check(name, DMA_BUF_NAME_LEN, true, "buffer name");
	if (!err && storage_is_kernel(&to_buffer(dmabuf)->storage))
		err = kernel_set_name(to_buffer(dmabuf)->storage.fd, name);
	if (!err)
		control_set_name(&to_buffer(dmabuf)->control, name);
	return err;
}
