/* SPDX-License-Identifier: MIT */
/*
 * Fences that a program can make and signal in a stock kernel: those of vgem, a DRM driver without
 * a device. Each ends when it is signalled, when its maker's descriptors are closed (death
 * included), or after 10 s.
 */
#ifndef DMABUF_SRC_KERNEL_VGEM_H
#define DMABUF_SRC_KERNEL_VGEM_H

#include <stdint.h>

/* A piece of memory that carries one fence at a time. */
struct vgem_carrier {
	uint32_t handle;
	int dmabuf;
};

/*
 * The driver's node, close-on-exec; -ENODEV: it is not there; -EACCES, ... Without words. Nodes of
 * other drivers are not opened: the first to open one becomes its display's master.
 */
int vgem_open(void);

/* 0 or -errno. */
int vgem_carrier_make(int device, struct vgem_carrier *carrier);
void vgem_carrier_drop(int device, struct vgem_carrier *carrier);

/* A fence as a sync_file, and the number to signal it by. A descriptor or -errno. */
int vgem_fence(int device, const struct vgem_carrier *carrier, uint32_t *number);
void vgem_signal(int device, uint32_t number);

#endif
