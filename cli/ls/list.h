/* SPDX-License-Identifier: MIT */
/* The buffers of this machine, as far as /proc lets us look. */
#ifndef DMABUF_CLI_LS_LIST_H
#define DMABUF_CLI_LS_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/info.h>

/* A process that has descriptors of a buffer. */
struct ls_process {
	pid_t pid;
	char command[32];
	unsigned int descriptors;
};

struct ls_buffer {
	dev_t dev;
	ino_t ino;
	bool kernel;		   /* a dma-buf of the kernel, not one of ours */
	struct dma_buf_info *info; /* NULL: of the kernel, or it could not be read */
	char problem[160];	   /* why it could not be read */
	uint64_t size;		   /* of a kernel buffer, as are the next three */
	uint64_t references;
	char exporter[64];
	char name[64];
	struct ls_process *processes;
	unsigned int process_count;
};

struct ls_list {
	struct ls_buffer *buffers; /* by inode, the kernel's last */
	unsigned int count;
	unsigned int processes; /* looked into */
	unsigned int denied;	/* could not be looked into */
};

/* 0 or a negative errno. */
int ls_scan(struct ls_list *list);
void ls_free(struct ls_list *list);

void ls_print_text(const struct ls_list *list, bool brief, bool bold);
void ls_print_json(const struct ls_list *list);
const char *ls_access_state(enum dma_buf_access_state state);
const char *ls_access_kind(const struct dma_buf_access_info *a);
const char *ls_usage(enum dma_resv_usage usage);
const char *ls_direction(enum dma_data_direction direction);

#endif
