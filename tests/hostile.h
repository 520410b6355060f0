/* SPDX-License-Identifier: MIT */
/*
 * For tests and fuzz targets that attack: forged memfds, and every public call on one buffer with
 * the answers checked for sense. Nothing here knows what the right answer is; a wrong one is an
 * answer outside the documentation, a crash, or a sanitizer's report.
 */
#ifndef DMABUF_TEST_HOSTILE_H
#define DMABUF_TEST_HOSTILE_H

#include <dmabuf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTILE_UNUSED __attribute__((unused))

#define HOSTILE_CHECK(cond)                                                                 \
	do {                                                                                \
		if (!(cond)) {                                                              \
			fprintf(stderr, "# %s:%d: not so: %s (last error: %s)\n", __FILE__, \
				__LINE__, #cond, dmabuf_last_error());                      \
			abort();                                                            \
		}                                                                           \
	} while (0)

#define SEALS_OF_A_BUFFER (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define HOSTILE_EXPORTER "checked"
#define HOSTILE_SIZE 5000 /* not a multiple of line or page */

/* What runs between two calls, as an attacker would. */
struct attack {
	void (*strike)(void *arg);
	void *arg;
};

static HOSTILE_UNUSED void strike(const struct attack *attack)
{
	if (attack && attack->strike)
		attack->strike(attack->arg);
}

/* Shared state must not talk the library into cache operations outside the buffer. */
static int checked_cache_sync(struct dma_buf *dmabuf, enum dma_buf_cache_op op, size_t start,
			      size_t len)
{
	HOSTILE_CHECK(op >= DMA_BUF_CACHE_CLEAN && op <= DMA_BUF_CACHE_FLUSH);
	HOSTILE_CHECK(len && start < dmabuf->size && len <= dmabuf->size - start);
	return 0;
}

static void checked_release(struct dma_buf *dmabuf)
{
}

static HOSTILE_UNUSED const struct dma_buf_ops checked_ops = {
	.map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.try_map_dma_buf = dma_buf_memory_map,
	.release = checked_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
	.cache_sync = checked_cache_sync,
};

/* The class of HOSTILE_EXPORTER: for handles on forged buffers too. */
static HOSTILE_UNUSED void hostile_register(void)
{
	struct dma_buf_exporter exporter = { .size = sizeof(exporter),
					     .name = HOSTILE_EXPORTER,
					     .ops = &checked_ops };

	HOSTILE_CHECK(dma_buf_register_exporter(&exporter) == 0);
}

static HOSTILE_UNUSED struct dma_buf_device *hostile_device(bool noncoherent)
{
	struct dma_buf_device_parameters limits = { .size = sizeof(limits),
						    .max_segment_size = 4096,
						    .noncoherent = noncoherent };
	struct dma_buf_device_info info = { .size = sizeof(info),
					    .name = noncoherent ? "shy" : "plain",
					    .parameters = &limits };
	struct dma_buf_device *dev = dma_buf_device_create(&info);

	HOSTILE_CHECK(dev);
	return dev;
}

/* A memfd with these bytes and seals, whose name the leak check knows. */
static HOSTILE_UNUSED int forge_memfd(const void *bytes, size_t size, int seals)
{
	int fd = memfd_create("dmabuf:forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	HOSTILE_CHECK(fd >= 0);
	HOSTILE_CHECK(ftruncate(fd, (off_t)size) == 0);
	HOSTILE_CHECK(!bytes || pwrite(fd, bytes, size, 0) == (ssize_t)size);
	HOSTILE_CHECK(!seals || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

/* The bytes of a real buffer in use: mapped by a non-coherent device, accessed, and locked. */
static HOSTILE_UNUSED char *hostile_template(size_t payload, size_t *size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_device *dev = hostile_device(true);
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dma_buf *dmabuf;
	struct stat st;
	char *bytes;
	int fd;

	info.exp_name = HOSTILE_EXPORTER;
	info.ops = &checked_ops;
	info.size = payload;
	info.flags = O_RDWR;
	info.priv = &info;
	dmabuf = dma_buf_export(&info);
	HOSTILE_CHECK(dmabuf);
	attach = dma_buf_attach(dmabuf, dev);
	HOSTILE_CHECK(attach);
	table = dma_buf_map_attachment(attach, DMA_FROM_DEVICE);
	HOSTILE_CHECK(table);
	HOSTILE_CHECK(dma_buf_begin_cpu_access(dmabuf, 0, payload, DMA_BIDIRECTIONAL) == 0);
	HOSTILE_CHECK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false) == 0);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	HOSTILE_CHECK(fd >= 0 && fstat(fd, &st) == 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	HOSTILE_CHECK(bytes && pread(fd, bytes, *size, 0) == st.st_size);
	close(fd);
	HOSTILE_CHECK(dmabuf_sync_single_unlock(dmabuf) == 0);
	HOSTILE_CHECK(dma_buf_end_cpu_access(dmabuf, 0, payload, DMA_BIDIRECTIONAL) == 0);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	dma_buf_device_put(dev);
	return bytes;
}

/* Errors that calls on a buffer with a hostile or dead peer may give. */
static HOSTILE_UNUSED bool sane(int err)
{
	switch (err) {
	case EINVAL:
	case EIO:
	case ETIMEDOUT:
	case EPROTO:
	case EUSERS:
	case ENOSPC:
	case EACCES:
	case ENODATA:
	case EOPNOTSUPP:
	case EBUSY:
	case EMFILE:
	case ENOMEM:
		return dmabuf_last_error()[0] != '\0';
	default:
		return false;
	}
}

static HOSTILE_UNUSED void check_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room), i;

	HOSTILE_CHECK(len < room);
	for (i = 0; i < len; i++)
		HOSTILE_CHECK((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static HOSTILE_UNUSED void check_info(int fd)
{
	static struct dma_buf_info info;
	unsigned int i;
	int err;

	info.struct_size = sizeof(info);
	err = dma_buf_get_info(fd, &info);
	HOSTILE_CHECK(err == 0 || sane(-err));
	if (err)
		return;
	check_text(info.name, sizeof(info.name));
	check_text(info.exp_name, sizeof(info.exp_name));
	HOSTILE_CHECK(info.size && info.size <= DMA_BUF_MAX_SIZE);
	HOSTILE_CHECK(info.holder_count <= DMA_BUF_MAX_CLIENTS);
	HOSTILE_CHECK(info.attachment_count <= DMA_BUF_MAX_ATTACHMENTS);
	for (i = 0; i < info.holder_count; i++)
		check_text(info.holders[i].label, sizeof(info.holders[i].label));
	for (i = 0; i < info.attachment_count; i++) {
		check_text(info.attachments[i].device, sizeof(info.attachments[i].device));
		HOSTILE_CHECK(info.attachments[i].holder < info.holder_count);
		HOSTILE_CHECK(info.attachments[i].direction <= DMA_NONE);
	}
}

static HOSTILE_UNUSED void exercise_access(struct dma_buf *dmabuf, const struct attack *attack)
{
	volatile char *at = dma_buf_vmap(dmabuf);
	size_t size = dmabuf->size;
	int err;

	HOSTILE_CHECK(at || sane(errno));
	strike(attack);
	err = dma_buf_begin_cpu_access(dmabuf, size / 2, size - size / 2, DMA_BIDIRECTIONAL);
	HOSTILE_CHECK(err == 0 || sane(-err));
	if (at && !err && dmabuf->flags == O_RDWR) {
		at[size / 2]++;
		at[size - 1]++;
	}
	strike(attack);
	if (!err)
		err = dma_buf_end_cpu_access(dmabuf, size / 2, size - size / 2, DMA_BIDIRECTIONAL);
	HOSTILE_CHECK(err == 0 || sane(-err));
	dma_buf_vunmap(dmabuf, (void *)at);
}

static HOSTILE_UNUSED void exercise_device(struct dma_buf *dmabuf, struct dma_buf_device *dev,
					   const struct attack *attack)
{
	struct dma_buf_attachment *attach = dma_buf_attach(dmabuf, dev);
	struct dma_buf_sg_table *table;
	int err;

	HOSTILE_CHECK(attach || sane(errno));
	if (!attach)
		return;
	strike(attack);
	table = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	HOSTILE_CHECK(table || sane(errno));
	if (table) {
		HOSTILE_CHECK(dma_buf_sg_length(table) == dmabuf->size);
		exercise_access(dmabuf, attack);
		err = dma_buf_sync_sg_for_cpu(attach, table, DMA_BIDIRECTIONAL);
		HOSTILE_CHECK(err == 0 || sane(-err));
		strike(attack);
		if (!err)
			err = dma_buf_sync_sg_for_device(attach, table, DMA_BIDIRECTIONAL);
		HOSTILE_CHECK(err == 0 || sane(-err));
		strike(attack);
		err = dma_buf_unmap_attachment(attach, table, DMA_BIDIRECTIONAL);
		HOSTILE_CHECK(err == 0 || sane(-err));
	}
	table = dma_buf_try_map_attachment(attach, DMA_TO_DEVICE);
	HOSTILE_CHECK(table || sane(errno));
	strike(attack);
	dma_buf_detach(dmabuf, attach);
}

/* What locks answer: also whose content is torn, or that it was not locked. */
static HOSTILE_UNUSED bool sane_lock(int ret)
{
	return ret >= 0 || ret == -EOWNERDEAD || ret == -EAGAIN || ret == -EDEADLK || sane(-ret);
}

static HOSTILE_UNUSED void exercise_locks(struct dma_buf *dmabuf, const struct attack *attack)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "honest");
	struct dma_buf_access_info torn[2];
	int i, count;

	HOSTILE_CHECK(sync);
	HOSTILE_CHECK(sane_lock(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, 0, 1)));
	strike(attack);
	for (i = 0; i < 2; i++) {
		HOSTILE_CHECK(sane_lock(dmabuf_sync_lock_timeout(sync, i)));
		strike(attack);
		(void)dmabuf_sync_is_locked(sync);
		count = dmabuf_sync_get_torn(sync, dmabuf, torn, 2);
		HOSTILE_CHECK(sane_lock(count) && count <= DMA_BUF_MAX_ACCESSES);
		if (count > 0)
			check_text(torn[0].label, sizeof(torn[0].label));
		HOSTILE_CHECK(sane_lock(dmabuf_sync_repaired(sync, dmabuf)));
		HOSTILE_CHECK(sane_lock(dmabuf_sync_unlock(sync)));
		strike(attack);
	}
	HOSTILE_CHECK(sane_lock(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false)));
	strike(attack);
	HOSTILE_CHECK(sane_lock(dmabuf_sync_single_unlock(dmabuf)));
	dmabuf_sync_fini(sync);
}

/* Every call on whatever @fd is, with an attack between each two. Was it taken for a buffer? */
static HOSTILE_UNUSED bool exercise(int fd, const struct attack *attack)
{
	struct dma_buf_counters counters;
	struct dma_buf_sg_table *table;
	struct dma_buf *dmabuf, *again;
	struct stat st;
	void *mapped;
	int copy;

	check_info(fd);
	dmabuf = dma_buf_get(fd);
	HOSTILE_CHECK(dmabuf || sane(errno));
	if (!dmabuf)
		return false;
	HOSTILE_CHECK(fstat(fd, &st) == 0);
	HOSTILE_CHECK(dmabuf->size && dmabuf->size < (uint64_t)st.st_size);
	check_text(dmabuf->exp_name, DMA_BUF_NAME_LEN);
	strike(attack);
	exercise_access(dmabuf, attack);
	exercise_locks(dmabuf, attack);
	exercise_device(dmabuf, dma_buf_cpu_device(), attack);
	{
		struct dma_buf_device *dev = hostile_device(true);

		exercise_device(dmabuf, dev, attack);
		dma_buf_device_put(dev);
	}
	check_info(fd);
	HOSTILE_CHECK(dma_buf_get_counters(dmabuf, &counters) == 0);
	HOSTILE_CHECK(dma_buf_set_name(dmabuf, "renamed") == 0);
	table = dma_buf_get_scatterlist(dmabuf);
	HOSTILE_CHECK(table || sane(errno));
	dma_buf_put_scatterlist(dmabuf, table);
	mapped = dma_buf_mmap(dmabuf, 0, dmabuf->size, PROT_READ);
	HOSTILE_CHECK(mapped || sane(errno));
	if (mapped)
		HOSTILE_CHECK(dma_buf_munmap(mapped, dmabuf->size) == 0);
	copy = dma_buf_fd(dmabuf, O_CLOEXEC);
	HOSTILE_CHECK(copy >= 0);
	strike(attack);
	again = dma_buf_get(copy);
	HOSTILE_CHECK(again ? again == dmabuf : sane(errno));
	dma_buf_put(again);
	close(copy);
	strike(attack);
	dma_buf_put(dmabuf);
	return true;
}

#endif
