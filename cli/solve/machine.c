// SPDX-License-Identifier: MIT
/* The devices and heaps of this machine. */
#include "solve.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <dmabuf/block.h>
#include <dmabuf/drm.h>

#include "video-look.h"

#define SYS_BLOCK "/sys/block"
#define SYS_DRM "/sys/class/drm"
#define MAX_VIDEOS 64
/* How long video drivers may take to say what they are. */
#define VIDEO_MS 5000

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
	d->known = true;
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

	/* Loop devices without a file have no size. */
	if (d && read_line(SYS_BLOCK, name, "size", text, sizeof(text)) && strcmp(text, "0") &&
	    read_number(SYS_BLOCK, name, &d->number) &&
	    dma_buf_block_get_parameters(d->number, &d->parameters) == 0) {
		d->from = DMA_BUF_FROM_KERNEL;
		m->device_count++;
	}
}

/* Where the link @dir/@device/@link leads to, by its last name. */
static bool read_link(const char *dir, const char *device, const char *link, char *text,
		      size_t size)
{
	char path[256], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, device, link);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(text, size, "%.200s", slash ? slash + 1 : "");
	return slash;
}

/* Cards only: a card's render node is the same device, and connectors are none. */
static void add_card(struct solve_machine *m, const char *name)
{
	struct solve_device *d;
	int from;

	if (strncmp(name, "card", 4) || strchr(name, '-'))
		return;
	d = next_device(m, name, "drm");
	if (!d || !read_number(SYS_DRM, name, &d->number) ||
	    dma_buf_drm_get_parameters(d->number, &d->parameters) < 0)
		return;
	from = dma_buf_drm_parameters_from(d->number);
	d->from = from < 0 ? 0 : (unsigned int)from;
	/* A device without a bus has no driver, but a name. */
	if (!read_link(SYS_DRM, name, "device/driver", d->about, sizeof(d->about)))
		(void)read_link(SYS_DRM, name, "device", d->about, sizeof(d->about));
	m->device_count++;
}

static void add_video(struct solve_machine *m, const struct video_found *found)
{
	struct solve_device *d = next_device(m, found->name, "v4l2");

	if (!d)
		return;
	d->number = found->number;
	d->known = found->known;
	d->from = found->from;
	d->parameters = found->parameters;
	d->direction = found->output ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	memcpy(d->about, found->words, sizeof(d->about));
	m->device_count++;
}

static void add_videos(struct solve_machine *m, bool trial)
{
	static struct video_found found[MAX_VIDEOS];
	unsigned int count = video_look("/sys", "/dev", trial, VIDEO_MS, found, MAX_VIDEOS);

	for (unsigned int i = 0; i < count && m->device_count < SOLVE_MAX_DEVICES; i++)
		add_video(m, &found[i]);
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

void solve_look(struct solve_machine *m, bool trial)
{
	struct solve_device *cpu = &m->devices[m->device_count++];
	int count;

	memcpy(cpu->name, "cpu", sizeof("cpu"));
	cpu->kind = "cpu";
	cpu->known = true;
	cpu->direction = DMA_BIDIRECTIONAL;
	cpu->write_parameters.size = cpu->parameters.size = sizeof(cpu->parameters);
	cpu->parameters.cpu_needed = true;
	cpu->parameters.trust_domain = DMA_BUF_TRUST_HOLDERS;
	add_all(m, SYS_BLOCK, add_disk);
	add_all(m, SYS_DRM, add_card);
	add_videos(m, trial);
	m->heaps[0].size = sizeof(m->heaps[0]);
	count = dma_buf_heap_list(m->heaps, DMA_BUF_MAX_HEAPS);
	m->heap_count = count > 0 ? (unsigned int)count : 0;
}

static struct solve_device *find_node(struct solve_machine *m, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
		return NULL;
	for (unsigned int i = 0; i < m->device_count; i++) {
		bool block = !strcmp(m->devices[i].kind, "block");

		if (m->devices[i].number == st.st_rdev && block == S_ISBLK(st.st_mode))
			return &m->devices[i];
	}
	return NULL;
}

/* A file's device stands before this machine's of the same name. */
struct solve_device *solve_find(struct solve_machine *m, const char *name)
{
	static const char *const kinds[] = { "v4l2:", "drm:" };

	for (unsigned int i = m->device_count; i-- > 0;)
		if (!strcmp(m->devices[i].name, name))
			return &m->devices[i];
	/* As pipes call them. */
	for (int i = 0; i < 2; i++)
		if (!strncmp(name, kinds[i], strlen(kinds[i])))
			name += strlen(kinds[i]);
	return *name == '/' ? find_node(m, name) : NULL;
}

void solve_describe_source(const struct solve_device *d, char *text, size_t size)
{
	static const char *const words[] = { "told by the kernel", "known of its driver",
					     "found by trial" };
	size_t used = (size_t)snprintf(text, size, "%s", d->about);
	const char *before = used ? "; " : "";

	for (unsigned int i = 0; i < 3 && d->known && used < size; i++) {
		if (!(d->from & 1u << i))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", before, words[i]);
		before = ", ";
	}
	if (d->known && !d->from && strcmp(d->kind, "cpu") != 0 && used < size)
		snprintf(text + used, size - used, "%snothing is known of its needs", before);
	make_printable(text);
}
