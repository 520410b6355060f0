// SPDX-License-Identifier: MIT
/*
 * A handle for a descriptor that came from anywhere (mission row A3): the one that this process has
 * already, or a new one, which joins the buffer's holders.
 */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/check.h"
#include "error.h"
#include "export.h"
#include "exporter.h"
#include "kernel/adopt.h"
#include "kernel/dmabuf.h"
#include "kernel/rendezvous.h"
#include "kernel/storage.h"
#include "ownership.h"
#include "registry.h"
#include "storage-deferred.h"

/* With the registry's lock held. Compact storage is mapped through the published description. */
static void set_published(struct buffer *b, int *fd)
{
	b->fd = *fd;
	*fd = -1;
	if (!b->storage.own_fd)
		b->storage.fd = b->fd;
}

static struct buffer *other_state(const struct buffer *b)
{
	return dmabuf_fail_ptr(
		EBUSY,
		"this process has kernel dma-buf %llu with another shared state than "
		"the one that came: drop that handle first",
		(unsigned long long)b->key.inode);
}

/*
 * Another reference to a handle that this process has already; wakes a zombie up. NULL: there is
 * none, with errno 0, or there is one that is not to be had.
 */
static struct buffer *find_again(const struct buffer_key *key, int *fd)
{
	struct buffer *b;

	errno = 0;
	registry_lock();
	b = registry_find(key);
	if (b && storage_is_kernel(&b->storage) && !kernel_same_state(b, *fd)) {
		b = other_state(b);
	} else if (b && b->zombie) {
		b->zombie = false;
		b->refs = 0;
		set_published(b, fd);
		client_publish(b->fd);
	}
	if (b)
		b->refs++;
	registry_unlock();
	return b;
}

static int adopt_storage(struct buffer *b, const struct control_facts *facts, int payload_fd,
			 int home)
{
	if (!(facts->flags & SHM_KERNEL) && payload_fd >= 0 && kernel_is_dmabuf(payload_fd))
		return dmabuf_fail(
			EINVAL,
			"descriptor %d is a kernel dma-buf, and the buffer's state is not "
			"about one",
			payload_fd);
	if (!(facts->flags & SHM_SPLIT)) {
		storage_compact(&b->storage, b->fd, &b->control, facts->size);
		return 0;
	}
	if (facts->flags & SHM_DEFERRED)
		return storage_adopt_deferred(b, facts, payload_fd, home);
	if (!(facts->flags & (SHM_READ_ONLY | SHM_KERNEL)))
		return dmabuf_fail(EOPNOTSUPP, "this kind of split buffer is not known here");
	if (payload_fd < 0)
		return dmabuf_fail(
			ENODATA,
			"the payload's descriptor did not come along: pass the buffer with "
			"dma_buf_send(), or use dma_buf_get_split()");
	if (facts->flags & SHM_KERNEL)
		return storage_adopt_kernel(&b->storage, payload_fd, facts, &b->control);
	return storage_adopt_read_only(&b->storage, payload_fd, facts);
}

/* Join as a new holder. b->fd is set; buffer_destroy() undoes any part. */
static int adopt(struct buffer *b, const struct stat *st, int payload_fd, int home)
{
	struct control_facts facts = { .size = 0 };
	size_t file_size = (size_t)st->st_size;
	int err;

	err = buffer_open_client(b);
	if (!err)
		err = control_map(&b->control, b->client.fd, file_size, true, true);
	if (!err)
		err = control_read(&b->control, file_size, &facts);
	if (!err)
		b->base.size = facts.size;
	if (!err)
		err = adopt_storage(b, &facts, payload_fd, home);
	if (!err)
		err = client_publish(b->fd);
	if (!err)
		err = client_join(&b->client, &b->control);
	if (err)
		return err;
	b->base.flags = (facts.flags & SHM_READ_ONLY) ? O_RDONLY : O_RDWR;
	b->own_tables = facts.flags & SHM_OWN_TABLES;
	memcpy(b->exp_name, facts.exp_name, sizeof(b->exp_name));
	err = check_adopt(b);
	if (!err)
		err = exporter_open(b);
	if (err)
		return err;
	ownership_recover(b);
	if (facts.flags & SHM_KERNEL)
		kernel_serve(b, facts.rendezvous);
	return 0;
}

/* Two threads may have joined at the same time; one handle stays. NULL: no memory, @b is left. */
static struct buffer *publish_handle(struct buffer *b)
{
	struct buffer *known;
	int err = 0;

	registry_lock();
	known = registry_find(&b->key);
	if (known) {
		known->refs = known->zombie ? 1 : known->refs + 1;
		known->zombie = false;
		if (known->fd < 0) {
			set_published(known, &b->fd); /* published when it was adopted */
		}
	} else {
		err = registry_add(b);
	}
	registry_unlock();
	if (!known && !err)
		return b;
	exporter_close(b);
	if (known)
		buffer_destroy(b);
	return known;
}

static struct dma_buf *get_failed(struct buffer *b, int err)
{
	buffer_destroy(b);
	errno = -err;
	return NULL;
}

struct dma_buf *buffer_get_owned(int fd, int shown, int payload_fd, int home)
{
	struct buffer *b, *known;
	struct stat st;
	int err;

	if (kernel_is_dmabuf(fd))
		return kernel_adopt(fd, shown, 0);
	b = buffer_new();
	if (!b) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	b->fd = fd;
	err = control_check_fd(fd, shown, &st);
	if (!err && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		err = dmabuf_fail(EACCES,
				  "descriptor %d is not open for reading and writing; taking part "
				  "needs O_RDWR (ask for a read-only share instead)",
				  shown);
	if (err)
		return get_failed(b, err);
	b->key.device = st.st_dev;
	b->key.inode = st.st_ino;
	(void)kernel_payload_key(payload_fd, &b->key);
	known = find_again(&b->key, &b->fd);
	if (!known && errno)
		return get_failed(b, -errno);
	if (known) {
		err = control_intact(&known->control);
		if (!err) {
			buffer_destroy(b);
			return &known->base;
		}
		dma_buf_put(&known->base);
		return get_failed(b, err);
	}
	err = adopt(b, &st, payload_fd, home);
	if (err)
		return get_failed(b, err);
	known = publish_handle(b);
	return known ? &known->base : get_failed(b, -ENOMEM);
}

DMABUF_PUBLIC struct dma_buf *dma_buf_get_split(int fd, int payload_fd)
{
	/* A copy of our own: what the caller's number means may change while we look. */
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0 && errno == EBADF)
		return dmabuf_fail_ptr(EBADF, "descriptor %d is not open", fd);
	if (own < 0)
		return dmabuf_fail_ptr(errno, "no descriptor to be had: %s", strerror(errno));
	return buffer_get_owned(own, fd, payload_fd, -1);
}

DMABUF_PUBLIC struct dma_buf *dma_buf_get(int fd)
{
	return dma_buf_get_split(fd, -1);
}
