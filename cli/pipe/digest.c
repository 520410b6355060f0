// SPDX-License-Identifier: MIT
/* Stages that look at every byte: sha256, crc32, count, verify. */
#include "element.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <zlib.h>

static int look_sha256(const struct element_context *context, const struct dmabuf_frame *frame,
		       const void *bytes, void *data)
{
	if (EVP_DigestUpdate(data, bytes, frame->used) == 1)
		return 0;
	return element_fail(context, "the SHA-256 library failed");
}

static int tell_sha256(const struct element_context *context, EVP_MD_CTX *ctx)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned int len;

	if (EVP_DigestFinal_ex(ctx, digest, &len) != 1)
		return element_fail(context, "the SHA-256 library failed");
	for (unsigned int i = 0; i < len; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
	element_tell(context, "sha256", "%s", hex);
	return element_finish(context);
}

static int run_sha256(struct element_context *context)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err;

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		return element_fail(context, "the SHA-256 library could not be set up");
	}
	err = element_look_at_all(context, look_sha256, ctx);
	if (err == 0)
		err = tell_sha256(context, ctx);
	EVP_MD_CTX_free(ctx);
	return err;
}

static int look_crc32(const struct element_context *context, const struct dmabuf_frame *frame,
		      const void *bytes, void *data)
{
	uLong *crc = data;

	*crc = crc32_z(*crc, bytes, frame->used);
	return 0;
}

static int run_crc32(struct element_context *context)
{
	uLong crc = crc32_z(0, NULL, 0);
	int err = element_look_at_all(context, look_crc32, &crc);

	if (err < 0)
		return err;
	element_tell(context, "crc32", "%08lx", crc);
	return element_finish(context);
}

/* Counting needs no look at the bytes, so none is asked for. */
static int run_count(struct element_context *context)
{
	struct dmabuf_frame frame;
	uint64_t frames = 0, bytes = 0;
	int got;

	while ((got = element_next(context, &frame, true)) > 0) {
		frames++;
		bytes += frame.used;
		if (element_pass(context, &frame) < 0)
			return -1;
	}
	if (got < 0)
		return got;
	element_tell(context, "count", "%" PRIu64 " frames, %" PRIu64 " bytes", frames, bytes);
	return element_finish(context);
}

static int look_verify(const struct element_context *context, const struct dmabuf_frame *frame,
		       const void *bytes, void *data)
{
	uint64_t *next = data, number = 0;
	const char *wrong = picture_check(bytes, frame->used, &number);

	if (wrong)
		return element_fail(context, "frame %" PRIu64 ": %s", *next, wrong);
	/* dmabuf catch may come late, and miss what it was told it does. */
	if (context->element->role == ELEMENT_SINK)
		*next = frame->flags & DMABUF_FRAME_FIRST ? number : *next + frame->dropped;
	if (number != *next || frame->sequence != *next)
		return element_fail(context,
				    "frame %" PRIu64 " is missing: picture %" PRIu64
				    " came as number %" PRIu64,
				    *next, number, frame->sequence);
	(*next)++;
	return 0;
}

static int run_verify(struct element_context *context)
{
	uint64_t next = 0;
	int err = element_look_at_all(context, look_verify, &next);

	if (err < 0)
		return err;
	element_tell(context, "verify", "%" PRIu64 " pictures whole and in order",
		     context->element->role == ELEMENT_SINK ? context->taken : next);
	return element_finish(context);
}

const struct element_class sha256_class = {
	.prefix = "sha256",
	.roles = ROLE(ELEMENT_STAGE) | ROLE(ELEMENT_CATCHER),
	.run = run_sha256,
};

const struct element_class crc32_class = {
	.prefix = "crc32",
	.roles = ROLE(ELEMENT_STAGE) | ROLE(ELEMENT_CATCHER),
	.run = run_crc32,
};

const struct element_class count_class = {
	.prefix = "count",
	.roles = ROLE(ELEMENT_STAGE) | ROLE(ELEMENT_CATCHER),
	.run = run_count,
};

const struct element_class verify_class = {
	.prefix = "verify",
	.roles = ROLE(ELEMENT_STAGE) | ROLE(ELEMENT_CATCHER),
	.run = run_verify,
};
