/* SPDX-License-Identifier: MIT */
/*
 * What a visitor and a home say to each other: hello, challenge, request, answer, each once, each
 * one packet. Everything comes from outside and is checked here; nothing here knows of sockets.
 *
 *	visitor				home
 *	hello: which home, a nonce
 *					challenge: a nonce, proof over both
 *	request, with a proof of it
 *					answer, with a descriptor if all is well
 *
 * Over a socket that came with the buffer, which many may have, a visitor sends a knock with a
 * socket of its own for all of that.
 */
#ifndef DMABUF_SRC_HOME_WIRE_H
#define DMABUF_SRC_HOME_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "home/home.h"
#include "home/mac.h"

#define WIRE_MAGIC 0x656d6f68u /* "home" */
#define WIRE_VERSION 1
#define WIRE_NONCE 16
#define WIRE_WORDS 164

enum wire_type {
	WIRE_KNOCK = 1,
	WIRE_HELLO = 2,
	WIRE_CHALLENGE = 3,
	WIRE_REQUEST = 4,
	WIRE_ANSWER = 5,
	WIRE_HEAPS = 6, /* the answer to WIRE_LIST */
};

enum wire_wish {
	WIRE_FETCH = 1,
	WIRE_PREPARE = 2,
	WIRE_SETTLE = 3,
	WIRE_LIST = 4,
};

/* In the byte order of the machine, which processes that share a buffer have in common. */
struct wire_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
};

struct wire_knock {
	struct wire_head head;
};

struct wire_hello {
	struct wire_head head;
	uint8_t name[16]; /* of the address */
	uint8_t nonce[WIRE_NONCE];
};

struct wire_challenge {
	struct wire_head head;
	uint8_t nonce[WIRE_NONCE];
	uint8_t proof[MAC_SIZE];
};

struct wire_request {
	struct wire_head head;
	uint32_t wish;
	uint32_t heap_count;
	uint64_t generation; /* fetch: which; prepare: the one in force */
	char heaps[DMA_BUF_MAX_HEAPS][DMA_BUF_HEAP_NAME_LEN];
	uint8_t proof[MAC_SIZE]; /* of all before it; last */
};

struct wire_answer {
	struct wire_head head;
	int32_t error; /* a positive errno; 0: @storage is good */
	uint32_t pad;
	struct home_storage storage;
	struct heap_attempts attempts;
	char words[WIRE_WORDS];
};

#define WIRE_HEAP_PAGE_BACKED 1u
#define WIRE_HEAP_CPU_MAPPABLE 2u
#define WIRE_HEAP_COHERENT 4u
#define WIRE_HEAP_ZEROED 8u
#define WIRE_HEAP_AVAILABLE 16u
#define WIRE_HEAP_FLAGS 31u

/* A struct dma_buf_heap_info, which has bools and a size. */
struct wire_heap {
	char name[DMA_BUF_HEAP_NAME_LEN];
	uint64_t chunk;
	uint64_t usual_chunk;
	uint64_t alignment;
	uint64_t granule;
	uint64_t max_size;
	uint64_t capacity;
	uint64_t highest_address;
	uint64_t trust_domain;
	uint32_t cost;
	uint32_t flags;
	char where[128];
};

struct wire_heaps {
	struct wire_head head;
	uint32_t count;
	uint32_t pad;
	struct wire_heap list[DMA_BUF_MAX_HEAPS];
};

union wire_message {
	struct wire_head head;
	struct wire_knock knock;
	struct wire_hello hello;
	struct wire_challenge challenge;
	struct wire_request request;
	struct wire_answer answer;
	struct wire_heaps heaps;
};

/* The nonces of both sides. */
struct wire_nonces {
	uint8_t visitor[WIRE_NONCE];
	uint8_t home[WIRE_NONCE];
};

struct wire_head wire_head(enum wire_type type);

/* Is it a whole message of that type? */
bool wire_is(const union wire_message *m, size_t length, enum wire_type type);

/* What the home shows in its challenge, and the visitor in its request. */
void wire_prove_home(uint8_t proof[MAC_SIZE], const struct home_address *address,
		     const struct wire_nonces *nonces);
void wire_prove_request(uint8_t proof[MAC_SIZE], const struct home_address *address,
			const struct wire_nonces *nonces, const struct wire_request *request);

/*
 * Does it make sense? Heaps are 1 to DMA_BUF_MAX_HEAPS names that can be shown, if it is to be
 * prepared, else none. NULL, or what is wrong.
 */
const char *wire_check_request(const struct wire_request *request);

/*
 * Bring an answer into a form that can be believed: texts end and can be shown, counts fit, numbers
 * are what they are said to be. NULL, or what is wrong. @with_storage: a descriptor came with it.
 */
const char *wire_check_answer(struct wire_answer *answer, bool with_storage);

/* Heaps for others, and from others: NULL, or what is wrong; all of @list is filled in. */
void wire_put_heaps(struct wire_heaps *m, const struct dma_buf_heap_info *list, unsigned int count);
const char *wire_take_heaps(const struct wire_heaps *m,
			    struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS]);

#endif
