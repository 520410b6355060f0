// SPDX-License-Identifier: MIT
#include "json-members.h"

void json_add_uint(json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

void json_add_text(json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

void json_add_bool(json_object *to, const char *key, bool value)
{
	json_object_object_add(to, key, json_object_new_boolean(value));
}

json_object *json_counters(const struct dma_buf_counters *c)
{
	json_object *object = json_object_new_object();

	json_add_uint(object, "cpu_access", c->cpu_access);
	json_add_uint(object, "maps", c->maps);
	json_add_uint(object, "cached_maps", c->cached_maps);
	json_add_uint(object, "sync_needed", c->sync_needed);
	json_add_uint(object, "sync_done", c->sync_done);
	json_add_uint(object, "sync_skipped", c->sync_skipped);
	json_add_uint(object, "recovered", c->recovered);
	json_add_uint(object, "leases_lost", c->leases_lost);
	return object;
}
