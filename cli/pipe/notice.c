// SPDX-License-Identifier: MIT
/* What the elements say. They may be anybody's programs: nothing is believed unchecked. */
#include "pipe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After the end of the stream a program may have work of its own to do, but not for ever. */
#define EXIT_NS 30000000000u
/* Who closed its sockets should be about to end. */
#define LEAVE_NS 1000000000u
/* At most so many at a time, so that nobody can keep the runner busy. */
#define NOTICES_AT_A_TIME 64

static void take_result(struct member *m, const struct queue_notice *notice)
{
	struct pipe_result *result = NULL;

	if (!strcmp(notice->key, "error")) {
		/* The first is the reason. */
		if (!m->error[0])
			memcpy(m->error, notice->value, sizeof(m->error));
		return;
	}
	for (unsigned int i = 0; i < m->result_count; i++)
		if (!strcmp(m->results[i].key, notice->key))
			result = &m->results[i];
	if (!result && m->result_count < PIPE_MAX_RESULTS)
		result = &m->results[m->result_count++];
	if (!result)
		return;
	memcpy(result->key, notice->key, sizeof(result->key));
	memcpy(result->value, notice->value, sizeof(result->value));
}

static bool take(struct pipe *pipe, struct member *m, struct queue_notice *notice)
{
	if (notice->head.type == REPORT_CONSUMER) {
		caught_take(pipe, notice);
		return true;
	}
	notice->key[REPORT_KEY_LEN - 1] = '\0';
	notice->value[REPORT_VALUE_LEN - 1] = '\0';
	make_printable(notice->key);
	make_printable(notice->value);
	switch (notice->head.type) {
	case REPORT_OPENED:
		m->opened = true;
		m->deadline = 0;
		return true;
	case REPORT_TELL:
		take_result(m, notice);
		return true;
	case REPORT_FINISHED:
		m->finished = true;
		m->deadline = pipe_now() + EXIT_NS;
		break;
	case REPORT_PEER_GONE:
		m->peer_gone = true;
		break;
	case REPORT_STATS:
		break;
	default:
		return false;
	}
	m->stats = notice->stats;
	return true;
}

static void closed(struct member *m)
{
	close(m->control);
	m->control = -1;
	if (m->pidfd >= 0 && !m->finished)
		m->deadline = pipe_now() + LEAVE_NS;
}

bool member_receive(struct pipe *pipe, struct member *m)
{
	struct queue_notice notice;
	ssize_t got;

	for (int i = 0; i < NOTICES_AT_A_TIME; i++) {
		if (m->control < 0)
			return false;
		got = recv(m->control, &notice, sizeof(notice), MSG_DONTWAIT | MSG_TRUNC);
		/* Who ended without reading all of ours may have spoken before: that comes next. */
		if (got < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (got < 0 && errno == EAGAIN)
			return false;
		if (got <= 0) {
			closed(m);
			return false;
		}
		if (got == sizeof(notice) && notice.head.magic == REPORT_MAGIC &&
		    notice.head.version == REPORT_VERSION && take(pipe, m, &notice))
			continue;
		pipe_blame(pipe, m, false, EXIT_FAILED,
			   "sent the pipe %zd bytes that make no sense", got);
		closed(m);
	}
	return true;
}
