// SPDX-License-Identifier: MIT
/*
 * Buffers and descriptors: export, fd, get, put. How bytes are kept is storage.h's, how processes
 * find each other shm/'s, attachments and access have files of their own.
 */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachment.h"
#include "error.h"
#include "export.h"
#include "exporter.h"
#include "kernel/adopt.h"
#include "kernel/dmabuf.h"
#include "kernel/rendezvous.h"
#include "kernel/storage.h"
#include "memfd.h"
#include "options.h"
#include "ownership.h"
#include "process.h"
#include "reaper.h"
#include "registry.h"
#include "storage-deferred.h"
#include "storage-pin.h"
#include "text.h"

#define MEMFD_PREFIX "dmabuf:"
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#define STORAGE_KNOWN (DMA_BUF_STORAGE_DEFERRED | DMA_BUF_STORAGE_FIXED)
/* What the first version had. */
#define EXPORT_INFO_LEAST offsetof(struct dma_buf_export_info, storage)

static int info_check(const struct dma_buf_export_info *info)
{
	int mode, err;

	if (!info->priv)
		return dmabuf_fail(EINVAL, "export info: priv is mandatory");
	err = exporter_check_ops(info->ops);
	if (err)
		return err;
	if (!info->size)
		return dmabuf_fail(EINVAL, "export info: size is 0");
	if (info->size > DMA_BUF_MAX_SIZE)
		return dmabuf_fail(EFBIG, "export info: size %zu is over the limit of %llu bytes",
				   info->size, (unsigned long long)DMA_BUF_MAX_SIZE);
	mode = info->flags & O_ACCMODE;
	if ((info->flags & ~(O_ACCMODE | O_CLOEXEC)) || (mode != O_RDWR && mode != O_RDONLY))
		return dmabuf_fail(
			EINVAL,
			"export info: flags 0x%x; O_RDWR or O_RDONLY, and O_CLOEXEC, are "
			"known",
			(unsigned int)info->flags);
	if ((info->storage & ~STORAGE_KNOWN) || info->storage == DMA_BUF_STORAGE_FIXED)
		return dmabuf_fail(EINVAL,
				   "export info: storage 0x%x; DMA_BUF_STORAGE_DEFERRED, and with "
				   "it DMA_BUF_STORAGE_FIXED, are known",
				   info->storage);
	if (info->storage && mode != O_RDWR)
		return dmabuf_fail(EINVAL, "export info: a deferred buffer's flags must be O_RDWR");
	return info->exp_name ? text_check(info->exp_name, DMA_BUF_NAME_LEN, false, "exporter name")
			      : 0;
}

/* The memfd that is the buffer: created, sized, and sealed before anybody can see it. */
static int create_memfd(const char *name, size_t size)
{
	char full[sizeof(MEMFD_PREFIX) + DMA_BUF_NAME_LEN] = MEMFD_PREFIX;
	int fd, err;

	text_copy(full + sizeof(MEMFD_PREFIX) - 1, DMA_BUF_NAME_LEN, name);
	fd = memfd_make(full, size);
	if (fd < 0)
		return fd;
	err = memfd_seal(fd, SEALS);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int identify(struct buffer *b)
{
	struct stat st;

	if (fstat(b->client.fd, &st) < 0)
		return dmabuf_fail(errno, "fstat failed: %s", strerror(errno));
	b->key.device = st.st_dev;
	b->key.inode = st.st_ino;
	return 0;
}

/* No fork in between: a child must find the descriptor where it can close it. */
static int open_client(struct buffer *b)
{
	registry_lock();
	b->client.fd = client_reopen(b->fd);
	registry_unlock();
	return b->client.fd < 0 ? b->client.fd : 0;
}

/* What the control block has to say of storage outside of the buffer's memfd. */
static int create_split(struct buffer *b, const struct dma_buf_export_info *info,
			struct control_facts *facts)
{
	int err;

	facts->flags = SHM_SPLIT;
	if (info->storage) {
		facts->flags |= SHM_DEFERRED;
		if (info->storage & DMA_BUF_STORAGE_FIXED)
			facts->flags |= SHM_FIXED;
		err = storage_create_deferred(b, info->size, facts->flags & SHM_FIXED);
		if (err)
			return err;
		memcpy(facts->home_name, b->storage.deferred->address.name,
		       sizeof(facts->home_name));
		memcpy(facts->home_secret, b->storage.deferred->address.secret,
		       sizeof(facts->home_secret));
		return 0;
	}
	err = storage_create_read_only(&b->storage, info->size);
	facts->flags |= SHM_READ_ONLY;
	facts->payload_dev = b->storage.device;
	facts->payload_ino = b->storage.inode;
	return err;
}

/* Everything of an own export that can fail; buffer_destroy() undoes any part of it. */
static int export_memory(struct buffer *b, const char *name, const struct dma_buf_export_info *info)
{
	bool split = info->storage || (info->flags & O_ACCMODE) == O_RDONLY;
	struct control_facts facts = { .size = info->size };
	size_t length = control_size() + (split ? 0 : page_round_up(info->size));
	int err;

	registry_lock();
	b->fd = create_memfd(name, length);
	err = b->fd < 0 ? b->fd : 0;
	registry_unlock();
	if (!err)
		err = open_client(b);
	if (!err)
		err = identify(b);
	if (!err)
		err = client_publish(b->fd);
	if (!err)
		err = control_map(&b->control, b->client.fd, length, true, true);
	if (!err && split)
		err = create_split(b, info, &facts);
	if (err)
		return err;
	if (!split)
		storage_compact(&b->storage, b->fd, &b->control, info->size);
	if (b->own_tables)
		facts.flags |= SHM_OWN_TABLES;
	err = client_join(&b->client, &b->control);
	if (!err && b->client.slot != 0)
		err = dmabuf_fail(ENOMEM, "the kernel would not lock a new buffer's first place");
	if (err)
		return err;
	facts.exporter_generation = b->client.generation;
	/* Any spread will do; inodes of a file system count up. */
	facts.resv_first = (uint32_t)(b->key.inode * 3) % SHM_RESV_LINES;
	memcpy(facts.exp_name, b->exp_name, sizeof(facts.exp_name));
	control_format(&b->control, &facts);
	return 0;
}

static struct buffer *export_failed(struct buffer *b, int err)
{
	buffer_destroy(b);
	errno = -err;
	return NULL;
}

static struct buffer *export_buffer(const struct dma_buf_export_info *info, const char *name)
{
	struct buffer *b = buffer_new();
	int err;

	if (!b)
		return NULL;
	text_copy(b->exp_name, sizeof(b->exp_name),
		  info->exp_name ? info->exp_name : program_invocation_short_name);
	b->own_tables = info->ops->own_tables;
	b->base.size = info->size;
	err = export_memory(b, name ? name : b->exp_name, info);
	if (err)
		return export_failed(b, err);
	if (name)
		control_set_name(&b->control, name);
	b->exporter = true;
	b->base.ops = info->ops;
	b->base.priv = info->priv;
	if (info->resv)
		b->base.resv = info->resv;
	b->base.flags = info->flags & O_ACCMODE;
	registry_lock();
	err = registry_add(b);
	reaper_retry();
	registry_unlock();
	return err ? export_failed(b, err) : b;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_export(const struct dma_buf_export_info *info)
{
	struct dma_buf_export_info known;
	struct buffer *b;

	if (options_take(&known, sizeof(known), info, EXPORT_INFO_LEAST, "export info") < 0)
		return NULL;
	if (info_check(&known) < 0)
		return NULL;
	b = export_buffer(&known, NULL);
	return b ? &b->base : NULL;
}

DMABUF_PUBLIC struct dma_buf *dma_buf_alloc(const char *name, size_t size, int flags)
{
	static char no_priv;
	struct dma_buf_export_info info = {
		.struct_size = sizeof(info),
		.exp_name = EXPORTER_MEMFD,
		.ops = &memory_ops,
		.size = size,
		.flags = flags,
		.priv = &no_priv,
	};
	struct buffer *b;

	if (text_check(name, DMA_BUF_NAME_LEN, false, "buffer name") < 0 || info_check(&info) < 0)
		return NULL;
	b = export_buffer(&info, name);
	return b ? &b->base : NULL;
}

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

	err = open_client(b);
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
