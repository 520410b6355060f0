// SPDX-License-Identifier: MIT
/* What others write into the part of the control block that is about storage (rows F5, F6). */
#include <pthread.h>

#include "deferred.h"
#include "forged.h"

#define SIZE ((size_t)20000)

struct view {
	struct forged f;
	struct shm_storage *storage;
};

static void view_open(struct view *v, struct dma_buf *d)
{
	forged_view(&v->f, d);
	v->storage = (void *)(v->f.base + v->f.size - SHM_CONTROL_SIZE);
}

static void check_words_given(int err)
{
	if (err && !dmabuf_last_error()[0])
		FAIL("errno %d without words", -err);
}

/* Everything once; nothing may crash or hang. */
static void use_all(struct dma_buf *d)
{
	struct dma_buf_device *dev = strict_device();
	struct dma_buf_attachment *a;
	struct dma_buf_sg_table *table;
	void *p;

	if (!dma_buf_begin_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL)) {
		p = dma_buf_kmap(d, 4);
		if (p)
			*(volatile char *)p = 1;
		dma_buf_end_cpu_access(d, 0, SIZE, DMA_BIDIRECTIONAL);
	}
	a = dma_buf_attach(d, dev);
	table = a ? dma_buf_try_map_attachment(a, DMA_TO_DEVICE) : NULL;
	if (table)
		dma_buf_unmap_attachment(a, table, DMA_TO_DEVICE);
	if (a)
		dma_buf_detach(d, a);
	check_words_given(dma_buf_migrate(d, "chunky", 0));
	peer_info(d);
	dma_buf_device_put(dev);
}

static const uint64_t values[] = {
	0,	     1,
	2,	     4,
	0x100,	     0x101,
	0x106,	     0x200,
	0x300,	     0x7fffffffffffff00,
	UINT64_MAX,  0x100000001,
	0x100000002, 0x7f00000040,
};

TEST_TIMEOUT(F5_nonsense_about_storage_is_survived, 250)
{
	struct dma_buf *d;
	struct view v;

	chunky_register();
	for (unsigned int word = 0; word < 2; word++) {
		for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			_Atomic(uint64_t) *at;

			/* MOVING in the name of one who lives is waited for: see below. */
			if (word == 0 && (values[i] & SHM_STORAGE_MOVING))
				continue;
			d = deferred_export(SIZE);
			write_pattern(d, 1);
			view_open(&v, d);
			at = word ? &v.storage->owner : &v.storage->state;
			atomic_store(at, values[i]);
			use_all(d);
			forged_free(&v.f);
			dma_buf_put(d);
		}
	}
}

TEST(F6_what_the_dead_announced_is_taken_back)
{
	struct dma_buf *d;
	struct view v;

	chunky_register();
	d = deferred_export(SIZE);
	write_pattern(d, 3);
	view_open(&v, d);
	/* Nobody has slot 7. */
	atomic_store(&v.storage->owner, (UINT64_C(5) << 32) | 8);
	atomic_fetch_or(&v.storage->state, SHM_STORAGE_MOVING | SHM_STORAGE_QUEUED);
	check_pattern(d, 3);
	ASSERT(!(atomic_load(&v.storage->state) & (SHM_STORAGE_MOVING | SHM_STORAGE_QUEUED)));
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	check_pattern(d, 3);
	forged_free(&v.f);
	dma_buf_put(d);
}

TEST(F6_pins_of_nobody_are_no_accesses)
{
	struct dma_buf *d;
	struct view v;

	chunky_register();
	d = deferred_export(SIZE);
	write_pattern(d, 3);
	view_open(&v, d);
	for (int slot = 1; slot < DMA_BUF_MAX_CLIENTS; slot++)
		atomic_store(&v.storage->pins[slot].count, 1);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	check_pattern(d, 3);
	forged_free(&v.f);
	dma_buf_put(d);
}

TEST(F5_records_are_made_fit_to_be_shown)
{
	struct dma_buf_storage_info s;
	struct dma_buf *d;
	struct view v;

	chunky_register();
	d = deferred_export(SIZE);
	write_pattern(d, 3);
	view_open(&v, d);
	for (int i = 0; i < 2; i++) {
		memset(v.storage->record[i].heap, 0x1b, sizeof(v.storage->record[i].heap));
		v.storage->record[i].tried_count = UINT32_MAX;
		memset(v.storage->record[i].tried, 0xff, sizeof(v.storage->record[i].tried));
	}
	s = storage_info(d);
	ASSERT_EQ(strspn(s.heap, "?"), strlen(s.heap));
	ASSERT(s.tried_count <= DMA_BUF_MAX_TRIED);
	for (unsigned int i = 0; i < s.tried_count; i++)
		ASSERT(strlen(s.tried[i].heap) < sizeof(s.tried[i].heap));
	/* Where it is from is not known any more; it works all the same. */
	check_pattern(d, 3);
	ASSERT_OK(dma_buf_migrate(d, "chunky", 0));
	check_pattern(d, 3);
	forged_free(&v.f);
	dma_buf_put(d);
}

TEST(F5_flags_that_make_no_sense_are_refused)
{
	static const uint32_t flags[] = { SHM_DEFERRED, SHM_FIXED, SHM_SPLIT | SHM_FIXED,
					  SHM_SPLIT | SHM_READ_ONLY | SHM_DEFERRED };
	struct dma_buf *d = deferred_export(SIZE);
	struct dma_buf_info info = { .struct_size = sizeof(info) };
	struct view v;

	view_open(&v, d);
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		v.f.header->flags = flags[i];
		ASSERT_ERR(dma_buf_get_info(v.f.fd, &info), EINVAL);
	}
	v.f.header->flags = SHM_SPLIT | SHM_DEFERRED;
	ASSERT_OK(dma_buf_get_info(v.f.fd, &info));
	forged_free(&v.f);
	dma_buf_put(d);
}

struct scribbler {
	struct view v;
	atomic_bool over;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint32_t n = 1;

	while (!atomic_load(&s->over)) {
		n = n * 1664525 + 1013904223;
		switch (n >> 28 & 3) {
		case 0:
			atomic_store(&s->v.storage->state,
				     (uint64_t)(n >> 8 & 7) << 8 | (n >> 4 & 6));
			break;
		case 1:
			atomic_store(&s->v.storage->owner, n >> 3);
			break;
		case 2:
			atomic_store(&s->v.storage->pins[n % 64].count, n >> 20 & 3);
			break;
		default:
			atomic_fetch_or(&s->v.storage->state, n & 7);
		}
	}
	return NULL;
}

/* Answers may be anything; every call comes back. */
TEST_TIMEOUT(F6_a_scribbler_hangs_nobody, 250)
{
	struct scribbler s = { .over = false };
	pthread_t thread;
	struct dma_buf *d;

	chunky_register();
	d = deferred_export(SIZE);
	write_pattern(d, 1);
	view_open(&s.v, d);
	ASSERT_EQ(pthread_create(&thread, NULL, scribble, &s), 0);
	for (int i = 0; i < 300; i++)
		use_all(d);
	atomic_store(&s.over, true);
	pthread_join(thread, NULL);
	forged_free(&s.v.f);
	dma_buf_put(d);
}
