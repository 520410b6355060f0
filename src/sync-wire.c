// SPDX-License-Identifier: MIT
#include "sync-wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <dmabuf/dma-fence.h>

#include "text.h"

#define PREFIX "dma-fence:1:"
#define TEXTS 3

_Static_assert(sizeof(struct sync_record) == 24, "a record is sent as it is");

/* How much of each text there is room for: the longest ones are cut first. */
static void share_room(size_t room, size_t lengths[TEXTS])
{
	size_t i, longest;

	while (lengths[0] + lengths[1] + lengths[2] > room) {
		longest = 0;
		for (i = 1; i < TEXTS; i++)
			if (lengths[i] > lengths[longest])
				longest = i;
		lengths[longest]--;
	}
}

size_t sync_name_write(const struct sync_name *name, char *text)
{
	const char *const texts[TEXTS] = { name->driver, name->timeline, name->name };
	size_t lengths[TEXTS], i, used;
	char numbers[SYNC_NAME_MAX + 1];

	used = (size_t)snprintf(numbers, sizeof(numbers),
				PREFIX "%016" PRIx64 ":%016" PRIx64 ":%" PRIx64 ":%" PRIx64
				       ":%" PRIx32 ":%c:",
				name->instance, name->id, name->context, name->seqno,
				name->timeout_ms, name->wide ? 'w' : 'n');
	memcpy(text, numbers, used);
	for (i = 0; i < TEXTS; i++)
		lengths[i] = strnlen(texts[i], SYNC_TEXT_LEN - 1);
	share_room(SYNC_NAME_MAX - used - (TEXTS - 1), lengths);
	for (i = 0; i < TEXTS; i++) {
		memcpy(text + used, texts[i], lengths[i]);
		used += lengths[i];
		if (i < TEXTS - 1)
			text[used++] = '\0';
	}
	return used;
}

struct reader {
	const char *at;
	const char *end;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number of @least to @most hexadecimal digits, and the colon after it. */
static bool read_number(struct reader *r, int least, int most, uint64_t *value)
{
	int count = 0, d;

	*value = 0;
	for (; r->at < r->end && count < most && (d = digit(*r->at)) >= 0; r->at++, count++)
		*value = *value << 4 | (uint64_t)d;
	return count >= least && r->at < r->end && *r->at++ == ':';
}

static bool read_width(struct reader *r, bool *wide)
{
	if (r->end - r->at < 2 || r->at[1] != ':')
		return false;
	*wide = r->at[0] == 'w';
	r->at += 2;
	return *wide || r->at[-2] == 'n';
}

/* Up to a NUL, or to the end if it is the last one. */
static bool read_text(struct reader *r, bool last, char *text)
{
	size_t room = (size_t)(r->end - r->at), length = strnlen(r->at, room);

	if (length >= SYNC_TEXT_LEN || (length == room) != last)
		return false;
	text_copy_untrusted(text, SYNC_TEXT_LEN, r->at, length);
	r->at += length + !last;
	return true;
}

static bool read_all(struct reader *r, struct sync_name *name)
{
	uint64_t timeout;

	if (r->end - r->at < (ptrdiff_t)sizeof(PREFIX) ||
	    memcmp(r->at, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	r->at += sizeof(PREFIX) - 1;
	if (!read_number(r, 16, 16, &name->instance) || !read_number(r, 16, 16, &name->id) ||
	    !read_number(r, 1, 16, &name->context) || !read_number(r, 1, 16, &name->seqno) ||
	    !read_number(r, 1, 8, &timeout) || timeout > DMA_FENCE_TIMEOUT_MAX)
		return false;
	name->timeout_ms = (uint32_t)timeout;
	return read_width(r, &name->wide) && read_text(r, false, name->driver) &&
	       read_text(r, false, name->timeline) && read_text(r, true, name->name);
}

int sync_name_read(struct sync_name *name, const char *text, size_t length)
{
	struct reader r = { text, text + length };
	struct sync_name copy;

	if (!read_all(&r, &copy))
		return -EINVAL;
	*name = copy;
	return 0;
}

struct sync_record sync_record_make(int status, int64_t timestamp)
{
	return (struct sync_record){ SYNC_RECORD_MAGIC, SYNC_RECORD_VERSION, status,
				     timestamp > 0 ? timestamp : 1 };
}

int sync_record_read(struct sync_record *record, const void *bytes, size_t length)
{
	struct sync_record copy;

	if (length != sizeof(copy))
		return -EBADMSG;
	memcpy(&copy, bytes, sizeof(copy));
	if (copy.magic != SYNC_RECORD_MAGIC || copy.version != SYNC_RECORD_VERSION ||
	    copy.timestamp <= 0 || copy.status > 1 || copy.status == 0 ||
	    copy.status < -DMA_FENCE_MAX_ERRNO)
		return -EBADMSG;
	*record = copy;
	return 0;
}
