// SPDX-License-Identifier: MIT
/* The devices and heaps of this machine. */
#include "solve.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <dmabuf/block.h>

#define SYS_BLOCK "/sys/block"

static bool read_line(const char *disk, const char *file, char *text, size_t size)
{
	char path[512];
	bool good;
	FILE *f;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/%s", disk, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fgets(text, (int)size, f) != NULL;
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return good;
}

static void add_disk(struct solve_machine *m, const char *name)
{
	struct solve_device *d = &m->devices[m->device_count];
	char text[64], *colon;
	unsigned int major, minor;

	/* Loop devices without a file have no size. */
	if (strlen(name) >= sizeof(d->name) || !read_line(name, "size", text, sizeof(text)) ||
	    !strcmp(text, "0") || !read_line(name, "dev", text, sizeof(text)))
		return;
	major = (unsigned int)strtoul(text, &colon, 10);
	if (*colon != ':')
		return;
	minor = (unsigned int)strtoul(colon + 1, NULL, 10);
	memset(d, 0, sizeof(*d));
	memcpy(d->name, name, strlen(name) + 1);
	make_printable(d->name);
	d->kind = "block";
	d->direction = DMA_BIDIRECTIONAL;
	d->write_parameters.size = d->parameters.size = sizeof(d->parameters);
	if (dma_buf_block_get_parameters(makedev(major, minor), &d->parameters) < 0)
		return;
	m->device_count++;
}

static int by_name(const void *a, const void *b)
{
	const struct solve_device *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static void add_disks(struct solve_machine *m)
{
	DIR *dir = opendir(SYS_BLOCK);
	const struct dirent *entry;
	unsigned int first = m->device_count;

	while (dir && m->device_count < SOLVE_MAX_DEVICES && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_disk(m, entry->d_name);
	if (dir)
		closedir(dir);
	qsort(&m->devices[first], m->device_count - first, sizeof(m->devices[0]), by_name);
}

void solve_look(struct solve_machine *m)
{
	struct solve_device *cpu = &m->devices[m->device_count++];
	int count;

	memcpy(cpu->name, "cpu", sizeof("cpu"));
	cpu->kind = "cpu";
	cpu->direction = DMA_BIDIRECTIONAL;
	cpu->write_parameters.size = cpu->parameters.size = sizeof(cpu->parameters);
	cpu->parameters.cpu_needed = true;
	cpu->parameters.trust_domain = DMA_BUF_TRUST_HOLDERS;
	add_disks(m);
	m->heaps[0].size = sizeof(m->heaps[0]);
	count = dma_buf_heap_list(m->heaps, DMA_BUF_MAX_HEAPS);
	m->heap_count = count > 0 ? (unsigned int)count : 0;
}

/* A file's device stands before this machine's of the same name. */
struct solve_device *solve_find(struct solve_machine *m, const char *name)
{
	for (unsigned int i = m->device_count; i-- > 0;)
		if (!strcmp(m->devices[i].name, name))
			return &m->devices[i];
	return NULL;
}
