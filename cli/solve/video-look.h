/* SPDX-License-Identifier: MIT */
/* Looking at video devices, whatever their drivers do. */
#ifndef DMABUF_CLI_SOLVE_VIDEO_LOOK_H
#define DMABUF_CLI_SOLVE_VIDEO_LOOK_H

#include <stdbool.h>
#include <sys/types.h>

#include <dmabuf/device.h>

struct video_found {
	char name[DMA_BUF_DEVICE_NAME_LEN];
	dev_t number;
	bool known; /* else @words say why it could not be looked at */
	bool output;
	unsigned int from; /* enum dma_buf_parameters_from */
	struct dma_buf_device_parameters parameters;
	char words[256];
};

/*
 * Video devices that share buffers, by @sys ("/sys") and @dev ("/dev"), sorted by name; how many.
 * Each is opened in a process of its own, all at the same time: one whose driver has not answered
 * after @ms milliseconds is left behind. @trial: give each a buffer, to learn what it takes.
 */
unsigned int video_look(const char *sys, const char *dev, bool trial, int ms,
			struct video_found *list, unsigned int max);

#endif
