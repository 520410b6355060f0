// SPDX-License-Identifier: MIT
#include "home/wire.h"

#include <string.h>

#include "text.h"

#define ALIGNMENT_MAX (UINT64_C(1) << 30)
#define ERROR_MAX 4095

_Static_assert(sizeof(struct wire_request) ==
		       24 + DMA_BUF_MAX_HEAPS * DMA_BUF_HEAP_NAME_LEN + MAC_SIZE,
	       "no byte of a request is left undefined");
_Static_assert(sizeof(struct wire_answer) ==
		       16 + sizeof(struct home_storage) + sizeof(struct heap_attempts) + WIRE_WORDS,
	       "nor of an answer");

struct wire_head wire_head(enum wire_type type)
{
	return (struct wire_head){ WIRE_MAGIC, WIRE_VERSION, (uint16_t)type };
}

bool wire_is(const union wire_message *m, size_t length, enum wire_type type)
{
	static const size_t lengths[] = {
		[WIRE_KNOCK] = sizeof(struct wire_knock),
		[WIRE_HELLO] = sizeof(struct wire_hello),
		[WIRE_CHALLENGE] = sizeof(struct wire_challenge),
		[WIRE_REQUEST] = sizeof(struct wire_request),
		[WIRE_ANSWER] = sizeof(struct wire_answer),
		[WIRE_HEAPS] = sizeof(struct wire_heaps),
	};

	return length == lengths[type] && m->head.magic == WIRE_MAGIC &&
	       m->head.version == WIRE_VERSION && m->head.type == type;
}

void wire_prove_home(uint8_t proof[MAC_SIZE], const struct home_address *address,
		     const struct wire_nonces *nonces)
{
	struct {
		uint8_t who;
		struct wire_nonces nonces;
		uint8_t name[16];
	} said = { 'H', *nonces, { 0 } };

	memcpy(said.name, address->name, sizeof(said.name));
	mac_make(proof, address->secret, &said, sizeof(said));
}

void wire_prove_request(uint8_t proof[MAC_SIZE], const struct home_address *address,
			const struct wire_nonces *nonces, const struct wire_request *request)
{
	struct {
		uint8_t who;
		struct wire_nonces nonces;
		uint8_t request[offsetof(struct wire_request, proof)];
	} said = { 'V', *nonces, { 0 } };

	memcpy(said.request, request, sizeof(said.request));
	mac_make(proof, address->secret, &said, sizeof(said));
}

const char *wire_check_request(const struct wire_request *r)
{
	char shown[DMA_BUF_HEAP_NAME_LEN];

	if (r->wish < WIRE_FETCH || r->wish > WIRE_LIST)
		return "it asks for what this library does not know";
	if ((r->wish == WIRE_PREPARE) != (r->heap_count > 0) || r->heap_count > DMA_BUF_MAX_HEAPS)
		return "its list of heaps makes no sense";
	for (uint32_t i = 0; i < r->heap_count; i++) {
		text_copy_untrusted(shown, sizeof(shown), r->heaps[i], sizeof(r->heaps[i]));
		if (!shown[0] || memcmp(shown, r->heaps[i], sizeof(shown)) != 0)
			return "a heap's name is none";
	}
	return NULL;
}

static void clean(char *text, size_t size)
{
	char copy[WIRE_WORDS];

	text_copy_untrusted(copy, size, text, size);
	memcpy(text, copy, size);
}

static bool power_of_two(uint64_t value)
{
	return value && (value & (value - 1)) == 0;
}

static const char *check_storage(struct home_storage *s)
{
	clean(s->heap, sizeof(s->heap));
	if (!s->generation || !s->heap[0] || s->flags & ~HOME_FLAGS)
		return "its description of the storage makes no sense";
	if (!power_of_two(s->granule) || s->granule < HEAP_PAGE || s->granule > ALIGNMENT_MAX ||
	    !power_of_two(s->alignment) || s->alignment < HEAP_PAGE || s->alignment > ALIGNMENT_MAX)
		return "granule or alignment of its storage is none";
	if (!s->size || s->size > HEAP_MAX_SIZE + ALIGNMENT_MAX || s->size % s->granule)
		return "the size of its storage makes no sense";
	return NULL;
}

const char *wire_check_answer(struct wire_answer *a, bool with_storage)
{
	clean(a->words, sizeof(a->words));
	if (a->error < 0 || a->error > ERROR_MAX)
		return "its error is none";
	if (a->attempts.count > DMA_BUF_MAX_HEAPS)
		return "more heaps failed than there can be";
	for (uint32_t i = 0; i < a->attempts.count; i++) {
		struct heap_attempt *t = &a->attempts.list[i];

		clean(t->heap, sizeof(t->heap));
		clean(t->why, sizeof(t->why));
		if (t->error <= 0 || t->error > ERROR_MAX)
			return "a heap's error is none";
	}
	memset(&a->attempts.list[a->attempts.count], 0,
	       (DMA_BUF_MAX_HEAPS - a->attempts.count) * sizeof(a->attempts.list[0]));
	if (with_storage)
		return a->error ? "it gives storage with an error" : check_storage(&a->storage);
	return NULL;
}
