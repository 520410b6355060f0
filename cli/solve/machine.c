// SPDX-License-Identifier: MIT
/* The devices and heaps of this machine. */
#include "solve.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <dmabuf/block.h>
#include <dmabuf/drm.h>

#define SYS_BLOCK "/sys/block"
#define SYS_DRM "/sys/class/drm"

static bool read_line(const char *dir, const char *device, const char *file, char *text,
		      size_t size)
{
	char path[512];
	bool good;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, device, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fgets(text, (int)size, f) != NULL;
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return good;
}

/* A place for a device; it counts from m->device_count++ on. */
static struct solve_device *next_device(struct solve_machine *m, const char *name, const char *kind)
{
	struct solve_device *d = &m->devices[m->device_count];

	if (strlen(name) >= sizeof(d->name))
		return NULL;
	memset(d, 0, sizeof(*d));
	memcpy(d->name, name, strlen(name) + 1);
	make_printable(d->name);
	d->kind = kind;
	d->direction = DMA_BIDIRECTIONAL;
	d->write_parameters.size = d->parameters.size = sizeof(d->parameters);
	return d;
}

/* Its "dev" file: "226:0". */
static bool read_number(const char *dir, const char *device, dev_t *number)
{
	unsigned int major, minor;
	char text[64], *colon;

	if (!read_line(dir, device, "dev", text, sizeof(text)))
		return false;
	major = (unsigned int)strtoul(text, &colon, 10);
	if (*colon != ':')
		return false;
	minor = (unsigned int)strtoul(colon + 1, NULL, 10);
	*number = makedev(major, minor);
	return true;
}

static void add_disk(struct solve_machine *m, const char *name)
{
	struct solve_device *d = next_device(m, name, "block");
	char text[64];
	dev_t number;

	/* Loop devices without a file have no size. */
	if (d && read_line(SYS_BLOCK, name, "size", text, sizeof(text)) && strcmp(text, "0") &&
	    read_number(SYS_BLOCK, name, &number) &&
	    dma_buf_block_get_parameters(number, &d->parameters) == 0)
		m->device_count++;
}

/* Cards only: a card's render node is the same device, and connectors are none. */
static void add_card(struct solve_machine *m, const char *name)
{
	struct solve_device *d;
	dev_t number;

	if (strncmp(name, "card", 4) || strchr(name, '-'))
		return;
	d = next_device(m, name, "drm");
	if (d && read_number(SYS_DRM, name, &number) &&
	    dma_buf_drm_get_parameters(number, &d->parameters) == 0)
		m->device_count++;
}

static int by_name(const void *a, const void *b)
{
	const struct solve_device *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static void add_all(struct solve_machine *m, const char *path,
		    void (*add)(struct solve_machine *m, const char *name))
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned int first = m->device_count;

	while (dir && m->device_count < SOLVE_MAX_DEVICES && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add(m, entry->d_name);
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
	add_all(m, SYS_BLOCK, add_disk);
	add_all(m, SYS_DRM, add_card);
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
