/* SPDX-License-Identifier: MIT */
/* A pipe as its runner sees it. */
#ifndef DMABUF_CLI_PIPE_PIPE_H
#define DMABUF_CLI_PIPE_PIPE_H

#include <json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <dmabuf/queue.h>
#include <dmabuf/info.h>

#include "../command.h"
#include "queue-report.h"
#include "element.h"

#define PIPE_MAX_RESULTS 16

/* What dmabuf cast and dmabuf catch have more than a pipe. */
struct queue_terms {
	const char *path; /* NULL: it is a pipe */
	uint64_t consumers;
	int32_t stall_ms;
	enum dmabuf_queue_policy policy;
	uint64_t min_buffers;
	uint64_t preferred_buffers;
	uint64_t connect_ms;
	uint64_t reconnect_ms;
	uint64_t frames; /* to catch; UINT64_MAX: all */
	uint64_t period; /* of png: */
	const char *label;
};

struct pipe_options {
	struct queue_terms queue;
	uint64_t buffers;
	uint64_t size;
	bool quiet;
	bool json;
	enum color_mode color;
};

struct pipe_result {
	char key[REPORT_KEY_LEN];
	char value[REPORT_VALUE_LEN];
};

/* A consumer that dmabuf cast has heard of. */
struct caught {
	uint32_t event; /* the last */
	struct dmabuf_queue_consumer_info info;
	char words[REPORT_WORDS_LEN];
};

/* So many are remembered; beyond that the first go. */
#define PIPE_MAX_CAUGHT 256

/* An element and its process. */
struct member {
	struct element element;
	pid_t pid;
	int pidfd;   /* -1: reaped, or never started */
	int control; /* -1: the element closed it */
	int child_control;
	int child_in;
	int child_out;
	bool opened;
	bool finished;
	bool peer_gone;
	uint64_t deadline; /* pipe_now() by which it must do the next thing; 0: none */
	int status;	   /* of waitpid() */
	struct rusage usage;
	struct dmabuf_queue_stats stats;
	char error[REPORT_VALUE_LEN];
	unsigned int result_count;
	struct pipe_result results[PIPE_MAX_RESULTS];
};

/* How it ended; pipe_blame() fills it in. */
struct outcome {
	bool failed;
	bool consequent;      /* a neighbour's end is to blame; its reason will follow */
	int signal;	      /* that ended the runner, or 0 */
	int status;	      /* for exit() */
	unsigned int element; /* number of the one to blame, 0: none */
	char reason[REPORT_VALUE_LEN + 160];
};

struct pipe {
	const struct command *command;
	struct pipe_options options;
	struct member members[PIPE_MAX_ELEMENTS];
	unsigned int count;
	bool stages_write;
	int signal_fd;
	struct dma_buf *pool[DMABUF_QUEUE_MAX_BUFFERS];
	uint64_t inodes[DMABUF_QUEUE_MAX_BUFFERS];
	struct dma_buf_counters counters;
	uint64_t started; /* pipe_now() when the pool was sent */
	uint64_t ended;
	struct outcome outcome;
	struct caught caught[PIPE_MAX_CAUGHT];
	unsigned int caught_count;
	uint64_t caught_total;
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t pipe_now(void);

/* run.c: a pipe without elements, NULL after complain(). */
struct pipe *pipe_new(const struct command *command);
/* Run what was parsed, report, and free it: the exit status. */
int pipe_run(struct pipe *pipe);
void pipe_free(struct pipe *pipe);

/* parse.c: 0, or EXIT_USAGE after usage(). */
int pipe_parse(struct pipe *pipe, int argc, char **argv);
/* The only element, of dmabuf cast or catch. */
int pipe_parse_only(struct pipe *pipe, const char *text, enum element_role role);
/* "1.5": seconds as a number of units of which a second has @scale. */
bool seconds_parse(const char *text, double scale, uint64_t *value);

/* The first reason counts, unless it was only a consequence. @member may be NULL. */
void pipe_blame(struct pipe *pipe, const struct member *member, bool consequent, int status,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* spawn.c: start the processes, then make the pool and send it. 0, or -1 after pipe_blame(). */
int pipe_spawn(struct pipe *pipe);
int pipe_send_pool(struct pipe *pipe);
void pipe_drop_pool(struct pipe *pipe);
/* Does the runner make the buffers? Else its source does, as it goes. */
bool pipe_has_pool(const struct pipe *pipe);

/* notice.c: take what an element has sent. True: there may be more. */
bool member_receive(struct pipe *pipe, struct member *member);

/* supervise.c: until every process has ended, one way or the other. */
void pipe_supervise(struct pipe *pipe);

/* progress.c: a line on a terminal, now and then. */
void progress_show(const struct pipe *pipe);
void progress_clear(const struct pipe *pipe);
bool progress_wanted(const struct pipe *pipe);

/* caught.c: consumers that come and go, as they are heard of. */
void caught_take(struct pipe *pipe, const struct queue_notice *notice);
const char *caught_end(uint32_t event);

/* report-queue.c: of dmabuf cast and catch */
void report_queue_text(const struct pipe *pipe);
void report_queue_json(const struct pipe *pipe);
/* report-json.c: what all have in common. */
void report_outcome(json_object *to, const struct outcome *outcome);
void report_seconds(json_object *to, const char *key, double value);
void report_print(const struct pipe *pipe, json_object *object);

/* report-text.c, report-json.c */
void report_text(const struct pipe *pipe);
void report_json(const struct pipe *pipe);
/* Is stdout taken by the data? */
bool pipe_writes_stdout(const struct pipe *pipe);
double pipe_seconds(const struct pipe *pipe);

#endif
