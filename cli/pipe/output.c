// SPDX-License-Identifier: MIT
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name that is taken is tried again under another one, so often. */
#define SCRATCH_TRIES 100

static char *scratch_name(const struct output *output, unsigned int try)
{
	char *name;

	if (asprintf(&name, ".%.200s.%ld-%u.tmp", output->base, (long)getpid(), try) < 0)
		return NULL;
	return name;
}

/* Split @path into a directory and a name in it. Follows a symbolic link, as writing would. */
static int split_path(const char *path, char **dir, char **base)
{
	char *full = realpath(path, NULL);
	char *slash;

	if (!full && errno != ENOENT)
		return -errno;
	if (!full)
		full = strdup(path);
	if (!full)
		return -ENOMEM;
	slash = strrchr(full, '/');
	*base = strdup(slash ? slash + 1 : full);
	if (slash == full)
		slash++;
	*dir = slash ? strndup(full, (size_t)(slash - full)) : strdup(".");
	free(full);
	if (*dir && *base)
		return 0;
	free(*dir);
	free(*base);
	return -ENOMEM;
}

static int open_scratch(struct output *output)
{
	for (unsigned int try = 0; try < SCRATCH_TRIES; try++) {
		char *name = scratch_name(output, try);

		if (!name)
			return -ENOMEM;
		output->fd = openat(output->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (output->fd >= 0) {
			output->scratch = name;
			return 0;
		}
		free(name);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int open_unnamed(struct output *output)
{
	/* The final mode comes with the name: until then the library must be able to reopen it. */
	output->fd = openat(output->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (output->fd >= 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
		return open_scratch(output);
	return -errno;
}

static int open_in_place(struct output *output, const char *path)
{
	output->in_place = true;
	output->fd = open(path, O_WRONLY | O_CLOEXEC);
	return output->fd < 0 ? -errno : 0;
}

static int open_in_dir(struct output *output, const char *dir, const char **what)
{
	struct stat st;

	*what = "cannot open its directory";
	/* split_path() gave it. NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	output->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->dir < 0 || fstat(output->dir, &st) < 0)
		return -errno;
	output->dev = st.st_dev;
	output->ino = st.st_ino;
	*what = "cannot create a file in its directory";
	return open_unnamed(output);
}

int output_open(struct output *output, const char *path, const char **what)
{
	struct stat st;
	char *dir = NULL;
	int err;

	*output = (struct output){ .used = true, .fd = -1, .dir = -1 };
	*what = "cannot look it up";
	if (stat(path, &st) == 0) {
		*what = "cannot write it";
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (!S_ISREG(st.st_mode))
			return open_in_place(output, path);
	} else if (errno != ENOENT) {
		return -errno;
	}
	err = split_path(path, &dir, &output->base);
	if (err < 0)
		return err;
	err = output->base[0] ? open_in_dir(output, dir, what) : -EISDIR;
	free(dir);
	return err;
}

bool output_same(const struct output *a, const struct output *b)
{
	return a->used && b->used && a->base && b->base && a->dev == b->dev && a->ino == b->ino &&
	       !strcmp(a->base, b->base);
}

int output_sync(struct output *output)
{
	mode_t mask;

	if (output->in_place)
		return 0;
	mask = umask(0);
	umask(mask);
	if (fchmod(output->fd, 0666 & ~mask) < 0 || fsync(output->fd) < 0)
		return -errno;
	return 0;
}

static int link_as(const struct output *output, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", output->fd);
	return linkat(AT_FDCWD, self, output->dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Give an unnamed file a temporary name, from which it can be renamed over another one. */
static int link_scratch(struct output *output)
{
	int err = -EEXIST;

	for (unsigned int try = 0; try < SCRATCH_TRIES && err == -EEXIST; try++) {
		char *name = scratch_name(output, try);

		if (!name)
			return -ENOMEM;
		err = link_as(output, name);
		if (err == 0)
			output->scratch = name;
		else
			free(name);
	}
	return err;
}

int output_commit(struct output *output)
{
	int err = 0;

	if (output->in_place)
		return 0;
	if (!output->scratch) {
		err = link_as(output, output->base);
		if (err == -EEXIST)
			err = link_scratch(output);
	}
	if (err < 0)
		return err;
	if (output->scratch) {
		if (renameat(output->dir, output->scratch, output->dir, output->base) < 0)
			return -errno;
		free(output->scratch);
		output->scratch = NULL;
	}
	return fsync(output->dir) < 0 && errno != EINVAL ? -errno : 0;
}

void output_close(struct output *output)
{
	if (!output->used)
		return;
	if (output->scratch)
		unlinkat(output->dir, output->scratch, 0);
	free(output->scratch);
	free(output->base);
	if (output->fd >= 0)
		close(output->fd);
	if (output->dir >= 0)
		close(output->dir);
	*output = (struct output){ .fd = -1, .dir = -1 };
}
