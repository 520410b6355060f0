// SPDX-License-Identifier: MIT
/* Through a pipe, as large as an unprivileged process may make it. */
#include "transport.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define PIPE_SIZE (1 << 20)

uint64_t transport_copied;

static int ends[2];
static void *frame;

void *transport_private_frame(void)
{
	void *memory = aligned_alloc(4096, (FRAME_SIZE + 4095) / 4096 * 4096);

	bench_check(memory != NULL, "allocation");
	memset(memory, 0, FRAME_SIZE);
	return memory;
}

static void prepare(void)
{
	bench_check(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	bench_check(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) >= PIPE_SIZE, "F_SETPIPE_SZ");
}

static void join(int source)
{
	close(ends[!source]);
	frame = transport_private_frame();
}

static void *begin(void)
{
	return frame;
}

static void commit(void)
{
	bench_write(ends[1], frame, FRAME_SIZE);
	transport_copied += FRAME_SIZE;
}

static const void *take(void)
{
	bench_read(ends[0], frame, FRAME_SIZE);
	transport_copied += FRAME_SIZE;
	return frame;
}

static void release(void)
{
}

const struct transport transport_pipe = {
	.name = "pipe",
	.prepare = prepare,
	.join = join,
	.begin = begin,
	.commit = commit,
	.take = take,
	.release = release,
};
