/* SPDX-License-Identifier: MIT */
/* What the command's --json outputs share. Members are added to @to, which owns them. */
#ifndef DMABUF_CLI_JSON_MEMBERS_H
#define DMABUF_CLI_JSON_MEMBERS_H

#include <json.h>
#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/info.h>

void json_add_uint(json_object *to, const char *key, uint64_t value);
void json_add_text(json_object *to, const char *key, const char *value);
void json_add_bool(json_object *to, const char *key, bool value);

/* A buffer's counters, as an object of its own. */
json_object *json_counters(const struct dma_buf_counters *c);

#endif
