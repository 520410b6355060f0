/* SPDX-License-Identifier: MIT */
/* The states that a search has seen, and how it got there. A state is any bytes of one size. */
#ifndef TEST_COHERENCY_VISITS_H
#define TEST_COHERENCY_VISITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VISITS_ACTION_LEN 48

void visits_start(size_t state_size, const void *first);
/* One more, reached from the one that visits_next() gave; nothing if it is known already. */
void visits_add(const void *state, const char *action);
/* The next one to look at; false if all have been. */
bool visits_next(void *state);
/* Notes in the report how the one that visits_next() gave was reached. */
void visits_print_history(void);
/* Frees all; returns how many there were. */
uint32_t visits_stop(void);

#endif
