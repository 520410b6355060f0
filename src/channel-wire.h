/* SPDX-License-Identifier: MIT */
/**
 * DOC: channel on the wire
 *
 * What runs between the elements of a pipe, and between an element and the runner. All sockets are
 * SOCK_SEQPACKET, so a message arrives whole or not at all. The elements form a ring: each has one
 * socket to the element before it and one to the element after it, and the last one's "after" is
 * the first one's "before", by which empty buffers come back to the source.
 *
 *	frames:   source -> stage -> ... -> sink -> source (empty)
 *	control:  runner -> element: struct channel_hello, then the buffers, one dma_buf_send() each
 *	          element -> runner: struct channel_notice, any number
 *
 * Each side checks what it receives on a private copy; nothing in here is a pointer.
 */
#ifndef DMABUF_SRC_CHANNEL_WIRE_H
#define DMABUF_SRC_CHANNEL_WIRE_H

#include <stdint.h>

#define CHANNEL_MAGIC 0x6863626du /* "mbch" */
#define CHANNEL_VERSION 1u

enum channel_type {
	CHANNEL_HELLO = 1,
	CHANNEL_FRAME = 2,
	CHANNEL_END = 3,
	CHANNEL_OPENED = 4,    /* the pool has arrived */
	CHANNEL_STATS = 5,     /* how far this element is */
	CHANNEL_TELL = 6,      /* a result in words: key and value */
	CHANNEL_PEER_GONE = 7, /* a neighbour left without an end of stream */
	CHANNEL_FINISHED = 8,  /* the end of the stream was passed on; final statistics */
};

enum channel_role {
	CHANNEL_SOURCE = 1,
	CHANNEL_STAGE = 2,
	CHANNEL_SINK = 3,
};

struct channel_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
};

struct channel_hello {
	struct channel_head head;
	uint32_t buffers;
	uint32_t role;
	uint32_t stats_ms; /* send CHANNEL_STATS this often; 0: never */
	uint32_t reserved;
};

struct channel_message {
	struct channel_head head;
	uint32_t index;
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint32_t stride;
	uint32_t reserved;
	uint64_t used;
	uint64_t sequence;
	uint64_t timestamp;
};

#define CHANNEL_KEY_LEN 32
#define CHANNEL_VALUE_LEN 512

struct channel_notice {
	struct channel_head head;
	uint64_t frames;
	uint64_t bytes;
	uint64_t waits;
	uint64_t wait_ns;
	char key[CHANNEL_KEY_LEN];
	char value[CHANNEL_VALUE_LEN];
};

_Static_assert(sizeof(struct channel_hello) == 24, "no holes");
_Static_assert(sizeof(struct channel_message) == 56, "no holes");
_Static_assert(sizeof(struct channel_notice) == 40 + CHANNEL_KEY_LEN + CHANNEL_VALUE_LEN,
	       "no holes");

static inline struct channel_head channel_head(enum channel_type type)
{
	return (struct channel_head){ CHANNEL_MAGIC, CHANNEL_VERSION, (uint16_t)type };
}

#endif
