/* SPDX-License-Identifier: MIT */
/* <dmabuf/channel.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_CHANNEL_H
#define DMABUF_STUBS_CHANNEL_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dmabuf_channel *dmabuf_channel_open(int timeout_ms)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_channel_next(struct dmabuf_channel *channel, struct dmabuf_channel_frame *frame,
				      int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_channel_pass(struct dmabuf_channel *channel,
				      const struct dmabuf_channel_frame *frame)
{
	return -ENODEV;
}

static inline int dmabuf_channel_finish(struct dmabuf_channel *channel)
{
	return -ENODEV;
}

static inline int dmabuf_channel_tell(struct dmabuf_channel *channel, const char *key,
				      const char *value)
{
	return -ENODEV;
}

static inline int dmabuf_channel_get_stats(const struct dmabuf_channel *channel,
					   struct dmabuf_channel_stats *stats)
{
	return -ENODEV;
}

static inline void dmabuf_channel_close(struct dmabuf_channel *channel)
{
}

#pragma GCC diagnostic pop
#endif
