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
};

enum wire_wish {
	WIRE_FETCH = 1,
	WIRE_PREPARE = 2,
	WIRE_SETTLE = 3,
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

union wire_message {
	struct wire_head head;
	struct wire_knock knock;
	struct wire_hello hello;
	struct wire_challenge challenge;
	struct wire_request request;
	struct wire_answer answer;
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

#endif
