// SPDX-License-Identifier: MIT
#include "sync-file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <dmabuf/dma-fence-unwrap.h>

#include "error.h"
#include "export.h"
#include "fork-lock.h"
#include "kernel/sync-file.h"
#include "options.h"
#include "process.h"
#include "sync-socket.h"
#include "text.h"

static uint64_t instance;

static void forget(void)
{
	sync_exports_forget();
	sync_imports_forget();
	instance = 0;
}

static struct fork_lock lock = FORK_LOCK(forget);

void sync_lock(void)
{
	fork_lock(&lock);
}

void sync_unlock(void)
{
	fork_unlock(&lock);
}

uint64_t sync_instance(void)
{
	uint64_t value;

	sync_lock();
	value = instance;
	sync_unlock();
	return value;
}

static int random_number(uint64_t *value)
{
	ssize_t n;

	do
		n = getrandom(value, sizeof(*value), 0);
	while (n < 0 && errno == EINTR);
	if (n == sizeof(*value))
		return 0;
	return dmabuf_fail(n < 0 ? errno : EIO, "no random number for a fence's name");
}

/* Nobody can know the name beforehand, and take it. */
static int name_identify(struct sync_name *name)
{
	uint64_t fresh = 0;
	int err = random_number(&name->id);

	if (!err && !sync_instance())
		err = random_number(&fresh);
	if (err)
		return err;
	sync_lock();
	if (!instance)
		instance = fresh | 1;
	name->instance = instance;
	sync_unlock();
	return 0;
}

static int options_read(struct dmabuf_sync_file_options *known,
			const struct dmabuf_sync_file_options *options)
{
	int err;

	*known = (struct dmabuf_sync_file_options){ .size = sizeof(*known) };
	if (options) {
		err = options_take(known, sizeof(*known), options, sizeof(*known),
				   "options of a fence's descriptor");
		if (err)
			return err;
	}
	if (!known->timeout_ms)
		known->timeout_ms = DMABUF_SYNC_FILE_TIMEOUT_DEFAULT;
	if (known->timeout_ms > DMA_FENCE_TIMEOUT_MAX)
		return dmabuf_fail(EINVAL,
				   "a fence's timeout of %u ms: must be 1 to %d ms, or 0 "
				   "for the default",
				   known->timeout_ms, DMA_FENCE_TIMEOUT_MAX);
	return known->name ? text_check(known->name, SYNC_TEXT_LEN, false, "a fence's name") : 0;
}

DMABUF_PUBLIC int dmabuf_sync_file_create(struct dma_fence *fence,
					  const struct dmabuf_sync_file_options *options)
{
	struct dmabuf_sync_file_options known;
	struct sync_name name = { 0 };
	int err;

	if (!fence)
		return dmabuf_fail(EINVAL, "there is no fence to make a descriptor for");
	err = options_read(&known, options);
	if (err)
		return err;
	err = sync_import_dup(fence);
	if (err != -ENOENT)
		return err;
	err = name_identify(&name);
	if (err)
		return err;
	name.context = fence->context;
	name.seqno = fence->seqno;
	name.timeout_ms = known.timeout_ms;
	name.wide = fence->ops->use_64bit_seqno;
	text_copy(name.driver, sizeof(name.driver), fence->ops->get_driver_name(fence));
	text_copy(name.timeline, sizeof(name.timeline), fence->ops->get_timeline_name(fence));
	text_copy(name.name, sizeof(name.name), known.name ? known.name : "");
	return sync_export(fence, &name);
}

DMABUF_PUBLIC struct dma_fence *dmabuf_sync_file_get_fence(int fd)
{
	return sync_import(fd);
}

DMABUF_PUBLIC int dmabuf_sync_file_check(int fd)
{
	struct sync_name name;

	return kernel_is_sync_file(fd) ? 0 : sync_socket_check(fd, &name);
}

DMABUF_PUBLIC int dmabuf_sync_file_merge(int fd1, int fd2,
					 const struct dmabuf_sync_file_options *options)
{
	struct dma_fence *fences[2] = { NULL, NULL }, *merged = NULL;
	struct dmabuf_sync_file_options known;
	int fd;

	/* What the kernel can merge stays its own, which its drivers take. */
	if (kernel_is_sync_file(fd1) && kernel_is_sync_file(fd2)) {
		fd = options_read(&known, options);
		return fd ? fd : kernel_sync_file_merge(fd1, fd2, known.name);
	}
	fences[0] = sync_import(fd1);
	if (fences[0])
		fences[1] = sync_import(fd2);
	if (fences[1])
		merged = dma_fence_unwrap_merge_array(2, fences);
	fd = merged ? dmabuf_sync_file_create(merged, options) : -errno;
	dma_fence_put(merged);
	dma_fence_put(fences[1]);
	dma_fence_put(fences[0]);
	return fd;
}

static void fence_info(struct dmabuf_sync_fence_info *info, struct dma_fence *fence)
{
	*info = (struct dmabuf_sync_fence_info){ .status = dma_fence_get_status(fence),
						 .timestamp = dma_fence_timestamp(fence),
						 .context = fence->context,
						 .seqno = fence->seqno };
	text_copy(info->driver, sizeof(info->driver), fence->ops->get_driver_name(fence));
	text_copy(info->timeline, sizeof(info->timeline), fence->ops->get_timeline_name(fence));
}

/* How many fences there are in @fence; the first @room of them are looked at. */
static unsigned int fences_info(struct dma_fence *fence, struct dmabuf_sync_fence_info *infos,
				unsigned int room)
{
	struct dma_fence_unwrap cursor;
	struct dma_fence *part;
	unsigned int count = 0;

	dma_fence_unwrap_for_each(part, &cursor, fence) {
		if (count < room)
			fence_info(&infos[count], part);
		count++;
	}
	return count;
}

static void name_make(char *text, const char *given, struct dma_fence *fence)
{
	char made[160];

	snprintf(made, sizeof(made), "%.31s-%.31s%" PRIu64 "-%" PRIu64,
		 fence->ops->get_driver_name(fence), fence->ops->get_timeline_name(fence),
		 fence->context, fence->seqno);
	text_copy(text, DMABUF_SYNC_FILE_NAME_LEN, given[0] ? given : made);
}

static int info_fill(struct dmabuf_sync_file_info *info, struct dma_fence *fence, const char *name)
{
	struct dmabuf_sync_fence_info *infos = NULL;
	unsigned int room = info->fences ? info->num_fences : 0, count;

	if (room) {
		infos = calloc(room, sizeof(*infos));
		if (!infos)
			return dmabuf_fail(ENOMEM, "no memory to look at %u fences", room);
	}
	count = fences_info(fence, infos, room);
	if (room && room < count) {
		free(infos);
		return dmabuf_fail(EINVAL, "there are %u fences, and room for %u", count, room);
	}
	if (infos)
		memcpy(info->fences, infos, count * sizeof(*infos));
	free(infos);
	name_make(info->name, name, fence);
	info->status = dma_fence_get_status(fence);
	info->num_fences = count;
	return 0;
}

DMABUF_PUBLIC int dmabuf_sync_file_get_info(int fd, struct dmabuf_sync_file_info *info)
{
	struct dmabuf_sync_file_info known;
	struct dma_fence *fence;
	struct sync_name name;
	int err = options_take(&known, sizeof(known), info, sizeof(known), "info of a fence");

	if (err)
		return err;
	if (kernel_is_sync_file(fd)) {
		err = kernel_sync_file_info(fd, &known);
	} else {
		err = sync_socket_check(fd, &name);
		if (err)
			return err;
		fence = sync_import(fd);
		if (!fence)
			return -errno;
		err = info_fill(&known, fence, name.name);
		dma_fence_put(fence);
	}
	if (!err) {
		known.size = info->size;
		memcpy(info, &known, sizeof(known));
	}
	return err;
}
