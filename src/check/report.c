// SPDX-License-Identifier: MIT
/* Words for reports. All of this runs in a signal handler, too: no stdio, no memory. */
#include "check/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "text.h"

void check_say(struct check_text *t, const char *words)
{
	size_t len = strlen(words), room = sizeof(t->text) - 1 - t->len;

	if (len > room)
		len = room;
	memcpy(t->text + t->len, words, len);
	t->len += len;
	t->text[t->len] = '\0';
}

static void say_digits(struct check_text *t, uint64_t number, unsigned int base)
{
	char digits[32], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	check_say(t, at);
}

void check_say_number(struct check_text *t, uint64_t number)
{
	say_digits(t, number, 10);
}

void check_say_hex(struct check_text *t, uintptr_t number)
{
	check_say(t, "0x");
	say_digits(t, number, 16);
}

void check_say_who(struct check_text *t, const char *name, pid_t tid)
{
	check_say(t, name);
	check_say(t, " (");
	check_say_number(t, (uint64_t)tid);
	check_say(t, ")");
}

void check_say_range(struct check_text *t, uint64_t start, uint64_t len)
{
	check_say(t, "[");
	check_say_number(t, start);
	check_say(t, ", +");
	check_say_number(t, len);
	check_say(t, ")");
}

const char *check_cpu_words(enum dma_data_direction direction)
{
	if (direction == DMA_FROM_DEVICE)
		return "to read (DMA_FROM_DEVICE)";
	return direction == DMA_TO_DEVICE ? "to write (DMA_TO_DEVICE)"
					  : "to read and write (DMA_BIDIRECTIONAL)";
}

const char *check_device_words(enum dma_data_direction direction)
{
	if (direction == DMA_FROM_DEVICE)
		return "writes it (DMA_FROM_DEVICE)";
	return direction == DMA_TO_DEVICE ? "reads it (DMA_TO_DEVICE)"
					  : "reads and writes it (DMA_BIDIRECTIONAL)";
}

void check_say_access(struct check_text *t, const struct check_access *access)
{
	if (access->device) {
		check_say(t, "device ");
		check_say(t, access->who);
		check_say(t, access->writes ? " writes " : " reads ");
		check_say_range(t, access->start, access->len);
		return;
	}
	check_say(t, "CPU access to ");
	check_say_range(t, access->start, access->len);
	check_say(t, " ");
	check_say(t, check_cpu_words(access->as));
	check_say(t, ", begun by thread ");
	check_say_who(t, access->who, access->tid);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void check_say_place(struct check_text *t, const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	Dl_info info;

	if (!caller)
		return;
	check_say(t, ", at ");
	if (!dladdr(caller, &info) || !info.dli_fname) {
		check_say_hex(t, at);
		return;
	}
	check_say(t, base_name(info.dli_fname));
	check_say(t, "+");
	check_say_hex(t, at - (uintptr_t)info.dli_fbase);
	if (!info.dli_sname)
		return;
	check_say(t, " (");
	check_say(t, info.dli_sname);
	check_say(t, "+");
	check_say_hex(t, at - (uintptr_t)info.dli_saddr);
	check_say(t, ")");
}

void check_describe(struct dma_buf_check_report *report, struct check_text *t,
		    const struct buffer *b)
{
	*report = (struct dma_buf_check_report){
		.size = sizeof(*report),
		.inode = b->key.inode,
		.pid = getpid(),
		.tid = gettid(),
	};
	control_get_name(&b->control, report->name);
	text_copy(report->process, sizeof(report->process), program_invocation_short_name);
	prctl(PR_GET_NAME, report->thread, 0, 0, 0);
	t->len = 0;
	check_say(t, "dma-buf check: buffer \"");
	check_say(t, report->name);
	check_say(t, "\" (inode ");
	check_say_number(t, report->inode);
	check_say(t, "): thread ");
	check_say_who(t, report->thread, report->tid);
	check_say(t, " of process ");
	check_say_who(t, report->process, report->pid);
	check_say(t, " ");
	report->text = t->text;
}
