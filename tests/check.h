/* SPDX-License-Identifier: MIT */
/* Checking mode in this process: reports are kept, and touches go through after them. */
#ifndef DMABUF_TEST_CHECK_H
#define DMABUF_TEST_CHECK_H

#include <dmabuf.h>

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

#define KEPT_MAX 16

/* What was reported, in order; the text is of the first KEPT_MAX. */
static struct {
	unsigned int count;
	struct dma_buf_check_report report;
	char text[KEPT_MAX][640];
} kept;

__attribute__((unused)) static void keep_report(const struct dma_buf_check_report *report,
						void *data)
{
	kept.report = *report;
	if (kept.count < KEPT_MAX)
		strncpy(kept.text[kept.count], report->text, sizeof(kept.text[0]) - 1);
	kept.count++;
}

__attribute__((unused)) static void check_start(unsigned int flags)
{
	struct dma_buf_check_options options = { .size = sizeof(options),
						 .flags = flags,
						 .report = keep_report };

	memset(&kept, 0, sizeof(kept));
	ASSERT_OK(dma_buf_check_start(&options));
}

/* The one report since the last call here; its words. */
__attribute__((unused)) static const char *only_report(enum dma_buf_check_rule rule)
{
	if (kept.count != 1)
		FAIL("%u reports, the first: %s", kept.count, kept.text[0]);
	kept.count = 0;
	ASSERT_EQ(kept.report.rule, rule);
	ASSERT_EQ(kept.report.size, sizeof(kept.report));
	ASSERT_EQ(kept.report.pid, getpid());
	return kept.text[0];
}

__attribute__((unused)) static void no_report(void)
{
	if (kept.count)
		FAIL("reported: %s", kept.text[0]);
}

__attribute__((unused)) static struct dma_buf *check_buffer(size_t size)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", size, O_RDWR);

	if (!dmabuf)
		FAIL("%s", dmabuf_last_error());
	return dmabuf;
}

__attribute__((unused)) static volatile unsigned char *check_vmap(struct dma_buf *dmabuf)
{
	volatile unsigned char *bytes = dma_buf_vmap(dmabuf);

	if (!bytes)
		FAIL("%s", dmabuf_last_error());
	return bytes;
}

#endif
