// SPDX-License-Identifier: MIT
/*
 * Memory from the heaps that this machine has: 8 MiB taken, mapped, every page written, given back.
 * Those that are not available are left out.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dmabuf/heap.h>

#include "bench.h"

#define SIZE (UINT64_C(8) << 20)

static void use(const char *heap)
{
	int fd = dma_buf_heap_alloc(heap, "bench", SIZE);
	void *memory;

	bench_check_err(fd, "dma_buf_heap_alloc");
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bench_check(memory != MAP_FAILED, "mmap");
	bench_write_pages(memory, SIZE);
	munmap(memory, SIZE);
	close(fd);
}

static void run(const struct bench_case *c, unsigned long repeat, struct bench_sample *sample)
{
	unsigned long i;

	bench_begin(sample);
	for (i = 0; i < repeat; i++)
		use(c->context);
	bench_end(sample);
}

#define CASE(heap, words, than)                                                            \
	{                                                                                  \
		.name = heap, .label = words, .baseline = than, .size = SIZE, .repeat = 4, \
		.run = run, .context = heap,                                               \
	}

static const struct bench_case all[] = {
	CASE("memfd", "ordinary pages", NULL),
	CASE("thp", "transparent huge pages", "memfd"),
	CASE("hugetlb", "huge pages from the pool", "memfd"),
	CASE("secret", "secret memory", "memfd"),
};
#define COUNT (sizeof(all) / sizeof(all[0]))

static int is_there(const char *heap)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS);

	for (int i = 0; i < count; i++)
		if (!strcmp(heaps[i].name, heap))
			return heaps[i].available &&
			       (!heaps[i].capacity || heaps[i].capacity >= SIZE);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_case cases[COUNT];
	struct bench_subject subject = { .name = "heaps", .cases = cases, .rounds = BENCH_ROUNDS };

	for (size_t i = 0; i < COUNT; i++)
		if (is_there(all[i].name))
			memcpy(&cases[subject.count++], &all[i], sizeof(all[i]));
	return bench_main(argc, argv, &subject);
}
