// SPDX-License-Identifier: MIT
/* A handle's making, its end, and whether a call may use it. */
#include "buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer-resv.h"
#include "check/check.h"
#include "dmabuf-sync-single.h"
#include "error.h"
#include "kernel/rendezvous.h"
#include "process.h"
#include "registry.h"
#include "storage-deferred.h"

int buffer_check(const struct dma_buf *dmabuf)
{
	if (!dmabuf)
		return dmabuf_fail(EINVAL, "no buffer (NULL)");
	if (((const struct buffer *)dmabuf)->cookie != process_cookie())
		return dmabuf_fail(
			ECHILD, "the handle belongs to the parent process: call dma_buf_get() on "
				"the inherited descriptor");
	return 0;
}

int direction_check(enum dma_data_direction direction)
{
	if (direction == DMA_BIDIRECTIONAL || direction == DMA_TO_DEVICE ||
	    direction == DMA_FROM_DEVICE)
		return 0;
	return dmabuf_fail(EINVAL,
			   "direction %d is none of DMA_BIDIRECTIONAL, DMA_TO_DEVICE, "
			   "DMA_FROM_DEVICE",
			   (int)direction);
}

struct buffer *buffer_new(void)
{
	struct buffer *b = calloc(1, sizeof(*b));
	uint64_t cookie = process_cookie();
	pthread_mutexattr_t attr;

	if (!b || !cookie) {
		free(b);
		return dmabuf_fail_ptr(ENOMEM, "no memory for a handle");
	}
	b->cookie = cookie;
	b->refs = 1;
	b->fd = -1;
	client_init(&b->client);
	b->storage.fd = -1;
	b->brackets = b->brackets_inline;
	b->bracket_room = BRACKETS_INLINE;
	b->base.exp_name = b->exp_name;
	b->resv = buffer_resv_new(b);
	if (!b->resv) {
		client_destroy(&b->client);
		free(b);
		return dmabuf_fail_ptr(ENOMEM, "no memory for a handle");
	}
	b->base.resv = &b->resv->base;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&b->list_mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_mutex_init(&b->access_lock, NULL);
	registry_track(b);
	return b;
}

int buffer_device_fd(struct buffer *b)
{
	int err;

	registry_lock();
	err = client_open_device(&b->client);
	registry_unlock();
	return err ? err : b->client.device_fd;
}

int buffer_open_client(struct buffer *b)
{
	registry_lock();
	b->client.fd = client_reopen(b->fd);
	registry_unlock();
	return b->client.fd < 0 ? b->client.fd : 0;
}

bool buffer_unused(const struct buffer *b)
{
	return !atomic_load(&b->pending) && !(b->exporter && client_others(&b->client));
}

void buffer_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void buffer_destroy(struct buffer *b)
{
	registry_untrack(b);
	sync_single_drop(b, b->cookie == process_cookie());
	buffer_resv_free(b->resv, b->cookie == process_cookie());
	kernel_serve_end(b);
	if (b->cookie == process_cookie()) {
		storage_close_home(&b->storage);
		/* The slot is freed while its lock is still held. */
		if (b->control.header)
			life_end(&b->life, &b->control, b->client.slot);
		if (b->control.header)
			client_leave(&b->client, &b->control);
		if (b->storage.ops)
			b->storage.ops->drop(&b->storage);
		control_unmap(&b->control);
	} else {
		check_forget(b);
		storage_forget(&b->storage);
	}
	if (b->cookie != process_cookie())
		free(b->storage.access);
	/* A child inherited no mappings, and its descriptors were closed when it was forked. */
	client_destroy(&b->client);
	buffer_close_fd(&b->fd);
	if (b->brackets != b->brackets_inline)
		free(b->brackets);
	pthread_mutex_destroy(&b->list_mutex);
	pthread_mutex_destroy(&b->access_lock);
	free(b);
}
