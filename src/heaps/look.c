// SPDX-License-Identifier: MIT
/* What the kernel says in its files. */
#include "heaps/heaps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "text.h"

bool heap_read_text(const struct heap_places *places, const char *path, char *text, size_t size)
{
	char full[PATH_MAX];
	ssize_t n;
	int fd;

	if (snprintf(full, sizeof(full), "%s%s", places->root, path) >= (int)sizeof(full))
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	do {
		n = read(fd, text, size - 1);
	} while (n < 0 && errno == EINTR);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

bool heap_read_number(const struct heap_places *places, const char *path, uint64_t *number)
{
	char text[32], *end;
	unsigned long long value;

	if (!heap_read_text(places, path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	*number = value;
	return true;
}

static bool number_after(const char *line, const char *key, int base, uint64_t *number)
{
	line += strspn(line, " ");
	if (strncmp(line, key, strlen(key)) != 0)
		return false;
	*number = strtoull(line + strlen(key), NULL, base);
	return true;
}

/* Each zone gives its length and, further below, its first page. */
uint64_t heap_highest_address(const struct heap_places *places)
{
	uint64_t spanned = 0, start, highest = 0;
	char path[PATH_MAX], line[256];
	FILE *f;

	if (places->highest_address)
		return places->highest_address;
	snprintf(path, sizeof(path), "%s/proc/zoneinfo", places->root);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (number_after(line, "spanned ", 10, &spanned) ||
		    !number_after(line, "start_pfn:", 10, &start))
			continue;
		if (spanned && start < UINT64_MAX / HEAP_PAGE - spanned &&
		    (start + spanned) * HEAP_PAGE - 1 > highest)
			highest = (start + spanned) * HEAP_PAGE - 1;
	}
	fclose(f);
	return highest;
}

/* May this process lock what it likes? The kernel asks for the capability outside of any user
 * namespace. */
static bool may_lock_all(uint64_t capabilities, const struct heap_places *places)
{
	char map[64];
	uint64_t inside = 1, outside = 1, count = 0;

	if (!(capabilities >> CAP_IPC_LOCK & 1) ||
	    !heap_read_text(places, "/proc/self/uid_map", map, sizeof(map)))
		return false;
	return sscanf(map, "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) == 3 &&
	       !inside && !outside && count == UINT32_MAX;
}

bool heap_lock_room(const struct heap_places *places, uint64_t *room)
{
	uint64_t locked_kb = 0, capabilities = 0;
	char path[PATH_MAX], line[256];
	struct rlimit limit;
	FILE *f;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	snprintf(path, sizeof(path), "%s/proc/self/status", places->root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!number_after(line, "VmLck:", 10, &locked_kb))
			number_after(line, "CapEff:", 16, &capabilities);
	if (f)
		fclose(f);
	if (may_lock_all(capabilities, places))
		return false;
	*room = limit.rlim_cur / 1024 > locked_kb ? limit.rlim_cur - locked_kb * 1024 : 0;
	return true;
}

void heap_fill(struct dma_buf_heap_info *info, const char *name, uint32_t cost, uint64_t chunk,
	       uint64_t highest_address)
{
	text_copy(info->name, sizeof(info->name), name);
	info->chunk = chunk;
	info->alignment = chunk ? chunk : HEAP_PAGE;
	info->granule = chunk ? chunk : HEAP_PAGE;
	info->max_size = HEAP_MAX_SIZE;
	info->highest_address = highest_address;
	info->cost = cost;
	info->page_backed = info->cpu_mappable = info->zeroed = info->available = true;
}
