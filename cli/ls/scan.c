// SPDX-License-Identifier: MIT
/*
 * Walks /proc. Processes come and go meanwhile, so whatever is not there any more is passed over;
 * what may not be looked at is counted.
 */
#include "list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf/error.h>

#include "../command.h"

#define OURS "/memfd:dmabuf:"
#define KERNELS "/dmabuf:"

/* Make room for one more; the array doubles at each power of two. */
static void *grow(void *array, unsigned int count, size_t size)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? 2 * (size_t)count : 1, size);
}

static struct ls_buffer *find(struct ls_list *list, const struct stat *st, bool kernel)
{
	struct ls_buffer *grown;

	for (unsigned int i = 0; i < list->count; i++)
		if (list->buffers[i].ino == st->st_ino && list->buffers[i].dev == st->st_dev)
			return &list->buffers[i];
	grown = grow(list->buffers, list->count, sizeof(*grown));
	if (!grown)
		return NULL;
	list->buffers = grown;
	grown += list->count++;
	*grown = (struct ls_buffer){ .dev = st->st_dev, .ino = st->st_ino, .kernel = kernel };
	return grown;
}

static void read_command(int proc, const char *pid, char *text, size_t room)
{
	char path[64];
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "%.20s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, room - 1);
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	make_printable(text);
}

static int note_process(struct ls_buffer *buffer, int proc, const char *pid)
{
	pid_t number = (pid_t)atol(pid);
	struct ls_process *grown;

	if (buffer->process_count && buffer->processes[buffer->process_count - 1].pid == number) {
		buffer->processes[buffer->process_count - 1].descriptors++;
		return 0;
	}
	grown = grow(buffer->processes, buffer->process_count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	buffer->processes = grown;
	grown += buffer->process_count++;
	*grown = (struct ls_process){ .pid = number, .descriptors = 1 };
	read_command(proc, pid, grown->command, sizeof(grown->command));
	return 0;
}

/* Our own: its shared state tells. */
static int look_at_ours(struct ls_buffer *buffer, int dir, const char *name)
{
	struct dma_buf_info *info;
	int fd, err;

	if (buffer->info)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		snprintf(buffer->problem, sizeof(buffer->problem), "%s", strerror(errno));
		return 0;
	}
	info = malloc(sizeof(*info));
	if (!info) {
		close(fd);
		return -ENOMEM;
	}
	info->struct_size = sizeof(*info);
	err = dma_buf_get_info(fd, info);
	close(fd);
	if (err == 0) {
		buffer->info = info;
		return 0;
	}
	snprintf(buffer->problem, sizeof(buffer->problem), "%s", dmabuf_last_error());
	make_printable(buffer->problem);
	free(info);
	return 0;
}

static void take_field(const char *line, const char *key, char *text, size_t room)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len))
		return;
	line += len;
	line += strspn(line, " \t");
	snprintf(text, room, "%.*s", (int)strcspn(line, "\n"), line);
	make_printable(text);
}

/* The kernel's: fdinfo tells. */
static void look_at_kernels(struct ls_buffer *buffer, int proc, const char *pid, const char *name)
{
	char path[64], line[256], number[32];
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "%.20s/fdinfo/%.20s", pid, name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		take_field(line, "exp_name:", buffer->exporter, sizeof(buffer->exporter));
		take_field(line, "name:", buffer->name, sizeof(buffer->name));
		number[0] = '\0';
		take_field(line, "size:", number, sizeof(number));
		if (number[0])
			buffer->size = strtoull(number, NULL, 10);
		number[0] = '\0';
		take_field(line, "count:", number, sizeof(number));
		if (number[0])
			buffer->references = strtoull(number, NULL, 10);
	}
	fclose(file);
}

static int look_at_fd(struct ls_list *list, int proc, const char *pid, int dir, const char *name)
{
	char target[256];
	ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);
	struct ls_buffer *buffer;
	struct stat st;
	bool kernel;
	int err;

	if (len < 0)
		return 0;
	target[len] = '\0';
	kernel = !strncmp(target, KERNELS, strlen(KERNELS));
	if (!kernel && strncmp(target, OURS, strlen(OURS)))
		return 0;
	/* Anybody can name a file like that; a memfd is a regular file. */
	if (fstatat(dir, name, &st, 0) < 0 || (!kernel && !S_ISREG(st.st_mode)))
		return 0;
	buffer = find(list, &st, kernel);
	if (!buffer)
		return -ENOMEM;
	err = note_process(buffer, proc, pid);
	if (err < 0)
		return err;
	if (kernel)
		look_at_kernels(buffer, proc, pid, name);
	return kernel ? 0 : look_at_ours(buffer, dir, name);
}

static int look_at_process(struct ls_list *list, int proc, const char *pid)
{
	struct dirent *entry;
	char path[64];
	int fd, err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		list->denied += errno == EACCES || errno == EPERM;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	list->processes++;
	while (err == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			err = look_at_fd(list, proc, pid, fd, entry->d_name);
	closedir(dir);
	return err;
}

static int by_inode(const void *a, const void *b)
{
	const struct ls_buffer *x = a, *y = b;

	if (x->kernel != y->kernel)
		return x->kernel - y->kernel;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

int ls_scan(struct ls_list *list)
{
	struct dirent *entry;
	int err = 0;
	DIR *proc;

	*list = (struct ls_list){ 0 };
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (err == 0 && (entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			err = look_at_process(list, dirfd(proc), entry->d_name);
	closedir(proc);
	if (list->count)
		qsort(list->buffers, list->count, sizeof(*list->buffers), by_inode);
	return err;
}

void ls_free(struct ls_list *list)
{
	for (unsigned int i = 0; i < list->count; i++) {
		free(list->buffers[i].info);
		free(list->buffers[i].processes);
	}
	free(list->buffers);
}
