// SPDX-License-Identifier: MIT
/* Video devices that fail, change, vanish or lie (mission row H1). */
#include <errno.h>

#include "v4l2-util.h"

static void stream_of(struct rig *rig, unsigned int count)
{
	fake_init(&rig->fake, CAPTURE);
	rig_set_up(rig, NV12, DMA_BUF_V4L2_AUTO, count);
	rig_start(rig);
}

TEST(H1_a_damaged_frame_is_marked_and_counted)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	rig.fake.damaged = true;
	fake_tick(&rig.fake);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).result, -EIO);
	ASSERT_EQ(rig_reap(&rig).result, 0);
	ASSERT_EQ(rig_info(&rig).errors, 1);
	ASSERT_EQ(rig_info(&rig).frames, 1);
	rig_close(&rig);
}

static void uses_nothing(unsigned long request, void *argument)
{
	if (request == VIDIOC_DQBUF)
		((struct v4l2_buffer *)argument)->bytesused = 0;
}

TEST(H1_a_frame_without_bytes_is_damaged)
{
	struct rig rig = { 0 };

	stream_of(&rig, 2);
	rig.fake.lie = uses_nothing;
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).result, -EIO);
	rig_close(&rig);
}

TEST(H1_frames_without_a_buffer_are_counted_as_lost)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	stream_of(&rig, 2);
	for (int i = 0; i < 5; i++)
		fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).sequence, 0);
	ASSERT_EQ(rig_reap(&rig).sequence, 1);
	ASSERT_OK(rig_queue(&rig, 0));
	fake_tick(&rig.fake);
	done = rig_reap(&rig);
	ASSERT_EQ(done.sequence, 5);
	ASSERT_EQ(done.lost, 3);
	ASSERT_EQ(rig_info(&rig).lost, 3);
	rig_close(&rig);
}

TEST(H1_sequences_go_on_when_the_drivers_32_bits_are_over)
{
	struct rig rig = { 0 };
	uint64_t first;

	stream_of(&rig, 2);
	fake_tick(&rig.fake);
	first = rig_reap(&rig).sequence;
	rig.fake.sequence = 1u << 30;
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).sequence, first + (1u << 30));
	ASSERT_OK(rig_queue(&rig, 0));
	ASSERT_OK(rig_queue(&rig, 1));
	for (int i = 2; i <= 4; i++) {
		/* Four quarters of the numbers there are. */
		rig.fake.sequence = (uint32_t)i << 30;
		fake_tick(&rig.fake);
		ASSERT_EQ(rig_reap(&rig).sequence, first + ((uint64_t)i << 30));
		ASSERT_OK(rig_queue(&rig, i % 2));
	}
	rig_close(&rig);
}

TEST(H1_a_driver_that_does_not_count_loses_nothing)
{
	struct rig rig = { 0 };

	stream_of(&rig, 2);
	for (unsigned int i = 0; i < 4; i++) {
		rig.fake.sequence = 0;
		fake_tick(&rig.fake);
		ASSERT_EQ(rig_reap(&rig).sequence, i);
		ASSERT_OK(rig_queue(&rig, i % 2));
	}
	ASSERT_EQ(rig_info(&rig).lost, 0);
	rig_close(&rig);
}

/* All buffers come back, none of them filled. */
static void all_given_back(struct rig *rig)
{
	struct dma_buf_v4l2_completion done[RIG_BUFFERS];
	uint64_t seen = 0;

	ASSERT_EQ(dma_buf_v4l2_reap(rig->dev, done, RIG_BUFFERS, 0), rig->count);
	for (unsigned int i = 0; i < rig->count; i++) {
		ASSERT_EQ(done[i].result, -ECANCELED);
		seen |= 1u << done[i].cookie;
	}
	ASSERT_EQ(seen, (1u << rig->count) - 1);
}

TEST(H1_a_stream_that_failed_starts_again)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).sequence, 0);
	ASSERT_OK(rig_queue(&rig, 0));
	rig.fake.failed = true;
	ASSERT_ERR(rig_reap_fails(&rig), EIO);
	ASSERT_ERR(dma_buf_v4l2_start(rig.dev), EIO);
	ASSERT_OK(dma_buf_v4l2_stop(rig.dev));
	all_given_back(&rig);
	ASSERT_ERR(rig_reap_fails(&rig), ENOENT);
	rig_start(&rig);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).sequence, 1);
	rig_close(&rig);
}

TEST(H1_a_stream_stops_and_starts_as_often_as_one_likes)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	for (unsigned int i = 0; i < 20; i++) {
		fake_tick(&rig.fake);
		ASSERT_EQ(rig_reap(&rig).sequence, i);
		ASSERT_OK(rig_queue(&rig, 0));
		ASSERT_OK(dma_buf_v4l2_stop(rig.dev));
		ASSERT_ERR(rig_queue(&rig, 0), EBUSY);
		all_given_back(&rig);
		rig_start(&rig);
	}
	rig_close(&rig);
}

TEST(H1_an_unplugged_camera_says_so_and_gives_its_buffers_back)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	rig.fake.gone = true;
	ASSERT_ERR(rig_reap_fails(&rig), ENODEV);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "unplugged");
	ASSERT_ERR(dma_buf_v4l2_stop(rig.dev), ENODEV);
	all_given_back(&rig);
	ASSERT_ERR(rig_queue(&rig, 0), ENODEV);
	ASSERT_ERR(rig_reap_fails(&rig), ENODEV);
	ASSERT_ERR(dma_buf_v4l2_start(rig.dev), ENODEV);
	rig_close(&rig);
}

TEST(H1_a_changed_source_is_told_after_the_frames_before)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	rig.fake.changed = true;
	ASSERT_ERR(rig_reap_fails(&rig), ESTALE);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).result, 0);
	ASSERT_ERR(rig_reap_fails(&rig), ESTALE);
	ASSERT_OK(dma_buf_v4l2_stop(rig.dev));
	while (rig_reap_fails(&rig) == 1)
		;
	rig.fake.width = 32;
	rig.format = (struct dma_buf_v4l2_format){ .size = sizeof(rig.format) };
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.format.width, 32);
	ASSERT_OK(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_AUTO, 3));
	rig_start(&rig);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).used, rig.format.buffer_size);
	rig_close(&rig);
}

/* Reaps frames, of which there is always one, until something else comes. */
static int reap_until_it_fails(struct rig *rig, unsigned int most)
{
	struct dma_buf_v4l2_completion done;
	int got = 1;

	for (unsigned int i = 0; i < most && got == 1; i++) {
		fake_tick(&rig->fake);
		got = dma_buf_v4l2_reap(rig->dev, &done, 1, 0);
		if (got == 1)
			ASSERT_OK(rig_queue(rig, (unsigned int)done.cookie));
	}
	return got;
}

TEST(H1_a_changed_source_is_told_while_frames_keep_coming)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	ASSERT_EQ(reap_until_it_fails(&rig, 10), 1);
	rig.fake.changed = true;
	ASSERT_ERR(reap_until_it_fails(&rig, 100), ESTALE);
	ASSERT_ERR(reap_until_it_fails(&rig, 100), ESTALE);
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	ASSERT_EQ(reap_until_it_fails(&rig, 100), 1);
	/* Noticed, then outrun. */
	ASSERT_EQ(rig_reap(&rig).result, 0);
	rig_close(&rig);
}

/* A camera with one input, number 3. */
static void with_input(struct rig *rig, uint32_t caps, uint32_t signal)
{
	fake_init(&rig->fake, CAPTURE);
	rig->fake.input = 3;
	rig->fake.input_caps = caps;
	rig->fake.signal = rig->fake.signal_set = signal;
	rig_set_up(rig, NV12, DMA_BUF_V4L2_AUTO, 3);
}

TEST(H1_events_of_the_input_in_use_are_asked_for)
{
	struct rig rig = { 0 };

	with_input(&rig, V4L2_IN_CAP_DV_TIMINGS, 64);
	ASSERT_EQ(rig.fake.listened, 3 + 1);
	rig_close(&rig);
}

TEST(H1_other_timings_are_told_and_taken_over)
{
	struct rig rig = { 0 };

	with_input(&rig, V4L2_IN_CAP_DV_TIMINGS, 64);
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	rig.fake.signal = 128;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ESTALE);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "plug 3");
	rig.format = (struct dma_buf_v4l2_format){ .size = sizeof(rig.format) };
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.fake.signal_set, 128);
	ASSERT_EQ(rig.format.width, 128);
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	rig_close(&rig);
}

TEST(H1_another_television_standard_is_told_and_taken_over)
{
	struct rig rig = { 0 };

	with_input(&rig, V4L2_IN_CAP_STD, V4L2_STD_PAL);
	rig.fake.signal = V4L2_STD_PAL_B;
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	rig.fake.signal = V4L2_STD_NTSC_M;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ESTALE);
	ASSERT_OK(dma_buf_v4l2_set_format(rig.dev, &rig.format));
	ASSERT_EQ(rig.fake.signal_set, V4L2_STD_NTSC_M);
	rig.fake.signal = 0;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ENOLINK);
	rig_close(&rig);
}

TEST(H1_a_source_without_a_signal_is_told_by_its_input)
{
	static const int reasons[] = { ENOLINK, ENOLCK, ERANGE };
	struct rig rig = { 0 };

	with_input(&rig, V4L2_IN_CAP_DV_TIMINGS, 64);
	for (int i = 0; i < 3; i++) {
		rig.fake.signal_errno = reasons[i];
		ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), reasons[i]);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "plug 3");
	}
	/* Then only the status says. */
	rig.fake.signal_errno = EBUSY;
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	rig.fake.input_status = V4L2_IN_ST_NO_SIGNAL;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ENOLINK);
	rig.fake.input_status = V4L2_IN_ST_NO_SYNC;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ENOLCK);
	rig.fake.gone = true;
	ASSERT_ERR(dma_buf_v4l2_check_source(rig.dev), ENODEV);
	rig_close(&rig);
}

TEST(H1_a_source_that_is_what_it_was_before_goes_on)
{
	struct rig rig = { 0 };

	with_input(&rig, V4L2_IN_CAP_DV_TIMINGS, 64);
	rig_start(&rig);
	rig.fake.changed = true;
	ASSERT_ERR(rig_reap_fails(&rig), ESTALE);
	ASSERT_EQ(dma_buf_v4l2_check_source(rig.dev), 0);
	fake_tick(&rig.fake);
	ASSERT_EQ(rig_reap(&rig).result, 0);
	ASSERT_ERR(rig_reap_fails(&rig), ETIMEDOUT);
	rig_close(&rig);
}

TEST(H1_a_format_is_not_changed_while_it_streams)
{
	struct rig rig = { 0 };

	stream_of(&rig, 2);
	ASSERT_ERR(dma_buf_v4l2_set_format(rig.dev, &rig.format), EBUSY);
	ASSERT_ERR(dma_buf_v4l2_request(rig.dev, DMA_BUF_V4L2_AUTO, 2), EBUSY);
	rig_close(&rig);
}

TEST(H1_detaching_what_the_driver_has_stops_the_stream)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	rig_detach(&rig, 1);
	ASSERT(!rig.fake.streaming);
	all_given_back(&rig);
	rig_close(&rig);
}

static const struct {
	unsigned long request;
	int gives;
	int want;
} refusals[] = {
	{ VIDIOC_S_FMT, EBUSY, EBUSY },	     { VIDIOC_G_FMT, EINVAL, EINVAL },
	{ VIDIOC_REQBUFS, EBUSY, EBUSY },    { VIDIOC_REQBUFS, ENOMEM, ENOMEM },
	{ VIDIOC_EXPBUF, EMFILE, EMFILE },   { VIDIOC_QBUF, ENOMEM, ENOMEM },
	{ VIDIOC_QBUF, EIO, EIO },	     { VIDIOC_STREAMON, EPIPE, ENOLINK },
	{ VIDIOC_STREAMON, ENOSPC, ENOSPC }, { VIDIOC_STREAMON, ENODEV, ENODEV },
};

/* Everything up to the start; the first error. */
static int set_up_until_it_fails(struct rig *rig)
{
	struct dma_buf *dmabuf;
	int err;

	rig->format = (struct dma_buf_v4l2_format){ .size = sizeof(rig->format) };
	err = dma_buf_v4l2_set_format(rig->dev, &rig->format);
	if (!err)
		err = dma_buf_v4l2_request(rig->dev, DMA_BUF_V4L2_EXPORT, 2);
	for (unsigned int i = 0; i < 2 && !err; i++) {
		dmabuf = dma_buf_v4l2_alloc(rig->dev, "frame");
		if (!dmabuf)
			return -errno;
		rig_add(rig, dmabuf);
		err = rig_queue(rig, i);
	}
	return err ? err : dma_buf_v4l2_start(rig->dev);
}

TEST(H1_each_refusal_of_a_driver_is_told_and_leaves_nothing_behind)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct rig rig = { 0 };

		fake_init(&rig.fake, CAPTURE);
		rig_open(&rig);
		rig.fake.fail_request = refusals[i].request;
		rig.fake.fail_errno = refusals[i].gives;
		ASSERT_ERR(set_up_until_it_fails(&rig), refusals[i].want);
		ASSERT_STR_CONTAINS(dmabuf_last_error(), "cam");
		rig.fake.fail_request = 0;
		rig_close(&rig);
	}
}

/* All that there is to do with a camera, as far as it comes. */
static void do_everything(struct rig *rig, enum dma_buf_v4l2_memory memory)
{
	struct dma_buf_v4l2_completion done[2];
	int err = dma_buf_v4l2_check_source(rig->dev);

	rig->format = (struct dma_buf_v4l2_format){ .size = sizeof(rig->format) };
	if (!err)
		err = dma_buf_v4l2_set_format(rig->dev, &rig->format);
	if (!err)
		err = dma_buf_v4l2_request(rig->dev, memory, 2);
	for (unsigned int i = 0; i < 2 && !err; i++) {
		struct dma_buf *dmabuf = dma_buf_v4l2_alloc(rig->dev, "frame");

		if (!dmabuf)
			return;
		rig_add(rig, dmabuf);
		err = rig_queue(rig, i);
	}
	if (err || dma_buf_v4l2_start(rig->dev))
		return;
	fake_tick(&rig->fake);
	(void)dma_buf_v4l2_reap(rig->dev, done, 2, 0);
	(void)dma_buf_v4l2_stop(rig->dev);
}

static uint32_t fail_once(enum dma_buf_v4l2_memory memory, uint32_t call, int reason)
{
	struct rig rig = { 0 };
	uint32_t calls;
	int fd;

	fake_init(&rig.fake, CAPTURE);
	rig.fake.input_caps = V4L2_IN_CAP_DV_TIMINGS;
	rig.fake.signal = rig.fake.signal_set = 64;
	rig.fake.fail_call = call;
	rig.fake.fail_errno = reason;
	rig.direction = DMA_FROM_DEVICE;
	fd = fake_open(&rig.fake);
	rig.dev = dma_buf_v4l2_open(fd, "cam", NULL);
	close(fd);
	if (rig.dev)
		do_everything(&rig, memory);
	calls = rig.fake.calls;
	rig_close(&rig);
	return calls;
}

TEST(H1_each_call_of_a_video_driver_that_fails_leaves_nothing_behind)
{
	static const int reasons[] = { ENOMEM, EINVAL, EBUSY, ENODEV, EIO };

	for (int memory = DMA_BUF_V4L2_AUTO; memory <= DMA_BUF_V4L2_EXPORT; memory++) {
		uint32_t calls = fail_once(memory, 0, 0);

		ASSERT(calls >= 14);
		for (uint32_t call = 1; call <= calls; call++)
			for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
				fail_once(memory, call, reasons[i]);
	}
}

/* Lies. */
static void index_out_of_range(unsigned long request, void *argument)
{
	/* So far out that looking there does not go unnoticed. */
	if (request == VIDIOC_DQBUF)
		((struct v4l2_buffer *)argument)->index = 0x7fffffff;
}

static void index_of_another(unsigned long request, void *argument)
{
	if (request == VIDIOC_DQBUF)
		((struct v4l2_buffer *)argument)->index = 5;
}

static void too_many_bytes(unsigned long request, void *argument)
{
	if (request == VIDIOC_DQBUF)
		((struct v4l2_buffer *)argument)->bytesused = 1u << 30;
}

static void no_buffers(unsigned long request, void *argument)
{
	if (request == VIDIOC_REQBUFS)
		((struct v4l2_requestbuffers *)argument)->count = 0;
}

static void many_buffers(unsigned long request, void *argument)
{
	if (request == VIDIOC_REQBUFS)
		((struct v4l2_requestbuffers *)argument)->count = 100000;
}

static void small_frames(unsigned long request, void *argument)
{
	if (request == VIDIOC_S_FMT)
		((struct v4l2_format *)argument)->fmt.pix.sizeimage = 64 * 2 * 48 - 1;
}

static void short_lines(unsigned long request, void *argument)
{
	if (request == VIDIOC_S_FMT)
		((struct v4l2_format *)argument)->fmt.pix.bytesperline = 127;
}

static void no_width(unsigned long request, void *argument)
{
	if (request == VIDIOC_S_FMT)
		((struct v4l2_format *)argument)->fmt.pix.width = 0;
}

static void wide(unsigned long request, void *argument)
{
	if (request != VIDIOC_S_FMT)
		return;
	((struct v4l2_format *)argument)->fmt.pix.bytesperline = 0xffffffff;
	((struct v4l2_format *)argument)->fmt.pix.sizeimage = 0xffffffff;
}

static void other_memory(unsigned long request, void *argument)
{
	struct v4l2_exportbuffer *e = argument;

	if (request != VIDIOC_EXPBUF)
		return;
	close(e->fd);
	e->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void small_memory(unsigned long request, void *argument)
{
	struct v4l2_exportbuffer *e = argument;
	struct dma_buf *small;

	if (request != VIDIOC_EXPBUF)
		return;
	close(e->fd);
	small = dma_buf_alloc("small", 4096, O_RDWR);
	e->fd = dma_buf_fd(small, O_CLOEXEC);
	dma_buf_put(small);
}

static const struct {
	void (*lie)(unsigned long request, void *argument);
	int want;
} lies[] = {
	{ no_buffers, EPROTO },	  { many_buffers, EPROTO }, { small_frames, EPROTO },
	{ short_lines, EPROTO },  { no_width, EPROTO },	    { wide, EPROTO },
	{ other_memory, EINVAL }, { small_memory, EPROTO },
};

TEST(H1_answers_that_make_no_sense_are_refused)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct rig rig = { 0 };

		fake_init(&rig.fake, CAPTURE);
		rig_open(&rig);
		rig.fake.lie = lies[i].lie;
		ASSERT_ERR(set_up_until_it_fails(&rig), lies[i].want);
		rig.fake.lie = NULL;
		rig_close(&rig);
	}
}

TEST(H1_buffers_that_the_driver_never_had_do_not_come_back)
{
	struct rig rig = { 0 };

	stream_of(&rig, 3);
	rig.fake.lie = index_out_of_range;
	fake_tick(&rig.fake);
	ASSERT_ERR(rig_reap_fails(&rig), EPROTO);
	rig.fake.lie = index_of_another;
	fake_tick(&rig.fake);
	ASSERT_ERR(rig_reap_fails(&rig), EPROTO);
	ASSERT_OK(dma_buf_v4l2_stop(rig.dev));
	all_given_back(&rig);
	rig_close(&rig);
}

TEST(H1_more_bytes_than_a_frame_has_are_none)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	stream_of(&rig, 2);
	rig.fake.lie = too_many_bytes;
	fake_tick(&rig.fake);
	done = rig_reap(&rig);
	ASSERT_EQ(done.result, -EPROTO);
	ASSERT_EQ(done.used, 0);
	rig_close(&rig);
}

TEST(H1_a_camera_without_frames_times_out)
{
	struct rig rig = { 0 };
	struct dma_buf_v4l2_completion done;

	stream_of(&rig, 2);
	ASSERT_ERR(dma_buf_v4l2_reap(rig.dev, &done, 1, 5), ETIMEDOUT);
	ASSERT_ERR(dma_buf_v4l2_reap(rig.dev, &done, 1, -1), EINVAL);
	ASSERT_ERR(dma_buf_v4l2_reap(rig.dev, &done, 0, 0), EINVAL);
	rig_close(&rig);
}
