// SPDX-License-Identifier: MIT
/* dmabuf doctor: what this machine lacks for better plans, and how to get it. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "json-members.h"
#include "solve/solve.h"
#include "solve/video-look.h"

#define MAX_VIDEOS 32
#define MAX_CARDS 16
/* How long video drivers may take to say what they are. */
#define VIDEO_MS 5000

struct finding {
	char name[DMA_BUF_HEAP_NAME_LEN];
	const char *gives;
	bool there;
	char words[256];
};

struct findings {
	struct finding list[DMA_BUF_MAX_HEAPS + 4 + MAX_VIDEOS + MAX_CARDS];
	unsigned int count;
};

static const char *heap_gives(const struct dma_buf_heap_info *h)
{
	static const struct {
		const char *name, *gives;
	} known[] = {
		{ "memfd", "ordinary memory" },
		{ "thp", "large pieces for devices that like them" },
		{ "locked", "memory that is never swapped out" },
		{ "hugetlb", "contiguous memory up to 2 MiB" },
		{ "secret", "memory that no driver reaches" },
		{ "udmabuf", "kernel dma-bufs of ordinary memory" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, h->name))
			return known[i].gives;
	return h->chunk ? "memory from the kernel's heaps" : "contiguous memory of any size";
}

static struct finding *add(struct findings *f, const char *name, const char *gives, bool there,
			   const char *words)
{
	struct finding *one = &f->list[f->count++];

	snprintf(one->name, sizeof(one->name), "%.*s", (int)sizeof(one->name) - 1, name);
	snprintf(one->words, sizeof(one->words), "%.*s", (int)sizeof(one->words) - 1, words);
	make_printable(one->words);
	one->gives = gives;
	one->there = there;
	return one;
}

static void look_at_heaps(struct findings *f)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS);

	for (int i = 0; i < count; i++)
		add(f, heaps[i].name, heap_gives(&heaps[i]), heaps[i].available, heaps[i].where);
}

/* Zeroed parameters and one entry: that makes a ring, which is closed again. */
static void look_at_uring(struct findings *f)
{
	uint64_t parameters[15] = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, parameters);
	const char *words = fd >= 0	      ? "io_uring_setup()"
			    : errno == ENOSYS ? "this kernel is built without CONFIG_IO_URING"
			    : errno == EPERM
				    ? "denied: as root, sysctl kernel.io_uring_disabled=0; or a "
				      "sandbox forbids it"
				    : strerror(errno);

	add(f, "io_uring", "transfers of disks without threads", fd >= 0, words);
	if (fd >= 0)
		close(fd);
}

/* Without the right to see them, page frames read as zero. */
static void look_at_frames(struct findings *f)
{
	volatile char here = 1;
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)&here / (uintptr_t)sysconf(_SC_PAGESIZE) * sizeof(entry));
	bool seen = fd >= 0 && pread(fd, &entry, sizeof(entry), at) == sizeof(entry) &&
		    (entry & ((UINT64_C(1) << 55) - 1)) != 0 && here;

	add(f, "page frames", "physical addresses for userspace drivers", seen,
	    seen ? "/proc/self/pagemap" : "hidden: run as root or with CAP_SYS_ADMIN");
	if (fd >= 0)
		close(fd);
}

/* Which is what our holds are shown to the kernel's drivers with. */
static void look_at_fences(struct findings *f)
{
	const char *missing = dma_buf_kernel_fences_missing();

	add(f, "kernel fences", "locks that the kernel's drivers wait for", !missing[0],
	    missing[0] ? missing : "vgem makes them");
}

/* A driver takes ordinary memory through this only. */
static bool has_udmabuf(const struct findings *f)
{
	for (unsigned int i = 0; i < f->count; i++)
		if (!strcmp(f->list[i].name, "udmabuf"))
			return f->list[i].there;
	return false;
}

/* Those there are: a machine without a camera lacks nothing. */
static void look_at_videos(struct findings *f)
{
	struct video_found found[MAX_VIDEOS];
	unsigned int count = video_look("/sys", "/dev", false, VIDEO_MS, found, MAX_VIDEOS);
	bool takes_ours = has_udmabuf(f);
	char words[512];

	for (unsigned int i = 0; i < count; i++) {
		const char *without = found[i].output ? "; without udmabuf kernel dma-bufs only, "
							"such as a camera's"
						      : "; without udmabuf in memory of its own "
							"only (memory=export)";

		snprintf(words, sizeof(words), "%s%s", found[i].words,
			 found[i].known && !takes_ours ? without : "");
		add(f, found[i].name,
		    !found[i].known   ? "video without copies"
		    : found[i].output ? "frames shown without copies"
				      : "frames captured without copies",
		    found[i].known, words);
	}
}

static void look_at_cards(struct findings *f)
{
	char name[16], path[32];

	for (unsigned int i = 0; i < MAX_CARDS; i++) {
		snprintf(name, sizeof(name), "card%u", i);
		snprintf(path, sizeof(path), "/dev/dri/%s", name);
		if (access(path, F_OK) < 0)
			continue;
		if (access(path, R_OK | W_OK) == 0)
			add(f, name, "pictures shared with graphics", true, path);
		else
			add(f, name, "pictures shared with graphics", false,
			    "may not be opened: members of the groups video and render may");
	}
}

static void print_text(const struct findings *f, unsigned int lacking, bool bold)
{
	printf("%s%-6s %-18s %-42s %s%s\n", color_bold(bold), "THERE", "WHAT", "GIVES", "HOW",
	       color_end(bold));
	for (unsigned int i = 0; i < f->count; i++) {
		const struct finding *one = &f->list[i];

		printf("%-6s %-18s %-42s %s\n", one->there ? "yes" : "no", one->name, one->gives,
		       one->words);
	}
	printf("\n%u of %u are there.%s\n", f->count - lacking, f->count,
	       lacking ? " What is not is done without: plans use the rest." : "");
}

static void print_json(const struct findings *f)
{
	json_object *object = json_object_new_object(), *array = json_object_new_array();

	json_add_text(object, "schema", "dmabuf-doctor/1");
	for (unsigned int i = 0; i < f->count; i++) {
		json_object *one = json_object_new_object();

		json_add_text(one, "name", f->list[i].name);
		json_add_bool(one, "there", f->list[i].there);
		json_add_text(one, "gives", f->list[i].gives);
		json_add_text(one, "how", f->list[i].words);
		json_object_array_add(array, one);
	}
	json_object_object_add(object, "findings", array);
	solve_print_json(object);
}

static int parse(bool *json, enum color_mode *color, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "color", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		*json |= option == 'j';
		if (option == 'c' && !color_parse(optarg, color))
			return usage(&command_doctor, "--color \"%s\": not auto, always or never",
				     optarg);
		if (option == ':')
			return usage(&command_doctor, "\"%s\" needs a value", argv[optind - 1]);
		if (option == '?')
			return usage(&command_doctor, "there is no option \"%s\"",
				     argv[optind - 1]);
	}
	if (optind < argc)
		return usage(&command_doctor, "unexpected argument \"%s\"", argv[optind]);
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	enum color_mode color = COLOR_AUTO;
	struct findings f = { .count = 0 };
	unsigned int lacking = 0;
	bool json = false;

	if (parse(&json, &color, argc, argv) != EXIT_OK)
		return EXIT_USAGE;
	look_at_heaps(&f);
	look_at_uring(&f);
	look_at_frames(&f);
	look_at_fences(&f);
	look_at_videos(&f);
	look_at_cards(&f);
	for (unsigned int i = 0; i < f.count; i++)
		lacking += !f.list[i].there;
	if (json)
		print_json(&f);
	else
		print_text(&f, lacking, color_wanted(color, stdout));
	return finish_stdout(&command_doctor, lacking ? EXIT_FAILED : EXIT_OK);
}

const struct command command_doctor = {
	.name = "doctor",
	.summary = "say what this machine lacks for better plans, and how to get it",
	.help = "Usage: dmabuf doctor [OPTION]...\n\n"
		"Looks for what makes better plans possible: heaps, io_uring, physical addresses,\n"
		"and whether the cameras and graphics cards that there are can be used. For each\n"
		"it says what it gives, whether it is there, and if not, how to get it. Nothing "
		"is\n"
		"changed. Everything works without, with ordinary memory.\n\n"
		"Options:\n"
		"      --json             the same as JSON\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Exit status: 0 all is there; 1 something is not; 2 usage.\n",
	.run = run,
};
