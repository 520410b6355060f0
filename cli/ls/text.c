// SPDX-License-Identifier: MIT
#include "list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "../solve/solve.h"

static void print_head(const struct ls_buffer *b, uint64_t size, const char *name,
		       const char *exporter, unsigned int holders, unsigned int attachments)
{
	char text[32];

	size_format((double)size, text, sizeof(text));
	printf("%-8ju %10s  %-20s %-12s %7u %11u\n", (uintmax_t)b->ino, text, name[0] ? name : "-",
	       exporter[0] ? exporter : "-", holders, attachments);
}

static bool is_holder(const struct dma_buf_info *info, pid_t pid)
{
	for (unsigned int i = 0; i < info->holder_count; i++)
		if (info->holders[i].pid == pid)
			return true;
	return false;
}

static void print_holders(const struct ls_buffer *b)
{
	const struct dma_buf_info *info = b->info;

	for (unsigned int i = 0; i < info->holder_count; i++) {
		const struct dma_buf_holder_info *h = &info->holders[i];

		printf("  holder %-8jd %s%s%s%s\n", (intmax_t)h->pid, h->label,
		       h->exporter ? ", exporter" : "", h->alive ? "" : ", dead",
		       h->storage_accesses ? ", keeps the storage where it is" : "");
	}
	for (unsigned int i = 0; i < b->process_count; i++)
		if (!is_holder(info, b->processes[i].pid))
			printf("  holder %-8jd %s, descriptor only\n",
			       (intmax_t)b->processes[i].pid, b->processes[i].command);
}

static void print_parameters(const char *what, const struct dma_buf_device_parameters *p)
{
	char text[1024];
	bool any;

	fields_describe(parameter_fields, p, text, sizeof(text));
	any = text[0] != '\0';
	if (any)
		printf("%s%s", what, text);
	for (unsigned int i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++) {
		if (!p->named[i].rule)
			continue;
		printf("%s%s %" PRIu64, any ? ", " : what, p->named[i].name, p->named[i].value);
		any = true;
	}
	if (any)
		printf("\n");
}

static const char *usage_words(enum dma_data_direction usage)
{
	if (usage == DMA_TO_DEVICE)
		return ", reads only";
	return usage == DMA_FROM_DEVICE ? ", writes only" : "";
}

static void print_attachments(const struct dma_buf_info *info)
{
	for (unsigned int i = 0; i < info->attachment_count; i++) {
		const struct dma_buf_attachment_info *a = &info->attachments[i];

		printf("  device %s of ", a->device);
		if (a->holder < info->holder_count)
			printf("%jd", (intmax_t)info->holders[a->holder].pid);
		else
			printf("nobody");
		printf(", %s, %s%s%s%s\n", a->mapped ? "mapped" : "not mapped",
		       ls_direction(a->direction), usage_words(a->usage),
		       a->vouched ? ", vouched for by the exporter" : "",
		       a->known ? "" : ", its parameters make no sense");
		print_parameters("    ", &a->parameters);
	}
	if (info->attachment_count > 1)
		print_parameters("  together ", &info->constraints);
}

static void print_access(const struct dma_buf_info *info, const struct dma_buf_access_info *a)
{
	printf("  %s %-8jd %s, %s", ls_access_kind(a), (intmax_t)a->pid, a->label,
	       ls_access_state(a->state));
	if (!a->lock)
		printf(" to %s by %s", a->write ? "write" : "read", a->device ? "DMA" : "CPU");
	if (a->fence)
		printf(", for %s", ls_usage(a->usage));
	if (a->context)
		printf(", in a context");
	if (a->start || a->length != info->size)
		printf(", bytes %" PRIu64 " + %" PRIu64, a->start, a->length);
	if (a->age_ms)
		printf(", %" PRIu64 " ms", a->age_ms);
	if (a->waits_for)
		printf(", its group waits for %" PRIu64, a->waits_for);
	if (a->holder < info->holder_count && !info->holders[a->holder].alive)
		printf(", dead");
	printf("\n");
}

/* In the order in which they have it or get it. */
static void print_accesses(const struct dma_buf_info *info)
{
	for (int state = DMA_BUF_ACCESS_HELD; state <= DMA_BUF_ACCESS_TORN; state++)
		for (unsigned int i = 0; i < info->access_count; i++)
			if (info->accesses[i].state == (enum dma_buf_access_state)state)
				print_access(info, &info->accesses[i]);
}

static void print_storage(const struct dma_buf_storage_info *s)
{
	if (!s->deferred)
		return;
	if (s->generation)
		printf("  storage %" PRIu64 " of heap %s", s->generation,
		       s->heap[0] ? s->heap : "(not known)");
	else
		printf("  storage is chosen at the first access");
	printf("%s%s%s%s\n", s->fixed ? ", fixed" : "", s->raw ? ", handed out" : "",
	       s->wanted ? ", does not suit all devices" : "",
	       s->moving    ? ", migrates"
	       : s->awaited ? ", is waited for to migrate"
			    : "");
	for (unsigned int i = 0; i < s->tried_count; i++)
		printf("  not of heap %s: %s\n", s->tried[i].heap, strerror(s->tried[i].error));
}

static void print_ours(const struct ls_buffer *b, bool brief)
{
	const struct dma_buf_info *info = b->info;
	const struct dma_buf_counters *c;

	if (!info) {
		print_head(b, 0, "?", "?", b->process_count, 0);
		if (!brief)
			printf("  cannot be read: %s\n", b->problem);
		return;
	}
	print_head(b, info->size, info->name, info->exp_name, info->holder_count,
		   info->attachment_count);
	if (brief)
		return;
	if (info->read_only || info->split || !info->exporter_alive)
		printf(" %s%s%s\n", info->read_only ? " read-only" : "",
		       info->split ? " split" : "", info->exporter_alive ? "" : " exporter-gone");
	print_storage(&info->storage);
	print_holders(b);
	print_attachments(info);
	print_accesses(info);
	c = &info->counters;
	printf("  %" PRIu64 " CPU accesses, %" PRIu64 " maps (%" PRIu64
	       " kept); cache operations: %" PRIu64 " needed, %" PRIu64 " done, %" PRIu64
	       " avoided; %" PRIu64 " recovered, %" PRIu64 " leases lost\n",
	       c->cpu_access, c->maps, c->cached_maps, c->sync_needed, c->sync_done,
	       c->sync_skipped, c->recovered, c->leases_lost);
}

static void print_kernels(const struct ls_buffer *b, bool brief)
{
	print_head(b, b->size, b->name, b->exporter, b->process_count, 0);
	if (brief)
		return;
	printf("  kernel dma-buf, %" PRIu64 " references\n", b->references);
	for (unsigned int i = 0; i < b->process_count; i++)
		printf("  holder %-8jd %s\n", (intmax_t)b->processes[i].pid,
		       b->processes[i].command);
}

void ls_print_text(const struct ls_list *list, bool brief, bool bold)
{
	printf("%s%-8s %10s  %-20s %-12s %7s %11s%s\n", color_bold(bold), "INODE", "SIZE", "NAME",
	       "EXPORTER", "HOLDERS", "ATTACHMENTS", color_end(bold));
	for (unsigned int i = 0; i < list->count; i++) {
		if (list->buffers[i].kernel)
			print_kernels(&list->buffers[i], brief);
		else
			print_ours(&list->buffers[i], brief);
	}
}
