// SPDX-License-Identifier: MIT
#include "pipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

bool progress_wanted(const struct pipe *pipe)
{
	return !pipe->options.quiet && !pipe->options.json && isatty(STDERR_FILENO);
}

void progress_show(const struct pipe *pipe)
{
	static uint64_t shown, last_bytes;
	const struct dmabuf_queue_stats *stats = &pipe->members[pipe->count - 1].stats;
	uint64_t now = pipe_now();
	char done[32], rate[32];

	if (!progress_wanted(pipe) || now < shown + 200000000u)
		return;
	size_format((double)stats->bytes, done, sizeof(done));
	size_format(shown ? (double)(stats->bytes - last_bytes) * 1e9 / (double)(now - shown) : 0,
		    rate, sizeof(rate));
	fprintf(stderr, "\r%" PRIu64 " frames, %s, %s/s\033[K", stats->frames, done, rate);
	shown = now;
	last_bytes = stats->bytes;
}

void progress_clear(const struct pipe *pipe)
{
	if (progress_wanted(pipe))
		fputs("\r\033[K", stderr);
}
