// SPDX-License-Identifier: MIT
#include "video-look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dmabuf/error.h>
#include <dmabuf/v4l2.h>

enum state { SILENT, FOUND, NOTHING };

/* What a process has found, in memory that it shares with us. */
struct look {
	struct video_found found;
	_Atomic(enum state) state;
	pid_t pid;
};

static const char *open_hint(int err)
{
	return err == EACCES || err == EPERM ? " (members of the group video may use it)" : "";
}

/* As a capture, or as an output; NULL: neither, or with errno and words. */
static struct dma_buf_device *open_video(int fd, bool *output)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options) };
	struct dma_buf_device *device = dma_buf_v4l2_open(fd, NULL, &options);

	*output = !device && errno == ENOTSUP;
	options.output = *output;
	return *output ? dma_buf_v4l2_open(fd, NULL, &options) : device;
}

/* Gives it memory, in the format that it has. */
static void try_memory(struct dma_buf_device *device, struct video_found *found)
{
	struct dma_buf_v4l2_format format = { .size = sizeof(format) };
	size_t used = strlen(found->words);
	int err = dma_buf_v4l2_set_format(device, &format);

	if (!err)
		err = dma_buf_v4l2_request(device, DMA_BUF_V4L2_AUTO, 1);
	if (err)
		snprintf(found->words + used, sizeof(found->words) - used, "; trial: %s",
			 dmabuf_last_error());
}

static enum state ask(int fd, bool trial, struct video_found *found)
{
	struct dma_buf_v4l2_info info = { .size = sizeof(info) };
	struct dma_buf_device *device = open_video(fd, &found->output);

	if (!device && errno == ENOTSUP)
		return NOTHING;
	if (!device || dma_buf_v4l2_get_info(device, &info) < 0) {
		snprintf(found->words, sizeof(found->words), "cannot be used: %s",
			 dmabuf_last_error());
		dma_buf_device_put(device);
		return FOUND;
	}
	snprintf(found->words, sizeof(found->words), "%s, %s", info.driver,
		 found->output ? "shows" : "captures");
	if (trial)
		try_memory(device, found);
	found->known = dma_buf_v4l2_get_parameters(device, &found->parameters) == 0;
	found->from = (unsigned int)dma_buf_v4l2_parameters_from(device);
	dma_buf_device_put(device);
	return FOUND;
}

static enum state look_at(const char *path, bool trial, struct video_found *found)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	enum state state;

	if (fd < 0) {
		snprintf(found->words, sizeof(found->words), "cannot be opened: %s%s",
			 strerror(errno), open_hint(errno));
		return FOUND;
	}
	state = ask(fd, trial, found);
	/* That may hang, too; afterwards nothing can. */
	close(fd);
	return state;
}

static void look_in_process(const char *dev, bool trial, struct look *look)
{
	struct video_found found = look->found;
	pid_t parent = getpid(), pid;
	enum state state;
	char path[128];

	pid = fork();
	if (pid) {
		look->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	snprintf(path, sizeof(path), "%s/%s", dev, found.name);
	state = look_at(path, trial, &found);
	look->found = found;
	atomic_store(&look->state, state);
	_exit(0);
}

/* "81:3" */
static bool read_number(const char *sys, const char *name, dev_t *number)
{
	unsigned int major, minor;
	char path[512];
	bool good;
	FILE *f;

	snprintf(path, sizeof(path), "%s/class/video4linux/%s/dev", sys, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fscanf(f, "%8u:%8u", &major, &minor) == 2;
	fclose(f);
	if (good)
		*number = makedev(major, minor);
	return good;
}

static unsigned int list_names(const char *sys, struct look *looks, unsigned int max)
{
	const struct dirent *entry;
	unsigned int count = 0;
	char path[256];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/class/video4linux", sys);
	dir = opendir(path);
	while (dir && count < max && (entry = readdir(dir))) {
		struct video_found *found = &looks[count].found;

		if (strncmp(entry->d_name, "video", 5) != 0 ||
		    strlen(entry->d_name) >= sizeof(found->name) ||
		    !read_number(sys, entry->d_name, &found->number))
			continue;
		memcpy(found->name, entry->d_name, strlen(entry->d_name) + 1);
		found->parameters.size = sizeof(found->parameters);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until all processes have ended, which closes what they have of the pipe, or @ms are over. */
static void wait_for_all(int pipe, int ms)
{
	struct pollfd end = { .fd = pipe };
	int64_t until = now_ms() + ms, left = ms;

	while (poll(&end, 1, (int)left) <= 0) {
		left = until - now_ms();
		if (left <= 0)
			return;
	}
}

/* A process that hangs in its driver cannot be waited for: it ends when that lets go of it. */
static bool finish(struct look *look)
{
	enum state state = atomic_load(&look->state);

	if (look->pid > 0) {
		(void)kill(look->pid, SIGKILL);
		(void)waitpid(look->pid, NULL, state == SILENT ? WNOHANG : 0);
	}
	if (state == SILENT) {
		look->found.known = false;
		snprintf(look->found.words, sizeof(look->found.words), "%s",
			 look->pid > 0 ? "does not answer: its driver hangs"
				       : "cannot be looked at: no process can be started");
	}
	return state != NOTHING;
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct video_found *)a)->name,
			  ((const struct video_found *)b)->name);
}

static unsigned int look_at_all(const char *dev, bool trial, int ms, struct look *looks,
				unsigned int count, struct video_found *list)
{
	unsigned int found = 0;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return 0;
	for (unsigned int i = 0; i < count; i++)
		look_in_process(dev, trial, &looks[i]);
	close(ends[1]);
	wait_for_all(ends[0], ms);
	close(ends[0]);
	for (unsigned int i = 0; i < count; i++)
		if (finish(&looks[i]))
			list[found++] = looks[i].found;
	qsort(list, found, sizeof(*list), by_name);
	return found;
}

unsigned int video_look(const char *sys, const char *dev, bool trial, int ms,
			struct video_found *list, unsigned int max)
{
	size_t size = sizeof(struct look) * max;
	struct look *looks =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int count;

	if (looks == MAP_FAILED)
		return 0;
	count = list_names(sys, looks, max);
	if (count)
		count = look_at_all(dev, trial, ms, looks, count, list);
	munmap(looks, size);
	return count;
}
