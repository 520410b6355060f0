// SPDX-License-Identifier: MIT
/* dmabuf pipe: a pool of buffers goes round between processes, nothing is copied between them. */
#include "pipe/pipe.h"

static int run(int argc, char **argv)
{
	struct pipe *pipe = pipe_new(&command_pipe);

	if (!pipe)
		return EXIT_SETUP;
	if (pipe_parse(pipe, argc, argv) == 0)
		return pipe_run(pipe);
	pipe_free(pipe);
	return EXIT_USAGE;
}

const struct command command_pipe = {
	.name = "pipe",
	.summary = "stream a file or pictures through processes without copying",
	.help = "Usage: dmabuf pipe [OPTION]... SOURCE ! [STAGE !]... SINK\n\n"
		"Starts one process for each element, shares one pool of buffers among them and\n"
		"streams. The words between the \"!\" are one element each; quote those with "
		"blanks.\n\n"
		"Sources:\n"
		"  file:PATH              a file or block device\n"
		"  -                      standard input\n"
		"  null:[frames=N|bytes=N]  zeros, endless without a limit\n"
		"  test:WxH@FPS[,frames=N]  NV12 test pictures; @0: as fast as possible\n"
		"  v4l2:PATH[,format=FOURCC][,size=WxH][,fps=N][,frames=N][,memory=HOW]...  a "
		"camera\n"
		"  drm:PATH[,fps=N][,frames=N][,crtc=N]  what a graphics card's display shows\n"
		"Stages:\n"
		"  sha256, crc32          digest of all bytes\n"
		"  count                  frames and bytes\n"
		"  verify                 fails unless these are test:'s pictures, whole, in "
		"order\n"
		"  tee:PATH               write a copy\n"
		"  exec:COMMAND           a program that uses <dmabuf/queue.h>\n"
		"Sinks:\n"
		"  file:PATH, -, null:, exec:COMMAND\n"
		"  v4l2:PATH              a video output\n"
		"  drm:PATH               a graphics driver that imports, with a checksum\n\n"
		"Options:\n"
		"  -b, --buffers N        buffers in the pool, 1 to 64 (8)\n"
		"  -s, --size BYTES[K|M|G]  size of each, 4K to 64G (1M; at least a picture)\n"
		"  -q, --quiet            no progress, no table: digests and errors only\n"
		"      --json             the result as JSON on stdout\n"
		"      --color WHEN       auto, always or never\n"
		"      --check            elements that access buffers against the rules are told\n"
		"                         and end; see dmabuf(1), DMABUF_CHECK\n"
		"      --help             this text\n\n"
		"Digests go to stdout as sha256sum prints them, everything else to stderr; if the\n"
		"sink is -, all of it goes to stderr. An output gets its name when all has "
		"succeeded.\n\n"
		"Exit status: 0 all went well; 1 an element failed; 2 usage; 3 the pipe could not "
		"be\n"
		"set up; 128 + N ended by signal N.\n",
	.run = run,
};
