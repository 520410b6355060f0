// SPDX-License-Identifier: MIT
/*
 * What a video device needs of memory. The kernel tells whether something translates addresses for
 * it and how many bits they have; the rest is a table, see docs/v4l2.md.
 */
#include "v4l2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/char-device.h"

enum how {
	BY_CPU,	     /* the driver copies with the CPU */
	CONTIGUOUS,  /* one physical piece, unless an IOMMU makes it one */
	BY_PARAMETER /* a module parameter says which of both */
};

static const struct {
	char driver[16];
	enum how how;
	const char *parameter; /* where, in sysfs */
} table[] = {
	{ "uvcvideo", BY_CPU, NULL },
	{ "vivid", BY_PARAMETER, "module/vivid/parameters/allocators" },
	{ "vimc", BY_PARAMETER, "module/vimc/parameters/allocator" },
	{ "unicam", CONTIGUOUS, NULL },
	{ "bm2835 mmal", BY_CPU, NULL },
	{ "rkisp1", CONTIGUOUS, NULL },
	{ "sun6i-video", CONTIGUOUS, NULL },
	{ "imx7-csi", CONTIGUOUS, NULL },
	{ "imx-media-captu", CONTIGUOUS, NULL },
	{ "stm32-dcmi", CONTIGUOUS, NULL },
	{ "tegra-video", CONTIGUOUS, NULL },
	{ "xilinx-vipp", CONTIGUOUS, NULL },
};

/* "0,1,...": the entry of the instance whose number ends the bus name ("platform:vivid-001"). */
static bool parameter_is_contiguous(const struct v4l2_device *v, const char *path)
{
	const char *dash = strrchr(v->bus, '-');
	unsigned long instance = dash ? strtoul(dash + 1, NULL, 10) : 0;
	char text[256], *at = text;

	if (!sysfs_read(path, text, sizeof(text)))
		return false;
	while (instance-- && at) {
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return at && *at == '1';
}

static bool what_is_known(const struct v4l2_device *v, const char *sysfs,
			  struct dma_buf_device_parameters *p)
{
	char path[128];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strncmp(table[i].driver, v->driver, sizeof(table[i].driver) - 1))
			continue;
		p->contiguous = table[i].how == CONTIGUOUS;
		if (table[i].how == BY_PARAMETER) {
			snprintf(path, sizeof(path), "%s/%s", sysfs, table[i].parameter);
			p->contiguous = parameter_is_contiguous(v, path);
		}
		p->cpu_needed = !p->contiguous;
		return true;
	}
	return false;
}

unsigned int v4l2_parameters(const struct v4l2_device *v, dev_t number, const char *sysfs,
			     struct dma_buf_device_parameters *p)
{
	unsigned int from = 0;

	*p = (struct dma_buf_device_parameters){ .size = sizeof(*p) };
	if (what_is_known(v, sysfs, p))
		from = DMA_BUF_FROM_TABLE;
	return from | char_device_reach(number, sysfs, p);
}
