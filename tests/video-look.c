// SPDX-License-Identifier: MIT
/* Looking at the video devices of a machine, by a sysfs and drivers of the test's own. */
#include <dmabuf.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cli/solve/video-look.h"
#include "harness/harness.h"
#include "v4l2-fake.h"

#define PATIENCE_MS 60000

/* A machine: @root has sys and dev; all of its devices are the fake. */
struct machine {
	char root[32], sys[64], dev[64];
	struct fake_video fake;
	int fd;
	struct video_found found[4];
};

static void run(const char *command, const char *path)
{
	char words[256];

	snprintf(words, sizeof(words), "%s %s", command, path);
	ASSERT_EQ(system(words), 0); /* NOLINT(cert-env33-c) */
}

static void begin(struct machine *m, uint32_t caps)
{
	char path[128];

	snprintf(m->root, sizeof(m->root), "/tmp/video-look-XXXXXX");
	ASSERT(mkdtemp(m->root));
	snprintf(m->sys, sizeof(m->sys), "%s/sys", m->root);
	snprintf(m->dev, sizeof(m->dev), "%s/dev", m->root);
	ASSERT_OK(mkdir(m->dev, 0700));
	snprintf(path, sizeof(path), "%s/class/video4linux", m->sys);
	run("mkdir -p", path);
	fake_init(&m->fake, caps);
	m->fd = fake_open(&m->fake);
}

static void end(struct machine *m)
{
	run("rm -rf", m->root);
	close(m->fd);
	fake_free(&m->fake);
}

/* @name is in sysfs as 81:@minor, and leads to @to; NULL: to the fake. */
static void add(struct machine *m, const char *name, unsigned int minor, const char *to)
{
	char path[128], fake[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/class/video4linux/%s", m->sys, name);
	ASSERT_OK(mkdir(path, 0700));
	snprintf(path, sizeof(path), "%s/class/video4linux/%s/dev", m->sys, name);
	f = fopen(path, "we");
	ASSERT(f);
	fprintf(f, "81:%u\n", minor);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%s", m->dev, name);
	snprintf(fake, sizeof(fake), "/proc/self/fd/%d", m->fd);
	ASSERT_OK(symlink(to ? to : fake, path));
}

static unsigned int look(struct machine *m, bool trial, int ms)
{
	return video_look(m->sys, m->dev, trial, ms, m->found, 4);
}

TEST(F8_a_machine_without_cameras_has_none)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	ASSERT_EQ(look(&m, false, PATIENCE_MS), 0);
	ASSERT_EQ(video_look("/nonexistent", m.dev, false, PATIENCE_MS, m.found, 4), 0);
	end(&m);
}

TEST(F8_cameras_are_found_in_the_order_of_their_numbers)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	add(&m, "video10", 10, NULL);
	add(&m, "video2", 2, NULL);
	add(&m, "vbi0", 4, NULL);
	ASSERT_EQ(look(&m, false, PATIENCE_MS), 2);
	ASSERT_STR_EQ(m.found[0].name, "video2");
	ASSERT_STR_EQ(m.found[1].name, "video10");
	ASSERT_EQ(m.found[1].number, makedev(81, 10));
	ASSERT(m.found[0].known && !m.found[0].output);
	ASSERT_STR_EQ(m.found[0].words, "fake, captures");
	ASSERT_EQ(m.found[0].from, 0);
	end(&m);
}

TEST(F8_an_output_is_told_from_a_camera_and_what_is_neither_is_left_out)
{
	struct machine m = { 0 }, other = { 0 };

	begin(&m, V4L2_CAP_VIDEO_OUTPUT);
	add(&m, "video0", 0, NULL);
	ASSERT_EQ(look(&m, false, PATIENCE_MS), 1);
	ASSERT(m.found[0].output);
	end(&m);
	begin(&other, V4L2_CAP_META_CAPTURE);
	add(&other, "video0", 0, NULL);
	ASSERT_EQ(look(&other, false, PATIENCE_MS), 0);
	end(&other);
}

TEST(F8_what_a_camera_takes_is_found_by_trial)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	add(&m, "video0", 0, NULL);
	ASSERT_EQ(look(&m, true, PATIENCE_MS), 1);
	ASSERT_EQ(m.found[0].from, DMA_BUF_FROM_TRIAL);
	ASSERT(!m.found[0].parameters.contiguous);
	ASSERT_EQ(m.found[0].parameters.min_buffers, m.fake.min_buffers);
	m.fake.contiguous = true;
	ASSERT_EQ(look(&m, true, PATIENCE_MS), 1);
	ASSERT(m.found[0].parameters.contiguous);
	/* Nothing can be tried: nothing is known. */
	m.fake.no_udmabuf = true;
	ASSERT_EQ(look(&m, true, PATIENCE_MS), 1);
	ASSERT_EQ(m.found[0].from, 0);
	end(&m);
}

TEST(F8_a_camera_that_is_in_use_is_listed_and_that_it_was_not_tried)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	add(&m, "video0", 0, NULL);
	m.fake.fail_request = VIDIOC_S_FMT;
	m.fake.fail_errno = EBUSY;
	ASSERT_EQ(look(&m, true, PATIENCE_MS), 1);
	ASSERT(m.found[0].known);
	ASSERT_EQ(m.found[0].from, 0);
	ASSERT_STR_CONTAINS(m.found[0].words, "trial: ");
	ASSERT_STR_CONTAINS(m.found[0].words, "in use");
	end(&m);
}

TEST(F8_devices_that_cannot_be_opened_or_are_gone_are_listed_with_the_reason)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	add(&m, "video0", 0, "/nonexistent");
	add(&m, "video1", 1, NULL);
	m.fake.gone = true;
	ASSERT_EQ(look(&m, false, PATIENCE_MS), 2);
	ASSERT(!m.found[0].known && !m.found[1].known);
	ASSERT_STR_CONTAINS(m.found[0].words, "cannot be opened: No such file");
	ASSERT_STR_CONTAINS(m.found[1].words, "gone");
	end(&m);
}

TEST(F8_a_camera_that_may_not_be_opened_is_listed_with_who_may)
{
	struct machine m = { 0 };
	char path[64];
	int fd;

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	snprintf(path, sizeof(path), "%s/forbidden", m.root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0);
	ASSERT_OK(fd);
	close(fd);
	add(&m, "video0", 0, path);
	run("chmod 755", m.root);
	run("chmod -R a+rX", m.dev);
	run("chmod -R a+rX", m.sys);
	if (geteuid() == 0)
		ASSERT_OK(seteuid(65534));
	ASSERT_EQ(look(&m, false, PATIENCE_MS), 1);
	if (getuid() == 0)
		ASSERT_OK(seteuid(0));
	ASSERT(!m.found[0].known);
	ASSERT_STR_CONTAINS(m.found[0].words, "members of the group video");
	end(&m);
}

static void hangs(unsigned long request, void *argument)
{
	(void)argument;
	if (request == VIDIOC_QUERYCAP)
		for (;;)
			pause();
}

TEST(F8_a_driver_that_hangs_holds_nobody_up)
{
	struct machine m = { 0 };

	begin(&m, V4L2_CAP_VIDEO_CAPTURE);
	add(&m, "video0", 0, NULL);
	add(&m, "video1", 1, "/nonexistent");
	m.fake.lie = hangs;
	ASSERT_EQ(look(&m, false, 300), 2);
	ASSERT(!m.found[0].known);
	ASSERT_STR_CONTAINS(m.found[0].words, "does not answer");
	/* It is killed, and not waited for. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	end(&m);
}
