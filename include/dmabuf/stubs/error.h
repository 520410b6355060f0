/* SPDX-License-Identifier: MIT */
/* <dmabuf/error.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_ERROR_H
#define DMABUF_STUBS_ERROR_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline void dmabuf_set_log(dmabuf_log_fn fn, void *data)
{
}

static inline const char *dmabuf_last_error(void)
{
	return "compiled without libdmabuf (DMABUF_DISABLED)";
}

static inline const char *dmabuf_version(void)
{
	return "";
}

#pragma GCC diagnostic pop
#endif
