// SPDX-License-Identifier: MIT
#include "exporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "text.h"

struct exporter_class {
	char name[DMA_BUF_NAME_LEN];
	struct dma_buf_exporter info;
	unsigned int users;
	UT_hash_handle hh;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct exporter_class *classes;

static void nothing_to_release(struct dma_buf *dmabuf)
{
}

const struct dma_buf_ops memory_ops = {
	.cache_sgt_mapping = true,
	.map_dma_buf = dma_buf_memory_map,
	.try_map_dma_buf = dma_buf_memory_map,
	.unmap_dma_buf = dma_buf_memory_unmap,
	.release = nothing_to_release,
	.kmap_atomic = dma_buf_memory_kmap,
	.kmap = dma_buf_memory_kmap,
};

int exporter_check_ops(const struct dma_buf_ops *ops)
{
	const char *missing = NULL;

	if (!ops)
		return dmabuf_fail(EINVAL, "an exporter needs ops");
	if (!ops->map_dma_buf)
		missing = "map_dma_buf";
	else if (!ops->unmap_dma_buf)
		missing = "unmap_dma_buf";
	else if (!ops->release)
		missing = "release";
	else if (!ops->kmap_atomic)
		missing = "kmap_atomic";
	else if (!ops->kmap)
		missing = "kmap";
	if (missing)
		return dmabuf_fail(EINVAL, "the exporter lacks the mandatory op %s", missing);
	return 0;
}

DMABUF_PUBLIC int dma_buf_register_exporter(const struct dma_buf_exporter *exporter)
{
	struct exporter_class *class, *known;
	struct dma_buf_exporter info;
	int err;

	err = options_take(&info, sizeof(info), exporter, sizeof(info), "exporter");
	if (!err)
		err = text_check(info.name, DMA_BUF_NAME_LEN, false, "exporter name");
	if (!err)
		err = exporter_check_ops(info.ops);
	if (err)
		return err;
	class = calloc(1, sizeof(*class));
	if (!class)
		return dmabuf_fail(ENOMEM, "no memory for exporter %s", info.name);
	text_copy(class->name, sizeof(class->name), info.name);
	class->info = info;

	pthread_mutex_lock(&lock);
	HASH_FIND_STR(classes, class->name, known);
	if (known || !strcmp(class->name, EXPORTER_MEMFD))
		err = EEXIST;
	else
		HASH_ADD_STR(classes, name, class);
	if (!err && !class->hh.tbl)
		err = ENOMEM;
	pthread_mutex_unlock(&lock);
	if (err) {
		err = dmabuf_fail(err, "exporter %s: %s", class->name,
				  err == EEXIST ? "the name is known already" : strerror(err));
		free(class);
	}
	return err;
}

DMABUF_PUBLIC int dma_buf_unregister_exporter(const char *name)
{
	struct exporter_class *class = NULL;
	unsigned int users = 0;

	pthread_mutex_lock(&lock);
	if (name)
		HASH_FIND_STR(classes, name, class);
	if (class)
		users = class->users;
	if (class && !users)
		HASH_DEL(classes, class);
	pthread_mutex_unlock(&lock);
	if (!class)
		return dmabuf_fail(ENOENT, "no exporter named %s is registered",
				   name ? name : "(null)");
	if (users)
		return dmabuf_fail(EBUSY, "exporter %s has %u buffers open", name, users);
	free(class);
	return 0;
}

int exporter_open(struct buffer *b)
{
	struct exporter_class *class;
	int err = 0;

	b->base.ops = &memory_ops;
	pthread_mutex_lock(&lock);
	HASH_FIND_STR(classes, b->exp_name, class);
	if (class)
		class->users++;
	pthread_mutex_unlock(&lock);
	if (!class)
		return 0;
	b->class = class;
	b->base.ops = class->info.ops;
	if (class->info.open)
		err = class->info.open(&b->base);
	if (err) {
		b->class = NULL;
		pthread_mutex_lock(&lock);
		class->users--;
		pthread_mutex_unlock(&lock);
		err = err < 0 ? -err : EINVAL;
		return dmabuf_fail(err, "exporter %s refused the buffer: %s", b->exp_name,
				   strerror(err));
	}
	return 0;
}

void exporter_close(struct buffer *b)
{
	struct exporter_class *class = b->class;

	if (!class)
		return;
	if (class->info.close)
		class->info.close(&b->base);
	b->class = NULL;
	pthread_mutex_lock(&lock);
	class->users--;
	pthread_mutex_unlock(&lock);
}

void exporter_hold_for_fork(bool hold)
{
	if (hold)
		pthread_mutex_lock(&lock);
	else
		pthread_mutex_unlock(&lock);
}
