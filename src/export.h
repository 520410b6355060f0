/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_EXPORT_H
#define DMABUF_SRC_EXPORT_H

/* Everything is hidden but what carries this and stands in libdmabuf.map. */
#define DMABUF_PUBLIC __attribute__((visibility("default")))

#endif
