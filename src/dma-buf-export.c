// SPDX-License-Identifier: MIT
/* A buffer's making (mission row A1). How its bytes are kept is storage.h's. */
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/check.h"
#include "error.h"
#include "export.h"
#include "exporter.h"
#include "memfd.h"
#include "options.h"
#include "reaper.h"
#include "registry.h"
#include "storage-deferred.h"
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
		err = buffer_open_client(b);
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
	return check_adopt(b);
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
