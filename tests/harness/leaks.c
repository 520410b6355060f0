// SPDX-License-Identifier: MIT
#include "internal.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Release may happen in a thread of the library, which takes up to 100 ms by its documentation. */
#define SETTLE_MS 1000

typedef void (*fd_fn)(int fd, const char *target, void *arg);

static void each_fd(fd_fn fn, void *arg)
{
	char target[PATH_MAX];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;
	int fd;

	dir = opendir("/proc/self/fd");
	if (!dir)
		FAIL("/proc/self/fd: %s", strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = '\0';
		fn(fd, target, arg);
	}
	closedir(dir);
}

static bool is_buffer_mapping(const char *line)
{
	return strstr(line, "/memfd:dmabuf") != NULL;
}

static int each_mapping(bool say)
{
	char *line = NULL;
	size_t room = 0;
	int count = 0;
	FILE *maps;

	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		FAIL("/proc/self/maps: %s", strerror(errno));
	while (getline(&line, &room, maps) > 0) {
		if (!is_buffer_mapping(line))
			continue;
		count++;
		if (say)
			test_note("mapped: %.*s", (int)strcspn(line, "\n"), line);
	}
	free(line);
	fclose(maps);
	return count;
}

static void remember_fd(int fd, const char *target, void *arg)
{
	struct inventory *inv = arg;

	if (inv->fd_count < (int)(sizeof(inv->fds) / sizeof(inv->fds[0])))
		inv->fds[inv->fd_count++] = fd;
}

void inventory_take(struct inventory *inv)
{
	inv->fd_count = 0;
	each_fd(remember_fd, inv);
	inv->mappings = each_mapping(false);
}

struct comparison {
	const struct inventory *before;
	int added;
	bool say;
};

static void compare_fd(int fd, const char *target, void *arg)
{
	struct comparison *cmp = arg;
	int i;

	for (i = 0; i < cmp->before->fd_count; i++) {
		if (cmp->before->fds[i] == fd)
			return;
	}
	cmp->added++;
	if (cmp->say)
		test_note("leaked descriptor %d -> %s", fd, target);
}

static bool nothing_added(void *arg)
{
	struct comparison *cmp = arg;

	cmp->added = 0;
	each_fd(compare_fd, cmp);
	return !cmp->added && each_mapping(false) <= cmp->before->mappings;
}

bool inventory_check(const struct inventory *before)
{
	struct comparison cmp = { before, 0, false };
	int mappings;

	if (eventually(nothing_added, &cmp, SETTLE_MS))
		return true;
	cmp.say = true;
	nothing_added(&cmp);
	mappings = each_mapping(false);
	if (mappings > before->mappings) {
		test_note("leaked mappings of buffers: %d, %d before", mappings, before->mappings);
		each_mapping(true);
	}
	return false;
}

/* Calls fn for each child of this process that /proc shows, zombies included. */
static void each_child(void (*fn)(pid_t pid, const char *name))
{
	char path[64], line[512], name[64];
	struct dirent *entry;
	char *close_paren;
	int ppid;
	FILE *f;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		line[0] = '\0';
		if (!fgets(line, sizeof(line), f))
			line[0] = '\0';
		fclose(f);
		close_paren = strrchr(line, ')');
		if (!close_paren || sscanf(close_paren, ") %*c %d", &ppid) != 1 ||
		    ppid != getpid() || sscanf(line, "%*d (%63[^)]", name) != 1)
			continue;
		fn(atoi(entry->d_name), name);
	}
	if (dir)
		closedir(dir);
}

static void note_child(pid_t pid, const char *name)
{
	test_note("leaked process %d (%s)", (int)pid, name);
}

bool children_check(void)
{
	siginfo_t info;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
		return true;
	each_child(note_child);
	return false;
}

static void kill_child(pid_t pid, const char *name)
{
	kill(pid, SIGKILL);
}

/* A killed child's own children come to us as it goes, hence the loop. */
int children_kill(void)
{
	int count = 0;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return count;
		if (pid > 0) {
			count++;
			continue;
		}
		each_child(kill_child);
		if (waitpid(-1, NULL, 0) > 0)
			count++;
	}
}

static void count_fd(int fd, const char *target, void *arg)
{
	++*(int *)arg;
}

int open_fds(void)
{
	int count = 0;

	each_fd(count_fd, &count);
	return count;
}

int buffer_mappings(void)
{
	return each_mapping(false);
}

size_t locked_kb(void)
{
	char line[256];
	size_t kb = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %zu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}
