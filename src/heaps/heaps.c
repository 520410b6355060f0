// SPDX-License-Identifier: MIT
/* The heaps of this machine, and those that programs register. */
#include "heaps/heaps.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constraints/constraints.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "text.h"

static const struct heap_class *const classes[] = {
	&heap_memfd, &heap_thp, &heap_locked, &heap_hugetlb, &heap_secret, &heap_kernel,
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

struct registered {
	char name[DMA_BUF_HEAP_NAME_LEN];
	struct dma_buf_heap_ops ops;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registered registered[DMA_BUF_MAX_HEAPS];
static unsigned int registered_count;

void heaps_hold_for_fork(bool hold)
{
	if (hold)
		pthread_mutex_lock(&lock);
	else
		pthread_mutex_unlock(&lock);
}

static unsigned int copy_registered(struct registered *copy)
{
	unsigned int count;

	pthread_mutex_lock(&lock);
	count = registered_count;
	memcpy(copy, registered, sizeof(registered));
	pthread_mutex_unlock(&lock);
	return count;
}

static void clear(struct dma_buf_heap_info *list, unsigned int count)
{
	memset(list, 0, count * sizeof(list[0]));
	for (unsigned int i = 0; i < count; i++)
		list[i].size = sizeof(list[i]);
}

/* A heap that says nonsense is there, but not available, and says so. */
static void describe_registered(const struct registered *r, struct dma_buf_heap_info *info)
{
	struct constraints_fault fault;
	int err;

	text_copy(info->name, sizeof(info->name), r->name);
	err = r->ops.describe(info, r->ops.priv);
	info->size = sizeof(*info);
	text_copy(info->name, sizeof(info->name), r->name);
	info->where[sizeof(info->where) - 1] = '\0';
	if (!err && constraints_check_heap(info, &fault))
		return;
	info->available = false;
	snprintf(info->where, sizeof(info->where), "its description failed: %s",
		 err ? strerror(err < 0 ? -err : err) : fault.field);
	info->chunk = info->granule = info->usual_chunk = 0;
	info->alignment = 1;
}

unsigned int heaps_describe(const struct heap_places *places, struct dma_buf_heap_info *list,
			    unsigned int max)
{
	struct registered copy[DMA_BUF_MAX_HEAPS];
	unsigned int count = 0, extra = copy_registered(copy);
	struct heap_places looked = *places;

	/* All ask, and it takes reading a long file. */
	looked.highest_address = heap_highest_address(places);
	clear(list, max);
	for (unsigned int i = 0; i < CLASSES && count < max; i++)
		count += classes[i]->describe(&looked, &list[count], max - count);
	for (unsigned int i = 0; i < extra && count < max; i++)
		describe_registered(&copy[i], &list[count++]);
	return count;
}

DMABUF_PUBLIC int dma_buf_heap_list(struct dma_buf_heap_info *heaps, unsigned int max)
{
	static const struct heap_places here = { .root = "" };

	if (!heaps || !max || heaps->size != sizeof(*heaps))
		return dmabuf_fail(EINVAL, "heap list: size of the first entry must be %zu",
				   sizeof(*heaps));
	return (int)heaps_describe(&here, heaps, max < DMA_BUF_MAX_HEAPS ? max : DMA_BUF_MAX_HEAPS);
}

/* Built-in ones first; those of the kernel are found by their class's whole list. */
static bool find_built_in(const char *name, struct dma_buf_heap_info *info,
			  const struct heap_class **class)
{
	static const struct heap_places here = { .root = "" };
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	unsigned int count;

	for (unsigned int i = 0; i < CLASSES; i++) {
		if (classes[i]->name[0] && strcmp(classes[i]->name, name) != 0)
			continue;
		clear(list, DMA_BUF_MAX_HEAPS);
		count = classes[i]->describe(&here, list, DMA_BUF_MAX_HEAPS);
		for (unsigned int k = 0; k < count; k++) {
			if (strcmp(list[k].name, name) != 0)
				continue;
			*info = list[k];
			*class = classes[i];
			return true;
		}
	}
	return false;
}

int heaps_find(const char *name, struct dma_buf_heap_info *info, struct dma_buf_heap_ops *ops,
	       const struct heap_class **class)
{
	struct registered copy[DMA_BUF_MAX_HEAPS];
	unsigned int extra = copy_registered(copy);

	memset(ops, 0, sizeof(*ops));
	if (find_built_in(name, info, class))
		return 0;
	*class = NULL;
	for (unsigned int k = 0; k < extra; k++) {
		if (strcmp(copy[k].name, name) != 0)
			continue;
		clear(info, 1);
		describe_registered(&copy[k], info);
		*ops = copy[k].ops;
		return 0;
	}
	return dmabuf_fail(ENOENT, "there is no heap \"%.31s\"", name);
}

static int index_of(const char *name)
{
	for (unsigned int i = 0; i < registered_count; i++)
		if (!strcmp(registered[i].name, name))
			return (int)i;
	return -1;
}

DMABUF_PUBLIC int dma_buf_register_heap(const struct dma_buf_heap_ops *ops)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(list[0]) } };
	struct dma_buf_heap_ops known;
	int err, count;

	err = options_take(&known, sizeof(known), ops, sizeof(known), "heap ops");
	if (!err)
		err = text_check(known.name, DMA_BUF_HEAP_NAME_LEN, false, "heap name");
	if (!err && !known.describe)
		err = dmabuf_fail(EINVAL, "heap %s lacks the mandatory op describe", known.name);
	if (err)
		return err;
	count = dma_buf_heap_list(list, DMA_BUF_MAX_HEAPS);
	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, known.name))
			return dmabuf_fail(EEXIST, "there is a heap %s already", known.name);
	pthread_mutex_lock(&lock);
	if (index_of(known.name) >= 0) {
		err = -EEXIST;
	} else if (count == DMA_BUF_MAX_HEAPS || registered_count == DMA_BUF_MAX_HEAPS) {
		err = -ENOSPC;
	} else {
		text_copy(registered[registered_count].name, DMA_BUF_HEAP_NAME_LEN, known.name);
		registered[registered_count].ops = known;
		registered[registered_count].ops.name = NULL;
		registered_count++;
	}
	pthread_mutex_unlock(&lock);
	if (err)
		return dmabuf_fail(-err, "heap %s cannot be registered: %s", known.name,
				   strerror(-err));
	return 0;
}

DMABUF_PUBLIC int dma_buf_unregister_heap(const char *name)
{
	int err, at;

	err = text_check(name, DMA_BUF_HEAP_NAME_LEN, false, "heap name");
	if (err)
		return err;
	pthread_mutex_lock(&lock);
	at = index_of(name);
	if (at >= 0) {
		registered_count--;
		memmove(&registered[at], &registered[at + 1],
			(registered_count - (unsigned int)at) * sizeof(registered[0]));
	}
	pthread_mutex_unlock(&lock);
	return at < 0 ? dmabuf_fail(ENOENT, "heap %s is not registered", name) : 0;
}
