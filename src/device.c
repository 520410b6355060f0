// SPDX-License-Identifier: MIT
#include "device.h"

#include <dmabuf/heap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "constraints/constraints.h"
#include "error.h"
#include "export.h"
#include "options.h"
#include "text.h"

static const struct dma_buf_map_ops virtual_ops;

static struct dma_buf_device cpu_device = {
	.refs = 1,
	.name = "cpu",
	.parameters = { .size = sizeof(struct dma_buf_device_parameters) },
	.write_parameters = { .size = sizeof(struct dma_buf_device_parameters) },
	.both = { .size = sizeof(struct dma_buf_device_parameters) },
	.ops = &virtual_ops,
};

/* Older headers end before these fields. */
#define LEAST offsetof(struct dma_buf_device_parameters, trust_domain)
#define LEAST_INFO offsetof(struct dma_buf_device_info, write_parameters)

/* As options_take(); what a caller knows of a struct ends between two fields, not within one. */
static int take(void *to, size_t known, const void *from, size_t least, const char *what)
{
	size_t size = 0;

	if (from)
		memcpy(&size, from, sizeof(size));
	if (size % sizeof(uint64_t))
		return dmabuf_fail(EINVAL, "%s: its size is given as %zu, must be %zu", what, size,
				   known);
	return options_take(to, known, from, least, what);
}

int device_parameters_check(const struct dma_buf_device_parameters *p)
{
	struct constraints_fault fault;

	if (constraints_check(p, &fault))
		return 0;
	return dmabuf_fail(EINVAL, "device parameter %s = 0x%" PRIx64 ": %s", fault.field,
			   fault.value, fault.why);
}

int device_parameters_take(struct dma_buf_device_parameters *to,
			   const struct dma_buf_device_parameters *from)
{
	int err = take(to, sizeof(*to), from, LEAST, "device parameters");

	if (err)
		return err;
	to->size = sizeof(*to);
	return device_parameters_check(to);
}

void device_needs(struct dma_buf_device_parameters *to, const struct dma_buf_device *dev,
		  enum dma_data_direction direction)
{
	*to = direction == DMA_TO_DEVICE ? dev->parameters : dev->both;
	/* The processor reaches whatever this process holds the descriptor of. */
	if (dev == &cpu_device)
		to->trust_domain = DMA_BUF_TRUST_HOLDERS;
}

static int info_take(struct dma_buf_device_info *known, struct dma_buf_device *dev,
		     const struct dma_buf_device_info *info)
{
	struct constraints_fault fault;
	int err;

	dev->parameters.size = dev->write_parameters.size = sizeof(dev->parameters);
	err = take(known, sizeof(*known), info, LEAST_INFO, "device info");
	if (!err)
		err = text_check(known->name, DMA_BUF_DEVICE_NAME_LEN, false, "device name");
	if (!err && known->parameters)
		err = device_parameters_take(&dev->parameters, known->parameters);
	if (!err && known->write_parameters)
		err = device_parameters_take(&dev->write_parameters, known->write_parameters);
	if (err)
		return err;
	dev->both = dev->parameters;
	if (!constraints_add(&dev->both, &dev->write_parameters, &fault))
		return dmabuf_fail(EINVAL, "device write parameter %s = 0x%" PRIx64 ": %s",
				   fault.field, fault.value, fault.why);
	return 0;
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_device_create(const struct dma_buf_device_info *info)
{
	struct dma_buf_device_info known;
	struct dma_buf_device fresh = { 0 }, *dev;

	if (info_take(&known, &fresh, info) < 0)
		return NULL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return dmabuf_fail_ptr(ENOMEM, "no memory for device %s", known.name);
	atomic_init(&dev->refs, 1);
	text_copy(dev->name, sizeof(dev->name), known.name);
	dev->parameters = fresh.parameters;
	dev->write_parameters = fresh.write_parameters;
	dev->both = fresh.both;
	dev->ops = known.ops ? known.ops : &virtual_ops;
	dev->priv = known.priv;
	dev->release = known.release;
	return dev;
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_device_get(struct dma_buf_device *dev)
{
	if (dev && dev != &cpu_device)
		atomic_fetch_add_explicit(&dev->refs, 1, memory_order_relaxed);
	return dev;
}

DMABUF_PUBLIC void dma_buf_device_put(struct dma_buf_device *dev)
{
	if (!dev || dev == &cpu_device)
		return;
	if (atomic_fetch_sub_explicit(&dev->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (dev->release)
		dev->release(dev->priv);
	free(dev);
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_cpu_device(void)
{
	return &cpu_device;
}

DMABUF_PUBLIC const char *dma_buf_device_name(const struct dma_buf_device *dev)
{
	return dev ? dev->name : "";
}

DMABUF_PUBLIC const struct dma_buf_device_parameters *
dma_buf_device_get_parameters(const struct dma_buf_device *dev)
{
	return &(dev ? dev : &cpu_device)->parameters;
}

DMABUF_PUBLIC const struct dma_buf_device_parameters *
dma_buf_device_get_write_parameters(const struct dma_buf_device *dev)
{
	return &(dev ? dev : &cpu_device)->write_parameters;
}

DMABUF_PUBLIC void *dma_buf_device_priv(const struct dma_buf_device *dev)
{
	return dev ? dev->priv : NULL;
}
