/* SPDX-License-Identifier: MIT */
/* What the rest of the kernel's room asks of storage-kernel.c. */
#ifndef DMABUF_SRC_KERNEL_STORAGE_H
#define DMABUF_SRC_KERNEL_STORAGE_H

#include <stdbool.h>

#include "storage.h"

bool storage_is_kernel(const struct storage *s);

/* A fence of this process's own was put on it (1), or has ended (-1). */
void storage_kernel_own_fence(struct storage *s, int change);
unsigned int storage_kernel_own_fences(struct storage *s);

#endif
