// SPDX-License-Identifier: MIT
/* What heaps say of machines of all kinds, and memory from those of this one. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <dmabuf/device.h>

#include "constraints-util.h"
#include "heaps/heaps.h"

static struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
static char root[64];

static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(full, sizeof(full), "%s%.*s", root, (int)(slash - path), path);
		if (mkdir(full, 0700) < 0 && errno != EEXIST)
			FAIL("mkdir %s: %s", full, strerror(errno));
	}
	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "we");
	ASSERT(f);
	fputs(text, f);
	fclose(f);
}

static void machine_begin(void)
{
	strcpy(root, "/tmp/dmabuf-heaps-XXXXXX");
	ASSERT(mkdtemp(root));
}

static void machine_end(void)
{
	ASSERT_EQ(reap(spawn_exec((char *[]){ "rm", "-rf", root, NULL }, NULL)), 0);
}

static const struct dma_buf_heap_info *find(const char *name)
{
	struct heap_places places = { .root = root };
	unsigned int count = heaps_describe(&places, list, DMA_BUF_MAX_HEAPS);

	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	FAIL("there is no heap %s", name);
	return NULL;
}

static void check_zeros(int fd, uint64_t size)
{
	unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT(memory != MAP_FAILED);
	for (uint64_t i = 0; i < size; i++)
		ASSERT_EQ(memory[i], 0);
	memset(memory, 0xa5, size);
	munmap(memory, size);
	ASSERT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define SHMEM "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

TEST(F8_a_machine_with_nothing_still_has_ordinary_pages)
{
	machine_begin();
	ASSERT(find("memfd")->available);
	ASSERT_EQ(find("memfd")->highest_address, 0);
	ASSERT(!find("thp")->available);
	ASSERT(!find("hugetlb")->available);
	ASSERT(!find("udmabuf")->available);
	ASSERT_STR_CONTAINS(find("udmabuf")->where, "CONFIG_UDMABUF");
	ASSERT(!find("dma_heap/system")->available);
	machine_end();
}

TEST(F8_the_pool_of_huge_pages_is_looked_at)
{
	const struct dma_buf_heap_info *h;

	machine_begin();
	put(POOL "free_hugepages", "5\n");
	put(POOL "resv_hugepages", "2\n");
	put(POOL "nr_hugepages", "9\n");
	h = find("hugetlb");
	ASSERT(h->available);
	ASSERT_EQ(h->capacity, 3 * 2 * MIB);
	ASSERT_EQ(h->chunk, 2 * MIB);
	ASSERT_STR_CONTAINS(h->where, "3 pages to be had, 9 in the pool");
	put(POOL "resv_hugepages", "5\n");
	h = find("hugetlb");
	ASSERT(!h->available);
	ASSERT_STR_CONTAINS(h->where, "nr_hugepages");
	put(POOL "nr_overcommit_hugepages", "4\n");
	put(POOL "surplus_hugepages", "1\n");
	ASSERT_EQ(find("hugetlb")->capacity, 3 * 2 * MIB);
	put(POOL "nr_overcommit_hugepages", "0\n");
	put(POOL "free_hugepages", "nonsense\n");
	ASSERT(!find("hugetlb")->available);
	put(POOL "free_hugepages", "99999999999999999999999\n");
	ASSERT(!find("hugetlb")->available);
	machine_end();
}

TEST(F8_transparent_huge_pages_are_likely_and_not_sure)
{
	machine_begin();
	put(SHMEM, "always within_size [advise] never deny force\n");
	ASSERT(find("thp")->available);
	ASSERT_EQ(find("thp")->chunk, 4 * KIB);
	ASSERT_EQ(find("thp")->usual_chunk, 2 * MIB);
	put(SHMEM, "always within_size advise [never] deny force\n");
	ASSERT(!find("thp")->available);
	ASSERT_STR_CONTAINS(find("thp")->where, "\"never\"");
	put(SHMEM, "no brackets\n");
	ASSERT(!find("thp")->available);
	machine_end();
}

TEST(F8_the_kernels_heaps_are_found_by_name)
{
	machine_begin();
	put("/dev/dma_heap/system", "");
	put("/dev/dma_heap/system-uncached", "");
	put("/dev/dma_heap/linux,cma", "");
	put("/dev/udmabuf", "");
	put("/sys/module/udmabuf/parameters/size_limit_mb", "16\n");
	ASSERT(find("dma_heap/system")->available);
	ASSERT_EQ(find("dma_heap/system")->chunk, 4 * KIB);
	ASSERT(!find("dma_heap/system")->coherent);
	ASSERT(find("dma_heap/system-uncached")->coherent);
	ASSERT_EQ(find("dma_heap/linux,cma")->chunk, 0);
	ASSERT(find("udmabuf")->available);
	ASSERT_EQ(find("udmabuf")->max_size, 16 * MIB);
	machine_end();
}

TEST(F8_the_highest_address_is_that_of_the_last_zone)
{
	machine_begin();
	put("/proc/zoneinfo", "Node 0, zone DMA\n        spanned  4095\n  start_pfn:           1\n"
			      "Node 0, zone Normal\n        spanned  1000\n"
			      "  start_pfn:           1048576\n"
			      "Node 0, zone Movable\n        spanned  0\n  start_pfn:           "
			      "9999999999\n");
	ASSERT_EQ(find("memfd")->highest_address, (1048576 + 1000) * 4096ul - 1);
	machine_end();
}

TEST(F8_what_may_be_locked_is_said)
{
	struct rlimit limit = { 64 * KIB, 64 * KIB };

	if (TEST_SANITIZED)
		SKIP("a process that gave up its privileges cannot be looked into for leaks");
	if (geteuid() == 0)
		ASSERT_OK(seteuid(65534));
	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(find("locked")->capacity, 64 * KIB);
	ASSERT_STR_CONTAINS(find("locked")->where, "leaves 64 KiB: \"ulimit -l\" raises it");
	check_zeros(dma_buf_heap_alloc("locked", "frame", 64 * KIB), 64 * KIB);
	ASSERT_ERR(dma_buf_heap_alloc("locked", "frame", 65 * KIB), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "69632 bytes cannot be locked: RLIMIT_MEMLOCK");
	limit.rlim_cur = 0;
	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT(!find("locked")->available);
	ASSERT_ERR(dma_buf_heap_alloc("locked", "frame", 1), ENODEV);
}

TEST(F8_what_is_locked_already_is_not_left)
{
	struct rlimit limit = { 8 * MIB, 8 * MIB };

	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	machine_begin();
	put("/proc/self/uid_map", "0 0 4294967295\n");
	put("/proc/self/status", "VmLck:\t    3072 kB\nCapEff:\t0000000000000000\n");
	ASSERT_EQ(find("locked")->capacity, 5 * MIB);
	put("/proc/self/status", "VmLck:\t    9999 kB\nCapEff:\t0000000000000000\n");
	ASSERT(!find("locked")->available);
	/* CAP_IPC_LOCK counts where it is nobody's gift but the machine's. */
	put("/proc/self/status", "CapEff:\t0000000000004000\n");
	ASSERT_EQ(find("locked")->capacity, 0);
	put("/proc/self/uid_map", "0 1000 1\n");
	ASSERT_EQ(find("locked")->capacity, 8 * MIB);
	machine_end();
}

TEST(F8_who_cannot_lock_memory_is_told_how)
{
	struct rlimit limit = { 64 * KIB, 64 * KIB };
	void *memory =
		mmap(NULL, 128 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (TEST_SANITIZED)
		SKIP("sanitizers lock nothing");
	ASSERT(memory != MAP_FAILED);
	if (geteuid() == 0)
		ASSERT_OK(seteuid(65534));
	ASSERT_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_OK(heap_lock(memory, 32 * KIB));
	ASSERT_ERR(heap_lock(memory, 128 * KIB), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "leaves 32768 here");
}

TEST(F8_every_heap_of_this_machine_makes_sense)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS);

	ASSERT(count >= 6);
	ASSERT_STR_EQ(heaps[0].name, "memfd");
	for (int i = 0; i < count; i++) {
		ASSERT(heaps[i].where[0]);
		for (int k = 0; k < i; k++)
			ASSERT(strcmp(heaps[i].name, heaps[k].name) != 0);
	}
	ASSERT_EQ(dma_buf_heap_list(heaps, 1), 1);
	heaps[0].size = 1;
	ASSERT_ERR(dma_buf_heap_list(heaps, 1), EINVAL);
	ASSERT_ERR(dma_buf_heap_list(NULL, 1), EINVAL);
}

/* Twice, so that the second one gets what the first one left. */
static void check_alloc(const char *heap, uint64_t size)
{
	for (int i = 0; i < 2; i++) {
		int fd = dma_buf_heap_alloc(heap, "frame", size);

		if (fd == -ENODEV || fd == -EPERM)
			SKIP("%s", dmabuf_last_error());
		ASSERT_OK(fd);
		check_zeros(fd, size);
	}
}

TEST(F8_ordinary_memory_arrives_zeroed)
{
	check_alloc("memfd", 3 * 4 * KIB);
	check_alloc("memfd", 4 * KIB);
}

TEST(F8_transparent_huge_pages_arrive_zeroed)
{
	check_alloc("thp", 2 * MIB);
}

TEST(F8_huge_pages_arrive_zeroed)
{
	check_alloc("hugetlb", 2 * MIB);
}

TEST(F8_secret_memory_arrives_zeroed)
{
	check_alloc("secret", 4 * KIB);
}

/* Whoever needs it gets it, the processor reads it, and the kernel does not. */
TEST(F1_F8_secret_memory_is_for_those_who_hold_it)
{
	static struct question q;
	struct iovec here, there;
	char byte, *memory;
	int fd;

	ask_about(&q, 8 * KIB);
	q.request.heaps = NULL;
	add_device(&q, "vault")->trust_domain = DMA_BUF_TRUST_HOLDERS;
	q.parameters[0].protected_memory = true;
	q.participants[q.request.participant_count++].device = dma_buf_cpu_device();
	if (negotiate(&q) == 0) {
		ASSERT_STR_CONTAINS(q.text, "secret: not available");
		SKIP("this machine has no secret memory");
	}
	ASSERT_STR_EQ(heap_name(&q, 0), "secret");
	fd = dma_buf_negotiation_alloc(&q.answer, "frame", NULL);
	ASSERT_OK(fd);
	memory = mmap(NULL, 8 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT(memory != MAP_FAILED);
	memory[0] = 'x';
	here = (struct iovec){ &byte, 1 };
	there = (struct iovec){ memory, 1 };
	errno = 0;
	ASSERT_EQ(process_vm_readv(getpid(), &here, 1, &there, 1, 0), -1);
	ASSERT_EQ(errno, EFAULT);
	munmap(memory, 8 * KIB);
	close(fd);
	/* A disk cannot join. */
	add_device(&q, "disk")->page_backed = true;
	ASSERT_EQ(negotiate(&q), 0);
	ASSERT_STR_CONTAINS(q.text, "vault: protected_memory");
}

/* Physical addresses of two pages, from pagemap. */
TEST(F8_a_huge_page_is_contiguous)
{
	uint64_t entry[512];
	int fd = dma_buf_heap_alloc("hugetlb", "frame", 2 * MIB), pagemap;
	unsigned char *memory;

	if (fd < 0)
		SKIP("%s", dmabuf_last_error());
	memory = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT(memory != MAP_FAILED);
	memset(memory, 1, 2 * MIB);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT(pagemap >= 0);
	ASSERT_EQ(pread(pagemap, entry, sizeof(entry), (off_t)((uintptr_t)memory / 4096 * 8)),
		  (ssize_t)sizeof(entry));
	close(pagemap);
	munmap(memory, 2 * MIB);
	close(fd);
	for (unsigned int i = 0; i < 512; i++)
		entry[i] &= (UINT64_C(1) << 55) - 1;
	if (!entry[0])
		SKIP("page frames are shown to root only");
	ASSERT_EQ(entry[0] % 512, 0);
	for (unsigned int i = 1; i < 512; i++)
		ASSERT_EQ(entry[i], entry[0] + i);
}

/* Keeps no count, so that any thread may ask. */
static int cellar_describe(struct dma_buf_heap_info *info, void *priv)
{
	info->alignment = 4096;
	info->available = true;
	return 0;
}

TEST(F8_memory_that_cannot_be_had_is_refused_with_words)
{
	ASSERT_ERR(dma_buf_heap_alloc("attic", "frame", 1), ENOENT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "attic");
	ASSERT_ERR(dma_buf_heap_alloc(NULL, "frame", 1), EINVAL);
	ASSERT_ERR(dma_buf_heap_alloc("memfd", NULL, 1), EINVAL);
	ASSERT_ERR(dma_buf_heap_alloc("memfd", "frame", 0), EINVAL);
	ASSERT_ERR(dma_buf_heap_alloc("memfd", "frame", (UINT64_C(1) << 40) + 1), EINVAL);
	ASSERT_OK(dma_buf_register_heap(&(struct dma_buf_heap_ops){
		.size = sizeof(struct dma_buf_heap_ops),
		.name = "cellar",
		.describe = cellar_describe,
	}));
	ASSERT_ERR(dma_buf_heap_alloc("cellar", "frame", 1), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "cannot allocate from heap cellar");
	ASSERT_OK(dma_buf_unregister_heap("cellar"));
}

/* A lock belongs to a mapping, so what there is to lock is ordinary memory. */
TEST(F8_locked_memory_is_for_its_users_to_lock)
{
	check_zeros(dma_buf_heap_alloc("locked", "frame", 8 * KIB), 8 * KIB);
}

/* A heap of one's own. */
struct attic {
	int descriptions, allocations, error;
	bool dirty, nonsense, generous;
};

static int attic_describe(struct dma_buf_heap_info *info, void *priv)
{
	struct attic *attic = priv;

	attic->descriptions++;
	info->alignment = info->chunk = attic->nonsense ? 3 : 4096;
	info->granule = 4096;
	info->cost = 1;
	info->cpu_mappable = info->page_backed = info->available = true;
	info->zeroed = !attic->dirty;
	strcpy(info->where, "under the roof");
	return 0;
}

static int attic_alloc(uint64_t size, void *priv)
{
	struct attic *attic = priv;
	int fd;

	attic->allocations++;
	if (attic->error)
		return -attic->error;
	fd = memfd_create("attic", MFD_CLOEXEC);
	ASSERT_OK(ftruncate(fd, (off_t)size * (attic->generous ? 2 : 1)));
	if (attic->dirty)
		ASSERT_EQ(pwrite(fd, "dust", 4, 100), 4);
	if (attic->generous)
		ASSERT_EQ(pwrite(fd, "dust", 4, (off_t)size + 100), 4);
	return fd;
}

static struct attic attic;
static const struct dma_buf_heap_ops attic_ops = {
	.size = sizeof(attic_ops),
	.name = "attic",
	.describe = attic_describe,
	.alloc = attic_alloc,
	.priv = &attic,
};

TEST(F8_a_registered_heap_takes_part)
{
	static struct question q;

	ASSERT_OK(dma_buf_register_heap(&attic_ops));
	ASSERT_ERR(dma_buf_register_heap(&attic_ops), EEXIST);
	ask_about(&q, 8 * KIB);
	add_device(&q, "gpu");
	q.request.heaps = NULL;
	ASSERT(negotiate(&q) >= 2);
	ASSERT_STR_EQ(heap_name(&q, 0), "attic");
	attic.nonsense = true;
	ASSERT(negotiate(&q) >= 1);
	ASSERT_STR_EQ(heap_name(&q, 0), "memfd");
	ASSERT_STR_CONTAINS(q.text, "attic: not available: its description failed: chunk");
	ASSERT_OK(dma_buf_unregister_heap("attic"));
	ASSERT_ERR(dma_buf_unregister_heap("attic"), ENOENT);
	ASSERT_ERR(dma_buf_unregister_heap(NULL), EINVAL);
}

static void *look_and_register(void *name)
{
	struct dma_buf_heap_ops ops = attic_ops;
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	struct attic own = { .descriptions = 0 };

	ops.name = name;
	ops.describe = cellar_describe;
	ops.priv = &own;
	for (int i = 0; i < 50; i++) {
		ASSERT_OK(dma_buf_register_heap(&ops));
		ASSERT(dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS) >= 7);
		ASSERT_OK(dma_buf_unregister_heap(name));
	}
	return NULL;
}

TEST(F8_threads_register_and_look_at_the_same_time)
{
	static char names[3][8] = { "one", "two", "three" };
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, look_and_register, names[i]), 0);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(F8_registering_is_checked)
{
	struct dma_buf_heap_ops ops = attic_ops;

	ASSERT_ERR(dma_buf_register_heap(NULL), EINVAL);
	ops.name = "";
	ASSERT_ERR(dma_buf_register_heap(&ops), EINVAL);
	ops.name = "memfd";
	ASSERT_ERR(dma_buf_register_heap(&ops), EEXIST);
	ops = attic_ops;
	ops.describe = NULL;
	ASSERT_ERR(dma_buf_register_heap(&ops), EINVAL);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "describe");
	ops = attic_ops;
	ops.size--;
	ASSERT_ERR(dma_buf_register_heap(&ops), EINVAL);
}

TEST(F8_what_a_registered_heap_gives_is_zeroed_for_it)
{
	ASSERT_OK(dma_buf_register_heap(&attic_ops));
	attic.dirty = true;
	check_zeros(dma_buf_heap_alloc("attic", "frame", 4096), 4096);
	/* What it gave beyond that can be mapped, too. */
	attic.generous = true;
	check_zeros(dma_buf_heap_alloc("attic", "frame", 4096), 8192);
	ASSERT_OK(dma_buf_unregister_heap("attic"));
}

/* The cheapest has none, so the next one is asked, and that is told. */
TEST(F8_an_allocation_falls_back_along_the_plan_and_says_why)
{
	struct dma_buf_allocation made = { .size = sizeof(made) };
	static struct question q;
	int fd;

	ASSERT_OK(dma_buf_register_heap(&attic_ops));
	attic.error = ENOMEM;
	ask_about(&q, 8 * KIB);
	add_device(&q, "gpu");
	q.request.heaps = NULL;
	ASSERT(negotiate(&q) >= 2);
	fd = dma_buf_negotiation_alloc(&q.answer, "frame", &made);
	ASSERT_OK(fd);
	ASSERT_EQ(attic.allocations, 1);
	ASSERT_EQ(made.attempts, 1);
	ASSERT_EQ(made.errors[0], ENOMEM);
	ASSERT_EQ(made.alternative, 1);
	check_zeros(fd, 8 * KIB);
	q.answer.alternative_count = 1;
	ASSERT_ERR(dma_buf_negotiation_alloc(&q.answer, "frame", NULL), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "attic: Cannot allocate memory");
	q.answer.alternative_count = 0;
	ASSERT_ERR(dma_buf_negotiation_alloc(&q.answer, "frame", NULL), EINVAL);
	ASSERT_OK(dma_buf_unregister_heap("attic"));
}
