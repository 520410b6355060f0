/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_QUEUE_INHERIT_H
#define DMABUF_SRC_QUEUE_INHERIT_H

#include <stdbool.h>
#include <stdint.h>

#include "queue-report.h"

/* This process's place between others, if it was started by a runner. */
struct element {
	int control; /* -1: none */
	int in;
	int out;
	bool taken; /* the environment's sockets are ours */
	bool input_opened;
	bool output_opened;
	uint32_t stats_ms;
	uint64_t stats_due; /* clock_ns() */
	struct queue_hello hello;
	struct dma_buf *pool[DMABUF_QUEUE_MAX_BUFFERS];
	struct dmabuf_queue_consumer *input;
	struct dmabuf_queue *output;
};

extern struct element the_element;

/* 0 or a negative errno, no words. */
int report_notify(enum report_type type, const char *key, const char *value);

#endif
