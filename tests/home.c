// SPDX-License-Identifier: MIT
/* Storage from a home: in one process, and from another, by name and by socket. */
#include <pthread.h>
#include <sched.h>

#include "home.h"

TEST(F5_storage_is_prepared_fetched_and_followed)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct home_storage s, again;
	int first, second;

	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), ESTALE);
	first = prepare(block, -1, 0, &s);
	check_storage(fcntl(first, F_DUPFD_CLOEXEC, 0), &s, 1);
	/* Not in force yet: whoever comes second gets the same. */
	check_same(first, prepare(block, -1, 0, &again));
	ASSERT_EQ(again.generation, 1);
	atomic_store(&block->generation, 1);
	ASSERT_ERR(prepare(block, -1, 0, &again), ESTALE);
	check_same(first, home_fetch(&block->address, -1, 1, MS, &again));
	second = prepare(block, -1, 1, &again);
	ASSERT_EQ(again.generation, 2);
	ASSERT(inode(first) != inode(second));
	check_same(first, home_fetch(&block->address, -1, 1, MS, &s));
	atomic_store(&block->generation, 2);
	ASSERT_OK(home_settle(&block->address, -1, MS));
	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), ESTALE);
	check_same(second, home_fetch(&block->address, -1, 2, MS, &s));
	close(first);
	close(second);
	home_close(home);
}

/* The number in force is in memory that anybody may write. */
TEST(F5_a_number_that_the_home_did_not_give_loses_nothing)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct home_storage s;
	int fd = prepare(block, -1, 0, &s);

	atomic_store(&block->generation, 1);
	close(fd);
	for (uint64_t wrong = 2; wrong; wrong <<= 1) {
		atomic_store(&block->generation, wrong);
		ASSERT_ERR(home_settle(&block->address, -1, MS), ESTALE);
		ASSERT_ERR(prepare(block, -1, wrong, &s), ESTALE);
	}
	atomic_store(&block->generation, 1);
	check_storage(home_fetch(&block->address, -1, 1, MS, &s), &s, 1);
	home_close(home);
}

/* Heaps of the exporting process. */
static int empty_describe(struct dma_buf_heap_info *info, void *priv)
{
	info->alignment = 4096;
	info->available = info->zeroed = info->cpu_mappable = true;
	return 0;
}

static int empty_alloc(uint64_t size, void *priv)
{
	return -ENOSPC;
}

static int loose_alloc(uint64_t size, void *priv)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, (off_t)size));
	return fd;
}

static int tight_alloc(uint64_t size, void *priv)
{
	int fd = memfd_create("tight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_OK(fd);
	ASSERT_OK(ftruncate(fd, (off_t)size));
	return fd;
}

static struct gate slow_begins, slow_goes_on;

static int slow_alloc(uint64_t size, void *priv)
{
	gate_signal(&slow_begins);
	gate_wait(&slow_goes_on);
	return tight_alloc(size, priv);
}

static void add_heap(const char *name, int (*alloc)(uint64_t size, void *priv))
{
	struct dma_buf_heap_ops heap = {
		.size = sizeof(heap), .name = name, .describe = empty_describe, .alloc = alloc
	};

	ASSERT_OK(dma_buf_register_heap(&heap));
}

static void add_heaps(struct exporter_process *e)
{
	add_heap("empty", empty_alloc);
	add_heap("loose", loose_alloc);
	add_heap("slow", slow_alloc);
}

static uint64_t prepare_from(const struct block *block, const char *heap)
{
	char list[1][DMA_BUF_HEAP_NAME_LEN] = { { 0 } };
	struct home_storage s;
	int fd;

	strcpy(list[0], heap);
	fd = home_prepare(&block->address, -1, atomic_load(&block->generation), list, 1, MS, &s,
			  NULL);
	ASSERT_OK(fd);
	ASSERT_STR_EQ(s.heap, heap);
	ASSERT_EQ(s.flags & HOME_LOCKED, strcmp(heap, "locked") ? 0 : HOME_LOCKED);
	close(fd);
	return s.generation;
}

/* However often somebody prepares, without anything of it coming into force. */
TEST(F5_what_is_prepared_in_vain_is_bounded)
{
	static const char *const heaps[] = { "memfd", "locked", "own0", "own1", "own2", "own3" };
	struct block *block = new_block();
	struct home *home = open_home(block);
	uint64_t first = prepare_from(block, "memfd");
	struct home_storage s;
	int before;

	for (int i = 2; i < 6; i++)
		add_heap(heaps[i], tight_alloc);
	atomic_store(&block->generation, first);
	before = open_fds();
	for (int i = 0; i < 60; i++) {
		/* Not in force, so it is the same once more, as long as the heap suits. */
		ASSERT_EQ(prepare_from(block, heaps[i % 6]), prepare_from(block, heaps[i % 6]));
		ASSERT(open_fds() <= before + 3);
	}
	/* What is in force is still there, and so is what was prepared last. */
	check_storage(home_fetch(&block->address, -1, first, MS, &s), &s, first);
	atomic_store(&block->generation, prepare_from(block, heaps[5]));
	ASSERT_OK(home_settle(&block->address, -1, MS));
	ASSERT_EQ(open_fds(), before);
	home_close(home);
}

TEST(F5_many_homes_share_one_socket)
{
	enum { COUNT = 300 };
	static struct home *homes[COUNT];
	static struct block *blocks[COUNT];
	int before = open_fds();

	for (int i = 0; i < COUNT; i++) {
		blocks[i] = new_block();
		homes[i] = open_home(blocks[i]);
		ASSERT(!i || memcmp(&blocks[i]->address, &blocks[i - 1]->address,
				    sizeof(struct home_address)));
	}
	/* The socket, and two of the library's thread. */
	ASSERT(open_fds() <= before + 3);
	for (int i = 0; i < COUNT; i++)
		home_close(homes[i]);
	ASSERT(eventually(has_fds, &before, MS));
	home_close(NULL);
}

struct remote {
	struct block *block;
	int socket;
	ino_t first;
};

static int visit(void *arg)
{
	struct remote *r = arg;
	struct home_storage s;
	int fd = home_fetch(&r->block->address, r->socket, 1, MS, &s);

	ASSERT_EQ(inode(fd), r->first);
	check_storage(fd, &s, 1);
	check_storage(prepare(r->block, r->socket, 1, &s), &s, 2);
	atomic_store(&r->block->generation, 2);
	ASSERT_OK(home_settle(&r->block->address, r->socket, MS));
	ASSERT_ERR(home_fetch(&r->block->address, r->socket, 1, MS, &s), ESTALE);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "frame: there is no storage with number 1");
	ASSERT_ERR(prepare(r->block, r->socket, 1, &s), ESTALE);
	if (r->socket >= 0)
		close(r->socket);
	return 0;
}

static void check_remote(bool by_socket)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct remote r = { block, by_socket ? home_connect(home) : -1, 0 };
	struct home_storage s;
	int fd = prepare(block, -1, 0, &s);

	ASSERT(!by_socket || r.socket >= 0);
	r.first = inode(fd);
	check_storage(fd, &s, 1);
	atomic_store(&block->generation, 1);
	ASSERT_EQ(reap(spawn(visit, &r)), 0);
	check_storage(home_fetch(&block->address, -1, 2, MS, &s), &s, 2);
	if (r.socket >= 0)
		close(r.socket);
	home_close(home);
}

TEST(F5_another_process_asks_by_name)
{
	check_remote(false);
}

TEST(F5_another_process_asks_by_a_socket_that_came_with_the_buffer)
{
	check_remote(true);
}

static int fetch_often(void *arg)
{
	struct remote *r = arg;
	struct home_storage s;

	for (int i = 0; i < 50; i++)
		check_storage(home_fetch(&r->block->address, r->socket, 1, MS, &s), &s, 1);
	close(r->socket);
	return 0;
}

/* Copies of one socket, so that answers could go astray. */
TEST(F5_many_processes_ask_by_one_socket_at_the_same_time)
{
	struct exporter_process e = { .more = NULL };
	struct remote r = { .socket = exporter_start(&e) };
	pid_t pids[6];

	r.block = e.block;
	for (int i = 0; i < 6; i++)
		pids[i] = spawn(fetch_often, &r);
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(reap(pids[i]), 0);
	close(r.socket);
	exporter_end(&e);
}

static void *ask_for_all(void *arg)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	const struct remote *r = arg;
	struct home_storage s;

	for (int i = 0; i < 5; i++) {
		check_storage(home_fetch(&r->block->address, r->socket, 1, MS, &s), &s, 1);
		check_storage(prepare(r->block, -1, 1, &s), &s, 2);
		ASSERT(home_heaps(&r->block->address, r->socket, MS, list) >= 6);
	}
	return NULL;
}

static int ask_in_threads(void *arg)
{
	struct remote *r = arg;
	pthread_t threads[24];

	for (int i = 0; i < 24; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, ask_for_all, r), 0);
	for (int i = 0; i < 24; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	close(r->socket);
	return 0;
}

TEST_TIMEOUT(F5_more_visitors_than_there_is_room_for_are_all_served, 300)
{
	struct exporter_process e = { .more = NULL };
	struct remote r = { .socket = exporter_start(&e) };
	pid_t pids[6];

	r.block = e.block;
	for (int i = 0; i < 6; i++)
		pids[i] = spawn(ask_in_threads, &r);
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(reap_within(pids[i], 60000), 0);
	close(r.socket);
	exporter_end(&e);
}

/* Root in a user namespace of its own may make a network namespace. */
static int ask_from_elsewhere(void *arg)
{
	struct remote *r = arg;
	struct home_storage s;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	ASSERT_ERR(home_fetch(&r->block->address, -1, 1, MS, &s), EHOSTDOWN);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "another network namespace");
	check_storage(home_fetch(&r->block->address, r->socket, 1, MS, &s), &s, 1);
	close(r->socket);
	return 0;
}

TEST(F5_a_socket_leads_out_of_another_network_namespace)
{
	struct exporter_process e = { .more = NULL };
	struct remote r = { .socket = exporter_start(&e) };
	int status;

	r.block = e.block;
	status = reap(spawn(ask_from_elsewhere, &r));
	close(r.socket);
	exporter_end(&e);
	if (status == 77)
		SKIP("no network namespaces for us");
	ASSERT_EQ(status, 0);
}

static void check_fallback(const struct block *block, int socket)
{
	static const char list[][DMA_BUF_HEAP_NAME_LEN] = { "empty", "loose", "missing", "memfd" };
	struct heap_attempts attempts = { .count = 99 };
	struct home_storage s;

	check_storage(home_prepare(&block->address, socket, 1, list, 4, MS, &s, &attempts), &s, 2);
	ASSERT_EQ(attempts.count, 3);
	ASSERT_STR_EQ(attempts.list[0].heap, "empty");
	ASSERT_EQ(attempts.list[0].error, ENOSPC);
	ASSERT_STR_EQ(attempts.list[0].why, "heap empty: No space left on device");
	/* Whoever maps a file is killed if another one truncates it. */
	ASSERT_STR_EQ(attempts.list[1].heap, "loose");
	ASSERT_EQ(attempts.list[1].error, EPROTO);
	ASSERT_EQ(attempts.list[2].error, ENOENT);
	ASSERT_ERR(home_prepare(&block->address, socket, 1, list, 2, MS, &s, &attempts), EPROTO);
	ASSERT_EQ(attempts.count, 2);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "empty: No space left on device; loose: ");
	/* What was prepared is still there. */
	check_storage(home_prepare(&block->address, socket, 1, list, 4, MS, &s, &attempts), &s, 2);
	ASSERT_EQ(attempts.count, 0);
}

TEST(F8_a_heap_that_has_nothing_is_passed_over_and_that_is_told)
{
	struct exporter_process e = { .more = add_heaps };
	int socket = exporter_start(&e);

	check_fallback(e.block, -1);
	close(socket);
	exporter_end(&e);
}

TEST(F8_and_that_is_told_in_the_exporters_own_process)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct home_storage s;

	add_heaps(NULL);
	check_storage(prepare(block, -1, 0, &s), &s, 1);
	atomic_store(&block->generation, 1);
	check_fallback(block, -1);
	home_close(home);
}

static int ask_slow(void *arg)
{
	static const char list[][DMA_BUF_HEAP_NAME_LEN] = { "slow" };
	struct remote *r = arg;
	struct home_storage s;
	int fd = home_prepare(&r->block->address, -1, 1, list, 1, MS, &s, NULL);

	ASSERT_OK(fd);
	ASSERT_EQ(s.generation, 2);
	ASSERT_STR_EQ(s.heap, "slow");
	atomic_fetch_add(&r->block->count, (int)inode(fd));
	close(fd);
	close(r->socket);
	return 0;
}

/* One allocation for all who ask at once; who asks for something else does not wait for it. */
TEST(F5_a_slow_heap_keeps_nobody_else_waiting)
{
	struct exporter_process e = { .more = add_heaps };
	struct home_storage s;
	struct remote r;
	pid_t pids[3];
	int fd;

	gate_init(&slow_begins);
	gate_init(&slow_goes_on);
	r.socket = exporter_start(&e);
	r.block = e.block;
	for (int i = 0; i < 3; i++)
		pids[i] = spawn(ask_slow, &r);
	gate_wait(&slow_begins);
	check_storage(home_fetch(&e.block->address, -1, 1, MS, &s), &s, 1);
	gate_signal(&slow_goes_on);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(reap(pids[i]), 0);
	fd = home_fetch(&e.block->address, -1, 2, MS, &s);
	ASSERT_OK(fd);
	ASSERT_EQ(atomic_load(&e.block->count), 3 * (int)inode(fd));
	close(fd);
	close(r.socket);
	exporter_end(&e);
	gate_close(&slow_begins);
	gate_close(&slow_goes_on);
}

static void *prepare_here(void *arg)
{
	struct block *block = arg;
	struct home_storage s;
	int fd = prepare(block, -1, 0, &s);

	ASSERT_EQ(s.generation, 1);
	atomic_fetch_add(&block->count, (int)inode(fd));
	check_storage(fd, &s, 1);
	return NULL;
}

TEST(F5_threads_that_prepare_at_the_same_time_get_one_storage)
{
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct home_storage s;
	pthread_t threads[4];
	int fd;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, prepare_here, block), 0);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	fd = home_fetch(&block->address, -1, 1, MS, &s);
	ASSERT_EQ(atomic_load(&block->count), 4 * (int)inode(fd));
	close(fd);
	home_close(home);
}

static void *open_and_close(void *arg)
{
	for (int i = 0; i < 100; i++) {
		struct block *block = new_block();
		struct home *home = open_home(block);
		int fd = home_connect(home);

		ASSERT_OK(fd);
		home_close(home);
		close(fd);
		munmap(block, sizeof(*block));
	}
	return NULL;
}

TEST(F5_threads_open_and_close_homes_at_the_same_time)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
}

/* But for what may have changed meanwhile. */
static void check_same_heap(const struct dma_buf_heap_info *a, const struct dma_buf_heap_info *b)
{
	ASSERT_STR_EQ(a->name, b->name);
	ASSERT_EQ(a->size, b->size);
	ASSERT_EQ(a->chunk, b->chunk);
	ASSERT_EQ(a->usual_chunk, b->usual_chunk);
	ASSERT_EQ(a->alignment, b->alignment);
	ASSERT_EQ(a->granule, b->granule);
	ASSERT_EQ(a->max_size, b->max_size);
	ASSERT_EQ(a->highest_address, b->highest_address);
	ASSERT_EQ(a->trust_domain, b->trust_domain);
	ASSERT_EQ(a->cost, b->cost);
	ASSERT_EQ(a->page_backed, b->page_backed);
	ASSERT_EQ(a->cpu_mappable, b->cpu_mappable);
	ASSERT_EQ(a->coherent, b->coherent);
	ASSERT_EQ(a->zeroed, b->zeroed);
}

static int list_heaps(void *arg)
{
	struct dma_buf_heap_info theirs[DMA_BUF_MAX_HEAPS],
		ours[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(ours[0]) } };
	struct remote *r = arg;
	int count = home_heaps(&r->block->address, r->socket, MS, theirs);
	int own = dma_buf_heap_list(ours, DMA_BUF_MAX_HEAPS);

	close(r->socket);
	ASSERT_EQ(count, own + 3);
	for (int i = 0; i < own; i++)
		check_same_heap(&theirs[i], &ours[i]);
	ASSERT_STR_EQ(theirs[own].name, "empty");
	ASSERT(theirs[own].cpu_mappable && theirs[own].available && !theirs[own].page_backed);
	ASSERT_EQ(theirs[count - 1].size, sizeof(theirs[0]));
	return 0;
}

/* Ours may be others: the exporter registers what it likes. */
TEST(F8_the_heaps_are_those_of_the_exporters_process)
{
	struct exporter_process e = { .more = add_heaps };
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	struct remote r = { .socket = exporter_start(&e) };
	struct block *block = new_block();
	struct home *home;

	r.block = e.block;
	ASSERT_EQ(reap(spawn(list_heaps, &r)), 0);
	close(r.socket);
	exporter_end(&e);
	home = open_home(block);
	ASSERT(home_heaps(&block->address, -1, MS, list) >= 6);
	ASSERT_STR_EQ(list[0].name, "memfd");
	home_close(home);
}

struct crowd {
	struct block *block;
	struct gate go;
};

static int fetch_until_gone(void *arg)
{
	struct crowd *c = arg;
	struct home_storage s;
	int fd;

	gate_wait(&c->go);
	do {
		fd = home_fetch(&c->block->address, -1, 1, MS, &s);
		if (fd >= 0)
			close(fd);
	} while (fd >= 0);
	ASSERT(fd == -EOWNERDEAD || fd == -EHOSTDOWN);
	return 0;
}

/* The last home, and the socket with it. */
TEST(F5_homes_are_closed_under_those_who_ask)
{
	struct crowd c = { .block = new_block() };
	int before = open_fds();
	struct home_storage s;
	struct home *home;
	pid_t pids[3];

	for (int i = 0; i < 20; i++) {
		gate_init(&c.go);
		for (int k = 0; k < 3; k++)
			pids[k] = spawn(fetch_until_gone, &c);
		atomic_store(&c.block->generation, 0);
		home = open_home(c.block);
		check_storage(prepare(c.block, -1, 0, &s), &s, 1);
		atomic_store(&c.block->generation, 1);
		for (int k = 0; k < 3; k++)
			gate_signal(&c.go);
		for (int k = 0; k < 20; k++)
			check_storage(home_fetch(&c.block->address, -1, 1, MS, &s), &s, 1);
		home_close(home);
		for (int k = 0; k < 3; k++)
			ASSERT_EQ(reap(pids[k]), 0);
		gate_close(&c.go);
	}
	ASSERT(eventually(has_fds, &before, MS));
}

/* It cannot be sealed, written or resized: its size is set once. */
static int fetch_secret(void *arg)
{
	static const char list[][DMA_BUF_HEAP_NAME_LEN] = { "secret" };
	struct remote *r = arg;
	struct home_storage s;
	int fd = home_prepare(&r->block->address, r->socket, 1, list, 1, MS, &s, NULL);

	close(r->socket);
	if (fd == -ENODEV)
		return 77;
	ASSERT_OK(fd);
	ASSERT_EQ(s.size, 12288);
	ASSERT_EQ(s.flags, HOME_CPU_MAPPABLE);
	errno = 0;
	ASSERT_EQ(ftruncate(fd, 4096), -1);
	ASSERT_EQ(errno, EINVAL);
	close(fd);
	return 0;
}

TEST(F8_secret_memory_is_storage)
{
	struct exporter_process e = { .more = NULL };
	struct remote r = { .socket = exporter_start(&e) };
	int status;

	r.block = e.block;
	status = reap(spawn(fetch_secret, &r));
	close(r.socket);
	exporter_end(&e);
	if (status == 77)
		SKIP("this machine has no secret memory");
	ASSERT_EQ(status, 0);
}

static int fetch_huge(void *arg)
{
	static const char list[][DMA_BUF_HEAP_NAME_LEN] = { "hugetlb" };
	struct remote *r = arg;
	struct home_storage s;
	int fd = home_prepare(&r->block->address, r->socket, 1, list, 1, MS, &s, NULL);

	close(r->socket);
	if (fd < 0)
		return 77;
	ASSERT_EQ(s.size, 2 << 20);
	ASSERT_EQ(s.granule, 2 << 20);
	ASSERT_EQ(s.alignment, 2 << 20);
	close(fd);
	return 0;
}

TEST(F8_huge_pages_are_storage)
{
	struct exporter_process e = { .more = NULL };
	struct remote r = { .socket = exporter_start(&e) };
	int status;

	r.block = e.block;
	status = reap(spawn(fetch_huge, &r));
	close(r.socket);
	exporter_end(&e);
	if (status == 77)
		SKIP("this machine has no huge pages to spare");
	ASSERT_EQ(status, 0);
}

TEST(F5_what_makes_no_sense_is_refused)
{
	static const char nameless[][DMA_BUF_HEAP_NAME_LEN] = { "" };
	struct block *block = new_block();
	struct home *home = open_home(block);
	struct home_address none = { { 0 }, { 0 } };
	struct home_storage s;

	ASSERT_ERR(home_fetch(&none, -1, 1, MS, &s), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "has no home");
	ASSERT_ERR(home_fetch(&block->address, -1, 1, -1, &s), EINVAL);
	ASSERT_ERR(home_prepare(&block->address, -1, 0, ordinary, 0, MS, &s, NULL), EINVAL);
	ASSERT_ERR(home_prepare(&block->address, -1, 0, ordinary, 17, MS, &s, NULL), EINVAL);
	ASSERT_ERR(home_prepare(&block->address, -1, 0, nameless, 1, MS, &s, NULL), EINVAL);
	ASSERT_ERR(home_open(&home, &none, "frame", 0, &ops, block), EINVAL);
	ASSERT_ERR(home_open(&home, &none, "frame", (UINT64_C(1) << 40) + 1, &ops, block), EINVAL);
	block->address.secret[15] ^= 1;
	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), EACCES);
	home_close(home);
}
