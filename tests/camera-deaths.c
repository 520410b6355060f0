// SPDX-License-Identifier: MIT
/*
 * A camera, its consumers and whoever shows its frames, each killed at every step of its life: the
 * others go on, frames are whole, and nothing is left behind, the kernel's own count says so, too.
 * With a virtual camera of the kernel's if there is one, where a frame takes its time: at places
 * that are marked here, and at some of its system calls, or at all with DMABUF_TEST_EVERY_STEP.
 * Else with the fake driver.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "camera.h"
#include "kernel-util.h"
#include "kernel/vgem.h"
#include "killed.h"

/* Beyond the library's: what is read of a frame at most. */
#define PICTURE (320 * 180 * 3 / 2)

struct world {
	struct camera camera;
	char path[64];
	struct shared {
		atomic_uint seen; /* by the witness */
		atomic_bool enough;
		atomic_uint dies; /* at this of its places, from 1 */
		uint8_t picture[PICTURE];
	} * shared;
	pid_t witness;
	int socket[2];
};

static bool count_is(void *arg)
{
	return kernel_count() == *(long *)arg;
}

/* A frame that somebody else writes to would not be so. */
static void check_whole(const struct world *w, const struct dmabuf_frame *frame)
{
	const uint8_t *bytes = dma_buf_vmap(frame->dmabuf);

	ASSERT(bytes);
	ASSERT_OK(dmabuf_queue_wait_fence(frame, CAMERA_MS));
	ASSERT_OK(dma_buf_begin_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE));
	ASSERT(frame->used && frame->used <= PICTURE);
	if (w->camera.real)
		ASSERT_EQ(memcmp(bytes, w->shared->picture, frame->used), 0);
	else
		ASSERT_EQ(memcmp(bytes, bytes + 1, frame->used - 1), 0);
	ASSERT_OK(dma_buf_end_cpu_access(frame->dmabuf, 0, frame->used, DMA_FROM_DEVICE));
	dma_buf_vunmap(frame->dmabuf, (void *)bytes);
}

/* A place where whoever shall die does so. */
static void here(const struct world *w)
{
	static unsigned int place;

	if (++place == w->shared->dies)
		raise(SIGKILL);
}

static struct dmabuf_queue_consumer *join(const struct world *w)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o) };
	struct dmabuf_queue_consumer *c = dmabuf_queue_connect(w->path, &o, CAMERA_MS);

	if (!c)
		FAIL("nobody lets us in: %s", dmabuf_last_error());
	return c;
}

static void take(struct dmabuf_queue_consumer *c, struct dmabuf_frame *frame)
{
	if (dmabuf_queue_take(c, frame, CAMERA_MS) != 1)
		FAIL("no frame: %s", dmabuf_last_error());
}

/* Looks at every frame that it gets until it is told to leave. */
static int witness(void *arg)
{
	struct world *w = arg;
	struct dmabuf_queue_consumer *c = join(w);
	struct dmabuf_frame frame;
	uint64_t last = 0;

	while (!w->shared->enough) {
		take(c, &frame);
		check_whole(w, &frame);
		ASSERT(!w->shared->seen || frame.sequence > last);
		last = frame.sequence;
		ASSERT_OK(dmabuf_queue_release(c, &frame));
		atomic_fetch_add(&w->shared->seen, 1);
	}
	dmabuf_queue_leave(c);
	return 0;
}

/* What all frames of a real camera look like. */
static void take_picture(struct world *w)
{
	struct dmabuf_frame frame;
	uint8_t *bytes;

	while (!camera_take(&w->camera, &frame)) {
		struct pollfd p = { .fd = dma_buf_v4l2_fd(w->camera.dev), .events = POLLIN };

		if (!w->camera.real)
			fake_tick(&w->camera.fake);
		else
			ASSERT_EQ(poll(&p, 1, CAMERA_MS), 1);
	}
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(frame.dmabuf, 0, frame.used, DMA_FROM_DEVICE));
	memcpy(w->shared->picture, bytes, frame.used);
	ASSERT_OK(dma_buf_end_cpu_access(frame.dmabuf, 0, frame.used, DMA_FROM_DEVICE));
	dma_buf_vunmap(frame.dmabuf, bytes);
	ASSERT_OK(dmabuf_queue_cancel(w->camera.queue, &frame));
}

static void world_share(struct world *w)
{
	memset(w, 0, sizeof(*w));
	snprintf(w->path, sizeof(w->path), "@camera-%d", (int)getpid());
	w->shared = mmap(NULL, sizeof(*w->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(w->shared != MAP_FAILED);
}

static unsigned int consumers(const struct world *w)
{
	int count = dmabuf_queue_get_consumers(w->camera.queue, NULL, 0);

	ASSERT_OK(count);
	return (unsigned int)count;
}

static bool alone(const struct world *w)
{
	return consumers(w) == 1;
}

static bool empty(const struct world *w)
{
	return consumers(w) == 0;
}

static bool seen_one_more(const struct world *w)
{
	return w->shared->seen > 0;
}

/* The camera goes on until it is so. */
static void until(struct world *w, bool (*so)(const struct world *w), const char *words)
{
	int64_t end = now_ms() + slow_ms(CAMERA_MS);

	while (!so(w)) {
		if (now_ms() >= end)
			FAIL("not after %d s: %s", CAMERA_MS / 1000, words);
		camera_step(&w->camera, -1, 1);
	}
}

static void world_begin(struct world *w, enum dma_buf_v4l2_memory memory)
{
	world_share(w);
	camera_open(&w->camera, memory);
	ASSERT_OK(dmabuf_queue_listen(w->camera.queue, w->path));
	camera_start(&w->camera);
	take_picture(w);
	w->witness = spawn(witness, w);
	until(w, seen_one_more, "the witness sees a frame");
}

static void world_end(struct world *w)
{
	w->shared->enough = true;
	until(w, empty, "the witness has left");
	ASSERT_EQ(reap(w->witness), 0);
	camera_stop(&w->camera);
	/* Not one is missing, nor counted twice. */
	ASSERT_EQ(camera_count_empty(&w->camera), w->camera.pool);
	camera_close(&w->camera);
	munmap(w->shared, sizeof(*w->shared));
}

/* Only some of its steps, where a frame takes its time. */
static unsigned int stride(const struct world *w, unsigned int fake, unsigned int real)
{
	if (getenv("DMABUF_TEST_EVERY_STEP"))
		return 1;
	return w->camera.real ? real : fake;
}

/* @fn, a consumer, runs while the camera does. Was it killed? */
static bool run(struct world *w, int (*fn)(void *arg), struct killed *k, unsigned int at)
{
	killed_start(k, fn, w, at);
	while (killed_go_on(k))
		camera_step(&w->camera, k->fd, 1);
	until(w, alone, "it is gone from the queue");
	if (!killed_died(k)) {
		ASSERT_EQ(k->status, 0);
		return false;
	}
	w->shared->seen = 0;
	until(w, seen_one_more, "the witness sees another frame");
	return true;
}

static void kill_at_each_step(struct world *w, int (*fn)(void *arg), unsigned int real)
{
	unsigned int at = 0;
	struct killed k;

	w->shared->dies = 1;
	while (run(w, fn, &k, KILLED_NEVER))
		w->shared->dies++;
	ASSERT(w->shared->dies > 5);
	test_note("%u places", w->shared->dies - 1);
	w->shared->dies = 0;
	while (run(w, fn, &k, at))
		at += stride(w, 1, real);
	ASSERT(k.steps >= 80);
	test_note("%u steps", k.steps);
}

static void deaths_of(int (*fn)(void *arg), enum dma_buf_v4l2_memory memory, unsigned int real)
{
	long before = kernel_count();
	struct world w;

	world_begin(&w, memory);
	kill_at_each_step(&w, fn, real);
	world_end(&w);
	ASSERT(eventually(count_is, &before, CAMERA_MS));
}

/* Connects, takes a frame, looks at it, gives it back, and leaves with another one. */
static int look(struct world *w, uint32_t flags)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o), .flags = flags };
	struct dmabuf_queue_consumer *c = dmabuf_queue_connect(w->path, &o, CAMERA_MS);
	struct dmabuf_frame frame;
	void *bytes;

	if (!c)
		FAIL("nobody lets us in: %s", dmabuf_last_error());
	here(w);
	take(c, &frame);
	here(w);
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(frame.dmabuf, 0, frame.used, DMA_FROM_DEVICE));
	here(w);
	ASSERT_OK(dma_buf_end_cpu_access(frame.dmabuf, 0, frame.used, DMA_FROM_DEVICE));
	dma_buf_vunmap(frame.dmabuf, bytes);
	here(w);
	ASSERT_OK(dmabuf_queue_release(c, &frame));
	here(w);
	ASSERT_OK(dmabuf_queue_consumer_fd(c));
	take(c, &frame);
	here(w);
	dmabuf_queue_leave(c);
	return 0;
}

static int reads(void *arg)
{
	return look(arg, 0);
}

static int writes(void *arg)
{
	return look(arg, DMABUF_QUEUE_WRITES);
}

TEST_TIMEOUT(H1_a_consumer_killed_at_each_step_takes_nothing_from_the_camera, 120)
{
	deaths_of(reads, DMA_BUF_V4L2_AUTO, 53);
}

TEST_TIMEOUT(H1_nor_does_one_that_may_write_into_the_cameras_own_memory, 120)
{
	deaths_of(writes, DMA_BUF_V4L2_EXPORT, 131);
}

/* A frame of the queue that is with a device. */
struct shown {
	struct dmabuf_frame frame;
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
};

static void show_begin(struct shown *s, struct dmabuf_queue_consumer *c, struct dma_buf_device *dev)
{
	take(c, &s->frame);
	ASSERT_OK(dmabuf_queue_wait_fence(&s->frame, CAMERA_MS));
	s->attach = dma_buf_attach(s->frame.dmabuf, dev);
	if (!s->attach)
		FAIL("%s", dmabuf_last_error());
	s->table = dma_buf_map_attachment(s->attach, DMA_TO_DEVICE);
	if (!s->table)
		FAIL("%s", dmabuf_last_error());
}

static void show_end(struct shown *s, struct dmabuf_queue_consumer *c)
{
	ASSERT_OK(dma_buf_unmap_attachment(s->attach, s->table, DMA_TO_DEVICE));
	dma_buf_detach(s->frame.dmabuf, s->attach);
	ASSERT_OK(dmabuf_queue_release(c, &s->frame));
}

static struct dma_buf_device *open_output(const struct world *w)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options), .output = true };
	struct dma_buf_v4l2_format format = w->camera.format;
	struct dma_buf_device *dev;
	char path[64];
	int fd = camera_node("out", path);

	ASSERT_OK(fd);
	dev = dma_buf_v4l2_open(fd, "screen", &options);
	close(fd);
	ASSERT(dev);
	ASSERT_OK(dma_buf_v4l2_set_format(dev, &format));
	ASSERT_OK(dma_buf_v4l2_request(dev, DMA_BUF_V4L2_IMPORT, 4));
	return dev;
}

/* Two frames are in the driver's queue, one comes back, the other is there at the end. */
static int shows(void *arg)
{
	struct dma_buf_v4l2_completion done;
	struct dmabuf_queue_consumer *c = join(arg);
	struct dma_buf_device *dev = open_output(arg);
	struct shown shown[2];

	for (unsigned int i = 0; i < 2; i++) {
		show_begin(&shown[i], c, dev);
		here(arg);
		ASSERT_OK(dma_buf_v4l2_queue(shown[i].attach, shown[i].table, shown[i].frame.used,
					     0, i));
		here(arg);
		ASSERT_OK(dma_buf_v4l2_start(dev));
		here(arg);
	}
	ASSERT_EQ(dma_buf_v4l2_reap(dev, &done, 1, CAMERA_MS), 1);
	here(arg);
	ASSERT_OK(dma_buf_v4l2_stop(dev));
	here(arg);
	for (unsigned int i = 0; i < 2; i++)
		show_end(&shown[i], c);
	dma_buf_device_put(dev);
	dmabuf_queue_leave(c);
	return 0;
}

static void need(bool there, const char *what)
{
	if (!there)
		SKIP("there is no %s here", what);
}

static bool there_is_an_output(void)
{
	char path[64];
	int fd = camera_node("out", path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

TEST_TIMEOUT(H1_a_video_output_killed_at_each_step_gives_all_buffers_back, 120)
{
	need(there_is_an_output(), "video output");
	deaths_of(shows, DMA_BUF_V4L2_AUTO, 131);
}

/* A graphics driver imports a frame, and what it has is looked at. */
static int imports(void *arg)
{
	struct dmabuf_queue_consumer *c = join(arg);
	int fd = vgem_open();
	struct dma_buf_device *dev = dma_buf_drm_open(fd, "card");
	struct dma_buf *seen;
	struct shown shown;
	uint32_t handle;
	void *bytes;

	ASSERT(dev);
	close(fd);
	here(arg);
	show_begin(&shown, c, dev);
	here(arg);
	ASSERT_OK(dma_buf_drm_import(shown.attach, shown.table, DMA_TO_DEVICE, &handle));
	here(arg);
	seen = dma_buf_drm_export(dev, handle);
	ASSERT(seen);
	here(arg);
	bytes = dma_buf_vmap(seen);
	ASSERT(bytes);
	ASSERT_OK(dma_buf_begin_cpu_access(seen, 0, seen->size, DMA_FROM_DEVICE));
	here(arg);
	ASSERT_OK(dma_buf_end_cpu_access(seen, 0, seen->size, DMA_FROM_DEVICE));
	dma_buf_vunmap(seen, bytes);
	dma_buf_put(seen);
	here(arg);
	show_end(&shown, c);
	dma_buf_device_put(dev);
	dmabuf_queue_leave(c);
	return 0;
}

static bool there_is_a_card(void)
{
	int fd = vgem_open();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

TEST_TIMEOUT(H1_a_graphics_importer_killed_at_each_step_gives_all_buffers_back, 120)
{
	char path[64];
	int fd = camera_node("cap", path);

	need(fd >= 0 && there_is_a_card(), "camera and vgem");
	close(fd);
	deaths_of(imports, DMA_BUF_V4L2_AUTO, 131);
}

/* The camera itself. Its consumer has its own end of a socket, and so learns of every death. */
static int films(void *arg)
{
	struct world *w = arg;

	close(w->socket[1]);
	camera_open(&w->camera, DMA_BUF_V4L2_AUTO);
	here(w);
	ASSERT_OK(dmabuf_queue_add(w->camera.queue, w->socket[0]));
	camera_fill(&w->camera);
	here(w);
	ASSERT_OK(dma_buf_v4l2_start(w->camera.dev));
	here(w);
	while (w->camera.frames < 3) {
		camera_step(&w->camera, -1, w->camera.real ? CAMERA_MS : 0);
		here(w);
	}
	ASSERT_OK(dmabuf_queue_finish(w->camera.queue, CAMERA_MS));
	here(w);
	camera_stop(&w->camera);
	here(w);
	camera_close(&w->camera);
	return 0;
}

/* Whatever it got is whole, and it has an end. */
static int watches(void *arg)
{
	struct dmabuf_queue_consumer_options o = { .size = sizeof(o) };
	struct dmabuf_queue_consumer *c;
	struct world *w = arg;
	struct dmabuf_frame frame;
	int got = 0;

	close(w->socket[0]);
	c = dmabuf_queue_join(w->socket[1], &o, CAMERA_MS);
	while (c && (got = dmabuf_queue_take(c, &frame, CAMERA_MS)) == 1) {
		check_whole(w, &frame);
		ASSERT_OK(dmabuf_queue_release(c, &frame));
		atomic_fetch_add(&w->shared->seen, 1);
	}
	ASSERT(got != -ETIMEDOUT);
	if (!c)
		close(w->socket[1]);
	dmabuf_queue_leave(c);
	return 0;
}

/* A picture to compare with, from a camera that is closed again. */
static void look_once(struct world *w)
{
	world_share(w);
	camera_open(&w->camera, DMA_BUF_V4L2_AUTO);
	camera_start(&w->camera);
	take_picture(w);
	camera_stop(&w->camera);
	camera_close(&w->camera);
}

static bool run_camera(struct world *w, unsigned int at, long before)
{
	struct pollfd p = { .events = POLLIN };
	struct killed k;
	pid_t consumer;

	socket_pair(SOCK_SEQPACKET, w->socket);
	consumer = spawn(watches, w);
	killed_start(&k, films, w, at);
	close(w->socket[0]);
	close(w->socket[1]);
	p.fd = k.fd;
	while (killed_go_on(&k))
		(void)poll(&p, 1, CAMERA_MS);
	ASSERT_EQ(reap(consumer), 0);
	if (!killed_died(&k))
		ASSERT_EQ(k.status, 0);
	ASSERT(eventually(count_is, &before, CAMERA_MS));
	return killed_died(&k);
}

TEST_TIMEOUT(H1_a_camera_killed_at_each_step_leaves_nothing_and_its_consumers_are_told, 120)
{
	long before = kernel_count();
	unsigned int at = 0;
	struct world w;

	look_once(&w);
	w.shared->dies = 1;
	while (run_camera(&w, KILLED_NEVER, before))
		w.shared->dies++;
	ASSERT(w.shared->dies > 8);
	test_note("%u places", w.shared->dies - 1);
	w.shared->dies = 0;
	while (run_camera(&w, at, before))
		at += stride(&w, 3, 401);
	ASSERT(at >= 100);
	ASSERT(w.shared->seen > 0);
	munmap(w.shared, sizeof(*w.shared));
}
