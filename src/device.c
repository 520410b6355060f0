// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "export.h"
#include "options.h"
#include "text.h"

static const struct dma_buf_map_ops virtual_ops;

static struct dma_buf_device cpu_device = {
	.refs = 1,
	.name = "cpu",
	.parameters = { .size = sizeof(struct dma_buf_device_parameters) },
	.ops = &virtual_ops,
};

static bool is_mask(uint64_t value)
{
	return (value & (value + 1)) == 0;
}

static bool is_power_of_two(uint64_t value)
{
	return value && (value & (value - 1)) == 0;
}

static int senseless(const char *field, uint64_t value, const char *why)
{
	return dmabuf_fail(EINVAL, "device parameter %s = 0x%" PRIx64 ": %s", field, value, why);
}

int device_parameters_check(const struct dma_buf_device_parameters *p)
{
	uint64_t boundary = p->segment_boundary_mask;

	if (!is_mask(boundary))
		return senseless("segment_boundary_mask", boundary, "must be 2^n - 1");
	if (!is_mask(p->dma_mask))
		return senseless("dma_mask", p->dma_mask, "must be 2^n - 1");
	if (p->address_alignment && !is_power_of_two(p->address_alignment))
		return senseless("address_alignment", p->address_alignment,
				 "must be a power of two");
	if (p->max_segment_size && p->length_granularity > p->max_segment_size)
		return senseless("length_granularity", p->length_granularity,
				 "larger than max_segment_size");
	if (boundary && p->length_granularity > boundary)
		return senseless("length_granularity", p->length_granularity,
				 "larger than a segment between two boundaries");
	if (p->max_segment_size && p->address_alignment > p->max_segment_size)
		return senseless(
			"address_alignment", p->address_alignment,
			"larger than max_segment_size, so only one segment could be aligned");
	if (boundary && p->address_alignment > boundary)
		return senseless("address_alignment", p->address_alignment,
				 "larger than a segment between two boundaries");
	if (p->dma_mask && p->address_alignment > p->dma_mask)
		return senseless("address_alignment", p->address_alignment,
				 "beyond dma_mask: only address 0 would do");
	return 0;
}

static int info_take(struct dma_buf_device_info *known, struct dma_buf_device_parameters *limits,
		     const struct dma_buf_device_info *info)
{
	int err;

	memset(limits, 0, sizeof(*limits));
	err = options_take(known, sizeof(*known), info, sizeof(*known), "device info");
	if (!err)
		err = text_check(known->name, DMA_BUF_DEVICE_NAME_LEN, false, "device name");
	if (!err && known->parameters)
		err = options_take(limits, sizeof(*limits), known->parameters, sizeof(*limits),
				   "device parameters");
	limits->size = sizeof(*limits);
	return err ? err : device_parameters_check(limits);
}

DMABUF_PUBLIC struct dma_buf_device *dma_buf_device_create(const struct dma_buf_device_info *info)
{
	struct dma_buf_device_parameters limits;
	struct dma_buf_device_info known;
	struct dma_buf_device *dev;

	if (info_take(&known, &limits, info) < 0)
		return NULL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return dmabuf_fail_ptr(ENOMEM, "no memory for device %s", known.name);
	atomic_init(&dev->refs, 1);
	text_copy(dev->name, sizeof(dev->name), known.name);
	dev->parameters = limits;
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

DMABUF_PUBLIC void *dma_buf_device_priv(const struct dma_buf_device *dev)
{
	return dev ? dev->priv : NULL;
}
