/* SPDX-License-Identifier: MIT */
/*
 * What a fence's descriptor says to other processes: a name, which is there from the beginning and
 * never changes, and a record, which comes when the fence ends. Both come from outside and are
 * checked here; nothing here knows of sockets.
 */
#ifndef DMABUF_SRC_SYNC_WIRE_H
#define DMABUF_SRC_SYNC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for an abstract address after its leading NUL. */
#define SYNC_NAME_MAX 107
#define SYNC_TEXT_LEN 32

/*
 * As text: "dma-fence:1:", then in hexadecimal, each followed by a colon: instance and id (16
 * digits each), context, seqno, timeout, and "w" or "n" for seqnos of 64 or 32 bits; then driver,
 * timeline and name, with a NUL between them. Long ones are cut, as there is room for 16 to 48
 * bytes of them.
 */
struct sync_name {
	uint64_t instance; /* random, of the process that exported the fence */
	uint64_t id;	   /* random, of this export */
	uint64_t context;
	uint64_t seqno;
	uint32_t timeout_ms;
	bool wide;
	char driver[SYNC_TEXT_LEN];
	char timeline[SYNC_TEXT_LEN];
	char name[SYNC_TEXT_LEN];
};

#define SYNC_RECORD_MAGIC 0x65636e6566616d64ull /* "dmafence" */
#define SYNC_RECORD_VERSION 1

/* In the byte order of the machine, which processes that share a fence have in common. */
struct sync_record {
	uint64_t magic;
	uint32_t version;
	int32_t status;	   /* 1, or the error */
	int64_t timestamp; /* ns of the owner's CLOCK_MONOTONIC */
};

/* Writes at most SYNC_NAME_MAX bytes; returns how many. */
size_t sync_name_write(const struct sync_name *name, char *text);

/* 0, or -EINVAL: not such a name. @name is untouched then. */
int sync_name_read(struct sync_name *name, const char *text, size_t length);

/* A record of how a fence ended. */
struct sync_record sync_record_make(int status, int64_t timestamp);

/* 0, or -EBADMSG: not one whole record with a status that a fence can have. */
int sync_record_read(struct sync_record *record, const void *bytes, size_t length);

#endif
