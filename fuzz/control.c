// SPDX-License-Identifier: MIT
/*
 * Every public call on a buffer whose control block is the input's. The input patches a real one:
 * a byte that says how many patches come first, then patches of a 16 bit offset and a 32 bit word.
 * The rest of them strike one by one between the calls.
 */
#include "hostile.h"
#include "shm/layout.h"

#define PATCH_SIZE 6

struct patches {
	const uint8_t *data;
	size_t left;
	char *control;
};

static void patch(void *arg)
{
	struct patches *p = arg;
	uint16_t at;
	uint32_t value;

	if (p->left < PATCH_SIZE)
		return;
	memcpy(&at, p->data, sizeof(at));
	memcpy(&value, p->data + sizeof(at), sizeof(value));
	p->data += PATCH_SIZE;
	p->left -= PATCH_SIZE;
	at = at % (SHM_CONTROL_SIZE / 4) * 4;
	atomic_store((_Atomic(uint32_t) *)(p->control + at), value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t bytes_size;
	static char *bytes;
	struct patches patches;
	struct attack attack = { patch, &patches };
	unsigned int first;
	char *base;
	int fd;

	if (!bytes) {
		hostile_register();
		bytes = hostile_template(HOSTILE_SIZE, &bytes_size);
	}
	if (!size)
		return 0;
	fd = forge_memfd(bytes, bytes_size, SEALS_OF_A_BUFFER);
	base = mmap(NULL, bytes_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	HOSTILE_CHECK(base != MAP_FAILED);
	patches = (struct patches){ data + 1, size - 1, base + bytes_size - SHM_CONTROL_SIZE };
	for (first = data[0] % 32; first; first--)
		patch(&patches);
	exercise(fd, &attack);
	munmap(base, bytes_size);
	close(fd);
	return 0;
}
