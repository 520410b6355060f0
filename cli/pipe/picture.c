// SPDX-License-Identifier: MIT
#include "picture.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MAGIC "DMABUFTP"
#define DIGIT_WIDTH 3
#define DIGIT_HEIGHT 5

struct block {
	char magic[8];
	uint64_t number;
	uint32_t width;
	uint32_t height;
	uint32_t crc;
	uint32_t zero;
};

_Static_assert(sizeof(struct block) == 32, "as documented");

/* 3 by 5 dots, the top line in the highest bits. */
static const uint16_t digits[10] = {
	0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9, 0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf,
};

size_t picture_size(const struct picture *picture)
{
	return (size_t)picture->width * picture->height * 3 / 2;
}

static void draw_bars(const struct picture *p, uint64_t number, unsigned char *bytes)
{
	uint32_t bar = p->width / 8;
	uint32_t shift = (uint32_t)(number * 4 % p->width);
	unsigned char *chroma = bytes + (size_t)p->width * p->height;

	for (uint32_t x = 0; x < p->width; x++)
		bytes[x] = (unsigned char)(16 + (x + shift) % p->width / bar % 8 * 31);
	for (uint32_t y = 1; y < p->height; y++)
		memcpy(bytes + (size_t)y * p->width, bytes, p->width);
	for (uint32_t x = 0; x < p->width; x += 2) {
		uint32_t hue = (x + shift) % p->width / bar % 8;

		chroma[x] = (unsigned char)(hue & 1 ? 200 : 90);
		chroma[x + 1] = (unsigned char)(hue & 2 ? 200 : 90);
	}
	for (uint32_t y = 1; y < p->height / 2; y++)
		memcpy(chroma + (size_t)y * p->width, chroma, p->width);
}

static void draw_digit(const struct picture *p, unsigned char *at, unsigned int digit,
		       uint32_t scale)
{
	for (uint32_t y = 0; y < DIGIT_HEIGHT * scale; y++)
		for (uint32_t x = 0; x < DIGIT_WIDTH * scale; x++) {
			uint32_t dot = y / scale * DIGIT_WIDTH + x / scale;
			bool lit = digits[digit] >> (DIGIT_WIDTH * DIGIT_HEIGHT - 1 - dot) & 1;

			at[(size_t)y * p->width + x] = lit ? 235 : 16;
		}
}

static void draw_number(const struct picture *p, uint64_t number, unsigned char *bytes)
{
	uint32_t scale = p->height / 60 ? p->height / 60 : 1;
	uint32_t left = 2;
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	for (const char *c = text; *c; c++) {
		if (left + DIGIT_WIDTH * scale > p->width)
			return;
		draw_digit(p, bytes + (size_t)p->width * (p->height / 4) + left,
			   (unsigned int)(*c - '0'), scale);
		left += (DIGIT_WIDTH + 1) * scale;
	}
}

static uint32_t checksum(const struct block *block, const unsigned char *bytes, size_t len)
{
	uLong crc = crc32_z(0, (const unsigned char *)block, offsetof(struct block, crc));

	return (uint32_t)crc32_z(crc, bytes + sizeof(*block), len - sizeof(*block));
}

void picture_draw(const struct picture *picture, uint64_t number, unsigned char *bytes)
{
	struct block block = {
		.magic = MAGIC,
		.number = htole64(number),
		.width = htole32(picture->width),
		.height = htole32(picture->height),
	};

	draw_bars(picture, number, bytes);
	draw_number(picture, number, bytes);
	block.crc = htole32(checksum(&block, bytes, picture_size(picture)));
	memcpy(bytes, &block, sizeof(block));
}

const char *picture_check(const unsigned char *bytes, size_t len, uint64_t *number)
{
	struct block block;
	struct picture p;

	if (len < sizeof(block))
		return "too short for a test picture";
	memcpy(&block, bytes, sizeof(block));
	if (memcmp(block.magic, MAGIC, sizeof(block.magic)))
		return "not a test picture";
	*number = le64toh(block.number);
	p = (struct picture){ .width = le32toh(block.width), .height = le32toh(block.height) };
	if (p.width < PICTURE_MIN || p.width > PICTURE_MAX || p.height < PICTURE_MIN ||
	    p.height > PICTURE_MAX || picture_size(&p) != len)
		return "its size is not what the picture says";
	if (le32toh(block.crc) != checksum(&block, bytes, len))
		return "its checksum does not fit its content";
	return NULL;
}
