// SPDX-License-Identifier: MIT
#include "home/mac.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], int count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

static void put_word(uint8_t *bytes, uint64_t word)
{
	word = htole64(word);
	memcpy(bytes, &word, sizeof(word));
}

static void compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

void mac_make(uint8_t mac[MAC_SIZE], const uint8_t key[MAC_SIZE], const void *bytes, size_t length)
{
	uint64_t k0 = word_at(key), k1 = word_at(key + 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee,
			  k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	const uint8_t *at = bytes;
	uint8_t last[8] = { 0 };
	size_t left = length;

	for (; left >= 8; at += 8, left -= 8)
		compress(v, word_at(at));
	memcpy(last, at, left);
	last[7] = (uint8_t)length;
	compress(v, word_at(last));
	v[2] ^= 0xee;
	rounds(v, 4);
	put_word(mac, v[0] ^ v[1] ^ v[2] ^ v[3]);
	v[1] ^= 0xdd;
	rounds(v, 4);
	put_word(mac + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}

bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE])
{
	const volatile uint8_t *left = a, *right = b;
	uint8_t different = 0;

	for (size_t i = 0; i < MAC_SIZE; i++)
		different |= (uint8_t)(left[i] ^ right[i]);
	return !different;
}
