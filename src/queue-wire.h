/* SPDX-License-Identifier: MIT */
/**
 * DOC: the queue on the wire
 *
 * A connection is a SOCK_SEQPACKET socket, so a message arrives whole or not at all.
 *
 *	consumer -> producer: JOIN; then SLOT, RETURN; BYE
 *	producer -> consumer: WELCOME or REFUSED; then FRAME; END or CUT_OFF
 *
 * Descriptors come with FRAME (a buffer that this consumer does not have yet, one or two of them,
 * then the acquire fence) and with RETURN (a release fence). Each side checks what it receives on a
 * private copy; nothing in here is a pointer.
 */
#ifndef DMABUF_SRC_QUEUE_WIRE_H
#define DMABUF_SRC_QUEUE_WIRE_H

#include <stdint.h>

#include <dmabuf/queue.h>

#define QUEUE_MAGIC 0x71626d64u /* "dmbq" */
#define QUEUE_VERSION 1u

enum queue_type {
	QUEUE_JOIN = 1,
	QUEUE_SLOT = 2,
	QUEUE_RETURN = 3,
	QUEUE_BYE = 4,
	QUEUE_WELCOME = 16,
	QUEUE_REFUSED = 17,
	QUEUE_FRAME = 18,
	QUEUE_END = 19,
	QUEUE_CUT_OFF = 20,
};

struct queue_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
};

struct queue_join {
	struct queue_head head;
	uint32_t policy;
	uint32_t flags; /* DMABUF_QUEUE_WRITES... */
	uint32_t min;
	uint32_t preferred;
	char label[DMABUF_QUEUE_LABEL_LEN];
};

/* Which of a buffer's client slots the consumer has: its lock tells when it is really gone. */
struct queue_slot {
	struct queue_head head;
	uint32_t index;
	uint32_t slot;
};

#define QUEUE_RETURN_FENCE 0x1u /* one buffer, and the descriptor of its release fence */
/* Somebody may go on using the memory: it must not be filled again. Said by relays. */
#define QUEUE_RETURN_RETIRE 0x2u

struct queue_return {
	struct queue_head head;
	uint64_t buffers; /* bit n: buffer n */
	uint32_t flags;
	uint32_t reserved;
	uint64_t waits;
	uint64_t latency_ns;
	uint64_t latency_max_ns;
};

struct queue_welcome {
	struct queue_head head;
	uint32_t granted; /* buffers that the consumer may have at a time */
	uint32_t pool;	  /* buffers in all */
	uint64_t epoch;
	char label[DMABUF_QUEUE_LABEL_LEN];
};

#define QUEUE_WORDS_LEN 256

/* REFUSED and CUT_OFF. */
struct queue_words {
	struct queue_head head;
	int32_t err; /* positive errno */
	uint32_t reserved;
	char words[QUEUE_WORDS_LEN];
};

#define QUEUE_FRAME_BUFFER_FDS 0x3u /* how many descriptors of the buffer come along */
#define QUEUE_FRAME_FENCE 0x4u	    /* and one of the acquire fence behind them */

struct queue_frame {
	struct queue_head head;
	uint32_t index;
	uint32_t carries; /* QUEUE_FRAME_... */
	uint64_t forget;  /* bit n: buffer n of this consumer is no more */
	uint64_t dropped; /* for this consumer, since the last frame */
	uint32_t flags;	  /* of the frame */
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint32_t plane_count;
	uint32_t turn; /* how often this consumer has given this memory back */
	struct dmabuf_frame_plane planes[DMABUF_FRAME_MAX_PLANES];
	uint64_t modifier;
	uint64_t used;
	uint64_t sequence;
	uint64_t timestamp;
};

/* END and BYE are a head and nothing else. */

_Static_assert(sizeof(struct queue_join) == 56, "no holes");
_Static_assert(sizeof(struct queue_slot) == 16, "no holes");
_Static_assert(sizeof(struct queue_return) == 48, "no holes");
_Static_assert(sizeof(struct queue_welcome) == 56, "no holes");
_Static_assert(sizeof(struct queue_words) == 16 + QUEUE_WORDS_LEN, "no holes");
_Static_assert(sizeof(struct queue_frame) == 120, "no holes");

/* Whatever arrives; larger than any message, so that one that is too long shows. */
union queue_message {
	struct queue_head head;
	struct queue_join join;
	struct queue_slot slot;
	struct queue_return ret;
	struct queue_welcome welcome;
	struct queue_words words;
	struct queue_frame frame;
};

static inline struct queue_head queue_head(enum queue_type type)
{
	return (struct queue_head){ QUEUE_MAGIC, QUEUE_VERSION, (uint16_t)type };
}

#endif
