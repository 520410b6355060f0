/* SPDX-License-Identifier: MIT */
/* Pictures of the common formats as rows of RGB. */
#ifndef DMABUF_CLI_PIPE_RGB_H
#define DMABUF_CLI_PIPE_RGB_H

#include <stdbool.h>

#include <dmabuf/queue.h>

/* Can pictures of this format be converted? */
bool rgb_knows(const struct dmabuf_frame *frame);
/* Three bytes for each pixel, without gaps, from the frame's @bytes. */
void rgb_convert(const struct dmabuf_frame *frame, const unsigned char *bytes, unsigned char *rgb);

#endif
