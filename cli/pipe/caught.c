// SPDX-License-Identifier: MIT
/* Consumers of dmabuf cast, as its source tells of them. */
#include "pipe.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *caught_end(uint32_t event)
{
	switch (event) {
	case DMABUF_QUEUE_JOINED:
		return "joined";
	case DMABUF_QUEUE_LEFT:
		return "left";
	case DMABUF_QUEUE_DIED:
		return "died";
	case DMABUF_QUEUE_CUT_OFF:
		return "cut off";
	case DMABUF_QUEUE_REFUSED:
		return "refused";
	default:
		return "stayed";
	}
}

static struct caught *find(struct pipe *pipe, uint32_t id)
{
	for (unsigned int i = 0; i < pipe->caught_count && id; i++)
		if (pipe->caught[i].info.id == id)
			return &pipe->caught[i];
	pipe->caught_total++;
	if (pipe->caught_count < PIPE_MAX_CAUGHT)
		return &pipe->caught[pipe->caught_count++];
	memmove(pipe->caught, pipe->caught + 1, (PIPE_MAX_CAUGHT - 1) * sizeof(pipe->caught[0]));
	return &pipe->caught[PIPE_MAX_CAUGHT - 1];
}

void caught_take(struct pipe *pipe, const struct queue_notice *notice)
{
	struct report_consumer told;
	struct caught *c;

	memcpy(&told, notice->value, sizeof(told));
	/* The source may be anybody's program. */
	told.info.label[sizeof(told.info.label) - 1] = '\0';
	told.words[sizeof(told.words) - 1] = '\0';
	make_printable(told.info.label);
	make_printable(told.words);
	c = find(pipe, told.info.id);
	c->info = told.info;
	/* Who is gone and still has something is counted, too, and stays gone. */
	if (told.event == REPORT_CONSUMER_STAYED && c->words[0])
		told.event = c->event == DMABUF_QUEUE_JOINED ? told.event : c->event;
	c->event = told.event;
	if (told.event == REPORT_CONSUMER_STAYED || !strcmp(told.words, told.info.label))
		return;
	memcpy(c->words, told.words, sizeof(c->words));
	if (pipe->options.quiet || pipe->options.json)
		return;
	progress_clear(pipe);
	fprintf(stderr, "%s\n", c->words);
}
