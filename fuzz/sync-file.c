// SPDX-License-Identifier: MIT
/*
 * What a fence's descriptor says: the first byte is the length of a name, which must be refused or
 * read and written again without loss; the rest is what comes from the owner instead of a record.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <dmabuf.h>

#include "hostile.h"
#include "sync-wire.h"

static void check_name(const char *text, size_t length)
{
	struct sync_name name, again;
	char written[SYNC_NAME_MAX];

	memset(&name, 0x55, sizeof(name));
	if (sync_name_read(&name, text, length))
		return;
	HOSTILE_CHECK(name.timeout_ms <= DMA_FENCE_TIMEOUT_MAX);
	memset(&again, 0x55, sizeof(again));
	HOSTILE_CHECK(!sync_name_read(&again, written, sync_name_write(&name, written)));
	HOSTILE_CHECK(again.instance == name.instance && again.id == name.id &&
		      again.context == name.context && again.seqno == name.seqno &&
		      again.wide == name.wide && again.timeout_ms == name.timeout_ms);
	HOSTILE_CHECK(!memcmp(again.driver, name.driver, strlen(again.driver)));
}

/* A descriptor by this name, or by a good one, whose owner sends these bytes and dies. */
static void check_fence(const char *text, size_t length, const uint8_t *bytes, size_t count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct dmabuf_sync_file_info info = { .size = sizeof(info) };
	int ends[2], ret;

	memcpy(address.sun_path + 1, text, length);
	HOSTILE_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	HOSTILE_CHECK(bind(ends[1], (struct sockaddr *)&address,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) == 0);
	(void)!send(ends[0], bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(ends[0]);
	ret = dmabuf_sync_file_get_info(ends[1], &info);
	HOSTILE_CHECK(ret == -EINVAL || ret == 0);
	if (!ret)
		HOSTILE_CHECK(info.status == 1 ||
			      (info.status < 0 && info.status >= -DMA_FENCE_MAX_ERRNO));
	HOSTILE_CHECK(!ret == !dmabuf_sync_file_check(ends[1]));
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_record record = { .status = 77 };
	size_t length;

	if (!size)
		return 0;
	length = data[0] % (SYNC_NAME_MAX + 1);
	data++;
	size--;
	if (length > size)
		length = size;
	check_name((const char *)data, length);
	if (sync_record_read(&record, data + length, size - length))
		HOSTILE_CHECK(record.status == 77);
	else
		HOSTILE_CHECK(record.status == 1 || record.status < 0);
	check_fence((const char *)data, length, data + length, size - length);
	return 0;
}
