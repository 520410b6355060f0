/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_CHANNEL_H
#define DMABUF_SRC_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/channel.h>

#include "channel-wire.h"

struct dmabuf_channel {
	int control;
	int in;
	int out;
	enum channel_role role;
	uint32_t count;
	bool ended;	/* the end of the stream was received */
	bool finished;	/* the end of the stream was passed on */
	uint32_t fresh; /* source: the buffers from here on were never used */
	uint32_t stats_ms;
	uint64_t stats_due; /* clock_ns() */
	struct dmabuf_channel_stats stats;
	struct dma_buf *buffers[DMABUF_CHANNEL_MAX_BUFFERS];
	bool held[DMABUF_CHANNEL_MAX_BUFFERS];
};

/* Send a notice to the runner without waiting. 0 or a negative errno, no words. */
int channel_notify(struct dmabuf_channel *channel, enum channel_type type, const char *key,
		   const char *value);

#endif
