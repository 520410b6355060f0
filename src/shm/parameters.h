/* SPDX-License-Identifier: MIT */
/* A device's parameters as they are kept in the control block. */
#ifndef DMABUF_SHM_PARAMETERS_H
#define DMABUF_SHM_PARAMETERS_H

#include <stdbool.h>

#include <dmabuf/device-parameters.h>

#include "shm/layout.h"

void shm_parameters_write(struct shm_parameters *to, const struct dma_buf_device_parameters *from);

/* From a private copy. False: no library wrote that; @to then needs nothing. */
bool shm_parameters_read(struct dma_buf_device_parameters *to, const struct shm_parameters *from);

#endif
