// SPDX-License-Identifier: MIT
/* Storage from a home: in one process, from another by name or by socket, and after a death. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dmabuf.h>

#include "harness.h"
#include "home/home.h"

#define SIZE 10000
#define MS 20000

static const char ordinary[][DMA_BUF_HEAP_NAME_LEN] = { "memfd" };

/* In place of a control block: shared with whoever is forked. */
struct block {
	struct home_address address;
	_Atomic(uint64_t) generation;
};

static struct block *block;

static uint64_t in_force(void *priv)
{
	return atomic_load(&((struct block *)priv)->generation);
}

static const struct home_ops ops = { .generation = in_force };

static struct home *open_home(void)
{
	struct home *home;

	block = mmap(NULL, sizeof(*block), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	ASSERT(block != MAP_FAILED);
	ASSERT_OK(home_open(&home, &block->address, "frame", SIZE, &ops, block));
	return home;
}

static ino_t inode(int fd)
{
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	return st.st_ino;
}

static int prepare(int socket, uint64_t base, struct home_storage *storage)
{
	return home_prepare(&block->address, socket, base, ordinary, 1, MS, storage, NULL);
}

static void check(int fd, const struct home_storage *storage, uint64_t generation)
{
	ASSERT_OK(fd);
	ASSERT_EQ(storage->generation, generation);
	ASSERT_EQ(storage->size, 12288);
	ASSERT_EQ(storage->granule, 4096);
	ASSERT_EQ(storage->flags, HOME_CPU_MAPPABLE | HOME_PAGE_BACKED);
	ASSERT_STR_EQ(storage->heap, "memfd");
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void check_same(int a, int b)
{
	ASSERT_EQ(inode(a), inode(b));
	close(b);
}

TEST(F5_storage_is_prepared_fetched_and_followed)
{
	struct home *home = open_home();
	struct home_storage s, again;
	int first, second;

	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), ESTALE);
	first = prepare(-1, 0, &s);
	check(first, &s, 1);
	/* Not in force yet: whoever comes second gets the same. */
	check_same(first, prepare(-1, 0, &again));
	ASSERT_EQ(again.generation, 1);
	atomic_store(&block->generation, 1);
	ASSERT_ERR(prepare(-1, 0, &again), ESTALE);
	check_same(first, home_fetch(&block->address, -1, 1, MS, &again));
	second = prepare(-1, 1, &again);
	check(second, &again, 2);
	check_same(first, home_fetch(&block->address, -1, 1, MS, &s));
	atomic_store(&block->generation, 2);
	ASSERT_OK(home_settle(&block->address, -1, MS));
	ASSERT_ERR(home_fetch(&block->address, -1, 1, MS, &s), ESTALE);
	check_same(second, home_fetch(&block->address, -1, 2, MS, &s));
	close(first);
	close(second);
	home_close(home);
}

struct remote {
	int socket;
	ino_t first;
};

static int visit(void *arg)
{
	struct remote *r = arg;
	struct home_storage s;
	int fd = home_fetch(&block->address, r->socket, 1, MS, &s);

	check(fd, &s, 1);
	ASSERT_EQ(inode(fd), r->first);
	close(fd);
	fd = prepare(r->socket, 1, &s);
	check(fd, &s, 2);
	close(fd);
	atomic_store(&block->generation, 2);
	ASSERT_OK(home_settle(&block->address, r->socket, MS));
	ASSERT_ERR(home_fetch(&block->address, r->socket, 1, MS, &s), ESTALE);
	if (r->socket >= 0)
		close(r->socket);
	return 0;
}

static void check_remote(bool by_socket)
{
	struct home *home = open_home();
	struct remote r = { .socket = by_socket ? home_connect(home) : -1 };
	struct home_storage s;
	int fd = prepare(-1, 0, &s);

	ASSERT(!by_socket || r.socket >= 0);
	r.first = inode(fd);
	atomic_store(&block->generation, 1);
	ASSERT_EQ(reap(spawn(visit, &r)), 0);
	close(fd);
	fd = home_fetch(&block->address, -1, 2, MS, &s);
	check(fd, &s, 2);
	close(fd);
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
