/* SPDX-License-Identifier: MIT */
/**
 * DOC: video devices
 *
 * A camera, or a video output, as a DMA device: frames go between the driver and buffers without
 * being copied. Two kinds of memory do that:
 *
 * - import: buffers are given to the driver (V4L2_MEMORY_DMABUF). One that is a kernel dma-buf is
 *   given as it is, one of the library's own memory through /dev/udmabuf.
 * - export: the driver's own memory (V4L2_MEMORY_MMAP), each buffer a kernel dma-buf
 *   (VIDIOC_EXPBUF) that dma_buf_get() adopted. For capture only.
 *
 * A capture:
 *
 *	dev = dma_buf_v4l2_open(fd, NULL, NULL);
 *	dma_buf_v4l2_set_format(dev, &format);
 *	dma_buf_v4l2_request(dev, DMA_BUF_V4L2_AUTO, 4);
 *	for each buffer: dma_buf_v4l2_alloc(), dma_buf_attach(), dma_buf_map_attachment(),
 *		dma_buf_v4l2_queue()
 *	dma_buf_v4l2_start(dev);
 *	while (dma_buf_v4l2_reap(dev, &frame, 1, 1000) == 1)
 *		... look at it, dma_buf_v4l2_queue() it again ...
 *
 * The driver's own mapping of the memory does what cache maintenance its device needs at each queue
 * and reap, so these devices count as coherent. Parameters (mission row F1) are what the kernel
 * tells (sysfs) and what is known of drivers, see dma_buf_v4l2_get_parameters(); what neither says
 * is found out by trying, see dma_buf_v4l2_request().
 *
 * The kernel fills and reads buffers whatever fences are on them: wait for those before queueing.
 *
 * Whatever a driver answers is checked. A device that was unplugged answers -ENODEV from then on.
 * Calls of several threads at a time are fine. In a forked child every call is -ECHILD.
 */
#ifndef DMABUF_V4L2_H
#define DMABUF_V4L2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** DMA_BUF_V4L2_MAX_BUFFERS - buffers of one device at most */
#define DMA_BUF_V4L2_MAX_BUFFERS 32

/**
 * enum dma_buf_v4l2_memory - whose memory frames are in
 * @DMA_BUF_V4L2_AUTO: import if the driver takes a buffer on trial, else export
 * @DMA_BUF_V4L2_IMPORT: buffers are given to the driver
 * @DMA_BUF_V4L2_EXPORT: the driver's own memory
 */
enum dma_buf_v4l2_memory {
	DMA_BUF_V4L2_AUTO = 0,
	DMA_BUF_V4L2_IMPORT = 1,
	DMA_BUF_V4L2_EXPORT = 2,
};

/**
 * struct dma_buf_v4l2_options - how dma_buf_v4l2_open() goes about it
 * @size: sizeof(struct dma_buf_v4l2_options); lets the struct grow
 * @output: frames go to the device instead of coming from it
 */
struct dma_buf_v4l2_options {
	size_t size;
	bool output;
};

/**
 * struct dma_buf_v4l2_format - what frames look like
 * @size: sizeof(struct dma_buf_v4l2_format); lets the struct grow
 * @fourcc: as in struct dmabuf_frame: DRM's, where it has one; a compressed format has V4L2's
 * @pixelformat: V4L2's, which says in how many pieces of memory it is, too
 * @width: pixels
 * @height: lines
 * @plane_count: of @planes
 * @planes: where they are in a buffer
 * @buffer_size: bytes that a buffer has at least
 * @memory_planes: pieces that the driver wants a buffer in; more than 1 needs import of the
 *	library's own memory
 * @interval_ns: nanoseconds from frame to frame, 0: not known
 */
struct dma_buf_v4l2_format {
	size_t size;
	uint32_t fourcc;
	uint32_t pixelformat;
	uint32_t width;
	uint32_t height;
	uint32_t plane_count;
	struct dmabuf_frame_plane planes[DMABUF_FRAME_MAX_PLANES];
	uint64_t buffer_size;
	uint32_t memory_planes;
	uint32_t reserved;
	uint64_t interval_ns;
};

/**
 * struct dma_buf_v4l2_info - what a device is and how it is doing
 * @size: sizeof(struct dma_buf_v4l2_info), set by the caller; lets the struct grow
 * @driver: the driver's name
 * @card: the device's name
 * @bus: where it is
 * @output: as opened
 * @multiplanar: it is used through the multi-planar interface
 * @streaming: between dma_buf_v4l2_start() and dma_buf_v4l2_stop()
 * @memory: DMA_BUF_V4L2_IMPORT, DMA_BUF_V4L2_EXPORT, or DMA_BUF_V4L2_AUTO: none requested yet
 * @min_buffers: that the driver needs to have at a time to work, 1 or more
 * @buffers: that there are places for
 * @queued: that the driver has now
 * @frames: that the driver gave back whole
 * @errors: that it gave back and said that they are not
 * @lost: frames of which it says by their sequence that there was no buffer for them
 * @requests: system calls made for queueing and reaping
 */
struct dma_buf_v4l2_info {
	size_t size;
	char driver[16];
	char card[32];
	char bus[32];
	bool output;
	bool multiplanar;
	bool streaming;
	enum dma_buf_v4l2_memory memory;
	uint32_t min_buffers;
	uint32_t buffers;
	uint32_t queued;
	uint64_t frames;
	uint64_t errors;
	uint64_t lost;
	uint64_t requests;
};

/**
 * struct dma_buf_v4l2_completion - a buffer that the driver gave back
 * @cookie: as given to dma_buf_v4l2_queue()
 * @result: 0; -EIO (the driver says that the content is damaged), -ECANCELED (dma_buf_v4l2_stop()),
 *	-EPROTO (what the driver says of it makes no sense: logged)
 * @used: bytes filled; with more than one memory plane up to the end of the last
 * @sequence: counts frames from 0, those without a buffer included, on across restarts
 * @timestamp: nanoseconds of CLOCK_MONOTONIC: the driver's, or when it was reaped
 * @lost: frames lost between the one before and this one
 */
struct dma_buf_v4l2_completion {
	uint64_t cookie;
	int64_t result;
	uint64_t used;
	uint64_t sequence;
	uint64_t timestamp;
	uint64_t lost;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_v4l2_open - a video device as a DMA device
 * @fd: a descriptor of /dev/videoN, open for reading and writing; stays the caller's and may be
 *	closed at once. Its open file description becomes non-blocking and is used: no other user of
 *	it may stream
 * @name: the device's name for others to see, 1 to 31 bytes; NULL: the file's own
 * @options: NULL: capture
 *
 * Return: a device with one reference, for dma_buf_attach() and the calls below; NULL with errno
 * EINVAL (options, name), ENAMETOOLONG, EBADF, ENOTSUP (no video device, or it does not capture or
 * output frames by streaming: the words say what it does), ENODEV, ENOMEM, EMFILE. Row H1.
 */
struct dma_buf_device *dma_buf_v4l2_open(int fd, const char *name,
					 const struct dma_buf_v4l2_options *options);

/**
 * dma_buf_v4l2_set_format - agree on what frames look like
 * @dev: the device
 * @format: size set, and what is wanted of fourcc, width, height and interval_ns, where 0 means as
 *	it is now; for an output the planes' strides and offsets are wanted as well if plane_count
 *	is not 0. Filled in
 *
 * Where a fourcc has several pixel formats, one in a single piece of memory is preferred. A fourcc
 * may also be a V4L2 pixel format. Gives up the device's buffers. After the source of a capture
 * changed (dma_buf_v4l2_reap() or dma_buf_v4l2_check_source() said -ESTALE), takes over its new
 * timings.
 *
 * Return: 0; -EINVAL, -ENOTSUP (the device cannot do that: the words say what it can), -EBUSY (it
 * streams, or somebody else has its buffers), -EPROTO (its answer makes no sense), -ENODEV,
 *-ECHILD.
 * @format is untouched on failure. May block. Row H1.
 */
int dma_buf_v4l2_set_format(struct dma_buf_device *dev, struct dma_buf_v4l2_format *format);

/**
 * dma_buf_v4l2_request - places for buffers
 * @dev: the device, with a format
 * @memory: whose memory; an output takes import only
 * @count: buffers that the driver shall have at a time, 1 to DMA_BUF_V4L2_MAX_BUFFERS; it may need
 *	more, see dma_buf_v4l2_info.min_buffers
 *
 * With DMA_BUF_V4L2_AUTO the driver gets one buffer of ordinary memory on trial: some say only then
 * that they need it contiguous. dma_buf_v4l2_describe() tells why it was not taken.
 *
 * Return: 0; -EINVAL (no format was set), -EBUSY (it streams, or somebody else has its buffers),
 * -EOPNOTSUPP (not with this driver or kernel: the words say what is missing), -ENOMEM, -EMFILE,
 * -EPROTO, -ENODEV, -ECHILD. May block. Row H1.
 */
int dma_buf_v4l2_request(struct dma_buf_device *dev, enum dma_buf_v4l2_memory memory,
			 unsigned int count);

/**
 * dma_buf_v4l2_alloc - a buffer that suits the device
 * @dev: the device, with places requested
 * @name: as for dma_buf_alloc()
 *
 * For import this is dma_buf_alloc() with the format's buffer_size; for export the driver's own
 * memory, each buffer once: it makes more while it can.
 *
 * Return: a handle with one reference; NULL with errno EINVAL, ENOSPC (the driver makes no more),
 * ENODEV, ECHILD, and those of dma_buf_alloc() and dma_buf_get(). May block. Row H1.
 */
struct dma_buf *dma_buf_v4l2_alloc(struct dma_buf_device *dev, const char *name);

/**
 * dma_buf_v4l2_queue - give a buffer to the driver
 * @attach: an attachment of a video device
 * @table: its table, mapped; DMA_FROM_DEVICE for a capture, DMA_TO_DEVICE for an output
 * @used: bytes to show, output only
 * @timestamp: nanoseconds of CLOCK_MONOTONIC, output only; drivers may ignore it
 * @cookie: returned with the completion
 *
 * The attachment must stay until the buffer was reaped; detaching it earlier stops the stream.
 *
 * Return: 0; -EINVAL (not a video attachment, not mapped, wrong direction, too small, more used
 * than there is, no buffer of this device's although it exports), -EBUSY (the driver has it),
 * -ENOSPC (the driver has places for fewer buffers), -EFAULT (the driver cannot take this memory),
 * -EOPNOTSUPP (there is no way to give it to this kernel: the words say what is missing), -EIO (it
 * failed: stop and start it), -ENOMEM, -EMFILE, -ENODEV, -ECHILD. Does not wait for a frame. Row
 * H1.
 */
int dma_buf_v4l2_queue(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
		       uint64_t used, uint64_t timestamp, uint64_t cookie);

/**
 * dma_buf_v4l2_start - frames come from now on
 * @dev: the device
 *
 * Return: 0, also if it streams already; -EINVAL (no places requested), -ENOLINK (no signal, or its
 * pipeline is not set up), -ENOSPC (the bus has not enough bandwidth left), -EBUSY, -EIO, -ENODEV,
 * -ECHILD. May block.
 */
int dma_buf_v4l2_start(struct dma_buf_device *dev);

/**
 * dma_buf_v4l2_stop - no more frames
 * @dev: the device
 *
 * What the driver has is given back: it is reaped with -ECANCELED. After that start may follow.
 *
 * Return: 0; -ENODEV (the buffers are given back all the same), -EINVAL, -ECHILD. May block until
 * the driver has let go.
 */
int dma_buf_v4l2_stop(struct dma_buf_device *dev);

/**
 * dma_buf_v4l2_reap - collect buffers that the driver gave back
 * @dev: the device
 * @completions: filled in, in the order of completion
 * @max: room in it, 1 or more
 * @timeout_ms: how long to wait for the first; 0: not at all; negative: -EINVAL
 *
 * Return: how many, at least 1; -ETIMEDOUT; -ENOENT (the driver has none); -ESTALE (the source
 * changed: dma_buf_v4l2_check_source() says how); -EIO (it failed: stop and start it);
 * -EPIPE (its stream has ended); -EPROTO; -EINTR (a signal handler ran); -ENODEV (stop still gives
 * buffers back); -EINVAL; -ECHILD. Blocks up to @timeout_ms.
 */
int dma_buf_v4l2_reap(struct dma_buf_device *dev, struct dma_buf_v4l2_completion *completions,
		      unsigned int max, int timeout_ms);

/**
 * dma_buf_v4l2_check_source - is what comes in what the format is for?
 * @dev: the device
 *
 * Of a capture whose input can lose its signal or get another: HDMI, analog television. After
 * -ESTALE of dma_buf_v4l2_reap() it says how to go on; 0 makes reaping go on as well. While there
 * is no signal, POLLPRI of dma_buf_v4l2_fd() says when to ask again; drivers that do not tell are
 * to be asked now and then.
 *
 * Return: 0 (it is, the device cannot tell, or is an output); -ESTALE (it changed: stop, set the
 * format, request and start again), -ENOLINK (no signal), -ENOLCK (one that the device cannot lock
 * on to, perhaps only yet), -ERANGE (one that it is not made for), -ENODEV, -EINVAL, -ECHILD. The
 * words name the input. May block. Row H1.
 */
int dma_buf_v4l2_check_source(struct dma_buf_device *dev);

/**
 * dma_buf_v4l2_fd - a descriptor for the caller's event loop
 * @dev: the device
 *
 * Poll it for POLLIN (capture) or POLLOUT (output), and POLLPRI: dma_buf_v4l2_reap() with a timeout
 * of 0 has something to do then. It stays the device's.
 *
 * Return: the descriptor; -EINVAL, -ECHILD. Never blocks.
 */
int dma_buf_v4l2_fd(struct dma_buf_device *dev);

/**
 * dma_buf_v4l2_get_info - what it is and how it is doing
 * @dev: the device
 * @info: size set; filled in
 *
 * Return: 0; -EINVAL. Never blocks.
 */
int dma_buf_v4l2_get_info(struct dma_buf_device *dev, struct dma_buf_v4l2_info *info);

/**
 * dma_buf_v4l2_get_parameters - what it needs of memory that is yet to be chosen
 * @dev: the device
 * @parameters: size set; filled in, for dma_buf_negotiate()
 *
 * A need for contiguous memory is in here only, not in the device's own parameters: how the memory
 * of a kernel dma-buf lies only the driver finds out, when it is queued, so that attaching must not
 * depend on it. The trial of dma_buf_v4l2_request() settles that need.
 *
 * Return: 0; -EINVAL, -ECHILD. Never blocks. Rows F1, F9.
 */
int dma_buf_v4l2_get_parameters(struct dma_buf_device *dev,
				struct dma_buf_device_parameters *parameters);

/**
 * dma_buf_v4l2_parameters_from - who says so
 * @dev: the device
 *
 * Return: of enum dma_buf_parameters_from, or 0: nothing is known; -EINVAL, -ECHILD. Never blocks.
 * Row F1.
 */
int dma_buf_v4l2_parameters_from(struct dma_buf_device *dev);

/**
 * dma_buf_v4l2_describe - the same in words
 * @dev: the device
 * @text: filled with one line, always closed by a NUL
 * @size: room in @text, 1 or more
 *
 * For example "vivid (platform:vivid-000), NV12 640x360, driver's memory (import: Bad address)".
 * 384 bytes are enough.
 *
 * Return: 0; -EINVAL; -ENOSPC (cut short). Never blocks.
 */
int dma_buf_v4l2_describe(struct dma_buf_device *dev, char *text, size_t size);
#else
#include <dmabuf/stubs/v4l2.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
