// SPDX-License-Identifier: MIT
/* Graphics devices whose drivers fail, refuse or lie, and what displays show (mission row H1). */
#include <dmabuf.h>

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drm-fake.h"
#include "harness/harness.h"

#define WIDTH 64u
#define HEIGHT 32u
#define SIZE (WIDTH * HEIGHT * 4u)

struct card {
	struct fake_drm fake;
	struct dma_buf_device *dev;
};

static void card_open(struct card *c)
{
	int fd = fake_open(&c->fake);

	c->dev = dma_buf_drm_open(fd, "card");
	close(fd);
}

static void card_begin(struct card *c)
{
	fake_init(&c->fake);
	card_open(c);
	ASSERT(c->dev);
}

/* Nothing is left with the driver but @handles of its own. */
static void card_end(struct card *c, unsigned int handles)
{
	dma_buf_device_put(c->dev);
	ASSERT_EQ(fake_handles(&c->fake), handles);
	fake_free(&c->fake);
}

/* A display shows a picture in one piece. */
static void show(struct card *c)
{
	c->fake.shows = 40;
	c->fake.framebuffer = (drmModeFB2){ .width = WIDTH,
					    .height = HEIGHT,
					    .pixel_format = DRM_FORMAT_XRGB8888,
					    .handles = { fake_object(&c->fake, SIZE) },
					    .pitches = { WIDTH * 4 } };
}

static struct dma_buf *look(struct card *c, struct dma_buf_drm_screen *screen)
{
	*screen = (struct dma_buf_drm_screen){ .size = sizeof(*screen) };
	return dma_buf_drm_get_screen(c->dev, screen);
}

static struct dma_buf *make_picture(struct card *c)
{
	struct dma_buf_drm_picture picture = {
		.size = sizeof(picture), .width = WIDTH, .height = HEIGHT, .bits_per_pixel = 32
	};

	return dma_buf_drm_alloc(c->dev, &picture, "picture");
}

/* Imports @buf and lets go of it. */
static int import(struct card *c, struct dma_buf *buf)
{
	struct dma_buf_attachment *attach = dma_buf_attach(buf, c->dev);
	struct dma_buf_sg_table *table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	uint32_t handle = 0;
	struct dma_buf *seen = NULL;
	int err;

	ASSERT(attach && table);
	err = dma_buf_drm_import(attach, table, DMA_TO_DEVICE, &handle);
	if (!err) {
		seen = dma_buf_drm_export(c->dev, handle);
		err = seen ? 0 : -errno;
	}
	dma_buf_put(seen);
	ASSERT_OK(dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE));
	dma_buf_detach(buf, attach);
	return err;
}

/* Everything that there is to do; how many of it failed. */
static unsigned int do_everything(struct card *c)
{
	struct dma_buf *native = dma_buf_alloc("native", SIZE, O_RDWR), *buf;
	struct dma_buf_drm_screen screen;
	unsigned int failed = 0;

	ASSERT(native);
	buf = make_picture(c);
	failed += !buf;
	dma_buf_put(buf);
	failed += import(c, native) < 0;
	buf = look(c, &screen);
	failed += !buf;
	dma_buf_put(buf);
	dma_buf_put(native);
	return failed;
}

/* The call @at fails with @reason; returns how many there were. */
static unsigned int fail_once(unsigned int at, int reason)
{
	struct card c = { 0 };
	unsigned int failed;

	fake_init(&c.fake);
	show(&c);
	c.fake.fail_at = at;
	c.fake.fail_errno = reason;
	card_open(&c);
	failed = c.dev ? do_everything(&c) : 1;
	if (!at)
		ASSERT_EQ(failed, 0);
	/* What it can do is looked at when it is opened: what fails then it cannot. */
	ASSERT(failed <= 3);
	if (failed)
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "card");
	card_end(&c, 1);
	return c.fake.calls;
}

TEST(H1_each_call_of_a_graphics_driver_that_fails_is_told_and_leaves_nothing_behind)
{
	static const int reasons[] = { ENOMEM, EMFILE, EACCES, ENODEV, EINVAL, EIO };
	unsigned int calls = fail_once(0, 0);

	ASSERT(calls >= 11);
	for (unsigned int at = 1; at <= calls; at++)
		for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			fail_once(at, reasons[i]);
}

TEST(H1_a_graphics_driver_without_prime_is_refused)
{
	struct card c = { 0 };

	fake_init(&c.fake);
	c.fake.prime = 0;
	card_open(&c);
	ASSERT(!c.dev);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "shares no buffers");
	card_end(&c, 0);
}

static const struct {
	int gives;
	int want;
	const char *words;
} refusals[] = {
	{ ENOSYS, EOPNOTSUPP, "takes no buffers of others" },
	{ ENODEV, EOPNOTSUPP, "takes no buffers of others" },
	{ EINVAL, EOPNOTSUPP, "cannot use the memory" },
	{ EFAULT, EOPNOTSUPP, "cannot use the memory" },
	{ EMFILE, EMFILE, "Too many open files" },
};

TEST(H1_an_import_that_is_refused_says_whose_fault_it_is)
{
	struct dma_buf *buf = dma_buf_alloc("native", SIZE, O_RDWR);
	struct card c = { 0 };

	card_begin(&c);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		c.fake.fail_at = c.fake.calls + 1;
		c.fake.fail_errno = refusals[i].gives;
		ASSERT_ERR(import(&c, buf), refusals[i].want);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), refusals[i].words);
	}
	ASSERT_OK(import(&c, buf));
	dma_buf_put(buf);
	card_end(&c, 0);
}

TEST(H1_a_picture_of_fewer_bytes_than_it_has_lines_for_is_refused)
{
	struct card c = { 0 };

	card_begin(&c);
	c.fake.dumb_size = SIZE - 1;
	ASSERT_ERRNO(make_picture(&c), EPROTO);
	card_end(&c, 0);
}

TEST(H1_what_a_display_shows_is_its_own_memory)
{
	struct card c = { 0 };
	struct dma_buf_drm_screen screen;
	struct dma_buf *one, *other;

	card_begin(&c);
	show(&c);
	one = look(&c, &screen);
	ASSERT(one);
	ASSERT_EQ(screen.crtc, 40);
	ASSERT_EQ(screen.fourcc, DRM_FORMAT_XRGB8888);
	ASSERT_EQ(screen.width, WIDTH);
	ASSERT_EQ(screen.height, HEIGHT);
	ASSERT_EQ(screen.plane_count, 1);
	ASSERT_EQ(screen.planes[0].stride, WIDTH * 4);
	ASSERT_EQ(screen.modifier, 0);
	other = look(&c, &screen);
	ASSERT(other == one);
	dma_buf_put(other);
	dma_buf_put(one);
	card_end(&c, 1);
}

TEST(H1_the_display_that_is_asked_for_is_looked_at)
{
	struct dma_buf_drm_screen screen;
	struct card c = { 0 };
	struct dma_buf *buf;

	card_begin(&c);
	c.fake.crtcs = 3;
	ASSERT_ERRNO(look(&c, &screen), ENOENT);
	show(&c);
	c.fake.shows = 42;
	buf = look(&c, &screen);
	ASSERT(buf);
	ASSERT_EQ(screen.crtc, 42);
	dma_buf_put(buf);
	screen.crtc = 41;
	ASSERT_ERRNO(dma_buf_drm_get_screen(c.dev, &screen), ENOENT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "shows nothing");
	screen.size = 1;
	ASSERT_ERRNO(dma_buf_drm_get_screen(c.dev, &screen), EINVAL);
	ASSERT_ERRNO(dma_buf_drm_get_screen(c.dev, NULL), EINVAL);
	card_end(&c, 1);
}

TEST(H1_a_picture_that_is_replaced_meanwhile_is_looked_for_again)
{
	struct dma_buf_drm_screen screen;
	struct card c = { 0 };
	struct dma_buf *buf;

	card_begin(&c);
	show(&c);
	c.fake.vanishes = 3;
	buf = look(&c, &screen);
	ASSERT(buf);
	dma_buf_put(buf);
	c.fake.vanishes = 1000;
	ASSERT_ERRNO(look(&c, &screen), ENOENT);
	card_end(&c, 1);
}

TEST(H1_a_display_that_is_not_for_us_is_told)
{
	struct dma_buf_drm_screen screen;
	struct card c = { 0 };

	card_begin(&c);
	show(&c);
	c.fake.framebuffer.handles[0] = 0;
	ASSERT_ERRNO(look(&c, &screen), EACCES);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "CAP_SYS_ADMIN");
	card_end(&c, 1);
}

TEST(H1_planes_in_one_memory_are_one_buffer_and_in_several_none)
{
	struct dma_buf_drm_screen screen;
	struct card c = { 0 };
	struct dma_buf *buf;
	drmModeFB2 *fb = &c.fake.framebuffer;

	card_begin(&c);
	show(&c);
	fb->pixel_format = DRM_FORMAT_NV12;
	fb->pitches[0] = fb->pitches[1] = WIDTH;
	fb->offsets[1] = WIDTH * HEIGHT;
	fb->handles[1] = fb->handles[0];
	buf = look(&c, &screen);
	ASSERT(buf);
	ASSERT_EQ(screen.plane_count, 2);
	ASSERT_EQ(screen.planes[1].offset, WIDTH * HEIGHT);
	dma_buf_put(buf);
	fb->handles[1] = fake_object(&c.fake, SIZE);
	ASSERT_ERRNO(look(&c, &screen), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "several pieces");
	card_end(&c, 2);
}

TEST(H1_pictures_that_make_no_sense_are_refused)
{
	struct dma_buf_drm_screen screen;
	struct card c = { 0 };
	drmModeFB2 *fb = &c.fake.framebuffer;
	drmModeFB2 good;
	struct dma_buf *buf;

	card_begin(&c);
	show(&c);
	good = *fb;
	fb->width = 0;
	ASSERT_ERRNO(look(&c, &screen), EPROTO);
	*fb = good;
	fb->height = 1u << 20;
	ASSERT_ERRNO(look(&c, &screen), EPROTO);
	*fb = good;
	fb->pitches[0] = 0;
	ASSERT_ERRNO(look(&c, &screen), EPROTO);
	*fb = good;
	fb->height = 65536;
	ASSERT_ERRNO(look(&c, &screen), EPROTO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "larger than its memory");
	fb->flags = DRM_MODE_FB_MODIFIERS;
	fb->modifier = DRM_FORMAT_MOD_VIVANTE_TILED;
	buf = look(&c, &screen);
	ASSERT(buf);
	ASSERT_EQ(screen.modifier, DRM_FORMAT_MOD_VIVANTE_TILED);
	dma_buf_put(buf);
	card_end(&c, 1);
}
