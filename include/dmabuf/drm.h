/* SPDX-License-Identifier: MIT */
/**
 * DOC: DRM devices
 *
 * A graphics card, or a display controller, as a DMA device: its driver imports buffers and exports
 * its own through PRIME, without a copy.
 *
 *	dev = dma_buf_drm_open(fd, NULL);
 *	attach = dma_buf_attach(buf, dev);
 *	table = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
 *	dma_buf_drm_import(attach, table, DMA_TO_DEVICE, &handle);
 *	... the driver's own calls, with that handle and fd ...
 *	dma_buf_unmap_attachment(attach, table, DMA_TO_DEVICE);
 *
 * The other way, dma_buf_drm_export() makes a buffer of a handle that the driver's own calls, or
 * libgbm, gave; dma_buf_drm_alloc() makes a picture that the CPU can draw in.
 *
 * A buffer that is a kernel dma-buf is imported as it is, one in the library's own memory through
 * /dev/udmabuf (see dma_buf_kernel_fd()). The driver's mapping of the memory does what cache
 * maintenance its device needs, so these devices count as coherent. Locks of an imported kernel
 * dma-buf wait for the fences of the driver's jobs.
 *
 * Needs libdrm when the library is built; without it dma_buf_drm_open() fails with EOPNOTSUPP.
 * Calls of several threads at a time are fine. In a forked child every call is -ECHILD.
 */
#ifndef DMABUF_DRM_H
#define DMABUF_DRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/attach.h>
#include <dmabuf/dma-buf.h>
#include <dmabuf/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_buf_drm_info - what a device is and how it is doing
 * @size: sizeof(struct dma_buf_drm_info), set by the caller; lets the struct grow
 * @driver: the driver's name
 * @imports: the driver says that it takes buffers of others; some refuse all the same
 * @exports: the driver gives its own away
 * @dumb: it makes pictures that the CPU can draw in
 * @imported: tables that have a handle now
 */
struct dma_buf_drm_info {
	size_t size;
	char driver[32];
	bool imports;
	bool exports;
	bool dumb;
	uint32_t imported;
};

/**
 * struct dma_buf_drm_picture - a picture that the CPU can draw in
 * @size: sizeof(struct dma_buf_drm_picture), set by the caller; lets the struct grow
 * @width: pixels, wanted
 * @height: lines, wanted
 * @bits_per_pixel: wanted; 32, 24, 16 and 8 are common
 * @stride: filled in: bytes from line to line
 * @bytes: filled in: of the whole
 */
struct dma_buf_drm_picture {
	size_t size;
	uint32_t width;
	uint32_t height;
	uint32_t bits_per_pixel;
	uint32_t stride;
	uint64_t bytes;
};

/**
 * struct dma_buf_drm_screen - what a display shows
 * @size: sizeof(struct dma_buf_drm_screen), set by the caller; lets the struct grow
 * @crtc: the display's CRTC, wanted; 0: the first that shows something. Filled in
 * @fourcc: filled in, as in struct dmabuf_frame, and so are all that follow
 * @width: pixels
 * @height: lines
 * @plane_count: of @planes
 * @planes: where they are in the buffer
 * @modifier: 0: linear
 */
struct dma_buf_drm_screen {
	size_t size;
	uint32_t crtc;
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint32_t plane_count;
	struct dmabuf_frame_plane planes[DMABUF_FRAME_MAX_PLANES];
	uint64_t modifier;
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_drm_open - a DRM device as a DMA device
 * @fd: a descriptor of /dev/dri/cardN or renderDN, open for reading and writing; stays the caller's
 *	and may be closed at once. Handles belong to its open file description: one that the device
 *	imported must not be closed by others
 * @name: the device's name for others to see, 1 to 31 bytes; NULL: the file's own
 *
 * Return: a device with one reference, for dma_buf_attach() and the calls below; NULL with errno
 * EINVAL, ENAMETOOLONG (name), EBADF, ENOTSUP (no DRM device, or its driver shares no buffers),
 * EOPNOTSUPP (built without libdrm), ENOMEM, EMFILE. Row H1.
 */
struct dma_buf_device *dma_buf_drm_open(int fd, const char *name);

/**
 * dma_buf_drm_import - the driver's handle for an attached buffer
 * @attach: an attachment of a DRM device
 * @table: its table, mapped
 * @direction: as mapped
 * @handle: filled in: the GEM handle, which is good until @table is unmapped
 *
 * Imported once: asked again for the same table, the answer is the same.
 *
 * Return: 0; -EINVAL (no DRM attachment, not mapped, NULL), -EOPNOTSUPP (the driver takes no
 * buffers of others, or not this one: the words say which), those of dma_buf_kernel_fd() (the
 * memory cannot be made a kernel dma-buf), -ENOMEM, -EMFILE, -ENODEV, -ECHILD. May block. Row H1.
 */
int dma_buf_drm_import(struct dma_buf_attachment *attach, struct dma_buf_sg_table *table,
		       enum dma_data_direction direction, uint32_t *handle);

/**
 * dma_buf_drm_export - the buffer of one of the driver's handles
 * @dev: the device
 * @handle: a GEM handle of its open file; stays the caller's
 *
 * Of an imported handle this is the memory that was imported.
 *
 * Return: a handle with one reference, by dma_buf_get(); NULL with errno EINVAL, ENOENT (no such
 * handle), EOPNOTSUPP (the driver exports nothing), EMFILE, ENOMEM, ENODEV, ECHILD and those of
 * dma_buf_get(). May block. Row H1.
 */
struct dma_buf *dma_buf_drm_export(struct dma_buf_device *dev, uint32_t handle);

/**
 * dma_buf_drm_alloc - a picture in the driver's own memory ("dumb buffer")
 * @dev: the device; of a card, not of a render node
 * @picture: size, width, height and bits_per_pixel set; the rest filled in
 * @name: a name for others to see, 1 to 31 bytes; NULL: none
 *
 * Return: a handle with one reference; NULL with errno EINVAL (sizes, name), EACCES (a render
 * node), EOPNOTSUPP (the driver makes none, or exports nothing), ENOMEM and as
 * dma_buf_drm_export().
 * @picture is untouched on failure. May block. Row H1.
 */
struct dma_buf *dma_buf_drm_alloc(struct dma_buf_device *dev, struct dma_buf_drm_picture *picture,
				  const char *name);

/**
 * dma_buf_drm_get_screen - the buffer that a display shows now
 * @dev: the device; of a card, not of a render node
 * @screen: size and crtc set; the rest filled in
 *
 * The primary plane's framebuffer, without cursors and overlays. It is the memory itself, and whose
 * it is goes on drawing in it, or shows another one at the next frame: take a copy of what is to
 * stay. Only the card's master and who has CAP_SYS_ADMIN get it.
 *
 * Return: a handle with one reference; NULL with errno EINVAL, ENOENT (nothing is shown), EACCES
 * (not for us), EOPNOTSUPP (no displays, or planes in several pieces of memory), EPROTO (what the
 * driver says makes no sense), ENODEV, ECHILD and as dma_buf_drm_export(). @screen is untouched on
 * failure. May block. Row H1.
 */
struct dma_buf *dma_buf_drm_get_screen(struct dma_buf_device *dev,
				       struct dma_buf_drm_screen *screen);

/**
 * dma_buf_drm_get_info - what it is and how it is doing
 * @dev: the device
 * @info: size set; filled in
 *
 * Return: 0; -EINVAL, -ECHILD. Never blocks.
 */
int dma_buf_drm_get_info(struct dma_buf_device *dev, struct dma_buf_drm_info *info);

/**
 * dma_buf_drm_get_parameters - what a DRM device needs of memory that is yet to be chosen
 * @device: its number (st_rdev); it need not be open
 * @parameters: size set; filled in, for dma_buf_negotiate()
 *
 * What the kernel says in sysfs, and what is known of drivers (docs/drm.md). A need for contiguous
 * memory is in here only, not in the parameters of dma_buf_drm_open()'s device: of a kernel dma-buf
 * only the driver finds out how it lies.
 *
 * Return: 0; -EINVAL, -ENOENT (sysfs knows no such DRM device). Never blocks. Rows F1, F9.
 */
int dma_buf_drm_get_parameters(dev_t device, struct dma_buf_device_parameters *parameters);

/**
 * dma_buf_drm_parameters_from - who says so
 * @device: its number (st_rdev); it need not be open
 *
 * Return: of enum dma_buf_parameters_from, or 0: nothing is known; -ENOENT. Never blocks. Row F1.
 */
int dma_buf_drm_parameters_from(dev_t device);

/**
 * dma_buf_drm_describe - the device in words
 * @dev: the device
 * @text: filled with one line, always closed by a NUL
 * @size: room in @text, 1 or more
 *
 * For example "vgem, imports, exports, makes pictures". 128 bytes are enough.
 *
 * Return: 0; -EINVAL; -ENOSPC (cut short); -ECHILD. Never blocks.
 */
int dma_buf_drm_describe(struct dma_buf_device *dev, char *text, size_t size);
#else
#include <dmabuf/stubs/drm.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
