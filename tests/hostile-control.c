// SPDX-License-Identifier: MIT
/*
 * Control blocks that a peer forged: every word out of range, before the buffer is taken and again
 * between every two calls on it; locks held in other names; and a peer that never stops scribbling.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "forged.h"
#include "harness.h"
#include "shm/lock.h"

/* Longer than any single call may take; sanitizers are slow. */
#define CALL_LIMIT_MS (2 * LOCK_TIMEOUT_MS)

/* One word and what it is made to be. */
struct word {
	_Atomic(uint32_t) *at;
	uint32_t value;
};

static void write_word(void *arg)
{
	struct word *w = arg;

	atomic_store(w->at, w->value);
}

static const uint32_t hostile_values[] = {
	0,
	1,
	3,
	64,
	65,
	0x141,
	HOSTILE_SIZE + 1,
	HOSTILE_SIZE + 100,
	0x7fffffff,
	0x80000000,
	0x80000002,
	0x1b9b1b9b,
	UINT32_MAX,
};

/* Each value in each word of [from, from + len), which are bytes of the control block. */
static void attack_words(const char *bytes, size_t size, size_t from, size_t len, bool restless)
{
	size_t at, i;

	for (at = from; at < from + len; at += 4) {
		for (i = 0; i < sizeof(hostile_values) / sizeof(hostile_values[0]); i++) {
			struct attack attack = { 0 };
			struct forged f;
			struct word w;

			forged_new(&f, bytes, size);
			w.at = (void *)(f.base + size - SHM_CONTROL_SIZE + at);
			w.value = hostile_values[i];
			if (restless)
				attack = (struct attack){ write_word, &w };
			write_word(&w);
			exercise(f.fd, &attack);
			forged_free(&f);
		}
	}
}

#define HEADER_AT (SHM_CONTROL_SIZE - SHM_HEADER_SIZE)
#define CLIENTS_AT (HEADER_AT + offsetof(struct shm_header, clients))
#define CLIENT_AT(slot) (CLIENTS_AT + (slot) * sizeof(struct shm_client))
#define ATTACHMENT_AT(i) (HEADER_AT - SHM_LIST_SIZE + (i) * sizeof(struct shm_attachment))

static void attack_all(bool restless)
{
	static const size_t clients[] = { 0, 1, 63 }, entries[] = { 0, 1 };
	size_t size, i;
	char *bytes;

	hostile_register();
	bytes = hostile_template(HOSTILE_SIZE, &size);
	attack_words(bytes, size, HEADER_AT, CLIENTS_AT - HEADER_AT, restless);
	for (i = 0; i < 3; i++)
		attack_words(bytes, size, CLIENT_AT(clients[i]), sizeof(struct shm_client),
			     restless);
	for (i = 0; i < 2; i++)
		attack_words(bytes, size, ATTACHMENT_AT(entries[i]), sizeof(struct shm_attachment),
			     restless);
	free(bytes);
	ASSERT_OK(dma_buf_unregister_exporter(HOSTILE_EXPORTER));
}

TEST(A3_a_forged_word_of_the_control_block_is_refused_or_survived)
{
	attack_all(false);
}

TEST(A3_a_word_forged_again_between_all_calls_is_survived)
{
	attack_all(true);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct mutator {
	struct forged *f;
	uint64_t random;
};

/* A plausible value somewhere in the control block. */
static void mutate(void *arg)
{
	struct mutator *m = arg;
	uint64_t r = next_random(&m->random);
	size_t words = SHM_CONTROL_SIZE / 4, at = r % words;
	uint32_t value = (uint32_t)(r >> 32);
	struct word w = { .at = (void *)(m->f->base + m->f->size - SHM_CONTROL_SIZE) };

	if (r & 1 << 20)
		value %= 70;
	if (r & 1 << 21)
		at = HEADER_AT / 4 + at % ((CLIENTS_AT - HEADER_AT) / 4);
	atomic_store(&w.at[at], value);
}

TEST(A3_random_control_blocks_are_survived)
{
	size_t size, i, j;
	char *bytes;

	hostile_register();
	bytes = hostile_template(HOSTILE_SIZE, &size);
	for (i = 0; i < 1500; i++) {
		struct forged f;
		struct mutator m = { &f, 0x9e3779b97f4a7c15u * (i + 1) };
		struct attack attack = { mutate, &m };

		forged_new(&f, bytes, size);
		for (j = 0; j < i % 8; j++)
			mutate(&m);
		exercise(f.fd, &attack);
		forged_free(&f);
	}
	free(bytes);
}

TEST(A3_control_blocks_that_cannot_be_are_refused_by_name)
{
	static const struct {
		size_t offset;
		uint32_t value;
		int err;
		const char *words;
	} cases[] = {
		{ offsetof(struct shm_header, magic), 0, EINVAL, "no control block" },
		{ offsetof(struct shm_header, version), SHM_VERSION + 1, EPROTO, "layout" },
		{ offsetof(struct shm_header, version), 0, EPROTO, "layout" },
		{ offsetof(struct shm_header, flags), SHM_FLAGS + 1, EINVAL, "flags" },
		{ offsetof(struct shm_header, flags), SHM_READ_ONLY, EINVAL, "flags" },
		{ offsetof(struct shm_header, flags), SHM_SPLIT, EINVAL, "does not fit" },
		{ offsetof(struct shm_header, size), 0, EINVAL, "out of range" },
		{ offsetof(struct shm_header, size), 100000, EINVAL, "does not fit" },
		{ offsetof(struct shm_header, size), 100, EINVAL, "does not fit" },
		{ offsetof(struct shm_header, size) + 4, 1 << 20, EINVAL, "out of range" },
		{ offsetof(struct shm_header, size) + 4, UINT32_MAX, EINVAL, "out of range" },
	};
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	size_t size, i;
	char *bytes;

	bytes = hostile_template(HOSTILE_SIZE, &size);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forged f;

		forged_new(&f, bytes, size);
		memcpy((char *)f.header + cases[i].offset, &cases[i].value, 4);
		errno = 0;
		ASSERT(!dma_buf_get(f.fd));
		ASSERT_EQ(errno, cases[i].err);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), cases[i].words);
		ASSERT_EQ(dma_buf_get_info(f.fd, &info), -cases[i].err);
		forged_free(&f);
	}
	free(bytes);
}

/* Whole lines are kept track of, so the last one's rest may be named, but never be handed out. */
TEST(C3_forged_ranges_in_the_last_line_stay_in_the_buffer)
{
	struct coherency_range rest = { HOSTILE_SIZE + 1, HOSTILE_SIZE + 40 };
	struct dma_buf_device *shy = hostile_device(true);
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	struct forged f;
	size_t size;
	char *bytes;

	hostile_register();
	bytes = hostile_template(HOSTILE_SIZE, &size);
	forged_new(&f, bytes, size);
	dmabuf = dma_buf_get(f.fd);
	ASSERT(dmabuf);
	attach = dma_buf_attach(dmabuf, shy);
	ASSERT(attach);
	memset(&f.header->coherency, 0, sizeof(f.header->coherency));
	f.header->coherency.dirty.count = 1;
	f.header->coherency.dirty.range[0] = rest;
	f.header->coherency.stale.count = 1;
	f.header->coherency.stale.range[0] = rest;
	/* checked_cache_sync() looks at what it is asked for. */
	ASSERT(dma_buf_map_attachment(attach, DMA_TO_DEVICE));
	ASSERT_OK(dma_buf_begin_cpu_access(dmabuf, 0, HOSTILE_SIZE, DMA_FROM_DEVICE));
	dma_buf_put(dmabuf);
	forged_free(&f);
	free(bytes);
	dma_buf_device_put(shy);
}

TEST(G1_names_from_shared_memory_reach_nobody_with_escapes)
{
	static const char evil[DMA_BUF_NAME_LEN] = "\033]0;pwned\007\xc2\x9b"
						   "31m\xff\xe2\x80\xae\nx";
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct dma_buf *dmabuf = dma_buf_alloc("honest", 4096, O_RDWR);
	struct dma_buf_attachment *attach;
	struct forged f;

	ASSERT(dmabuf);
	attach = dma_buf_attach(dmabuf, dma_buf_cpu_device());
	ASSERT(attach);
	forged_view(&f, dmabuf);
	memcpy(f.header->exp_name, evil, sizeof(evil));
	memcpy(f.header->name, evil, sizeof(evil));
	memcpy(f.header->clients[0].label, evil, sizeof(evil));
	memcpy(f.attachments[0].device, evil, sizeof(evil));
	ASSERT_OK(dma_buf_get_info(f.fd, &info));
	ASSERT_STR_EQ(info.name, "?]0;pwned???31m?????x");
	ASSERT_STR_EQ(info.exp_name, info.name);
	ASSERT_STR_EQ(info.holders[0].label, info.name);
	ASSERT_STR_EQ(info.attachments[0].device, info.name);

	/* No NUL at all. */
	memset(f.header->name, 'n', DMA_BUF_NAME_LEN);
	memset(f.header->clients[0].label, 'l', DMA_BUF_NAME_LEN);
	ASSERT_OK(dma_buf_get_info(f.fd, &info));
	ASSERT_EQ(strlen(info.name), DMA_BUF_NAME_LEN - 1);
	ASSERT_EQ(strlen(info.holders[0].label), DMA_BUF_NAME_LEN - 1);
	forged_free(&f);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

/* Who shares the buffer and scribbles. */
struct scribbler {
	int fd;
	const char *constants; /* the start of the header */
	struct gate *joined;
};

static int scribble(void *arg)
{
	struct scribbler *p = arg;
	struct dma_buf *dmabuf = dma_buf_get(p->fd);
	struct mutator m;
	struct forged f;

	ASSERT(dmabuf);
	forged_view(&f, dmabuf);
	m = (struct mutator){ &f, 42 };
	gate_signal(p->joined);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		mutate(&m);
		/* What cannot be is refused at once: leave the others something to work on. */
		memcpy(f.header, p->constants, offsetof(struct shm_header, exporter_generation));
		atomic_store(&f.header->list_lock.word, (uint32_t)m.random & 0x83);
		atomic_store(&f.header->coherency_lock.word, (uint32_t)(m.random >> 8) & 0x83);
	}
}

TEST_TIMEOUT(A6_a_peer_that_never_stops_scribbling_hangs_and_crashes_nobody, 300)
{
	int64_t until, began;
	struct gate joined;
	size_t size, rounds = 0, taken = 0;
	struct scribbler p;
	char *bytes;
	pid_t pid;

	hostile_register();
	bytes = hostile_template(HOSTILE_SIZE, &size);
	p.fd = forge_memfd(bytes, size, SEALS_OF_A_BUFFER);
	p.constants = bytes + size - SHM_HEADER_SIZE;
	gate_init(&joined);
	p.joined = &joined;
	pid = spawn(scribble, &p);
	gate_wait(&joined);
	until = now_ms() + 1000;
	do {
		began = now_ms();
		taken += exercise(p.fd, NULL);
		ASSERT(now_ms() - began < 8 * CALL_LIMIT_MS);
		rounds++;
	} while (now_ms() < until);
	test_note("%zu rounds, %zu of them with the buffer", rounds, taken);
	ASSERT(taken);
	kill(pid, SIGKILL);
	ASSERT_EQ(reap(pid), 128 + SIGKILL);
	/* What it left is cleaned up or refused like any other. */
	exercise(p.fd, NULL);
	gate_close(&joined);
	close(p.fd);
	free(bytes);
}
