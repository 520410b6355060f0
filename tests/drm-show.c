// SPDX-License-Identifier: MIT
/*
 * drm-show CARD FILE...: shows a picture of 640x480 on the card's first display that is connected,
 * one for each FILE, which gets its bytes. Each is shown when a line comes on standard input;
 * "shown" is the answer. It ends with its input.
 */
#include <drm_fourcc.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define WIDTH 640u
#define HEIGHT 480u

struct display {
	int fd;
	uint32_t connector, crtc;
	drmModeModeInfo mode;
};

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int is_ours(const drmModeModeInfo *mode)
{
	return mode->hdisplay == WIDTH && mode->vdisplay == HEIGHT;
}

static void find_display(struct display *d)
{
	drmModeResPtr all = drmModeGetResources(d->fd);

	if (!all || !all->count_crtcs)
		die("no displays");
	d->crtc = all->crtcs[0];
	for (int i = 0; i < all->count_connectors && !d->connector; i++) {
		drmModeConnectorPtr c = drmModeGetConnector(d->fd, all->connectors[i]);

		for (int m = 0; c && c->connection == DRM_MODE_CONNECTED && m < c->count_modes; m++)
			if (is_ours(&c->modes[m])) {
				d->mode = c->modes[m];
				d->connector = c->connector_id;
			}
		drmModeFreeConnector(c);
	}
	drmModeFreeResources(all);
	if (!d->connector)
		die("no display of 640x480");
}

/* Draws it, and writes it to @path; returns a framebuffer. */
static uint32_t draw(const struct display *d, const char *path, uint32_t seed)
{
	uint32_t handle, pitch, framebuffer, handles[4] = { 0 }, pitches[4] = { 0 },
					     offsets[4] = { 0 };
	uint64_t size, offset;
	uint8_t *bytes;
	FILE *f = fopen(path, "we");

	if (!f ||
	    drmModeCreateDumbBuffer(d->fd, WIDTH, HEIGHT, 32, 0, &handle, &pitch, &size) < 0 ||
	    drmModeMapDumbBuffer(d->fd, handle, &offset) < 0)
		die("making a picture");
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, (off_t)offset);
	if (bytes == MAP_FAILED)
		die("mmap");
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 640 + seed * 31);
	if (fwrite(bytes, pitch, HEIGHT, f) != HEIGHT || fclose(f) != 0)
		die(path);
	munmap(bytes, size);
	handles[0] = handle;
	pitches[0] = pitch;
	if (drmModeAddFB2(d->fd, WIDTH, HEIGHT, DRM_FORMAT_XRGB8888, handles, pitches, offsets,
			  &framebuffer, 0) < 0)
		die("making a framebuffer");
	return framebuffer;
}

int main(int argc, char **argv)
{
	struct display d = { .fd = argc > 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1 };
	char line[16];

	if (d.fd < 0)
		die("usage: drm-show CARD FILE...");
	find_display(&d);
	for (int i = 2; i < argc && fgets(line, sizeof(line), stdin); i++) {
		uint32_t framebuffer = draw(&d, argv[i], (uint32_t)i);

		if (drmModeSetCrtc(d.fd, d.crtc, framebuffer, 0, 0, &d.connector, 1, &d.mode) < 0)
			die("showing it");
		puts("shown");
		fflush(stdout);
	}
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
