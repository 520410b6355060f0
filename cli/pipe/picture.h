/* SPDX-License-Identifier: MIT */
/**
 * DOC: test pictures
 *
 * NV12: height lines of luma, then height / 2 lines of interleaved chroma, stride = width. The
 * first 32 bytes of the luma plane are a block for programs, in little endian: the text "DMABUFTP",
 * the frame number (64 bits), width and height (32 bits each), a CRC-32 of those 24 bytes and of
 * everything behind the block, and 4 bytes of zero. Below it are the frame number in digits and
 * bars that move, for people.
 */
#ifndef DMABUF_CLI_PIPE_PICTURE_H
#define DMABUF_CLI_PIPE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#define PICTURE_FOURCC 0x3231564eu /* NV12 */
#define PICTURE_MIN 32		   /* pixels a side */
#define PICTURE_MAX 16384

struct picture {
	uint32_t width;
	uint32_t height;
	uint32_t fps; /* 0: as fast as possible */
};

/* Bytes of a frame. */
size_t picture_size(const struct picture *picture);
/* Draw frame @number into picture_size() bytes. */
void picture_draw(const struct picture *picture, uint64_t number, unsigned char *bytes);
/*
 * Is this what picture_draw() drew? NULL, or words that say what is wrong. The number that is in
 * the picture goes to *@number as soon as it can be read.
 */
const char *picture_check(const unsigned char *bytes, size_t len, uint64_t *number);

#endif
