/* SPDX-License-Identifier: MIT */
/**
 * DOC: elements and their runner
 *
 * A program that `dmabuf pipe`, `cast` or `catch` starts finds in the environment variable
 * DMABUF_QUEUE three descriptors: "1:CONTROL:IN:OUT", -1 for one that it does not have. IN and OUT
 * are sockets of the queue. CONTROL is a SOCK_SEQPACKET socket to who started it:
 *
 *	runner -> element: struct queue_hello, then @buffers buffers, one dma_buf_send() each
 *	element -> runner: struct queue_notice, any number
 */
#ifndef DMABUF_SRC_QUEUE_REPORT_H
#define DMABUF_SRC_QUEUE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <dmabuf/queue.h>

#define REPORT_MAGIC 0x72626d64u /* "dmbr" */
#define REPORT_VERSION 1u

enum report_type {
	REPORT_HELLO = 1,
	REPORT_OPENED = 2,    /* the element has found its sockets */
	REPORT_STATS = 3,     /* how far it is */
	REPORT_TELL = 4,      /* a result in words: key and value */
	REPORT_PEER_GONE = 5, /* a neighbour left without an end of stream */
	REPORT_FINISHED = 6,  /* the end of the stream was passed on, or taken; final statistics */
	REPORT_CONSUMER = 7,  /* one came or went: struct report_consumer in value */
};

struct report_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
};

struct queue_hello {
	struct report_head head;
	uint32_t stats_ms; /* send REPORT_STATS so often; 0: never */
	/* Of an element with an output and no input. */
	uint32_t buffers;   /* that follow: the pool; 0: make them */
	uint32_t consumers; /* wait for so many */
	int32_t stall_ms;
	uint64_t buffer_size;
	uint32_t max_buffers;
	/* Of an element with an input. */
	uint32_t policy;
	uint32_t min_buffers;
	uint32_t preferred_buffers;
	uint32_t reconnect_ms;
	uint32_t connect_ms;
	char label[DMABUF_QUEUE_LABEL_LEN]; /* "": its own */
	/* Where to listen or to connect, instead of a socket. */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char end[4]; /* zero */
};

#define REPORT_KEY_LEN 32
#define REPORT_VALUE_LEN 512

struct queue_notice {
	struct report_head head;
	struct dmabuf_queue_stats stats;
	char key[REPORT_KEY_LEN];
	char value[REPORT_VALUE_LEN];
};

_Static_assert(sizeof(struct queue_hello) == 56 + DMABUF_QUEUE_LABEL_LEN + 108 + 4, "no holes");
_Static_assert(sizeof(struct queue_notice) == 72 + REPORT_KEY_LEN + REPORT_VALUE_LEN, "no holes");

/* Beside those of enum dmabuf_queue_event: it was there when the producer ended. */
#define REPORT_CONSUMER_STAYED 100u
#define REPORT_WORDS_LEN 256

struct report_consumer {
	uint32_t event;
	uint32_t reserved;
	struct dmabuf_queue_consumer_info info;
	char words[REPORT_WORDS_LEN];
};

_Static_assert(sizeof(struct report_consumer) <= REPORT_VALUE_LEN, "fits");

static inline struct report_head report_head(enum report_type type)
{
	return (struct report_head){ REPORT_MAGIC, REPORT_VERSION, (uint16_t)type };
}

/* What both ends of the queue do for an element that was started by a runner. */
void report_frame(void);     /* one more went through */
void report_peer_gone(void); /* that is the reason for what follows */
void report_consumer(uint32_t event, const struct dmabuf_queue_consumer_info *info,
		     const char *words);
void report_consumers(struct dmabuf_queue *q);
int report_finished(void); /* 0, or a negative errno with words */
void report_closed(bool input);

#endif
