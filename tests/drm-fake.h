/* SPDX-License-Identifier: MIT */
/*
 * A graphics driver in the test's own process: the library's calls of libdrm reach it through the
 * linker's --wrap. Its memory, and what dma_buf_kernel_fd() gives, are memfds here: where
 * dma_buf_get() takes a kernel dma-buf it takes one of our own.
 */
#ifndef DMABUF_TEST_DRM_FAKE_H
#define DMABUF_TEST_DRM_FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <xf86drmMode.h>

#define FAKE_OBJECTS 32

struct fake_drm {
	/* What it is. */
	uint64_t prime; /* DRM_PRIME_CAP_... */
	bool dumb;
	uint32_t crtcs;		/* numbered from 40 on */
	uint32_t shows;		/* the CRTC that @framebuffer is on; 0: none */
	drmModeFB2 framebuffer; /* handles: of @objects, which the answer gets anew; 0: kept back */

	/* Faults. */
	unsigned int fail_at; /* this call, counted from 1, answers @fail_errno; 0: none */
	int fail_errno;
	unsigned int vanishes; /* so many times the framebuffer is gone when it is asked for */
	uint64_t dumb_size;    /* what it says of a picture's bytes; 0: the truth */

	/* How it is doing. */
	unsigned int calls;
	struct {
		uint32_t handle; /* 0: free */
		int fd;
	} objects[FAKE_OBJECTS];
	uint32_t last_handle;
};

/* A card that can do everything, with one display that is dark. */
void fake_init(struct fake_drm *fake);
/* Its descriptor, the caller's to close; one fake at a time. */
int fake_open(struct fake_drm *fake);
/* A handle for memory of @size bytes. */
uint32_t fake_object(struct fake_drm *fake, uint64_t size);
unsigned int fake_handles(const struct fake_drm *fake);
/* The memory of what is left goes. */
void fake_free(struct fake_drm *fake);

#endif
