// SPDX-License-Identifier: MIT
/*
 * What a DRM device needs of memory. The kernel tells whether something translates addresses for it
 * and how many bits they have; the rest is a table, see docs/drm.md.
 */
#include "drm.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices/char-device.h"
#include "error.h"
#include "export.h"

enum how {
	BY_CPU,	    /* the driver, or its host, works on pages with the CPU */
	CONTIGUOUS, /* one physical piece, unless an IOMMU makes it one */
};

/* By the name of the driver as sysfs has it; of a device that has none, the device's own. */
static const struct {
	char driver[24];
	enum how how;
} table[] = {
	{ "vgem", BY_CPU },
	{ "vkms", BY_CPU },
	{ "udl", BY_CPU },
	{ "gm12u320", BY_CPU },
	{ "simple-framebuffer", BY_CPU },
	{ "bochs-drm", BY_CPU },
	{ "virtio_gpu", BY_CPU },
	{ "virtio-pci", BY_CPU }, /* what the bus has for it */
	{ "imx-drm", CONTIGUOUS },
	{ "sun4i-drm", CONTIGUOUS },
	{ "stm32-display", CONTIGUOUS },
	{ "vc4-drm", CONTIGUOUS },
	{ "mxsfb", CONTIGUOUS },
	{ "pl111", CONTIGUOUS },
	{ "tilcdc", CONTIGUOUS },
	{ "tidss", CONTIGUOUS },
	{ "meson-drm", CONTIGUOUS },
	{ "hdlcd", CONTIGUOUS },
	{ "ingenic-drm", CONTIGUOUS },
};

/* Where the link @path leads to, by its last name. */
static bool link_name(const char *path, char *name, size_t room)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return snprintf(name, room, "%s", slash ? slash + 1 : target) < (int)room;
}

static unsigned int what_is_known(const char *driver, struct dma_buf_device_parameters *p)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].driver, driver) != 0)
			continue;
		/* Who copies with the CPU goes by pages. */
		p->page_backed = table[i].how == BY_CPU;
		p->contiguous = table[i].how == CONTIGUOUS;
		return DMA_BUF_FROM_TABLE;
	}
	return 0;
}

int drm_parameters(dev_t device, const char *sysfs, struct dma_buf_device_parameters *p)
{
	char base[96], path[128], text[64];
	unsigned int from;

	snprintf(base, sizeof(base), "%s/dev/char/%u:%u/device", sysfs, major(device),
		 minor(device));
	if (major(device) != DRM_MAJOR_NUMBER || access(base, F_OK) < 0)
		return -ENOENT;
	*p = (struct dma_buf_device_parameters){ .size = sizeof(*p) };
	snprintf(path, sizeof(path), "%s/driver", base);
	if (!link_name(path, text, sizeof(text)) && !link_name(base, text, sizeof(text)))
		text[0] = '\0';
	from = what_is_known(text, p);
	return (int)(from | char_device_reach(device, sysfs, p));
}

DMABUF_PUBLIC int dma_buf_drm_get_parameters(dev_t device,
					     struct dma_buf_device_parameters *parameters)
{
	struct dma_buf_device_parameters found;

	if (!parameters || parameters->size != sizeof(*parameters))
		return dmabuf_fail(EINVAL, "DRM device: size of parameters must be %zu",
				   sizeof(*parameters));
	if (drm_parameters(device, "/sys", &found) < 0)
		return dmabuf_fail(ENOENT, "DRM device %u:%u is not in sysfs", major(device),
				   minor(device));
	*parameters = found;
	return 0;
}

DMABUF_PUBLIC int dma_buf_drm_parameters_from(dev_t device)
{
	struct dma_buf_device_parameters found;
	int from = drm_parameters(device, "/sys", &found);

	if (from < 0)
		return dmabuf_fail(ENOENT, "DRM device %u:%u is not in sysfs", major(device),
				   minor(device));
	return from;
}
