// SPDX-License-Identifier: MIT
/* Video devices (mission row H1): formats, memory, frames. */
#include <errno.h>
#include <pthread.h>

#include "v4l2-util.h"

TEST(H1_a_camera_fills_the_librarys_own_memory)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 3);
	ASSERT_EQ(rig_info(&rig).memory, DMA_BUF_V4L2_IMPORT);
	ASSERT_EQ(rig.format.plane_count, 2);
	ASSERT_EQ(rig.format.planes[1].offset, 64 * 48);
	ASSERT_EQ(rig.format.planes[1].stride, 64);
	rig_start(&rig);
	for (unsigned int n = 0; n < 8; n++) {
		fake_tick(&rig.fake);
		done = rig_reap(&rig);
		ASSERT_EQ(done.result, 0);
		ASSERT_EQ(done.cookie, n % 3);
		ASSERT_EQ(done.sequence, n);
		ASSERT_EQ(done.used, 64 * 48 * 3 / 2);
		ASSERT(done.timestamp / 1000000 <= (uint64_t)now_ms());
		ASSERT(done.timestamp / 1000000 + 20000 > (uint64_t)now_ms());
		ASSERT_EQ(rig_byte(&rig, done.cookie, 0), n);
		ASSERT_EQ(rig_byte(&rig, done.cookie, done.used - 1), n);
		ASSERT_OK(rig_queue(&rig, (unsigned int)done.cookie));
	}
	ASSERT_EQ(rig_info(&rig).frames, 8);
	ASSERT_EQ(rig_info(&rig).queued, 3);
	rig_close(&rig);
}

TEST(H1_a_camera_that_needs_contiguous_memory_exports_its_own)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;
	char text[384];

	fake_init(&rig.fake, CAPTURE);
	rig.fake.contiguous = true;
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 4);
	ASSERT_EQ(rig_info(&rig).memory, DMA_BUF_V4L2_EXPORT);
	ASSERT_OK(dma_buf_v4l2_describe(rig.dev, text, sizeof(text)));
	ASSERT_STR_EQ(text, "fake (platform:fake-000), NV12 64x48, the driver's memory (ours was "
			    "refused: Bad address)");
	rig_start(&rig);
	fake_tick(&rig.fake);
	done = rig_reap(&rig);
	ASSERT_EQ(done.result, 0);
	ASSERT_EQ(rig_byte(&rig, done.cookie, 7), 0);
	rig_close(&rig);
}

TEST(H1_a_camera_that_cannot_import_exports)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig.fake.imports = false;
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 2);
	ASSERT_EQ(rig_info(&rig).memory, DMA_BUF_V4L2_EXPORT);
	ASSERT_ERR(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_IMPORT, 2), EINVAL);
	rig_close(&rig);
}

TEST(H1_without_udmabuf_a_camera_exports_and_import_says_what_is_missing)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig.fake.no_udmabuf = true;
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 2);
	ASSERT_EQ(rig_info(&rig).memory, DMA_BUF_V4L2_EXPORT);
	ASSERT_OK(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_IMPORT, 2));
	rig_add(&rig, dma_buf_alloc("own", rig.format.buffer_size, O_RDWR));
	ASSERT_ERR(rig_queue(&rig, 2), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "CONFIG_UDMABUF");
	rig_close(&rig);
}

TEST(H1_an_exporting_camera_makes_more_buffers_while_it_can)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_EXPORT, 2);
	rig_start(&rig);
	for (int i = 2; i < DMA_BUF_V4L2_MAX_BUFFERS; i++)
		rig_add(&rig, dma_buf_v4l2_alloc(rig.dev, "more"));
	ASSERT_OK(rig_queue(&rig, 31));
	ASSERT_ERRNO(dma_buf_v4l2_alloc(rig.dev, "too many"), ENOSPC);
	rig_close(&rig);
}

TEST(H1_a_camera_that_makes_no_more_buffers_says_so)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig.fake.creates = false;
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_EXPORT, 3);
	ASSERT_ERRNO(dma_buf_v4l2_alloc(rig.dev, "more"), ENOSPC);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "no more than 3");
	rig_close(&rig);
}

TEST(H1_an_exporting_camera_takes_no_other_memory)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_EXPORT, 2);
	rig_add(&rig, dma_buf_alloc("own", rig.format.buffer_size, O_RDWR));
	ASSERT_ERR(rig_queue(&rig, 2), EINVAL);
	rig_close(&rig);
}

TEST(H1_planes_in_memory_of_their_own_share_one_buffer)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	fake_init(&rig.fake, V4L2_CAP_VIDEO_CAPTURE_MPLANE);
	rig.fake.formats[0] = V4L2_PIX_FMT_NV12M;
	rig.fake.formats[1] = 0;
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 2);
	ASSERT_EQ(rig.format.pixelformat, V4L2_PIX_FMT_NV12M);
	ASSERT_EQ(rig.format.fourcc, NV12);
	ASSERT_EQ(rig.format.memory_planes, 2);
	ASSERT_EQ(rig.format.planes[1].offset % 65536, 0);
	ASSERT(rig.format.planes[1].offset >= 64 * 48);
	rig_start(&rig);
	fake_tick(&rig.fake);
	done = rig_reap(&rig);
	ASSERT_EQ(done.used, rig.format.planes[1].offset + 64 * 24);
	ASSERT_EQ(rig_byte(&rig, done.cookie, 64 * 48 - 1), 0);
	ASSERT_EQ(rig_byte(&rig, done.cookie, rig.format.planes[1].offset), 1);
	ASSERT_EQ(rig_byte(&rig, done.cookie, done.used - 1), 1);
	rig_close(&rig);
}

TEST(H1_planes_in_memory_of_their_own_are_not_exported)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, V4L2_CAP_VIDEO_CAPTURE_MPLANE);
	rig.fake.formats[0] = V4L2_PIX_FMT_NV12M;
	rig.fake.formats[1] = 0;
	rig.fake.pixelformat = V4L2_PIX_FMT_NV12M;
	rig.fake.contiguous = true;
	rig_open(&rig);
	rig.format.size = sizeof(rig.format);
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_ERR(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_EXPORT, 2), EOPNOTSUPP);
	ASSERT_ERR(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_AUTO, 2), EOPNOTSUPP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "one piece");
	rig_close(&rig);
}

TEST(H1_a_format_in_one_piece_comes_first)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, V4L2_CAP_VIDEO_CAPTURE_MPLANE);
	rig.fake.formats[0] = V4L2_PIX_FMT_NV12M;
	rig.fake.formats[1] = NV12;
	rig.fake.pixelformat = V4L2_PIX_FMT_NV12M;
	rig_open(&rig);
	rig.format = (struct dma_buf_v4l2_format){ .size = sizeof(rig.format) };
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.format.pixelformat, NV12);
	rig.format = (struct dma_buf_v4l2_format){ .size = sizeof(rig.format), .fourcc = NV12 };
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.format.memory_planes, 1);
	rig_close(&rig);
}

TEST(H1_what_is_not_asked_of_a_format_stays)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_open(&rig);
	rig.format = (struct dma_buf_v4l2_format){ .size = sizeof(rig.format) };
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.format.fourcc, V4L2_PIX_FMT_YUYV);
	ASSERT_EQ(rig.format.width, 64);
	ASSERT_EQ(rig.format.planes[0].stride, 128);
	ASSERT_EQ(rig.format.buffer_size, 128 * 48);
	rig_close(&rig);
}

TEST(H1_a_format_that_a_camera_has_not_is_refused_with_those_it_has)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_format want = { .size = sizeof(want), .fourcc = V4L2_PIX_FMT_GREY };

	fake_init(&rig.fake, CAPTURE);
	rig_open(&rig);
	ASSERT_ERR(dma_buf_v4l2_set_format(rig.dev, &want), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "YUYV NV12");
	want = (struct dma_buf_v4l2_format){ .size = sizeof(want), .width = 4000, .height = 48 };
	ASSERT_ERR(dma_buf_v4l2_set_format(rig.dev, &want), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "1920x48");
	ASSERT_EQ(want.width, 4000);
	ASSERT_ERR(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_AUTO, 2), EINVAL);
	rig_close(&rig);
}

TEST(H1_a_compressed_format_goes_through_as_bytes)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig.fake.formats[2] = V4L2_PIX_FMT_MJPEG;
	rig.fake.used = 1000;
	rig_set_up(&rig, V4L2_PIX_FMT_MJPEG, DMA_BUF_V4L2_AUTO, 2);
	ASSERT_EQ(rig.format.fourcc, V4L2_PIX_FMT_MJPEG);
	rig_start(&rig);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).used, 1000);
	rig_close(&rig);
}

TEST(H1_an_output_shows_what_is_queued)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	fake_init(&rig.fake, OUTPUT);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 2);
	for (unsigned int i = 0; i < 2; i++) {
		memset(dma_buf_vmap(rig.buffers[i].dmabuf), 0x30 + (int)i, rig.format.buffer_size);
		dma_buf_vunmap(rig.buffers[i].dmabuf, dma_buf_vmap(rig.buffers[i].dmabuf));
		dma_buf_vunmap(rig.buffers[i].dmabuf, dma_buf_vmap(rig.buffers[i].dmabuf));
	}
	rig_start(&rig);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig.fake.last_byte, 0x30);
	ASSERT_EQ(rig.fake.shown_size, rig.format.buffer_size);
	done = rig_reap(&rig);
	ASSERT_EQ(done.cookie, 0);
	ASSERT_EQ(done.result, 0);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig.fake.last_byte, 0x31);
	rig_close(&rig);
}

TEST(H1_an_output_refuses_planes_that_lie_elsewhere)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_format want = { .size = sizeof(want),
					    .fourcc = NV12,
					    .width = 60,
					    .height = 48,
					    .plane_count = 2,
					    .planes = { { 0, 60 }, { 60 * 48, 60 } } };

	fake_init(&rig.fake, OUTPUT);
	rig.fake.stride_alignment = 32;
	rig_open(&rig);
	ASSERT_ERR(dma_buf_v4l2_set_format(rig.dev, &want), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "stride of 64 bytes");
	want.planes[0].stride = want.planes[1].stride = 64;
	want.planes[1].offset = 64 * 48;
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &want));
	rig_close(&rig);
}

TEST(H1_a_frame_costs_two_calls)
{
	struct rig rig = { 0 };
	uint64_t before;
	uint32_t calls;

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 3);
	rig_start(&rig);
	before = rig_info(&rig).requests;
	calls = rig.fake.calls;
	for (int i = 0; i < 100; i++) {
		fake_tick(&rig.fake);
		ASSERT_OK(rig_queue(&rig, (unsigned int)rig_reap(&rig).cookie));
	}
	ASSERT_EQ(rig_info(&rig).requests - before, 200);
	/* And now and then one that asks whether the source changed. */
	ASSERT(rig.fake.calls - calls <= 200 + 100 / 25);
	rig_close(&rig);
}

TEST(H1_more_buffers_than_the_driver_has_places_for_are_refused)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_IMPORT, DMA_BUF_V4L2_MAX_BUFFERS);
	rig_start(&rig);
	rig_add(&rig, dma_buf_v4l2_alloc(rig.dev, "one more"));
	ASSERT_ERR(rig_queue(&rig, 32), ENOSPC);
	ASSERT_ERR(rig_queue(&rig, 0), EBUSY);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).cookie, 0);
	/* The place is the attachment's as long as that is. */
	ASSERT_ERR(rig_queue(&rig, 32), ENOSPC);
	rig_detach(&rig, 0);
	ASSERT_OK(rig_queue(&rig, 32));
	rig_close(&rig);
}

TEST(H1_a_buffer_too_small_for_a_frame_is_refused)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, V4L2_PIX_FMT_YUYV, DMA_BUF_V4L2_IMPORT, 2);
	rig_add(&rig, dma_buf_alloc("small", 4096, O_RDWR));
	ASSERT_ERR(rig_queue(&rig, 2), EINVAL);
	rig_close(&rig);
}

static int open_with(uint32_t caps, bool output)
{
	struct dma_buf_v4l2_options options = { .size = sizeof(options), .output = output };
	static struct fake_video fake;
	struct dma_buf_device *dev;
	int fd, err;

	fake_init(&fake, 0);
	fake.caps = caps;
	fd = fake_open(&fake);
	dev = dma_buf_v4l2_open(fd, NULL, &options);
	err = dev ? 0 : -errno;
	dma_buf_device_put(dev);
	close(fd);
	fake_free(&fake);
	return err;
}

TEST(H1_what_is_no_camera_is_refused_by_what_it_is)
{
	struct dma_buf_v4l2_options options = { .size = 3 };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ASSERT_ERRNO(dma_buf_v4l2_open(fd, NULL, NULL), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "null is no video device");
	ASSERT_ERRNO(dma_buf_v4l2_open(fd, NULL, &options), EINVAL);
	ASSERT_ERRNO(dma_buf_v4l2_open(fd, "", NULL), EINVAL);
	close(fd);
	ASSERT_ERRNO(dma_buf_v4l2_open(-1, NULL, NULL), EBADF);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ASSERT_ERRNO(dma_buf_v4l2_open(fd, NULL, NULL), EBADF);
	close(fd);
	ASSERT_OK(open_with(V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING, false));
	ASSERT_OK(open_with(V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING, true));
	ASSERT_ERR(open_with(OUTPUT | V4L2_CAP_STREAMING, false), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "use it as a sink");
	ASSERT_ERR(open_with(CAPTURE | V4L2_CAP_STREAMING, true), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "use it as a source");
	ASSERT_ERR(open_with(CAPTURE | V4L2_CAP_READWRITE, false), ENOTSUP);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "read()");
	ASSERT_ERR(dma_buf_v4l2_start(dma_buf_cpu_device()), EINVAL);
	ASSERT_ERR(dma_buf_v4l2_start(NULL), EINVAL);
}

static int use_parents_camera(void *arg)
{
	struct rig *rig = arg;

	ASSERT_ERR(rig_reap_fails(rig), ECHILD);
	ASSERT_ERR(dma_buf_v4l2_stop(rig->dev), ECHILD);
	ASSERT_ERRNO(dma_buf_v4l2_alloc(rig->dev, "frame"), ECHILD);
	_exit(0);
}

TEST(H1_a_forked_child_leaves_the_parents_camera_alone)
{
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 2);
	rig_start(&rig);
	ASSERT_EQ(reap(spawn(use_parents_camera, &rig)), 0);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).result, 0);
	rig_close(&rig);
}

#define THREAD_FRAMES 300

static void *reap_and_queue(void *arg)
{
	struct dma_buf_v4l2_completion done;
	struct rig *rig = arg;

	for (int n = 0; n < THREAD_FRAMES;) {
		int got = dma_buf_v4l2_reap(rig->dev, &done, 1, 1);

		if (got == -ETIMEDOUT || got == -ENOENT)
			continue;
		ASSERT_EQ(got, 1);
		ASSERT_OK(rig_queue(rig, (unsigned int)done.cookie));
		n++;
	}
	return NULL;
}

static void *ask(void *arg)
{
	struct rig *rig = arg;
	char text[384];

	while (rig_info(rig).frames < THREAD_FRAMES)
		ASSERT_OK(dma_buf_v4l2_describe(rig->dev, text, sizeof(text)));
	return NULL;
}

TEST(H1_threads_share_a_camera)
{
	pthread_t threads[2];
	struct rig rig = { 0 };

	fake_init(&rig.fake, CAPTURE);
	rig_set_up(&rig, NV12, DMA_BUF_V4L2_AUTO, 4);
	rig_start(&rig);
	ASSERT_EQ(pthread_create(&threads[0], NULL, reap_and_queue, &rig), 0);
	ASSERT_EQ(pthread_create(&threads[1], NULL, ask, &rig), 0);
	while (rig_info(&rig).frames < THREAD_FRAMES)
		fake_tick(&rig.fake);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ASSERT_EQ(rig_info(&rig).queued, 4);
	rig_close(&rig);
}
